"""Limit on the concurrent jobs of each user, over all servers that share a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from compute.jobs.job_list import JobList
from compute.jobs.jobstore.rows import JobRow
from compute.jobs.live_job import LiveJob

WAITS = "It waits for one of your other computations to end."

_POLL_S = 0.5
"""Interval in seconds at which queued jobs are checked, and so the longest delay between two computations."""


class ConcurrencyLimit:
    """Starts the queued jobs of each scope in the order of submission, up to a limit on concurrent jobs.

    Connecting and running jobs count towards the limit if a server with a current lease holds them.

    Parameters
    ----------
    listed : JobList
        List of all jobs.
    most : int
        Largest number of concurrent jobs of one scope.
    save : callable
        Replaces the record of a job.
    """

    def __init__(self, listed: JobList, most: int, save: Callable[[LiveJob, JobRow], None]) -> None:
        self._list = listed
        self._most = most
        self._save = save

    async def wait_for_start(self, job: LiveJob) -> None:
        """Wait until a queued job may start, and set its state to connecting."""
        while not await self._list.start_queued_job(job.token, self._most):
            if job.row.message != WAITS:
                self._save(job, replace(job.row, message=WAITS))
            await asyncio.sleep(_POLL_S)
        message = "" if job.row.message == WAITS else job.row.message
        self._save(job, replace(job.row, state="connecting", message=message))
