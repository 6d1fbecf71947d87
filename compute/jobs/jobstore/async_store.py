"""Asynchronous access to the job store: calls run on one thread, and failed writes end no job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from compute.errors import JobStoreError
from compute.jobs.jobstore.job_store import JobStore

Answer = TypeVar("Answer")

_TIMEOUT_S = 15.0
"""Longest wait for the store: a database that is busy or away says so itself within five seconds."""

_NO_ANSWER = "The list of jobs does not answer; check the disk or the database behind GREENUP_JOBS_URL."


class AsyncJobStore:
    """Asynchronous access to a job store, one call after another.

    Parameters
    ----------
    store : JobStore
        Store of the list of jobs.

    Attributes
    ----------
    trouble : str
        Reason why the last change could not be written; empty where it was.
    """

    def __init__(self, store: JobStore) -> None:
        self.trouble = ""
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._closed = False

    async def read(self, query: Callable[[JobStore], Answer]) -> Answer:
        """Run a query.

        Raises
        ------
        JobStoreError
            The store cannot be read, or does not answer.
        """
        if self._closed:
            raise JobStoreError(_NO_ANSWER)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, query, self._store)
        except TimeoutError:
            raise JobStoreError(_NO_ANSWER) from None

    async def write(self, change: Callable[[JobStore], Answer]) -> Answer | None:
        """Run a change; return None, and set `trouble`, where it cannot be written."""
        try:
            answer = await self.read(change)
        except JobStoreError as error:
            self.trouble = str(error)
            return None
        self.trouble = ""
        return answer

    async def close(self) -> None:
        """Wait for pending calls, and close the store."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        self._store.close()
