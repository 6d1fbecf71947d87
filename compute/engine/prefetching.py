"""Prefetching: read the next scenes in threads while one is accumulated."""

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
    """Process items in the threads of a pool, and yield the results in the order of the items.

    Parameters
    ----------
    pool : ThreadPoolExecutor
        Threads that process the items.
    work : callable
        Function of one item. Its exceptions are raised here.
    items : iterable
        Items; consumed no faster than the results.
    ahead : int
        Number of items to process beyond the one whose result is next.

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
