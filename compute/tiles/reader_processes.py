"""Reader processes: read kept results beside the server's event loop."""

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
"""As many as have tiles in the making on two cores; each holds about 250 MB of programs and the chunks of one tile."""


class StoreReaders:
    """Processes that are started when something is first read, and again should one of them die.

    They inherit nothing of this process, least of all its event loop and its connections, and end with it.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._reducing: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None

    def start(self) -> None:
        """Have the processes made ready before something is read; returns at once."""
        for _ in range(_PROCESSES):
            self._started().submit(os.getpid)

    async def ask(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """Run a function of a module in one of the processes; raises what it raises.

        Parameters
        ----------
        function : callable
            What to run; where its process dies, once more in another.
        *arguments
            Picklable.
        """
        pool = self._started()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
        return await asyncio.get_running_loop().run_in_executor(self._started(), function, *arguments)

    async def reduce(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """Run one of many parts of a reduction as `ask` does: no more of them at once than there are processes.

        So a tile waits for one part at the most, not for all that somebody has asked for.
        """
        async with self._turn():
            return await self.ask(function, *arguments)

    def _turn(self) -> asyncio.Semaphore:
        """Return the limit of the running event loop: processes outlive a loop, what waits in it does not."""
        loop = asyncio.get_running_loop()
        if self._reducing is None or self._reducing[0] is not loop:
            self._reducing = loop, asyncio.Semaphore(_PROCESSES)
        return self._reducing[1]

    async def close(self) -> None:
        """End the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(_PROCESSES, mp_context=context, initializer=_begin)
        return self._pool


def _begin() -> None:
    # The keyboard interrupts the server, which ends its readers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_server, daemon=True).start()
    warm_up_cutting()


def _end_with_server() -> None:
    """End when the server does, however that ends: a pool's own pipes stay open between its processes."""
    server = multiprocessing.parent_process()
    with suppress(AttributeError):
        server.join()  # type: ignore[union-attr]  # there is none where this process was not started by another
    os._exit(0)
