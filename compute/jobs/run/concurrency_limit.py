"""Concurrency limit of jobs for each user, over all servers that share a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from compute.jobs.job_list import JobList
from compute.jobs.jobstore.rows import JobRow
from compute.jobs.live_job import LiveJob

WAITS = "It waits for one of your other computations to end."

_POLL_S = 0.5
"""Longest time from the end of one computation to the start of the next."""


class ConcurrencyLimit:
    """Starts the queued jobs of each scope in the order of their submission, a few at once.

    Jobs that are connecting or running count, if a server with a current lease holds them.

    Parameters
    ----------
    listed : JobList
        List of all jobs.
    most : int
        Largest number of jobs of one scope at once.
    save : callable
        Replaces the record of a job.
    """

    def __init__(self, listed: JobList, most: int, save: Callable[[LiveJob, JobRow], None]) -> None:
        self._list = listed
        self._most = most
        self._save = save

    async def wait_for_start(self, job: LiveJob) -> None:
        """Wait until a queued job may start, and set it to connecting."""
        while not await self._list.start_queued_job(job.token, self._most):
            if job.row.message != WAITS:
                self._save(job, replace(job.row, message=WAITS))
            await asyncio.sleep(_POLL_S)
        message = "" if job.row.message == WAITS else job.row.message
        self._save(job, replace(job.row, state="connecting", message=message))
