"""Reader processes, which read stored results outside the server process."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from compute.tiles.tile_patches import warm_up_cutting

Answer = TypeVar("Answer")

_PROCESSES = 2
"""Number of processes: one for each of two cores. A process needs about 250 MB, and memory for the chunks of a tile."""


class StoreReaders:
    """Pool of reader processes, which is started on the first read and restarted if a process dies.

    Processes are spawned, so they inherit no event loop or connection of this process. They exit with this process.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._reducing: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None

    def start(self) -> None:
        """Start the processes in advance, without waiting until they run."""
        for _ in range(_PROCESSES):
            self._started().submit(os.getpid)

    async def ask(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """Run a module-level function in a reader process and return its result or raise its exception.

        Parameters
        ----------
        function : callable
            Function to run. If its process dies, it is run once more in a new pool.
        *arguments
            Arguments, which must be picklable.
        """
        pool = self._started()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
        return await asyncio.get_running_loop().run_in_executor(self._started(), function, *arguments)

    async def reduce(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """Run one of many parts of a reduction as in `ask`, with at most one part per process at the same time.

        A tile is therefore delayed by at most one part, not by a whole reduction.
        """
        async with self._turn():
            return await self.ask(function, *arguments)

    def _turn(self) -> asyncio.Semaphore:
        """Return a semaphore for the running event loop, since the pool may be used from one loop after another."""
        loop = asyncio.get_running_loop()
        if self._reducing is None or self._reducing[0] is not loop:
            self._reducing = loop, asyncio.Semaphore(_PROCESSES)
        return self._reducing[1]

    async def close(self) -> None:
        """Stop the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(_PROCESSES, mp_context=context, initializer=_begin)
        return self._pool


def _begin() -> None:
    # Ctrl-C interrupts the server, which then stops its reader processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_server, daemon=True).start()
    warm_up_cutting()


def _end_with_server() -> None:
    """Exit when the server process ends, even if it is killed: the processes keep the pipes of the pool open."""
    server = multiprocessing.parent_process()
    with suppress(AttributeError):
        server.join()  # type: ignore[union-attr]  # `server` is None if this process has no parent
    os._exit(0)
