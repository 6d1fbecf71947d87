"""Block submission: a few blocks for each thread at a time, so that the order of the rest can change."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
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
"""Blocks with the scheduler for each thread: one that runs, one that the worker has ready, one in reserve. Dask never
changes its mind about more, and fewer would have threads wait for the way there and back."""


class BlockSubmission:
    """Hands the blocks of a stack to a scheduler; whenever one ends, the one that is wanted most follows.

    Parameters
    ----------
    lazy : SeasonStack
        What to compute; blocks of it that are stored already have ended from the first.
    client : distributed.Client
        An asynchronous client, of the event loop that runs.
    order : BlockOrder
        Of all its blocks; what it says next is asked anew each time.
    retries : int
        Times that a block is tried again.
    ahead : list of str, optional
        Workers that get all the blocks at once, ahead of other work; left out, blocks wait their turn.
    keeping : Checkpointing, optional
        Has blocks written once they are computed, each before those that are handed over later.
    threads : callable, optional
        Returns for how many threads blocks are handed over; left out, for those that there are.
    share : QueueShare, optional
        Which of them go before the blocks of other computations, and which after; left out, there are no others.

    Attributes
    ----------
    futures : dict of Key to Future
        Of the blocks that were handed over.
    keeping : Checkpointing
        Writes finished blocks to the checkpoint.
    stack : SeasonStack
        The persisted stack; its graph has the future of each block from the moment that it is handed over, and from the
        first those that are stored.
    """

    def __init__(
        self,
        lazy: SeasonStack,
        client: Client,
        order: BlockOrder,
        *,
        retries: int,
        ahead: list[str] | None = None,
        keeping: Checkpointing | None = None,
        threads: Callable[[], int] | None = None,
        share: QueueShare | None = None,
    ) -> None:
        self.futures: dict[Key, Future[HeldBlock]] = {}
        self._tasks, self._sources, stored = _apart(lazy)
        self._graph: dict[Key, Any] = dict(stored)
        self.stack = replace(lazy, graph=self._graph)
        self.keeping = keeping or Checkpointing(None, {})
        self._threads = threads
        self._share = share or FairQueue().add_share("")
        # Not annotated as a Client, whose annotations say what its methods return when they block.
        self._client: Any = client
        self._order = order
        self._ahead = ahead is not None
        self._options: Mapping[str, Any] = {
            "retries": retries,
            "workers": ahead,
            "allow_other_workers": self._ahead,
            # Each block is a generation of its own: the scheduler keeps the order of those that rank alike.
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
        # Here rather than in the task: who has begun a job finds its first blocks under way.
        self._under_way: Any = as_completed(loop=client.loop)
        self._share.join()
        self._top_up()
        self._life = asyncio.create_task(self._feed(), name=f"feeding {lazy.token[:8]}")
        self._life.add_done_callback(lambda _: self._over())

    def stop(self) -> None:
        """Hand over no more, and hold nothing that only further blocks would need."""
        self._life.cancel()
        self._held.clear()

    async def ended(self) -> AsyncIterator[tuple[Index, Future[HeldBlock] | None]]:
        """Yield each block that has ended, well or not, and its future, from the first on, until no more follows.

        Blocks that were stored before have none. After the last block, what is being written is waited for.
        """
        told = 0
        while told < len(self._ended) or not self._life.done():
            news = self._news
            for each in self._ended[told:]:
                told += 1
                yield each
            if not self._life.done():
                await news.wait()
        if not self._life.cancelled():
            self._life.result()

    async def _feed(self) -> None:
        is_sound = True
        with suppress(TimeoutError):
            is_sound = await self._follow_tasks()
        if is_sound:
            await self.keeping.finish()

    async def _follow_tasks(self) -> bool:
        """Submit blocks as others end; return False after a block that failed.

        Raises
        ------
        TimeoutError
            All blocks have ended, and writing the next one takes longer than `SLOW_S`.
        """
        async with asyncio.timeout(None) as bound:
            async for future in self._under_way:
                if not await self._settle(future):
                    return False
                bound.reschedule(None if self._running else asyncio.get_running_loop().time() + SLOW_S)
        return True

    async def _settle(self, future: Any) -> bool:
        """Record the end of a task, and submit more blocks; return False after a block that failed."""
        if await self.keeping.settle(future):
            return True
        self._running -= 1
        self._share.ended(future.key)
        self._ended.append((future.key[1:], future))
        self._tell()
        if future.status != "finished":
            return False
        self._top_up()
        return True

    def _over(self) -> None:
        self._share.leave()
        self._tell()

    def _tell(self) -> None:
        """Wake the waiting submission loop."""
        self._news.set()
        self._news = asyncio.Event()

    def _top_up(self) -> None:
        while self._has_room():
            index = self._order.pop_next()
            if index is None:
                return
            if index in self._tasks:
                self._hand_over(index)

    def _has_room(self) -> bool:
        # Workers come and go meanwhile.
        threads = self._threads() if self._threads else self._client.scheduler_info().get("total_threads")
        return self._ahead or self._running < _PER_THREAD * max(1, int(threads or 1))

    def _hand_over(self, index: Index) -> None:
        """Submit a block, with the first of its season also the scenes that the season shares."""
        season, key = index[0], block_key(self.stack.token, *index)
        sources, keeps = self._sources.pop(season, {}), self.keeping.tasks(key)
        graph = self._tasks.pop(index) | sources | keeps
        # Whatever is asked of the workers beside the blocks has priority 0, and goes before them.
        rank = self._share.rank(key)
        priority = 1 if self._ahead else -rank
        block, *others = self._client.get(graph, [key, *keeps, *sources], priority=priority, **self._options)
        self.futures[key] = self._graph[key] = block
        self._under_way.add(block)
        self._running += 1
        for future in others[: len(keeps)]:
            self.keeping.follow(key, future)
            self._under_way.add(future)
        # Held until all blocks that need them are with the scheduler, which then knows how long to keep them.
        self._held.setdefault(season, others[len(keeps) :])
        self._left[season] -= 1
        if not self._left[season]:
            self._held.pop(season, None)


def _apart(lazy: SeasonStack) -> tuple[dict[Index, dict[Key, Any]], dict[int, dict[Key, Any]], dict[Key, StoredBlock]]:
    """Return the tasks of each block, for each season those that its blocks share, and the blocks that are stored."""
    tasks: dict[Index, dict[Key, Any]] = defaultdict(dict)
    shared: dict[int, dict[Key, Any]] = defaultdict(dict)
    stored: dict[Key, StoredBlock] = {}
    for key, task in lazy.graph.items():
        if isinstance(task, StoredBlock):
            stored[key] = task
        elif len(key) == 2:  # of a season rather than of one of its blocks
            shared[key[1]][key] = task
        else:
            tasks[key[1:4]][key] = task
    return dict(tasks), dict(shared), stored
