"""Runner of one job on a server: compute, hold on its cluster, take up again when that is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from compute.cluster import ClusterPool
from compute.errors import ClusterAwayError, ClusterError, GreenupError, JobLostError, ResultAwayError
from compute.jobs.checkpoint_recovery import size_of
from compute.jobs.jobstore.rows import State
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
"""Before each time that a job is taken up again without having got further: as many times as there are pauses. A
scheduler that is gone is given up in seconds, and the machine that starts it again may take a minute."""

_LOOK_S = 1.0
"""How soon a finished result shows as lost when its cluster is gone."""


class JobRunner:
    """Lets jobs live on the clusters of a server.

    Parameters
    ----------
    clusters : ClusterPool
        Where jobs run; clusters outlive jobs.
    kept : KeptResults or None
        Where results outlive clusters; None for nowhere.
    max_failed_share : float
        Largest share of the scenes, from 0 to 1, that a result may lack because they cannot be read.
    note : callable
        Told of each record that has changed.
    pauses : sequence of float
        Seconds, as `PAUSES_S`.
    turns : ConcurrencyLimit
        Whose computation begins next.
    """

    def __init__(
        self,
        clusters: ClusterPool,
        kept: KeptResults | None,
        max_failed_share: float,
        note: Callable[[LiveJob], None],
        pauses: Sequence[float],
        turns: ConcurrencyLimit,
    ) -> None:
        self._clusters = clusters
        self._kept = kept
        self._max_failed_share = max_failed_share
        self._note = note
        self._pauses = pauses
        self._turns = turns
        # Held by those who need them: of a scheduler on which nothing is computed, nothing is known.
        self._sharing: WeakValueDictionary[str, FairQueue] = WeakValueDictionary()

    @property
    def most_attempts(self) -> int:
        """Times that a job is taken up again without having got further."""
        return len(self._pauses)

    async def live(self, record: LiveJob) -> None:
        """Compute a job and hold its blocks, until it is stopped, fails, or is lost with its cluster for good."""
        try:
            while not await self._attempt(record):  # noqa: ASYNC110  # nothing tells of another cluster
                await asyncio.sleep(self._pauses[max(0, record.attempts - 1)])
        except GreenupError as error:
            self.end(record, "expired" if record.state == "done" else "failed", str(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, a job must not end unseen
            _log.exception("Job %s failed", record.token[:8])
            message = f"The computation failed ({type(error).__name__}); try again, or ask those who run the server."
            self.end(record, "failed", message)

    def end(self, record: LiveJob, state: State, message: str = "") -> None:
        """Note how a job ended. Nothing follows a failure or a cancel, but a finished result can still go."""
        if record.state in ("failed", "cancelled", "expired"):
            return
        record.state, record.message = state, message
        record.ended = record.ended or datetime.now(UTC)
        if state != "done":
            record.stack = record.tiles = None
        self._note(record)

    async def _attempt(self, record: LiveJob) -> bool:
        """Return whether the job came to its end; where it was lost with its cluster, it is to be tried again."""
        await self._turns.wait_for(record)
        job: Computation | None = None
        try:
            job = await self._start(record)
            await self._finish(job, record)
            await _release_preview(record)
            await self._keep(job, record)
        except Exception as error:
            if not await self._may_go_on(record, job, error):
                raise
            return False
        finally:
            await _release_preview(record)
            # Also where a block failed: the others are of no use to anybody.
            if job is not None:
                await job.cancel()
        return True

    async def _start(self, record: LiveJob) -> Computation:
        record.connection = connection = await self._clusters.get(record.cluster)
        record.cluster_name = self._clusters.cluster_name(record.cluster)
        # Before anything runs there: who takes the job over must find the cluster.
        self._note(record)
        client = connection.client
        # What only has to be opened is there as soon as a preview would be.
        if self._kept is None or not await self._kept.is_whole(record.token, record.plan):
            record.preview = await Preview.begin(record.plan, client, record.token)
        keep = None if self._kept is None else self._kept.keep(record.token, record.scope)
        share = self._sharing.setdefault(client.scheduler.address, FairQueue()).share_of(record.scope)
        job = await Computation.submit(
            record.plan,
            client,
            record.token,
            order=record.order,
            keep=keep,
            threads=lambda: connection.threads_to_come,
            share=share,
        )
        record.stack, record.state = job.stack, "running"
        record.message = " ".join(filter(None, (TAKEN_UP if record.attempts else "", job.note)))
        record.tiles = _tiles(job, client) if self._kept is None else self._kept.tiles(job, client)
        record.started = datetime.now(UTC)
        self._note(record)
        return job

    async def _finish(self, job: Computation, record: LiveJob) -> None:
        """Note every block that finishes, and then which scenes the result lacks."""
        assert record.connection is not None
        async with record.connection.guard_workers() as guard:
            async for block in job.finished_blocks():
                guard.record_progress()
                record.finished.append(block)
                if len(record.finished) > record.furthest:
                    record.furthest, record.attempts = len(record.finished), 0
                self._note(record)
            statistics = await job.statistics()
            record.failed_scenes = left_out(statistics, record.plan, self._max_failed_share)
        failed, remarks = failed_sentence(record.failed_scenes, record.plan), result_remarks(record.plan, statistics)
        message = " ".join(filter(None, (failed, *remarks, job.note)))
        if job.keeping.tallies:
            record.size = max(1, await asyncio.to_thread(size_of, record.checkpoint))
        self.end(record, "done", message)

    async def _keep(self, job: Computation, record: LiveJob) -> None:
        """Watch over a finished result until the cluster loses it; it stays open where it lies elsewhere as well."""
        assert record.connection is not None
        async with published(record.token, record.plan, job.stack, record.connection.client):
            while not job.lost:  # noqa: ASYNC110  # a client sends no event when it drops its futures
                await asyncio.sleep(_LOOK_S)
        if self._kept is None or not record.size:
            raise JobLostError(LOST)
        record.tiles, record.stack, record.connection = await self._opened(self._kept, record), None, None

    async def _opened(self, kept: KeptResults, record: LiveJob) -> ResultTiles:
        while True:
            try:
                return await kept.open(record.checkpoint, record.plan)
            except ResultAwayError as error:
                record.message = str(error)
                await asyncio.sleep(_LOOK_S)

    async def _may_go_on(self, record: LiveJob, job: Computation | None, error: Exception) -> bool:
        """Prepare a job for another attempt, if it was its cluster that failed it rather than itself."""
        if record.state in ("done", "cancelled") or not self._was_lost(record, job, error):
            return False
        away = isinstance(error, ClusterAwayError)
        if not away and record.attempts >= self.most_attempts:
            return False
        # That nothing can be had at all says nothing of the job, which waits for as long as it takes.
        record.attempts += not away
        record.state, record.message = "queued", f"{error} {GOES_ON}" if away else f"The cluster was lost. {TAKEN_UP}"
        record.connection = record.stack = record.tiles = None
        record.finished, record.order = [], BlockOrder.of_plan(record.plan)
        self._note(record)
        return await self._clusters.wait_until_settled(record.cluster)

    def _was_lost(self, record: LiveJob, job: Computation | None, error: Exception) -> bool:
        if isinstance(error, JobLostError) or (job is not None and job.lost):
            return True
        # A cluster that never opened is likely asked for wrongly; one that was there may come back.
        broken = record.connection is not None and not self._clusters.is_usable(record.connection)
        again = record.taken_up or record.attempts > 0 or broken
        # What a client raises that was closed meanwhile is of any kind; what is wrong with a job is an error of ours.
        unreached = ClusterError, OSError
        return (again and isinstance(error, unreached)) or (broken and not isinstance(error, GreenupError))


TAKEN_UP = "The computation is taken up again."

GOES_ON = "The computation goes on once it can."


def _tiles(job: Computation, client: Any) -> ResultTiles:
    return ResultTiles.on_workers(job.stack, client, region=job.plan.request.region)


async def _release_preview(record: LiveJob) -> None:
    if record.preview is not None:
        await record.preview.release()
        record.preview = None
