"""Runner of one job on a server: compute it, hold its result, and compute it again if the cluster is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from compute.cluster import ClusterPool
from compute.errors import ClusterAwayError, ClusterError, GreenupError, JobLostError, ResultAwayError
from compute.jobs.checkpoint_recovery import checkpoint_size
from compute.jobs.jobstore.rows import JobRow, State
from compute.jobs.kept_results import KeptResults
from compute.jobs.live_job import LiveJob
from compute.jobs.run.block_order import BlockOrder
from compute.jobs.run.computation import LOST, Computation
from compute.jobs.run.concurrency_limit import ConcurrencyLimit
from compute.jobs.run.fair_queue import FairQueue
from compute.jobs.run.preview import Preview
from compute.jobs.run.published_results import published
from compute.jobs.run.season_summary import result_remarks
from compute.jobs.run.unread_scenes import failed_sentence, left_out
from compute.tiles.tile_service import ResultTiles

_log = logging.getLogger(__name__)

PAUSES_S = (1.0, 5.0, 20.0, 60.0)
"""Pauses in seconds before the repeated attempts of a job, one for each attempt without a further finished block. The
loss of a scheduler is detected within seconds, and its restart may take a minute."""

TAKEN_UP = "The computation is taken up again."

GOES_ON = "The computation goes on once it can."

_POLL_S = 1.0
"""Interval in seconds at which the loss of a finished result and the return of the store are checked."""


class JobRunner:
    """Runs jobs on the clusters of a server.

    Parameters
    ----------
    clusters : ClusterPool
        Clusters of the server, which outlive jobs.
    kept : KeptResults or None
        Store of results; None if results are lost with their clusters.
    max_failed_share : float
        Largest share of the scenes, from 0 to 1, that a result may lack because they cannot be read.
    save : callable
        Replaces the record of a job.
    pauses : sequence of float
        See `PAUSES_S`.
    limit : ConcurrencyLimit
        Limit on concurrent jobs, which starts queued ones.
    """

    def __init__(
        self,
        clusters: ClusterPool,
        kept: KeptResults | None,
        max_failed_share: float,
        save: Callable[[LiveJob, JobRow], None],
        pauses: Sequence[float],
        limit: ConcurrencyLimit,
    ) -> None:
        self._clusters = clusters
        self._kept = kept
        self._max_failed_share = max_failed_share
        self._save = save
        self._pauses = pauses
        self._limit = limit
        # By address of the scheduler. A queue exists as long as a computation on that scheduler refers to it.
        self._queues: WeakValueDictionary[str, FairQueue] = WeakValueDictionary()

    @property
    def most_attempts(self) -> int:
        """Largest number of repeated attempts without a further finished block."""
        return len(self._pauses)

    async def run_job(self, job: LiveJob) -> None:
        """Compute a job, again if its cluster is lost, and hold its blocks until it is stopped, fails or is lost."""
        try:
            while not await self._run_attempt(job):  # noqa: ASYNC110  # no event announces another cluster
                await asyncio.sleep(self._pauses[max(0, job.row.attempts - 1)])
        except GreenupError as error:
            self.end_job(job, "expired" if job.state == "done" else "failed", str(error))
        except Exception as error:  # noqa: BLE001  # whatever the error, the job must show it
            _log.exception("Job %s failed", job.token[:8])
            message = f"The computation failed ({type(error).__name__}); try again, or ask those who run the server."
            self.end_job(job, "failed", message)

    def end_job(self, job: LiveJob, state: State, message: str = "", size: int = 0) -> None:
        """Record the end of a job. A done job may still change its state; a failed, cancelled or expired one does not.

        Parameters
        ----------
        job : LiveJob
            The job.
        state, message : str
            New state, and the reason for users.
        size : int
            Bytes of a complete checkpoint; 0 for those of the record.
        """
        if job.state in ("failed", "cancelled", "expired"):
            return
        if state != "done":
            job.stack = job.tiles = None
        ended = job.row.ended or datetime.now(UTC)
        self._save(job, replace(job.row, state=state, message=message, ended=ended, size=size or job.row.size))

    async def _run_attempt(self, job: LiveJob) -> bool:
        """Compute and hold a job once; return False if its cluster was lost and the job is queued again."""
        await self._limit.wait_for_start(job)
        computation: Computation | None = None
        try:
            computation = await self._submit(job)
            await self._finish(computation, job)
            await _release_preview(job)
            await self._hold_result(computation, job)
        except Exception as error:
            if not await self._prepare_retry(job, computation, error):
                raise
            return False
        finally:
            await _release_preview(job)
            # After an error, too: the remaining blocks of a failed job are not needed.
            if computation is not None:
                await computation.cancel()
        return True

    async def _submit(self, job: LiveJob) -> Computation:
        job.connection = connection = await self._clusters.get(job.cluster)
        # Recorded before any task runs there, so that a server that takes the job over finds the cluster.
        self._save(job, replace(job.row, cluster_name=self._clusters.cluster_name(job.cluster)))
        client = connection.client
        # A complete checkpoint opens as fast as a preview is computed.
        if self._kept is None or not await self._kept.is_whole(job.token, job.plan):
            job.preview = await Preview.start(job.plan, client, job.token)
        queue = self._queues.setdefault(client.scheduler.address, FairQueue())
        computation = await Computation.submit(
            job.plan,
            client,
            job.token,
            order=job.order,
            target=None if self._kept is None else self._kept.target(job.token, job.scope),
            threads=lambda: connection.threads_to_come,
            share=queue.add_share(job.scope),
        )
        job.stack = computation.stack
        job.tiles = self._tiles_of(computation, client)
        message = " ".join(filter(None, (TAKEN_UP if job.row.attempts else "", computation.note)))
        self._save(job, replace(job.row, state="running", message=message, started=datetime.now(UTC)))
        return computation

    def _tiles_of(self, computation: Computation, client: Any) -> ResultTiles:
        if self._kept is not None:
            return self._kept.tiles(computation, client)
        return ResultTiles.on_workers(computation.stack, client, region=computation.plan.request.region)

    async def _finish(self, computation: Computation, job: LiveJob) -> None:
        """Record each finished block, then the unread scenes and the end of the job."""
        assert job.connection is not None
        async with job.connection.guard_workers() as guard:
            async for block in computation.finished_blocks():
                guard.record_progress()
                self._record_block(job, block)
            statistics = await computation.statistics()
            job.failed_scenes = tuple(left_out(statistics, job.plan, self._max_failed_share))
        failed, remarks = failed_sentence(job.failed_scenes, job.plan), result_remarks(job.plan, statistics)
        message = " ".join(filter(None, (failed, *remarks, computation.note)))
        size = 0
        if computation.checkpointing.tallies:
            size = max(1, await asyncio.to_thread(checkpoint_size, job.row.checkpoint))
        self.end_job(job, "done", message, size)

    def _record_block(self, job: LiveJob, block: tuple[int, int, int]) -> None:
        job.finished.append(block)
        row = replace(job.row, done=len(job.finished))
        if row.done > job.furthest:
            job.furthest, row = row.done, replace(row, attempts=0)
        self._save(job, row)

    async def _hold_result(self, computation: Computation, job: LiveJob) -> None:
        """Hold a finished result until its cluster is lost; then open its checkpoint, or raise `JobLostError`."""
        assert job.connection is not None
        async with published(job.token, job.plan, computation.stack, job.connection.client):
            while not computation.lost:  # noqa: ASYNC110  # a client sends no event when it drops its futures
                await asyncio.sleep(_POLL_S)
        if self._kept is None or not job.row.size:
            raise JobLostError(LOST)
        job.tiles, job.stack, job.connection = await self._open_checkpoint(self._kept, job), None, None

    async def _open_checkpoint(self, kept: KeptResults, job: LiveJob) -> ResultTiles:
        while True:
            try:
                tiles = await kept.open(job.row.checkpoint, job.plan)
            except ResultAwayError as error:
                job.notice = str(error)
                await asyncio.sleep(_POLL_S)
            else:
                job.notice = ""
                return tiles

    async def _prepare_retry(self, job: LiveJob, computation: Computation | None, error: Exception) -> bool:
        """Queue a job for another attempt, if the error comes from its cluster; return whether to attempt it again."""
        if job.state in ("done", "cancelled") or not self._was_lost(job, computation, error):
            return False
        is_away = isinstance(error, ClusterAwayError)
        if not is_away and job.row.attempts >= self.most_attempts:
            return False
        # Attempts are not counted while the Gateway cannot be reached, so the job waits without a limit.
        attempts = job.row.attempts + (not is_away)
        message = f"{error} {GOES_ON}" if is_away else f"The cluster was lost. {TAKEN_UP}"
        job.connection = job.stack = job.tiles = None
        job.finished, job.order = [], BlockOrder.of_plan(job.plan)
        self._save(job, replace(job.row, state="queued", message=message, attempts=attempts, done=0))
        return await self._clusters.wait_until_settled(job.cluster)

    def _was_lost(self, job: LiveJob, computation: Computation | None, error: Exception) -> bool:
        if isinstance(error, JobLostError) or (computation is not None and computation.lost):
            return True
        # A cluster that never started was probably specified wrongly; one that was open may come back.
        is_broken = job.connection is not None and not self._clusters.is_usable(job.connection)
        was_there = job.taken_over or job.row.attempts > 0 or is_broken
        # A client that has been closed raises errors of any type; errors of the job itself are `GreenupError`.
        is_unreached = isinstance(error, ClusterError | OSError)
        return (was_there and is_unreached) or (is_broken and not isinstance(error, GreenupError))


async def _release_preview(job: LiveJob) -> None:
    if job.preview is not None:
        await job.preview.release()
        job.preview = None
