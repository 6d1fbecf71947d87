"""Waiting with a time limit, cancelled when nobody needs the answer, or shielded where half a step would be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from distributed import Client, Future

from compute.errors import ClusterError

T = TypeVar("T")

Gone = Callable[[], Awaitable[bool]]
"""Tells within seconds whether nothing is left of a scheduler."""

GONE_LOOKS = 2
"""How often in a row nothing is left of a scheduler until it is given up; its client would try for half a minute."""

_LOOK_S = 0.75


@asynccontextmanager
async def bounded(seconds: float, doing: str) -> AsyncIterator[None]:
    """Bound what the body awaits of a scheduler, and say in one sentence what became of it.

    Parameters
    ----------
    seconds : float
        Longest wait, in seconds.
    doing : str
        What the body does, as it continues "while ...".

    Raises
    ------
    ClusterError
        The bound was reached or the connection broke.
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


async def unless_gone(step: Awaitable[T], gone: Gone | None) -> T:
    """Finish a step of a scheduler's client, but for one thing: that there is no scheduler, which clients do not see.

    Parameters
    ----------
    step : awaitable
        Cancelled where it is given up, or where the caller is.
    gone : callable or None
        None where nobody knows; the step takes as long as it takes then.

    Returns
    -------
    object
        What the step returned.

    Raises
    ------
    ClusterError
        Nothing is left of the scheduler.
    """
    doing, looks = asyncio.ensure_future(step), 0
    try:
        while not (await asyncio.wait([doing], timeout=_LOOK_S))[0]:
            looks = looks + 1 if gone is not None and await gone() else 0
            if looks == GONE_LOOKS and not doing.done():
                raise ClusterError("Nothing listens where the scheduler was; it was stopped or lost, so open another.")
        return doing.result()
    finally:
        doing.cancel()
        await asyncio.wait([doing])
        if not doing.cancelled():
            doing.exception()  # Looked at, or asyncio would report it as forgotten.


async def to_the_end(awaitable: Awaitable[T]) -> T:
    """Finish a step also when the caller is cancelled meanwhile, and be cancelled then.

    For steps that must not stop half-way: what a scheduler has just been asked to start has to be known before it
    can be stopped.

    Parameters
    ----------
    awaitable : awaitable
        A step that is bounded by itself.

    Returns
    -------
    object
        What the step returned.
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


async def cancel_late(client: Client, futures: Sequence[Future[Any]]) -> None:
    """Have a scheduler forget what is not done of some futures that nobody waits for any more."""
    late = [future for future in futures if not future.done()]
    if late and client.status == "running":
        await client.cancel(late, force=True)
