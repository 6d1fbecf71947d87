"""Asynchronous job store: calls on a thread of its own, whose failures end no job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from compute.errors import JobStoreError
from compute.jobs.jobstore.job_store import JobStore

Answer = TypeVar("Answer")

_WAIT_S = 15.0
"""Longest wait for the store: a database that is busy or away says so itself within five seconds."""

_SILENT = "The list of jobs does not answer; check the disk or the database behind GREENUP_JOBS_URL."


class AsyncJobStore:
    """Reads and writes a job store, one question after another.

    Parameters
    ----------
    store : JobStore
        Of the list of jobs.

    Attributes
    ----------
    trouble : str
        Why the last change could not be written; empty where it was.
    """

    def __init__(self, store: JobStore) -> None:
        self.trouble = ""
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._closed = False

    async def read(self, question: Callable[[JobStore], Answer]) -> Answer:
        """Ask for something.

        Raises
        ------
        JobStoreError
            The store cannot be read, or does not answer.
        """
        if self._closed:
            raise JobStoreError(_SILENT)
        try:
            async with asyncio.timeout(_WAIT_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, question, self._store)
        except TimeoutError:
            raise JobStoreError(_SILENT) from None

    async def write(self, change: Callable[[JobStore], Answer]) -> Answer | None:
        """Change something; what cannot be written is None, and `trouble` says why."""
        try:
            answer = await self.read(change)
        except JobStoreError as error:
            self.trouble = str(error)
            return None
        self.trouble = ""
        return answer

    async def close(self) -> None:
        """Let the questions that were asked be answered, and close the store."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        self._store.close()
