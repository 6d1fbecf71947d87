"""Prefetching: read the next looks while one is added up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Do some work on every item in the threads of a pool, and yield the results in the order of the items.

    Parameters
    ----------
    pool : ThreadPoolExecutor
        Does the work.
    work : callable
        What is done; what it raises is raised here.
    items : iterable
        Taken from no faster than results are.
    ahead : int
        How many items may be worked on beyond the one that is waited for.

    Yields
    ------
    tuple
        Item and result.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > ahead:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        for _, future in waiting:
            future.cancel()
