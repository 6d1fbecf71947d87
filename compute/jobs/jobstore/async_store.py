"""Asynchronous access to the job store: calls run in one thread, and failed writes raise no errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from compute.errors import JobStoreError
from compute.jobs.jobstore.job_store import JobStore

Answer = TypeVar("Answer")

_TIMEOUT_S = 15.0
"""Time limit of a call in seconds; a database that is locked or unreachable raises within five seconds."""

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
        Reason why the last change could not be written; empty after a successful write.
    """

    def __init__(self, store: JobStore) -> None:
        self.trouble = ""
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._closed = False

    async def read(self, query: Callable[[JobStore], Answer]) -> Answer:
        """Run a query and return its result.

        Raises
        ------
        JobStoreError
            The store cannot be read, does not respond in time, or is closed.
        """
        if self._closed:
            raise JobStoreError(_NO_ANSWER)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, query, self._store)
        except TimeoutError:
            raise JobStoreError(_NO_ANSWER) from None

    async def write(self, change: Callable[[JobStore], Answer]) -> Answer | None:
        """Run a change and return its result; if it cannot be written, set `trouble` and return None."""
        try:
            answer = await self.read(change)
        except JobStoreError as error:
            self.trouble = str(error)
            return None
        self.trouble = ""
        return answer

    async def close(self) -> None:
        """Wait for pending calls, then close the store."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        self._store.close()
