"""Calls to a Dask Gateway with time limits, and one sentence for each way to fail."""

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

GONE = "The Dask Gateway has no such cluster any more; open another."

# The Gateway answers in milliseconds; a busy one forwards to a scheduler and retries for a few seconds.
_ANSWER_S = 30.0

_ELSEWHERE = "What answered is not a Dask Gateway; check GREENUP_GATEWAY_ADDRESS."
_NO_LOGIN = "The Dask Gateway refused the login; sign in again, or check gateway.auth in Dask's configuration."


def has_gateway(settings: Settings) -> bool:
    """Return whether a Gateway is configured, here or in Dask's own configuration; it is not asked."""
    return bool(settings.gateway_address or dask.config.get("gateway.address", None))


def require_gateway(settings: Settings) -> None:
    """Raise an `InputError` where no Gateway is configured."""
    if not has_gateway(settings):
        raise InputError("cluster", "No Dask Gateway is configured; set GREENUP_GATEWAY_ADDRESS to its URL.")


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Log in to the Gateway; raises as `ask` does, and an `InputError` where none is configured."""
    require_gateway(settings)
    try:
        gateway = Gateway(address=settings.gateway_address, asynchronous=True)
    except (ValueError, TypeError, KeyError, ImportError):
        raise ClusterError(
            "The Dask Gateway settings are not usable; check gateway.address and gateway.auth in Dask's configuration."
        ) from None
    async with gateway:
        yield gateway


async def ask(request: Awaitable[T], refused: str = _ELSEWHERE) -> T:
    """Await an answer of the Gateway within its bound; each way to fail has its sentence."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await request
    except (aiohttp.ClientError, OSError, GatewayServerError) as error:
        raise _failure(error) from None
    except (ValueError, GatewayClusterError) as error:
        raise ClusterError(refused.format(str(error).rstrip("."))) from None


def _failure(error: Exception) -> ClusterError:
    # A proxy answers with 502 or its like for a Gateway that is not there.
    if isinstance(error, aiohttp.ClientResponseError) and error.status < 500:
        return ClusterError(_NO_LOGIN if error.status in (401, 403) else _ELSEWHERE)
    if isinstance(error, TimeoutError):
        return ClusterAwayError(f"The Dask Gateway did not answer within {_ANSWER_S:g} s; try again later.")
    if isinstance(error, GatewayServerError):
        return ClusterAwayError("The Dask Gateway failed inside; its administrator finds the reason in its log.")
    return ClusterAwayError("The Dask Gateway cannot be reached; check GREENUP_GATEWAY_ADDRESS and that it runs.")
