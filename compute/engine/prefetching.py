"""Prefetching: read the next scenes in threads while the current one is accumulated."""

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
    """Process items in a thread pool, and yield the results in the order of the items.

    Parameters
    ----------
    pool : ThreadPoolExecutor
        Thread pool that processes the items.
    work : callable
        Function of one item. Its exceptions are raised by the iterator.
    items : iterable
        Items, consumed lazily: at most `ahead` items beyond the next result.
    ahead : int
        Number of items to process beyond the item of the next result.

    Yields
    ------
    tuple
        An item and its result.
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
