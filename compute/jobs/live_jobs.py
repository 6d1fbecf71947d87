"""Live jobs of a server: jobs on its clusters, and finished results that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from compute.cluster import ClusterPool, ClusterSpec
from compute.errors import InputError, JobError, ResultAwayError, ResultGoneError
from compute.jobs.checkpoint_recovery import remove
from compute.jobs.job_list import JobList
from compute.jobs.jobstore.rows import ENDED, JobDetails, JobRow
from compute.jobs.kept_results import AWAY, KeptResults
from compute.jobs.live_job import LiveJob
from compute.jobs.run.computation import CANCELLED
from compute.jobs.run.concurrency_limit import ConcurrencyLimit
from compute.jobs.runner import TAKEN_UP, JobRunner
from compute.plan import NdviPlan, plan_of
from compute.result.number_format import NUMBER_FORMAT

NONE = "There is no such result here; it may have expired, so compute it again."

_AGAIN_S = 0.1

_DELETED = "The result was deleted."

_MEMORY_GONE = "This result was in the memory of a cluster alone, and went with it; compute it again."

_ELSEWHERE = "Another server computes this result; it can be looked at here once it is done."

_STOPPED = "The cluster was stopped; compute again to open one."

_UPDATED = "Greenup was updated meanwhile, and one result is never made by two versions; compute it again."

_HOPELESS = "The computation was taken up again {} times and got no further each time; ask those who run the server."


class LiveJobs:
    """Begins, opens and stops jobs, in step with the list of all of them.

    Parameters
    ----------
    ledger : JobList
        The list.
    clusters : ClusterPool
        Where jobs run.
    kept : KeptResults or None
        Where results outlive clusters; None for nowhere.
    own : ClusterSpec or None
        Where jobs are taken up again that ran on a cluster of a server's own; None for one alike.
    max_failed_share : float
        Largest share of the scenes, from 0 to 1, that a result may lack because they cannot be read.
    pauses : sequence of float
        See `compute.jobs.runner.PAUSES_S`.
    most_at_once : int
        Jobs of one scope that are computed at once.

    Attributes
    ----------
    records : dict of str to LiveJob
        By token.
    lives : dict of LiveJob to asyncio.Task
        By record, since one token may have a job that is ending and one that has just begun.
    """

    def __init__(
        self,
        ledger: JobList,
        clusters: ClusterPool,
        kept: KeptResults | None,
        own: ClusterSpec | None,
        max_failed_share: float,
        pauses: Sequence[float],
        most_at_once: int,
    ) -> None:
        self.records: dict[str, LiveJob] = {}
        self.lives: dict[LiveJob, asyncio.Task[None]] = {}
        self._ledger = ledger
        self._kept = kept
        self._own = own
        turns = ConcurrencyLimit(ledger, most_at_once, self._note)
        self._life = JobRunner(clusters, kept, max_failed_share, self._note, pauses, turns)
        self._writing: set[asyncio.Task[None]] = set()

    async def begin(self, plan: NdviPlan, cluster: ClusterSpec, token: str, scope: str, owner: str) -> LiveJob:
        """Begin a job, or open it where another server has, or has had, it in hand.

        Raises
        ------
        ResultAwayError
            It is done, and what is kept of it cannot be reached.
        """
        while True:
            record = LiveJob(token=token, scope=scope, plan=plan, cluster=cluster)
            record.checkpoint = "" if self._kept is None else self._kept.url(token)
            if await self._ledger.begin(record, owner):
                self._start(record)
                return record
            row = await self._ledger.find(token)
            try:
                return await self.load(row)
            except ResultGoneError as error:
                if row is not None:
                    await self._ledger.end(row, "expired", str(error))
            except InputError:
                pass
            # Its result was gone, which is known by now, or somebody is deleting it.
            await asyncio.sleep(_AGAIN_S)

    async def load(self, row: JobRow | None) -> LiveJob:
        """Open a job from the list.

        Raises
        ------
        InputError
            There is none, or it has expired.
        ResultGoneError
            What is kept of it cannot be read any more. It stays in the list, for a version of Greenup that can.
        ResultAwayError
            What is kept of it cannot be reached.
        """
        if row is None or row.state == "expired":
            raise InputError("token", row.message if row else NONE)
        record = await self._read(row)
        if record.state == "done" and record.tiles is None and not row.holder:
            await self._ledger.end(row, "expired", _MEMORY_GONE)
            raise InputError("token", _MEMORY_GONE)
        if record.state not in ENDED or (record.state == "done" and record.tiles is None):
            record.message = _ELSEWHERE
        self.records[row.token] = record
        return record

    async def adopt(self, token: str) -> None:
        """Take up a job that no server owns, unless another is faster."""
        row = await self._ledger.take(token)
        held = self.records.get(token)
        if row is None or held in self.lives:
            return
        if row.wanted == "delete":
            await self.delete(row)
        elif row.state == "done":
            await self._ledger.end(row, "expired", _MEMORY_GONE)
        elif row.wanted == "cancel":
            await self._ledger.end(row, "cancelled", CANCELLED)
        else:
            await self._take_up(row)

    async def _take_up(self, row: JobRow) -> None:
        try:
            self._refuse_hopeless(row)
            record = await self._read(row)
        except (InputError, JobError) as error:
            await self._ledger.end(row, "failed", str(error))
            return
        record.cluster = row.cluster if row.cluster.owner is not None else self._own or row.cluster
        record.checkpoint = "" if self._kept is None else self._kept.url(row.token)
        record.message = ""
        # To wait for one's turn is no attempt.
        if row.state != "queued":
            record.attempts += 1
            record.message = f"The server was restarted. {TAKEN_UP}"
        record.state, record.started, record.taken_up = "queued", None, True
        self._start(record)
        self._note(record)

    def _refuse_hopeless(self, row: JobRow) -> None:
        if row.engine != NUMBER_FORMAT:
            raise JobError(_UPDATED)
        if row.attempts >= self._life.most_attempts:
            raise JobError(_HOPELESS.format(row.attempts))

    async def _read(self, row: JobRow) -> LiveJob:
        details: JobDetails | None = await self._ledger.details(row.token)
        if details is None:
            raise InputError("token", NONE)
        plan = await asyncio.to_thread(plan_of, details.plan)
        record = LiveJob.of_row(row, plan, details.failed_scenes)
        if row.state == "done" and row.size:
            if self._kept is None:
                raise ResultAwayError(AWAY)
            record.tiles = await self._kept.open(row.checkpoint, plan)
        return record

    async def stop(self, record: LiveJob) -> None:
        """End a job, finished or not, and wait until its workers are free of it."""
        self._life.end(record, "cancelled", CANCELLED)
        await self._lay_down(record)

    async def forsake(self, cluster: ClusterSpec) -> None:
        """End the jobs that wait for a cluster which was stopped; they would have it opened again."""
        for record in list(self.lives):
            if record.state == "queued" and record.cluster.identity == cluster.identity:
                self._life.end(record, "failed", _STOPPED)
                await self._lay_down(record)

    async def delete(self, row: JobRow) -> bool:
        """Forget a job of this server or of none, and all that is kept of it; False where another server holds it."""
        record = self.records.pop(row.token, None)
        self._ledger.hide(row.token)
        if record is not None:
            self._life.end(record, "cancelled", CANCELLED)
            record.message, record.state = _DELETED, "cancelled"
            record.stack = record.tiles = None
            await self._lay_down(record)
        if not await self._ledger.forget(row):
            return False
        if row.checkpoint:
            await asyncio.to_thread(remove, row.checkpoint)
        return True

    async def expire(self, row: JobRow, reason: str) -> None:
        """Let a result go that this server or none holds; who asks for it is told why."""
        record = self.records.pop(row.token, None)
        if record in self.lives:
            await self._lay_down(record)
        if await self._ledger.end(row, "expired", reason) and row.checkpoint:
            await asyncio.to_thread(remove, row.checkpoint)

    async def renew(self) -> None:
        """Go on owning what lives here, and lay down what another server has taken over meanwhile."""
        living = [record for record in self.lives if self.records.get(record.token) is record]
        mine = await self._ledger.renew([record.token for record in living])
        for record in living:
            if record.token not in mine and self.records.get(record.token) is record:
                del self.records[record.token]
                await self._lay_down(record)

    def drop_what_changed(self) -> None:
        """Let go of records of jobs that live elsewhere and have changed since; who looks opens them again."""
        for token, record in list(self.records.items()):
            row = self._ledger.rows.get(token)
            known = row is not None and (row.state, row.created) == (record.state, record.created)
            if not known and record not in self.lives:
                del self.records[token]

    async def close(self) -> None:
        """Lay everything down, for the next server to take up."""
        await asyncio.gather(*(self._lay_down(record) for record in list(self.lives)), *self._writing)

    def _start(self, record: LiveJob) -> None:
        self.records[record.token] = record
        life = asyncio.create_task(self._life.live(record), name=f"job {record.token[:8]}")
        self.lives[record] = life
        life.add_done_callback(lambda _: self.lives.pop(record))

    async def _lay_down(self, record: LiveJob) -> None:
        """Stop the life of a job without a word about it, and wait until its workers are free of it."""
        life = self.lives.get(record)
        if life is None:
            return
        if not life.cancelling():
            life.cancel()
        # Waited for rather than awaited: it cleans up to the end also when whoever stops it goes away.
        await asyncio.wait([life])
        record.stack = record.tiles = None

    def _note(self, record: LiveJob) -> None:
        """Write a change of state soon, and progress when there is time."""
        if self.records.get(record.token) is record and self._ledger.note(record):
            writing = asyncio.create_task(self._ledger.flush())
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)
