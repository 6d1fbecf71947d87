"""In-memory list of all jobs on a server, synchronised with the durable list."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from compute.errors import JobStoreError
from compute.jobs.jobstore.async_store import AsyncJobStore
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import JobDetails, JobRow, RequestedAction, State, details_of
from compute.jobs.jobstore.rules import is_ahead_of, needs_holder
from compute.jobs.live_job import LiveJob

_OPENED_STEP = timedelta(minutes=1)
"""Precision of the time of the last request for a result; tiles request it many times a second."""


class JobList:
    """List of all jobs in memory. Changes are written to the durable list at once, or by the next `flush`.

    New jobs and records of live jobs that cannot be written stay in memory, and each `flush` tries to write them.

    The record of a live job is its attribute `row`; the list itself stores the records of all other jobs.

    Parameters
    ----------
    store : JobStore
        The durable list.
    must_keep : bool
        Whether to refuse new jobs while the durable list cannot be written.

    Attributes
    ----------
    holder : str
        Name of this server among those that share the list.
    requested_actions : mapping of str to str
        Actions on the jobs of this server that other processes requested, by token.
    store : AsyncJobStore
        The durable list.
    """

    def __init__(self, store: JobStore, *, must_keep: bool = False) -> None:
        self.holder = secrets.token_hex(8)
        self.requested_actions: Mapping[str, RequestedAction] = {}
        self.store = AsyncJobStore(store)
        self._must_keep = must_keep
        self._rows: dict[str, JobRow] = {}
        self._live: dict[str, LiveJob] = {}
        # Tokens of jobs that change in memory during a refresh, whose query may return their earlier records.
        self._touched: set[str] = set()
        self._unsaved: dict[str, LiveJob] = {}
        self._unadded: dict[str, JobDetails] = {}
        self._deleting: set[str] = set()
        self._flushing = asyncio.Lock()

    @property
    def trouble(self) -> str:
        """Sentence with the reason why the durable list cannot be written; empty after a successful write."""
        return self.store.trouble

    @property
    def rows(self) -> dict[str, JobRow]:
        """Records of all listed jobs, by token."""
        return self._rows | {token: job.row for token, job in self._live.items()}

    def row(self, token: str) -> JobRow | None:
        """Return the record of a listed job; None if the job is not listed."""
        job = self._live.get(token)
        return self._rows.get(token) if job is None else job.row

    async def find_job(self, token: str) -> JobRow | None:
        """Return the record of a job, also of one that is newer than the last refresh or too old to be listed."""
        row = self.row(token)
        if row is None and token not in self._deleting:
            row = await self.store.read(lambda store: store.find_job(token))
        return row

    async def refresh(self) -> None:
        """Read the durable list, and update the records in memory.

        Raises
        ------
        JobStoreError
            The durable list cannot be read; the records in memory are not changed.
        """
        self._touched.clear()
        found = {row.token: row for row in await self.store.read(JobStore.list_jobs)}
        self.requested_actions = {
            row.token: row.wanted for row in found.values() if row.wanted and row.holder == self.holder
        }
        for token, job in self._live.items():
            job.row = self._with_user_fields(job.row, found.get(token))
        for token in self._touched | self._deleting | self._unsaved.keys() | self._unadded.keys():
            listed, row = found.pop(token, None), self._rows.get(token)
            if row is not None:
                found[token] = self._with_user_fields(row, listed)
        self._rows = found

    def _with_user_fields(self, row: JobRow, listed: JobRow | None) -> JobRow:
        """Return a record with the title and the time of opening from the durable list, as any server may set them."""
        if listed is None or row.token in self._touched:
            return row
        return replace(row, title=listed.title, opened=listed.opened)

    async def add_job(self, job: LiveJob) -> bool:
        """Add a new job, held by this server.

        Returns
        -------
        bool
            False if the token has an unfinished or finished job already. True if the durable list cannot be written;
            then `trouble` has the reason.

        Raises
        ------
        JobStoreError
            The durable list cannot be written, and `must_keep` is set.
        """
        details = await asyncio.to_thread(details_of, job.plan)
        await self.flush()
        row = replace(job.row, holder=self.holder)
        is_added = await self.store.write(lambda store: store.add_job(row, details))
        if is_added is None and self._must_keep:
            raise JobStoreError(f"Nothing is computed that a restart would lose. {self.trouble}")
        if is_added is None:
            self._unadded[job.token] = details
        if is_added is not False:
            job.row = row
            self.attach(job)
        return is_added is not False

    def attach(self, job: LiveJob) -> None:
        """Add a job to the live jobs, whose records are read from the jobs themselves."""
        self._live[job.token] = job
        self._touched.add(job.token)

    def detach(self, job: LiveJob) -> None:
        """Remove a job from the live jobs, and keep its last record in the list."""
        if self._live.get(job.token) is job:
            del self._live[job.token]
            self._set(job.row)

    def save(self, job: LiveJob, row: JobRow) -> bool:
        """Replace the record of a live job; the next `flush` writes it.

        Returns
        -------
        bool
            Whether the state changed, so that the caller should call `flush` at once.
        """
        is_new_state = row.state != job.row.state
        if is_new_state:
            row = replace(row, changed=datetime.now(UTC))
        job.row = row if needs_holder(row) else replace(row, holder="")
        if self._live.get(job.token) is not job:
            return False
        self._unsaved[job.token] = job
        self._touched.add(job.token)
        return is_new_state

    async def start_queued_job(self, token: str, most: int) -> bool:
        """Set a queued job of this server to connecting, if fewer than `most` jobs of its scope are ahead of it.

        The durable list counts the jobs of all servers; if it cannot be written, those in memory are counted. Returns
        whether the job may start; also True for a job that is no longer listed.
        """
        async with self._flushing:
            row = self.row(token)
            if row is None or sum(is_ahead_of(each, row) for each in self.rows.values()) >= most:
                return row is None
            await self._write_unsaved()
            is_started = await self.store.write(lambda store: store.start_queued_job(token, self.holder, most))
            return is_started is not False or token in self._unadded

    async def flush(self) -> None:
        """Write the pending changes to the durable list."""
        async with self._flushing:
            await self._write_unsaved()

    async def _write_unsaved(self) -> None:
        await self._write_unadded()
        if not self._unsaved:
            return
        jobs, self._unsaved = self._unsaved, {}
        self._touched |= jobs.keys()
        rows = [(job.row, job.failed_scenes) for job in jobs.values()]
        saved = await self.store.write(lambda store: [store.save_job(row, self.holder, failed) for row, failed in rows])
        if saved is None:
            self._unsaved = {token: job for token, job in jobs.items() if self.row(token) is not None} | self._unsaved

    async def _write_unadded(self) -> None:
        for token, details in list(self._unadded.items()):
            row = self.row(token)
            if row is not None and await self.store.write(partial(JobStore.add_job, row=row, details=details)) is None:
                return
            self._unadded.pop(token, None)

    async def read_details(self, token: str) -> JobDetails | None:
        """Return the details of a job, or None if the job does not exist; raises as `refresh`."""
        return self._unadded.get(token) or await self.store.read(lambda store: store.read_details(token))

    async def take_over_job(self, token: str) -> JobRow | None:
        """Take over a job that no server holds, and return its record; None if another server holds it now."""
        if not await self.store.write(lambda store: store.take_over_job(token, self.holder)):
            return None
        row = await self.store.read(lambda store: store.find_job(token))
        if row is not None and token not in self._live:
            self._set(row)
        return row

    async def renew_leases(self, tokens: Collection[str]) -> set[str]:
        """Renew the leases of this server on jobs, and return the tokens of the jobs that it still holds.

        Raises
        ------
        JobStoreError
            The durable list cannot be written.
        """
        mine = await self.store.write(lambda store: store.renew_leases(self.holder, tokens))
        if mine is None:
            raise JobStoreError(self.trouble)
        return mine | self._unadded.keys()

    async def record_opening(self, token: str) -> None:
        """Record the current time as the time of the last request for a result."""
        row, now = self.row(token), datetime.now(UTC)
        if row is not None and now - row.opened > _OPENED_STEP:
            self._set(replace(row, opened=now))
            await self.store.write(lambda store: store.record_opening(token, now))

    async def set_title(self, row: JobRow, title: str) -> None:
        """Set the title of a job."""
        self._set(replace(row, title=title))
        await self.store.write(lambda store: store.set_title(row.token, title))

    async def end_job(self, row: JobRow, state: State, message: str) -> bool:
        """End a job or expire a result.

        Returns False if another server holds the job, its state has changed, or the durable list cannot be written.
        """
        ended = await self.store.write(lambda store: store.end_job(row.token, row.state, state, message, self.holder))
        if ended:
            self._set(replace(row, state=state, message=message, size=0, holder="", changed=datetime.now(UTC)))
        return bool(ended)

    def hide_job(self, token: str) -> None:
        """Remove a job from the list in memory, before `delete_job` removes it from the durable list."""
        self._live.pop(token, None)
        self._rows.pop(token, None)
        self._touched.add(token)
        self._deleting.add(token)
        self._unsaved.pop(token, None)
        self._unadded.pop(token, None)

    async def delete_job(self, row: JobRow) -> bool:
        """Delete a hidden job; if another server holds it, list it again and return False."""
        is_deleted = await self.store.write(lambda store: store.delete_job(row.token, self.holder))
        self._deleting.discard(row.token)
        if is_deleted is False and row.holder not in ("", self.holder):
            self._set(row)
            return False
        return True

    async def add_participant(self, token: str, participant: str) -> None:
        """Add a participant of a job."""
        await self.store.write(lambda store: store.participants.add_participant(token, participant))

    async def remove_participant(self, token: str, participant: str) -> bool:
        """Remove a participant of a job; return whether the durable list has others."""
        return bool(await self.store.write(lambda store: store.participants.remove_participant(token, participant)))

    async def request_action(self, token: str, action: RequestedAction) -> None:
        """Request an action from the server that holds a job."""
        await self.store.write(lambda store: store.request_action(token, action))

    async def close(self) -> None:
        """Write pending changes, release the jobs of this server for others to take over, and close the store."""
        await self.flush()
        await self.store.write(lambda store: store.release_jobs(self.holder))
        await self.store.close()

    def _set(self, row: JobRow) -> None:
        job = self._live.get(row.token)
        if job is None:
            self._rows[row.token] = row
        else:
            job.row = row
        self._touched.add(row.token)
