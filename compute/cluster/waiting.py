"""Waits that end: with an answer, at their bound, or, where half a step would be lost, at the end of the step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from compute.errors import ClusterError

T = TypeVar("T")


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
