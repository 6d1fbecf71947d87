"""List of all jobs as a server sees it, kept in step with the durable list."""

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
"""Precision of the time of the last request for a result: tiles request it many times a second."""


class JobList:
    """The list of jobs in memory. Changes are written to the durable list at once, or with the next `flush`.

    Changes that cannot be written stay in memory, and are written once they can be.

    A live job holds its own record, which the list reads; of the other jobs the list holds the records.

    Parameters
    ----------
    store : JobStore
        The durable list.
    must_keep : bool
        Whether to refuse a job that would not survive a restart.

    Attributes
    ----------
    holder : str
        Name of this server among those that share the list.
    requested_actions : mapping of str to str
        Actions that other processes request for the jobs of this server, by token.
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
        # Tokens that change here while the durable list is read, which may return them as they were.
        self._touched: set[str] = set()
        self._unsaved: dict[str, LiveJob] = {}
        self._unadded: dict[str, JobDetails] = {}
        self._deleting: set[str] = set()
        self._flushing = asyncio.Lock()

    @property
    def trouble(self) -> str:
        """Sentence on why jobs would not survive a restart now; empty where they would."""
        return self.store.trouble

    @property
    def rows(self) -> dict[str, JobRow]:
        """Records of all listed jobs, by token."""
        return self._rows | {token: job.row for token, job in self._live.items()}

    def row(self, token: str) -> JobRow | None:
        """Return the record of a listed job, or None."""
        job = self._live.get(token)
        return self._rows.get(token) if job is None else job.row

    async def find_job(self, token: str) -> JobRow | None:
        """Return a job that may have come since the list was read, or be too old to be listed."""
        row = self.row(token)
        if row is None and token not in self._deleting:
            row = await self.store.read(lambda store: store.find_job(token))
        return row

    async def refresh(self) -> None:
        """Read the durable list.

        Raises
        ------
        JobStoreError
            It cannot be read; the list in memory stays as it is.
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
        """Return a record of this server with the fields that users change from any server."""
        if listed is None or row.token in self._touched:
            return row
        return replace(row, title=listed.title, opened=listed.opened)

    async def add_job(self, job: LiveJob) -> bool:
        """Add a new job, held by this server.

        Returns
        -------
        bool
            False where another server holds it, or it is done. Where the list cannot be written it is True, and
            `trouble` has the reason.

        Raises
        ------
        JobStoreError
            The list cannot be written, and it must.
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
        """List a live job by the record that it holds."""
        self._live[job.token] = job
        self._touched.add(job.token)

    def detach(self, job: LiveJob) -> None:
        """List the last record of a job that is not live any more."""
        if self._live.get(job.token) is job:
            del self._live[job.token]
            self._set(job.row)

    def save(self, job: LiveJob, row: JobRow) -> bool:
        """Replace the record of a live job; it is written with the next `flush`.

        Returns
        -------
        bool
            Whether the state changed, so that the record should be written soon.
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
        """Start a queued job of this server if fewer than `most` of its scope are ahead of it.

        The durable list decides, as it knows the jobs of all servers. Where it cannot be written, the list in memory
        decides.
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
        """Return the details of a job; raises as `refresh` does."""
        return self._unadded.get(token) or await self.store.read(lambda store: store.read_details(token))

    async def take_over_job(self, token: str) -> JobRow | None:
        """Take over a job that no server holds, and return its record; None where another server was faster."""
        if not await self.store.write(lambda store: store.take_over_job(token, self.holder)):
            return None
        row = await self.store.read(lambda store: store.find_job(token))
        if row is not None and token not in self._live:
            self._set(row)
        return row

    async def renew_leases(self, tokens: Collection[str]) -> set[str]:
        """Renew the leases on jobs of this server, and return the tokens of those that it still holds.

        Raises
        ------
        JobStoreError
            The list cannot be written, so no other server can have taken a job over either.
        """
        mine = await self.store.write(lambda store: store.renew_leases(self.holder, tokens))
        if mine is None:
            raise JobStoreError(self.trouble)
        return mine | self._unadded.keys()

    async def record_opening(self, token: str) -> None:
        """Record that a result is requested now."""
        row, now = self.row(token), datetime.now(UTC)
        if row is not None and now - row.opened > _OPENED_STEP:
            self._set(replace(row, opened=now))
            await self.store.write(lambda store: store.record_opening(token, now))

    async def set_title(self, row: JobRow, title: str) -> None:
        """Set the title of a job."""
        self._set(replace(row, title=title))
        await self.store.write(lambda store: store.set_title(row.token, title))

    async def end_job(self, row: JobRow, state: State, message: str) -> bool:
        """End a job that this server or none holds, or expire a result; False where it has changed meanwhile."""
        ended = await self.store.write(lambda store: store.end_job(row.token, row.state, state, message, self.holder))
        if ended:
            self._set(replace(row, state=state, message=message, size=0, holder="", changed=datetime.now(UTC)))
        return bool(ended)

    def hide_job(self, token: str) -> None:
        """Remove a job from the list in memory, before it is deleted for good."""
        self._live.pop(token, None)
        self._rows.pop(token, None)
        self._touched.add(token)
        self._deleting.add(token)
        self._unsaved.pop(token, None)
        self._unadded.pop(token, None)

    async def delete_job(self, row: JobRow) -> bool:
        """Delete a hidden job that this server or none holds; list it again, and return False, where another does."""
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
        """Remove a participant of a job, and return whether others are known."""
        return bool(await self.store.write(lambda store: store.participants.remove_participant(token, participant)))

    async def request_action(self, token: str, action: RequestedAction) -> None:
        """Request an action of the server that holds a job."""
        await self.store.write(lambda store: store.request_action(token, action))

    async def close(self) -> None:
        """Release all jobs, for the next server to take over."""
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
