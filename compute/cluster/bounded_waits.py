"""Waits with a time limit, waits for a scheduler that may be gone, and steps that must finish despite cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from distributed import Client, Future

from compute.errors import ClusterError

T = TypeVar("T")

GoneCheck = Callable[[], Awaitable[bool]]
"""Returns within seconds whether the scheduler is known to be gone."""

GONE_CHECKS = 2
"""Consecutive positive checks after which a scheduler is given up; its client would retry for half a minute."""

_CHECK_INTERVAL_S = 0.75


@asynccontextmanager
async def limit_wait(seconds: float, doing: str) -> AsyncIterator[None]:
    """Limit the time for which the body waits for a scheduler.

    Parameters
    ----------
    seconds : float
        Time limit in seconds.
    doing : str
        Clause for the error, such as "the computation was submitted".

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
    """Await a step of a scheduler's client, and fail early if the scheduler is gone, which clients do not notice.

    Parameters
    ----------
    step : awaitable
        Cancelled if it is given up, or if the caller is cancelled.
    gone : callable or None
        Check of the scheduler; None to await the step without checks.

    Returns
    -------
    object
        Result of the step.

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
            doing.exception()  # Looked at, or asyncio would report it as forgotten.


async def finish_despite_cancel(awaitable: Awaitable[T]) -> T:
    """Await a step to its end even if the caller is cancelled meanwhile, then propagate the cancellation.

    For steps that must not stop half-way: a cluster that the Gateway is starting can only be stopped once its name is
    known.

    Parameters
    ----------
    awaitable : awaitable
        A step with its own time limit.

    Returns
    -------
    object
        Result of the step.
    """
    step = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        while not step.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([step])
        if not step.cancelled():
            step.exception()  # Looked at, or asyncio would report it as forgotten.
        raise


async def cancel_unfinished(client: Client, futures: Sequence[Future[Any]]) -> None:
    """Cancel the unfinished futures whose results are not needed any more.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous client.
    futures : sequence of distributed.Future
        Finished ones are left alone.
    """
    late = [future for future in futures if not future.done()]
    if late and client.status == "running":
        await client.cancel(late, force=True)
