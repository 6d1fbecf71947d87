"""Waits with a time limit or a check of the scheduler, and awaitables that must finish despite cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from distributed import Client, Future

from compute.errors import ClusterError

T = TypeVar("T")

GoneCheck = Callable[[], Awaitable[bool]]
"""Function that returns, within seconds, whether the scheduler is known to be gone."""

GONE_CHECKS = 2
"""Number of consecutive positive checks after which a scheduler counts as lost; its client would retry for half a
minute."""

_CHECK_INTERVAL_S = 0.75


@asynccontextmanager
async def limit_wait(seconds: float, doing: str) -> AsyncIterator[None]:
    """Limit the time that the body may take to communicate with a scheduler.

    Parameters
    ----------
    seconds : float
        Time limit in seconds.
    doing : str
        Clause for the error message, after "while", such as "the computation was submitted".

    Raises
    ------
    ClusterError
        The time limit was reached or the connection broke.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise ClusterError(
            f"The scheduler did not answer within {seconds:g} s while {doing}; check that it runs, then try again."
        ) from None
    except OSError:
        raise ClusterError(
            f"The connection to the scheduler broke while {doing}; the cluster was stopped or lost, so open another."
        ) from None


async def await_unless_gone(step: Awaitable[T], gone: GoneCheck | None) -> T:
    """Await a call of a scheduler's client, or raise an error early if the scheduler is gone.

    The client itself retries the connection for half a minute.

    Parameters
    ----------
    step : awaitable
        The call; cancelled if the scheduler is gone or the caller is cancelled.
    gone : callable or None
        Check of the scheduler; None to await the call without checks.

    Returns
    -------
    object
        Result of the call.

    Raises
    ------
    ClusterError
        The scheduler is gone.
    """
    doing, looks = asyncio.ensure_future(step), 0
    try:
        while not (await asyncio.wait([doing], timeout=_CHECK_INTERVAL_S))[0]:
            looks = looks + 1 if gone is not None and await gone() else 0
            if looks == GONE_CHECKS and not doing.done():
                raise ClusterError("The scheduler is gone; it was stopped or lost, so open another.")
        return doing.result()
    finally:
        doing.cancel()
        await asyncio.wait([doing])
        if not doing.cancelled():
            doing.exception()  # retrieved, so that asyncio does not log it as never retrieved


async def finish_despite_cancel(awaitable: Awaitable[T]) -> T:
    """Await an awaitable to its end even if the caller is cancelled meanwhile, then propagate the cancellation.

    For operations that must not be interrupted, such as starting a Gateway cluster, which can be stopped only once its
    name is known.

    Parameters
    ----------
    awaitable : awaitable
        Awaitable with its own time limit.

    Returns
    -------
    object
        Result of the awaitable.
    """
    step = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        while not step.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([step])
        if not step.cancelled():
            step.exception()  # retrieved, so that asyncio does not log it as never retrieved
        raise


async def cancel_unfinished(client: Client, futures: Sequence[Future[Any]]) -> None:
    """Cancel those of the futures that are not finished, if the client is connected.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous client.
    futures : sequence of distributed.Future
        Futures of the client; finished ones are not cancelled.
    """
    late = [future for future in futures if not future.done()]
    if late and client.status == "running":
        await client.cancel(late, force=True)
