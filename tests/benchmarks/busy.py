"""Background load on the workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from distributed import Client

from tests.benchmarks.results import make_block
from tests.benchmarks.serving import HeldResult

_TASK_S = 1.0

_AHEAD = 2
"""Tasks for each thread that are submitted at a time, so that no thread is ever idle."""

_BLOCK_PX = 1024


def run_arithmetic() -> float:
    """Compute for a second without holding the GIL; a task."""
    values, until = np.linspace(0.1, 1.0, 1_000_000), time.monotonic() + _TASK_S
    while time.monotonic() < until:
        np.sqrt(values, out=values)
    return float(values[0])


def compute_another_block() -> float:
    """Compute a block with its levels, like another computation, and discard it; a task."""
    block = make_block((_BLOCK_PX, _BLOCK_PX), (0, 0), 0, 5)
    return float(block.clear_count[0, 0])


@asynccontextmanager
async def keep_workers_busy(holder: HeldResult, task: Callable[[], float]) -> AsyncIterator[None]:
    """Keep every thread of a cluster busy by repeating a task until the body ends.

    Parameters
    ----------
    holder : HeldResult
        Identifies the cluster.
    task : callable
        Function of this module, so that workers can import it.
    """
    client: Any
    async with Client(holder.scheduler, security=holder.security, asynchronous=True, set_as_default=False) as client:
        begun = asyncio.Event()
        lanes = [asyncio.ensure_future(_repeat_task(client, task, begun)) for _ in range(_AHEAD * holder.threads)]
        try:
            await begun.wait()
            yield
        finally:
            for lane in lanes:
                lane.cancel()
            for lane in lanes:
                with suppress(asyncio.CancelledError):
                    await lane


async def _repeat_task(client: Any, task: Callable[[], float], begun: asyncio.Event) -> None:
    while True:
        await client.submit(task, pure=False)
        begun.set()
