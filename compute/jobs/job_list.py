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
from compute.jobs.jobstore.rows import JobDetails, JobRow, State, Wish
from compute.jobs.live_job import LiveJob
from compute.plan import plan_document

_OPENED_S = timedelta(minutes=1)
"""How exactly it is known when a result was last opened: tiles ask for it many times a second."""


class JobList:
    """The list of jobs in memory. Whatever is changed here is written, at once or with the next `flush`.

    A list that cannot be written is kept in memory, and written once it can be.

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
    rows : dict of str to JobRow
        By token.
    wishes : mapping of str to str
        What others want of the jobs of this server, by token.
    journal : AsyncJobStore
        Asks the durable list.
    """

    def __init__(self, store: JobStore, *, must_keep: bool = False) -> None:
        self.holder = secrets.token_hex(8)
        self.rows: dict[str, JobRow] = {}
        self.wishes: Mapping[str, Wish] = {}
        self.journal = AsyncJobStore(store)
        self._must_keep = must_keep
        # What was changed here while the list is being read, which may know it as it was.
        self._touched: set[str] = set()
        self._dirty: dict[str, LiveJob] = {}
        self._unkept: dict[str, JobDetails] = {}
        self._leaving: set[str] = set()
        self._flushing = asyncio.Lock()

    @property
    def trouble(self) -> str:
        """Sentence on why jobs would not survive a restart now; empty where they would."""
        return self.journal.trouble

    async def find(self, token: str) -> JobRow | None:
        """Return a job that may have come since the list was read, or be too old to be listed."""
        row = self.rows.get(token)
        if row is None and token not in self._leaving:
            row = await self.journal.read(lambda store: store.row(token))
        return row

    async def refresh(self) -> None:
        """Read the list.

        Raises
        ------
        JobStoreError
            It cannot be read; what was known stays known.
        """
        self._touched.clear()
        found = {row.token: row for row in await self.journal.read(JobStore.rows)}
        self.wishes = {row.token: row.wanted for row in found.values() if row.wanted and row.holder == self.holder}
        for token in self._touched | self._leaving | self._dirty.keys() | self._unkept.keys():
            row, listed = self.rows.get(token), found.pop(token, None)
            if row is not None and token in self._touched:
                found[token] = row
            elif row is not None:
                found[token] = replace(row, title=listed.title, opened=listed.opened) if listed else row
        self.rows = found

    async def begin(self, record: LiveJob, owner: str) -> bool:
        """Add a new job, for this server to work on.

        Returns
        -------
        bool
            False where another server works on it, or it is done. Where the list cannot be written it is True, and
            `trouble` says why.

        Raises
        ------
        JobStoreError
            The list cannot be written, and it must.
        """
        document = await asyncio.to_thread(plan_document, record.plan)
        details = JobDetails(recipe=record.plan.request.to_json(), plan=document)
        await self.flush()
        row = replace(record.row(owner), holder=self.holder)
        kept = await self.journal.write(lambda store: store.put(row, details))
        if kept is None and self._must_keep:
            raise JobStoreError(f"Nothing is computed that a restart would lose. {self.trouble}")
        if kept is None:
            self._unkept[record.token] = details
        if kept is not False:
            self._set(row)
        return kept is not False

    def note(self, record: LiveJob) -> bool:
        """Note how a job of this server does; tell whether its state changed, so that it should be written soon."""
        before = self.rows.get(record.token)
        if before is None:
            return False
        row = record.onto(before)
        self._set(replace(row, holder=self.holder if row.needs_holder else ""))
        self._dirty[record.token] = record
        return before.state != row.state

    async def let_begin(self, token: str, most: int) -> bool:
        """Let a queued job of this server begin if fewer than `most` of its scope are ahead of it.

        The durable list decides, as other servers know it. Where it cannot be written, what is known here has to do.
        """
        async with self._flushing:
            row = self.rows.get(token)
            if row is None or sum(each.is_ahead_of(row) for each in self.rows.values()) >= most:
                return row is None
            await self._write_dirty()
            begun = await self.journal.write(lambda store: store.let_begin(token, self.holder, most))
            return begun is not False or token in self._unkept

    async def flush(self) -> None:
        """Write the pending changes to the store."""
        async with self._flushing:
            await self._write_dirty()

    async def _write_dirty(self) -> None:
        await self._keep_the_unkept()
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        self._touched |= dirty.keys()
        rows = [(self.rows[token], tuple(record.failed_scenes)) for token, record in dirty.items()]
        saved = await self.journal.write(lambda store: [store.save(row, self.holder, failed) for row, failed in rows])
        if saved is None:
            self._dirty = {token: record for token, record in dirty.items() if token in self.rows} | self._dirty

    async def _keep_the_unkept(self) -> None:
        for token, details in list(self._unkept.items()):
            if await self.journal.write(partial(JobStore.put, row=self.rows[token], details=details)) is None:
                return
            self._unkept.pop(token, None)

    async def details(self, token: str) -> JobDetails | None:
        """Return what is kept beside a row; raises as `refresh` does."""
        return self._unkept.get(token) or await self.journal.read(lambda store: store.details(token))

    async def take(self, token: str) -> JobRow | None:
        """Take over a job that no server owns, and return it as it is now; None where another was faster."""
        if not await self.journal.write(lambda store: store.take(token, self.holder)):
            return None
        row = await self.journal.read(lambda store: store.row(token))
        if row is not None:
            self._set(row)
        return row

    async def renew(self, tokens: Collection[str]) -> set[str]:
        """Go on owning what this server works on, and return the tokens of what it still owns.

        Raises
        ------
        JobStoreError
            The list cannot be written, so nobody can have taken anything over by it.
        """
        mine = await self.journal.write(lambda store: store.renew(self.holder, tokens))
        if mine is None:
            raise JobStoreError(self.trouble)
        return mine | self._unkept.keys()

    async def note_opened(self, token: str) -> None:
        """Note that somebody asks for a result."""
        row, now = self.rows.get(token), datetime.now(UTC)
        if row is not None and now - row.opened > _OPENED_S:
            self._set(replace(row, opened=now))
            await self.journal.write(lambda store: store.note_opened(token, now))

    async def rename(self, row: JobRow, title: str) -> None:
        """Give a job a title."""
        self._set(replace(row, title=title))
        await self.journal.write(lambda store: store.rename(row.token, title))

    async def end(self, row: JobRow, state: State, message: str) -> bool:
        """End a job of this server or of none, or let its result go; False where that has changed meanwhile."""
        ended = await self.journal.write(lambda store: store.end(row.token, row.state, state, message, self.holder))
        if ended:
            self._set(replace(row, state=state, message=message, size=0, holder="", changed=datetime.now(UTC)))
        return bool(ended)

    def hide(self, token: str) -> None:
        """Know nothing of a job any more, before it is forgotten for good."""
        self.rows.pop(token, None)
        self._touched.add(token)
        self._leaving.add(token)
        self._dirty.pop(token, None)
        self._unkept.pop(token, None)

    async def forget(self, row: JobRow) -> bool:
        """Delete a job of this server or of none; False where another holds it, and it is known again."""
        gone = await self.journal.write(lambda store: store.delete(row.token, self.holder))
        self._leaving.discard(row.token)
        if gone is False and row.holder not in ("", self.holder):
            self._set(row)
            return False
        return True

    async def adoptable(self) -> list[str]:
        """Return the tokens of jobs that no server owns though one should; raises as `refresh` does."""
        return await self.journal.read(JobStore.adoptable)

    async def join(self, token: str, participant: str) -> None:
        """Note that somebody takes part in a job."""
        await self.journal.write(lambda store: store.participants.add(token, participant))

    async def leave(self, token: str, participant: str) -> bool:
        """Note that somebody takes part in a job no more, and return whether others do, as far as anybody knows."""
        return bool(await self.journal.write(lambda store: store.participants.remove(token, participant)))

    async def wish(self, token: str, wanted: Wish) -> None:
        """Tell the server that holds a job what to do with it."""
        await self.journal.write(lambda store: store.wish(token, wanted))

    async def close(self) -> None:
        """Let go of everything, for the next server to take up."""
        await self.flush()
        await self.journal.write(lambda store: store.release(self.holder))
        await self.journal.close()

    def _set(self, row: JobRow) -> None:
        self.rows[row.token] = row
        self._touched.add(row.token)
