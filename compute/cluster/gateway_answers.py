"""Requests to a Dask Gateway, with a time limit and a one-sentence error message for each failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp
import dask
from dask_gateway import Gateway, GatewayClusterError, GatewayServerError

from compute.errors import ClusterAwayError, ClusterError, InputError
from compute.settings import Settings

T = TypeVar("T")

CLUSTER_GONE = "The Dask Gateway has no such cluster any more; open another."

# Gateways usually respond in milliseconds; if a scheduler is busy, they retry for a few seconds.
_ANSWER_S = 30.0

_ELSEWHERE = "The server at this address is not a Dask Gateway; check GREENUP_GATEWAY_ADDRESS."
_NO_LOGIN = "The Dask Gateway refused the login; sign in again, or check gateway.auth in Dask's configuration."


def has_gateway(settings: Settings) -> bool:
    """Return whether a Gateway is configured in the settings or in Dask's configuration; no request is made."""
    return bool(settings.gateway_address or dask.config.get("gateway.address", None))


def require_gateway(settings: Settings) -> None:
    """Raise an `InputError` if no Gateway is configured."""
    if not has_gateway(settings):
        raise InputError("cluster", "No Dask Gateway is configured; set GREENUP_GATEWAY_ADDRESS to its URL.")


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Yield a client of the Gateway.

    Raises
    ------
    InputError
        No Gateway is configured.
    ClusterError
        The configured address or authentication is invalid.
    """
    require_gateway(settings)
    try:
        gateway = Gateway(address=settings.gateway_address, asynchronous=True)
    except (ValueError, TypeError, KeyError, ImportError):
        raise ClusterError(
            "The Dask Gateway settings are not usable; check gateway.address and gateway.auth in Dask's configuration."
        ) from None
    async with gateway:
        yield gateway


async def call_gateway(request: Awaitable[T], refused: str = _ELSEWHERE) -> T:
    """Await a request to the Gateway within the time limit.

    Parameters
    ----------
    request : awaitable
        Request to await.
    refused : str
        Error message for a refused request; ``{}`` is replaced by the Gateway's reason.

    Returns
    -------
    object
        Result of the request.

    Raises
    ------
    ClusterAwayError
        The Gateway cannot be reached or fails internally; a retry may succeed.
    ClusterError
        The Gateway refuses the login or the request.
    """
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await request
    except (aiohttp.ClientError, OSError, GatewayServerError) as error:
        raise _translate_error(error) from None
    except (ValueError, GatewayClusterError) as error:
        raise ClusterError(refused.format(str(error).rstrip("."))) from None


def _translate_error(error: Exception) -> ClusterError:
    # A proxy returns status 5xx if its Gateway is down.
    if isinstance(error, aiohttp.ClientResponseError) and error.status < 500:
        return ClusterError(_NO_LOGIN if error.status in (401, 403) else _ELSEWHERE)
    if isinstance(error, TimeoutError):
        return ClusterAwayError(f"The Dask Gateway did not answer within {_ANSWER_S:g} s; try again later.")
    if isinstance(error, GatewayServerError):
        return ClusterAwayError("The Dask Gateway had an internal error; ask its administrator to check its log.")
    return ClusterAwayError("The Dask Gateway cannot be reached; check GREENUP_GATEWAY_ADDRESS and that it runs.")
