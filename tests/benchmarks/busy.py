"""Workers that have something else to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from distributed import Client

from tests.benchmarks.results import make_block
from tests.benchmarks.serving import Holder

_TASK_S = 1.0

_AHEAD = 2
"""Tasks for each thread that are handed out at a time, so that none ever waits for the next."""

_BLOCK_PX = 1024


def arithmetic() -> float:
    """Reckon for a second without the interpreter's lock; a task."""
    values, until = np.linspace(0.1, 1.0, 1_000_000), time.monotonic() + _TASK_S
    while time.monotonic() < until:
        np.sqrt(values, out=values)
    return float(values[0])


def another_block() -> float:
    """Make a block with its levels, as another computation would, and keep nothing of it; a task."""
    block = make_block((_BLOCK_PX, _BLOCK_PX), (0, 0), 0, 5)
    return float(block.clear_count[0, 0])


@asynccontextmanager
async def occupied(holder: Holder, task: Callable[[], float]) -> AsyncIterator[None]:
    """Keep every thread of a cluster busy with a task, again and again, until the body ends.

    Parameters
    ----------
    holder : Holder
        Names the cluster.
    task : callable
        Of this module, so that workers find it.
    """
    client: Any
    async with Client(holder.scheduler, security=holder.security, asynchronous=True, set_as_default=False) as client:
        begun = asyncio.Event()
        lanes = [asyncio.ensure_future(_lane(client, task, begun)) for _ in range(_AHEAD * holder.threads)]
        try:
            await begun.wait()
            yield
        finally:
            for lane in lanes:
                lane.cancel()
            for lane in lanes:
                with suppress(asyncio.CancelledError):
                    await lane


async def _lane(client: Any, task: Callable[[], float], begun: asyncio.Event) -> None:
    while True:
        await client.submit(task, pure=False)
        begun.set()
