"""Block submission: a few blocks per thread at a time, so that the order of the remaining blocks can change."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

from distributed import Client, Future, as_completed

from compute.engine import HeldBlock
from compute.jobs.run.block_order import BlockOrder, Index
from compute.jobs.run.checkpointing import SLOW_S, Checkpointing
from compute.jobs.run.fair_queue import FairQueue, QueueShare
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import Key, block_key
from compute.result.store import StoredBlock

_PER_THREAD = 3
"""Number of blocks on the scheduler per thread: one running, one ready on the worker, and one in reserve. With more, a
change of the order would take effect later, as submitted blocks keep theirs. With fewer, threads would be idle."""


class BlockSubmission:
    """Submits the blocks of a stack to a scheduler; when a block ends, the next one in the order is submitted.

    Parameters
    ----------
    lazy : SeasonStack
        Stack to compute; its stored blocks count as ended from the start.
    client : distributed.Client
        Asynchronous client of the running event loop.
    order : BlockOrder
        Order of all blocks, evaluated again before each submission.
    retries : int
        Number of times that a failed block is computed again.
    ahead : list of str, optional
        Workers that get all blocks at once, before other work; by default a few blocks are submitted at a time.
    checkpointing : Checkpointing, optional
        Writer of computed blocks, whose tasks have priority over later blocks; by default nothing is written.
    threads : callable, optional
        Returns the number of threads to submit blocks for; by default that of the workers.
    share : QueueShare, optional
        Share of the computation in the queue of its scheduler; by default it shares the scheduler with no other.

    Attributes
    ----------
    checkpointing : Checkpointing
        Writer of computed blocks.
    futures : dict of Key to Future
        Futures of the submitted blocks.
    stack : SeasonStack
        The persisted stack, whose graph has the future of each submitted block and all stored blocks.
    """

    def __init__(
        self,
        lazy: SeasonStack,
        client: Client,
        order: BlockOrder,
        *,
        retries: int,
        ahead: list[str] | None = None,
        checkpointing: Checkpointing | None = None,
        threads: Callable[[], int] | None = None,
        share: QueueShare | None = None,
    ) -> None:
        self.futures: dict[Key, Future[HeldBlock]] = {}
        self._tasks, self._sources, stored = _split_tasks(lazy)
        self._graph: dict[Key, Any] = dict(stored)
        self.stack = replace(lazy, graph=self._graph)
        self.checkpointing = checkpointing or Checkpointing(None, {})
        self._threads = threads
        self._share = share or FairQueue().add_share("")
        # Not annotated as Client, whose methods are annotated for a synchronous client.
        self._client: Any = client
        self._order = order
        self._ahead = ahead is not None
        self._options: Mapping[str, Any] = {
            "retries": retries,
            "workers": ahead,
            "allow_other_workers": self._ahead,
            # Each submission is a generation of its own, so blocks of equal rank run in the order of submission.
            "fifo_timeout": 0,
            "sync": False,
        }
        self._left = Counter(season for season, _, _ in self._tasks)
        self._held: dict[int, list[Future[Any]]] = {}
        self._ended: list[tuple[Index, Future[HeldBlock] | None]] = [
            (block.slot.index, None) for block in stored.values()
        ]
        self._running = 0
        self._news = asyncio.Event()
        # In the constructor rather than in the task, so that the first blocks are submitted when it returns.
        self._pending: Any = as_completed(loop=client.loop)
        self._share.join()
        self._submit_blocks()
        self._task = asyncio.create_task(self._run(), name=f"submission {lazy.token[:8]}")
        self._task.add_done_callback(lambda _: self._end())

    def stop(self) -> None:
        """Submit no more blocks, and release the shared sources of blocks that are not submitted."""
        self._task.cancel()
        self._held.clear()

    async def ended_blocks(self) -> AsyncIterator[tuple[Index, Future[HeldBlock] | None]]:
        """Yield the index and the future of each ended block, whether it finished or failed, from the first one on.

        The future of a stored block is None. The iterator ends after the pending writes have ended.
        """
        told = 0
        while told < len(self._ended) or not self._task.done():
            news = self._news
            for each in self._ended[told:]:
                told += 1
                yield each
            if not self._task.done():
                await news.wait()
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        try:
            has_finished = await self._follow_tasks()
        except TimeoutError:
            # All blocks are computed, and the next write took longer than `SLOW_S`.
            has_finished = True
        if has_finished:
            await self.checkpointing.finish()

    async def _follow_tasks(self) -> bool:
        """Handle the ends of all submitted tasks; return False as soon as a block has failed."""
        async with asyncio.timeout(None) as bound:
            async for future in self._pending:
                if not await self._handle_end(future):
                    return False
                if not self._running:
                    bound.reschedule(asyncio.get_running_loop().time() + SLOW_S)
        return True

    async def _handle_end(self, future: Any) -> bool:
        """Record the end of a task, and submit more blocks; return False if the task is a block that failed."""
        if await self.checkpointing.record_write(future):
            return True
        self._running -= 1
        self._share.record_end(future.key)
        self._ended.append((future.key[1:], future))
        self._notify()
        if future.status != "finished":
            return False
        self._submit_blocks()
        return True

    def _end(self) -> None:
        self._share.leave()
        self._notify()

    def _notify(self) -> None:
        """Resume the iterators of `ended_blocks`."""
        self._news.set()
        self._news = asyncio.Event()

    def _submit_blocks(self) -> None:
        while self._has_room():
            index = self._order.pop_next()
            if index is None:
                return
            if index in self._tasks:
                self._submit_block(index)

    def _has_room(self) -> bool:
        # Read for each block, because the number of workers changes.
        threads = self._threads() if self._threads else self._client.scheduler_info().get("total_threads")
        return self._ahead or self._running < _PER_THREAD * max(1, int(threads or 1))

    def _submit_block(self, index: Index) -> None:
        """Submit a block, and with the first block of a season the scenes that its blocks share."""
        season, key = index[0], block_key(self.stack.token, *index)
        sources, writes = self._sources.pop(season, {}), self.checkpointing.write_tasks(key)
        graph = self._tasks.pop(index) | sources | writes
        # Blocks have negative priorities, so that requests of priority 0, such as tiles, run before them.
        rank = self._share.assign_rank(key)
        priority = 1 if self._ahead else -rank
        block, *others = self._client.get(graph, [key, *writes, *sources], priority=priority, **self._options)
        self.futures[key] = self._graph[key] = block
        self._pending.add(block)
        self._running += 1
        for future in others[: len(writes)]:
            self.checkpointing.follow_write(key, future)
            self._pending.add(future)
        # Held until all blocks of the season are submitted; after that, the scheduler releases them when unused.
        self._held.setdefault(season, others[len(writes) :])
        self._left[season] -= 1
        if not self._left[season]:
            self._held.pop(season, None)


def _split_tasks(
    lazy: SeasonStack,
) -> tuple[dict[Index, dict[Key, Any]], dict[int, dict[Key, Any]], dict[Key, StoredBlock]]:
    """Return the tasks of each block, the shared tasks of each season, and the stored blocks."""
    tasks: dict[Index, dict[Key, Any]] = defaultdict(dict)
    shared: dict[int, dict[Key, Any]] = defaultdict(dict)
    stored: dict[Key, StoredBlock] = {}
    for key, task in lazy.graph.items():
        if isinstance(task, StoredBlock):
            stored[key] = task
        elif len(key) == 2:  # a task of a season rather than of one of its blocks
            shared[key[1]][key] = task
        else:
            tasks[key[1:4]][key] = task
    return dict(tasks), dict(shared), stored
