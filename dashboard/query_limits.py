"""Concurrency limit of expensive queries, fair to their users."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from compute.errors import OverloadError, TooManyRequestsError


class Questions:
    """Lets so many questions be answered at once, and so many wait.

    Next is the asker with the fewest under way, and of theirs the oldest question: who asks a lot waits for
    themselves.

    Parameters
    ----------
    at_once : int
        Most questions under way; all but one of them may be one asker's.
    queue : int
        Most questions that wait; half of them may be one asker's.
    """

    def __init__(self, *, at_once: int, queue: int) -> None:
        self._at_once = at_once
        self._queue = queue
        self._running: Counter[Hashable] = Counter()
        self._waiting: dict[asyncio.Future[None], Hashable] = {}

    @property
    def waiting(self) -> int:
        """Questions that wait for their turn."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Questions under way."""
        return self._running.total()

    @asynccontextmanager
    async def turn(self, asker: Hashable) -> AsyncIterator[None]:
        """Wait for the turn of a question; cancelled, it waits no more.

        Parameters
        ----------
        asker : hashable
            Who asks.

        Raises
        ------
        TooManyRequestsError
            This asker has too many questions waiting.
        OverloadError
            All askers together have.
        """
        own = asyncio.get_running_loop().create_future()
        self._waiting[own] = asker
        self._start()
        try:
            if not own.done():
                self._refuse_too_many(asker)
            await own
            yield
        finally:
            if self._waiting.pop(own, None) is None:
                self._running[asker] -= 1
                self._running += Counter()  # without those who have none
            self._start()

    def _refuse_too_many(self, asker: Hashable) -> None:
        own = sum(each == asker for each in self._waiting.values())
        if own > self._queue // 2:
            raise TooManyRequestsError(
                f"{own - 1} of your questions wait for an answer, the most that one may have; ask again in a moment."
            )
        if len(self._waiting) > self._queue:
            raise OverloadError(
                f"{self._queue} questions wait for an answer, all that the server has room for; ask again in a moment."
            )

    def _start(self) -> None:
        """Give questions their turn while there is room."""
        while self.running < self._at_once:
            most = max(self._at_once - 1, 1)
            # One whose asker has just given up is done already.
            able = [each for each, asker in self._waiting.items() if self._running[asker] < most and not each.done()]
            if not able:
                return
            question = min(able, key=lambda each: self._running[self._waiting[each]])
            asker = self._waiting.pop(question)
            self._running[asker] += 1
            question.set_result(None)
