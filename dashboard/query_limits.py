"""Limit on concurrent expensive queries, fair between users."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from compute.errors import OverloadError, TooManyRequestsError


class QueryLimit:
    """Limit on running and waiting queries.

    The next query is the oldest one of the user with the fewest running queries, so a user with many queries delays
    only themselves.

    Parameters
    ----------
    at_once : int
        Greatest number of running queries. One user may have all but one of them.
    queue : int
        Greatest number of waiting queries. One user may have half of them.
    """

    def __init__(self, *, at_once: int, queue: int) -> None:
        self._at_once = at_once
        self._queue = queue
        self._running: Counter[Hashable] = Counter()
        self._waiting: dict[asyncio.Future[None], Hashable] = {}

    @property
    def waiting(self) -> int:
        """Number of waiting queries."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Number of running queries."""
        return self._running.total()

    @asynccontextmanager
    async def wait_for_turn(self, requester: Hashable) -> AsyncIterator[None]:
        """Wait until a query may run; the query counts as running until the ``async with`` block ends.

        If the waiting task is cancelled, the query is removed.

        Parameters
        ----------
        requester : hashable
            Key of the user.

        Raises
        ------
        TooManyRequestsError
            Too many queries of this user are waiting.
        OverloadError
            Too many queries of all users are waiting.
        """
        own = asyncio.get_running_loop().create_future()
        self._waiting[own] = requester
        self._start_waiting()
        try:
            if not own.done():
                self._refuse_too_many(requester)
            await own
            yield
        finally:
            if self._waiting.pop(own, None) is None:
                self._running[requester] -= 1
                self._running += Counter()  # removes users without a running query
            self._start_waiting()

    def _refuse_too_many(self, requester: Hashable) -> None:
        own = sum(each == requester for each in self._waiting.values())
        if own > self._queue // 2:
            raise TooManyRequestsError(
                f"{own - 1} of your queries are waiting, which is the limit for one user; try again in a moment."
            )
        if len(self._waiting) > self._queue:
            raise OverloadError(
                f"{self._queue} queries are waiting, which is the limit of the server; try again in a moment."
            )

    def _start_waiting(self) -> None:
        """Start waiting queries up to the limit."""
        while self.running < self._at_once:
            most = max(self._at_once - 1, 1)
            # The future of a query that has just been cancelled is done.
            able = [
                each for each, requester in self._waiting.items() if self._running[requester] < most and not each.done()
            ]
            if not able:
                return
            question = min(able, key=lambda each: self._running[self._waiting[each]])
            requester = self._waiting.pop(question)
            self._running[requester] += 1
            question.set_result(None)
