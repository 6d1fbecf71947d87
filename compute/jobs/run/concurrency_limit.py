"""Concurrency limit of jobs for each user, over all servers that share a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from compute.jobs.job_list import JobList
from compute.jobs.live_job import LiveJob

WAITS = "It waits for one of your other computations to end."

_LOOK_S = 0.5
"""How soon a computation begins when another has ended."""


class ConcurrencyLimit:
    """Lets computations of one scope begin in the order in which they were asked for, a few at once.

    Who is under way is read off the list: what is connecting or running, and held by a server that is alive.

    Parameters
    ----------
    ledger : JobList
        The list.
    most : int
        Computations of one scope at once.
    note : callable
        Told of a record that has changed.
    """

    def __init__(self, ledger: JobList, most: int, note: Callable[[LiveJob], None]) -> None:
        self._ledger = ledger
        self._most = most
        self._note = note

    async def wait_for(self, record: LiveJob) -> None:
        """Wait for the turn of a queued job, which is connecting then."""
        while not await self._ledger.let_begin(record.token, self._most):
            if record.message != WAITS:
                record.message = WAITS
                self._note(record)
            await asyncio.sleep(_LOOK_S)
        record.state = "connecting"
        record.message = "" if record.message == WAITS else record.message
        self._note(record)
