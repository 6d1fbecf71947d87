"""Blocks on their way to the scheduler: a few for each thread at a time, so that the rest can still change places."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from distributed import Client, Future, as_completed

from compute.blocks import HeldBlock
from compute.jobs.order import BlockOrder, Index
from compute.stack import Key, SeasonStack, block_key

_PER_THREAD = 3
"""Blocks with the scheduler for each thread: one that runs, one that the worker has ready, one in reserve. Dask never
changes its mind about more, and fewer would have threads wait for the way there and back."""


class Feeding:
    """Hands the blocks of a stack to a scheduler; whenever one ends, the one that is wanted most follows.

    Parameters
    ----------
    lazy : SeasonStack
        What to compute.
    client : distributed.Client
        An asynchronous client, of the event loop that runs.
    order : BlockOrder
        Of all its blocks; what it says next is asked anew each time.
    retries : int
        Times that a block is tried again.
    ahead : list of str, optional
        Workers that get all the blocks at once, ahead of other work; left out, blocks wait their turn.

    Attributes
    ----------
    stack : SeasonStack
        The persisted stack; its graph has the future of each block from the moment that it is handed over.
    """

    def __init__(
        self, lazy: SeasonStack, client: Client, order: BlockOrder, *, retries: int, ahead: list[str] | None = None
    ) -> None:
        self.futures: dict[Key, Future[HeldBlock]] = {}
        self.stack = replace(lazy, graph=self.futures)
        # Not annotated as a Client, whose annotations say what its methods return when they block.
        self._client: Any = client
        self._order = order
        self._ahead = ahead is not None
        self._options: Mapping[str, Any] = {
            "retries": retries,
            "workers": ahead,
            "allow_other_workers": self._ahead,
            "priority": int(self._ahead),
            # Each block is a generation of its own: the scheduler keeps their order, and those of two jobs alternate.
            "fifo_timeout": 0,
            "sync": False,
        }
        self._tasks, self._sources = _apart(lazy)
        self._left = Counter(season for season, _, _ in self._tasks)
        self._held: dict[int, list[Future[Any]]] = {}
        self._ended: list[tuple[Index, Future[HeldBlock]]] = []
        self._news = asyncio.Event()
        # Here rather than in the task: who has begun a job finds its first blocks under way.
        self._under_way: Any = as_completed(loop=client.loop)
        self._top_up()
        self._life = asyncio.create_task(self._feed(), name=f"feeding {lazy.token[:8]}")
        self._life.add_done_callback(lambda _: self._tell())

    def stop(self) -> None:
        """Hand over no more, and hold nothing that only further blocks would need."""
        self._life.cancel()
        self._held.clear()

    async def ended(self) -> AsyncIterator[tuple[Index, Future[HeldBlock]]]:
        """Yield each block that has ended, well or not, and its future, from the first on, until no more follows."""
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
        async for future in self._under_way:
            self._ended.append((future.key[1:], future))
            self._tell()
            if future.status != "finished":
                return
            self._top_up()

    def _tell(self) -> None:
        """Wake who waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    def _top_up(self) -> None:
        while self._has_room():
            index = self._order.take()
            if index is None:
                return
            self._under_way.add(self._hand_over(index))

    def _has_room(self) -> bool:
        # Workers come and go meanwhile.
        threads = int(self._client.scheduler_info().get("total_threads") or 1)
        return self._ahead or len(self.futures) - len(self._ended) < _PER_THREAD * threads

    def _hand_over(self, index: Index) -> Future[HeldBlock]:
        """Submit a block, with the first of its season also the scenes that the season shares."""
        season, key = index[0], block_key(self.stack.token, *index)
        graph = self._tasks.pop(index) | self._sources.pop(season, {})
        future: Future[HeldBlock]
        future, *shared = self._client.get(graph, [key, *(each for each in graph if _is_shared(each))], **self._options)
        self.futures[key] = future
        # Held until all blocks that need them are with the scheduler, which then knows how long to keep them.
        self._held.setdefault(season, shared)
        self._left[season] -= 1
        if not self._left[season]:
            self._held.pop(season, None)
        return future


def _apart(lazy: SeasonStack) -> tuple[dict[Index, dict[Key, Any]], dict[int, dict[Key, Any]]]:
    """Return the tasks of each block, and for each season those that its blocks share."""
    tasks: dict[Index, dict[Key, Any]] = defaultdict(dict)
    shared: dict[int, dict[Key, Any]] = defaultdict(dict)
    for key, task in lazy.graph.items():
        if _is_shared(key):
            shared[key[1]][key] = task
        else:
            tasks[key[1:4]][key] = task
    return dict(tasks), dict(shared)


def _is_shared(key: Key) -> bool:
    """Tell whether a task is of a season rather than of one of its blocks."""
    return len(key) == 2
