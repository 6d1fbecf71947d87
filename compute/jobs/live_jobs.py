"""Live jobs of a server: jobs that it computes, and finished results that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

from compute.cluster import ClusterPool, ClusterSpec
from compute.errors import InputError, JobError, ResultAwayError, ResultGoneError
from compute.jobs.checkpoint_recovery import remove_checkpoint
from compute.jobs.job_list import JobList
from compute.jobs.jobstore.rows import JobRow
from compute.jobs.jobstore.rules import needs_holder
from compute.jobs.kept_results import AWAY, KeptResults
from compute.jobs.live_job import LiveJob
from compute.jobs.run.computation import CANCELLED
from compute.jobs.run.concurrency_limit import ConcurrencyLimit
from compute.jobs.runner import TAKEN_UP, JobRunner
from compute.plan import NdviPlan, plan_of
from compute.result.number_format import NUMBER_FORMAT

NO_RESULT = "There is no such result here; it may have expired, so compute it again."

_RETRY_S = 0.1

_DELETED = "The result was deleted."

_MEMORY_GONE = "This result was in the memory of a cluster alone, and went with it; compute it again."

_ELSEWHERE = "Another server computes this result; it can be looked at here once it is done."

_STOPPED = "The cluster was stopped; compute again to open one."

_UPDATED = "Greenup was updated meanwhile, and one result is never made by two versions; compute it again."

_HOPELESS = "The computation was taken up again {} times and got no further each time; ask those who run the server."


class LiveJobs:
    """Starts, opens and ends the jobs of this server, and records this in the list of all jobs.

    Parameters
    ----------
    listed : JobList
        List of all jobs.
    clusters : ClusterPool
        Clusters of the server.
    kept : KeptResults or None
        Store of results; None if results are lost with their clusters.
    own : ClusterSpec or None
        Cluster for jobs that are taken over and ran on the own cluster of a server; None for the cluster of the job.
    max_failed_share : float
        Largest share of the scenes, from 0 to 1, that a result may lack because they cannot be read.
    pauses : sequence of float
        See `compute.jobs.runner.PAUSES_S`.
    most_at_once : int
        Largest number of jobs of one scope that are computed at once.

    Attributes
    ----------
    jobs : dict of str to LiveJob
        Open jobs, by token.
    tasks : dict of LiveJob to asyncio.Task
        Tasks of the jobs that this server computes or holds. Two jobs may have one token while the first one ends.
    """

    def __init__(
        self,
        listed: JobList,
        clusters: ClusterPool,
        kept: KeptResults | None,
        own: ClusterSpec | None,
        max_failed_share: float,
        pauses: Sequence[float],
        most_at_once: int,
    ) -> None:
        self.jobs: dict[str, LiveJob] = {}
        self.tasks: dict[LiveJob, asyncio.Task[None]] = {}
        self._list = listed
        self._kept = kept
        self._own = own
        limit = ConcurrencyLimit(listed, most_at_once, self._save)
        self._runner = JobRunner(clusters, kept, max_failed_share, self._save, pauses, limit)
        self._writing: set[asyncio.Task[None]] = set()

    async def start_job(self, row: JobRow, plan: NdviPlan) -> LiveJob:
        """Start a new job, or open the unfinished or finished job of the same token in the list.

        Parameters
        ----------
        row : JobRow
            Record of the new job.
        plan : NdviPlan
            Plan of the computation.

        Raises
        ------
        ResultAwayError
            The listed job is done, and its checkpoint cannot be reached.
        """
        job = LiveJob(row=replace(row, checkpoint=self._checkpoint_of(row.token)), plan=plan)
        while True:
            if await self._list.add_job(job):
                self._run(job)
                return job
            found = await self._list.find_job(job.token)
            try:
                return await self.open_job(found)
            except ResultGoneError as error:
                if found is not None:
                    await self._list.end_job(found, "expired", str(error))
            except InputError:
                pass
            # The result was lost and has just been marked as expired, or the job is being deleted.
            await asyncio.sleep(_RETRY_S)

    async def open_job(self, row: JobRow | None) -> LiveJob:
        """Open a job of the list.

        Raises
        ------
        InputError
            The row is None, the result has expired, or it was lost with its cluster.
        ResultGoneError
            The checkpoint cannot be read any more. The job stays listed, as another version of Greenup may read it.
        ResultAwayError
            The checkpoint cannot be reached.
        """
        if row is None or row.state == "expired":
            raise InputError("token", row.message if row else NO_RESULT)
        job = await self._read(row)
        if needs_holder(row):
            if row.state == "done" and not row.holder:
                await self._list.end_job(row, "expired", _MEMORY_GONE)
                raise InputError("token", _MEMORY_GONE)
            job.notice = _ELSEWHERE
        self.jobs[row.token] = job
        return job

    async def take_over_job(self, token: str) -> None:
        """Take over a job that no server holds; do nothing if another server has just taken it over."""
        row = await self._list.take_over_job(token)
        if row is None or self.jobs.get(token) in self.tasks:
            return
        if row.wanted == "delete":
            await self.delete_job(row)
        elif row.state == "done":
            await self._list.end_job(row, "expired", _MEMORY_GONE)
        elif row.wanted == "cancel":
            await self._list.end_job(row, "cancelled", CANCELLED)
        else:
            await self._restart(row)

    async def _restart(self, row: JobRow) -> None:
        try:
            self._refuse_hopeless(row)
            job = await self._read(row)
        except (InputError, JobError) as error:
            await self._list.end_job(row, "failed", str(error))
            return
        job.taken_over = True
        self._list.attach(job)
        self._run(job)
        # A queued job was not interrupted, so this is no repeated attempt.
        was_queued = row.state == "queued"
        restarted = replace(
            row,
            state="queued",
            message="" if was_queued else f"The server was restarted. {TAKEN_UP}",
            attempts=row.attempts + (not was_queued),
            cluster=row.cluster if row.cluster.owner is not None else self._own or row.cluster,
            checkpoint=self._checkpoint_of(row.token),
            done=0,
            started=None,
        )
        self._save(job, restarted)

    def _refuse_hopeless(self, row: JobRow) -> None:
        if row.engine != NUMBER_FORMAT:
            raise JobError(_UPDATED)
        if row.attempts >= self._runner.most_attempts:
            raise JobError(_HOPELESS.format(row.attempts))

    def _checkpoint_of(self, token: str) -> str:
        return "" if self._kept is None else self._kept.url(token)

    async def _read(self, row: JobRow) -> LiveJob:
        details = await self._list.read_details(row.token)
        if details is None:
            raise InputError("token", NO_RESULT)
        plan = await asyncio.to_thread(plan_of, details.plan)
        job = LiveJob(row=row, plan=plan, failed_scenes=details.failed_scenes, furthest=row.done)
        if row.state == "done":
            job.finished = [(block.season, block.row, block.column) for block in plan.blocks]
        if row.state == "done" and row.size:
            if self._kept is None:
                raise ResultAwayError(AWAY)
            job.tiles = await self._kept.open(row.checkpoint, plan)
        return job

    async def cancel_job(self, job: LiveJob) -> None:
        """Cancel a finished or unfinished job, and wait until no task of it runs on the workers."""
        self._runner.end_job(job, "cancelled", CANCELLED)
        await self._stop(job)

    async def fail_waiting_jobs(self, cluster: ClusterSpec) -> None:
        """Fail the queued jobs of a stopped cluster, because they would start it again."""
        for job in list(self.tasks):
            if job.state == "queued" and job.cluster.identity == cluster.identity:
                self._runner.end_job(job, "failed", _STOPPED)
                await self._stop(job)

    async def delete_job(self, row: JobRow) -> bool:
        """Delete a job and its checkpoint; return False, and keep both, if another server holds the job."""
        job = self.jobs.pop(row.token, None)
        self._list.hide_job(row.token)
        if job is not None:
            self._runner.end_job(job, "cancelled", CANCELLED)
            self._save(job, replace(job.row, state="cancelled", message=_DELETED))
            job.stack = job.tiles = None
            await self._stop(job)
        if not await self._list.delete_job(row):
            return False
        if row.checkpoint:
            await asyncio.to_thread(remove_checkpoint, row.checkpoint)
        return True

    async def expire_job(self, row: JobRow, reason: str) -> None:
        """Expire a result, unless another server holds it; later requests for it fail with `reason`."""
        job = self.jobs.get(row.token)
        if job is not None:
            await self._drop(job)
        if await self._list.end_job(row, "expired", reason) and row.checkpoint:
            await asyncio.to_thread(remove_checkpoint, row.checkpoint)

    async def renew_leases(self) -> None:
        """Renew the leases of this server, and drop the jobs that another server has taken over."""
        held = [job for job in self.tasks if self.jobs.get(job.token) is job]
        mine = await self._list.renew_leases([job.token for job in held])
        for job in held:
            if job.token not in mine and self.jobs.get(job.token) is job:
                await self._drop(job)

    def drop_outdated(self) -> None:
        """Drop open jobs without a task here whose listed record has changed; the next request opens them again."""
        for token, job in list(self.jobs.items()):
            row = self._list.row(token)
            is_current = row is not None and (row.state, row.created) == (job.state, job.row.created)
            if not is_current and job not in self.tasks:
                del self.jobs[token]

    def jobs_on(self, cluster: ClusterSpec) -> Iterator[LiveJob]:
        """Yield the jobs that end with a cluster: queued for it, running on it, or held only in its memory."""
        return (job for job in self.tasks if job.cluster.identity == cluster.identity and needs_holder(job.row))

    async def close(self) -> None:
        """Stop all work; the next server can take the jobs over."""
        await asyncio.gather(*(self._stop(job) for job in list(self.tasks)), *self._writing)

    def _run(self, job: LiveJob) -> None:
        self.jobs[job.token] = job
        task = asyncio.create_task(self._runner.run_job(job), name=f"job {job.token[:8]}")
        self.tasks[job] = task
        task.add_done_callback(lambda _: self._end_task(job))

    def _end_task(self, job: LiveJob) -> None:
        del self.tasks[job]
        self._list.detach(job)

    async def _drop(self, job: LiveJob) -> None:
        del self.jobs[job.token]
        self._list.detach(job)
        await self._stop(job)

    async def _stop(self, job: LiveJob) -> None:
        """Stop the task of a job without changing its record, and wait until no task of it runs on the workers."""
        task = self.tasks.get(job)
        if task is None:
            return
        if not task.cancelling():
            task.cancel()
        # `asyncio.wait` does not pass a cancellation of the caller on to the task, which has to clean up.
        await asyncio.wait([task])
        job.stack = job.tiles = None

    def _save(self, job: LiveJob, row: JobRow) -> None:
        """Replace the record of a job; a new state is written at once, and progress with the next flush."""
        if self._list.save(job, row):
            writing = asyncio.create_task(self._list.flush())
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)
