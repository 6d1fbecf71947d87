"""The jobs of a server: one registry for all visitors, so that a job outlives the tab that started it."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from compute.cluster import ClusterPool, ClusterSpec
from compute.errors import GreenupError, InputError, JobError
from compute.jobs.failures import failed_sentence, left_out
from compute.jobs.identity import Principal, job_token
from compute.jobs.job import CANCELLED, LOST, Job
from compute.jobs.order import Viewpoint
from compute.jobs.preview import Preview
from compute.jobs.record import ENDED, JobRecord, State
from compute.plan import NdviPlan
from compute.tiles import ResultTiles

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""How soon a finished result shows as lost when its cluster is gone."""


class JobRegistry:
    """All jobs of a server process.

    Parameters
    ----------
    clusters : ClusterPool
        Where jobs run; clusters outlive jobs.
    secret : bytes
        Secret of the server, from which tokens are made.
    max_failed_share : float
        Largest share of the scenes, from 0 to 1, that a result may lack because they cannot be read.
    """

    def __init__(self, clusters: ClusterPool, secret: bytes, max_failed_share: float = 0.0) -> None:
        self._max_failed_share = max_failed_share
        self._clusters = clusters
        self._secret = secret
        self._records: dict[str, JobRecord] = {}
        # By record, since one token may have a job that is ending and one that has just begun.
        self._lives: dict[JobRecord, asyncio.Task[None]] = {}

    def submit(self, plan: NdviPlan, cluster: ClusterSpec, principal: Principal, participant: str) -> JobRecord:
        """Start a computation, or join the one that runs or has run already.

        Parameters
        ----------
        plan : NdviPlan
            What to compute.
        cluster : ClusterSpec
            Where, if it has to be started.
        principal : Principal
            Who asks.
        participant : str
            Name of the visit that asks; see `withdraw`.

        Returns
        -------
        JobRecord
            Running, or ended well.

        Raises
        ------
        InputError
            The cluster is somebody else's.
        """
        if cluster.owner not in (None, principal.scope):
            raise InputError("cluster", "There is no such cluster here; choose another.")
        token = self.token(plan, principal)
        record = self._records.get(token)
        if record is None or record.state in ("failed", "cancelled"):
            record = JobRecord(token=token, scope=principal.scope, plan=plan, cluster=cluster)
            self._records[token] = record
            self._begin(record)
        record.participants.add(participant)
        return record

    def token(self, plan: NdviPlan, principal: Principal) -> str:
        """Return the token that a computation has or would have."""
        return job_token(plan, principal.scope, self._secret)

    def get(self, token: str, principal: Principal) -> JobRecord:
        """Return a job by its token.

        Raises
        ------
        InputError
            There is none, or it is not the principal's: the sentence is the same.
        """
        record = self._records.get(token)
        if record is None or record.scope != principal.scope:
            raise InputError("token", "There is no such result here; it may have expired, so compute it again.")
        return record

    def held_by(self, cluster: ClusterSpec) -> list[JobRecord]:
        """Return the jobs that are lost when a cluster stops: those that wait for it, run there, or are kept there."""
        return [
            record
            for record in self._records.values()
            if record.cluster.identity == cluster.identity and record.state not in ("failed", "cancelled")
        ]

    def list(self, principal: Principal) -> list[JobRecord]:
        """Return the principal's jobs, newest first."""
        mine = (record for record in self._records.values() if record.scope == principal.scope)
        return sorted(mine, key=lambda record: record.created, reverse=True)

    def look_at(self, token: str, principal: Principal, viewer: str, viewpoint: Viewpoint | None) -> None:
        """Have the blocks that a visit looks at computed next, for as long as it looks there.

        Parameters
        ----------
        token : str
            Of the job.
        principal : Principal
            Who looks.
        viewer : str
            Name of the visit; several take turns.
        viewpoint : Viewpoint or None
            None when the visit looks elsewhere.

        Raises
        ------
        InputError
            As `get` does.
        """
        self.get(token, principal).order.look_at(viewer, viewpoint)

    async def withdraw(self, token: str, principal: Principal, participant: str) -> None:
        """Withdraw one participant; with the last of them a running job stops and frees its workers.

        Raises
        ------
        InputError
            As `get` does.
        """
        record = self.get(token, principal)
        record.participants.discard(participant)
        if not record.participants and record.state not in ENDED:
            await self._stop(record)

    async def cancel(self, token: str, principal: Principal) -> None:
        """Stop a running job whoever takes part in it; raises as `get` does."""
        record = self.get(token, principal)
        if record.state not in ENDED:
            await self._stop(record)

    async def delete(self, token: str, principal: Principal) -> None:
        """Forget a job and release its blocks; a running one is stopped first. Raises as `get` does."""
        record = self._records.pop(self.get(token, principal).token)
        if record.state == "done":
            _end(record, "cancelled", "The result was deleted.")
        await self._stop(record)

    async def close(self) -> None:
        """Stop what runs, and release every result."""
        await asyncio.gather(*(self._stop(record) for record in list(self._lives)))

    def _begin(self, record: JobRecord) -> None:
        life = asyncio.create_task(self._live(record), name=f"job {record.token[:8]}")
        self._lives[record] = life
        life.add_done_callback(lambda _: self._lives.pop(record))

    async def _stop(self, record: JobRecord) -> None:
        """End a job, finished or not, and wait until its workers are free of it."""
        _end(record, "cancelled", CANCELLED)
        life = self._lives.get(record)
        if life is None:
            return
        if not life.cancelling():
            life.cancel()
        # Waited for rather than awaited: it cleans up to the end also when whoever stops it goes away.
        await asyncio.wait([life])

    async def _live(self, record: JobRecord) -> None:
        """Compute a job and hold its blocks, until it is stopped, fails, or is lost with its cluster."""
        job: Job | None = None
        try:
            job = await self._start(record)
            await _finish(job, record, self._max_failed_share)
            await _release_preview(record)
            await _keep(job)
        except GreenupError as error:
            _end(record, "failed", str(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, a job must not end unseen
            _log.exception("Job %s failed", record.token[:8])
            message = f"The computation failed ({type(error).__name__}); try again, or ask those who run the server."
            _end(record, "failed", message)
        finally:
            await _release_preview(record)
            # Also where a block failed: the others are of no use to anybody.
            if job is not None:
                await job.cancel()

    async def _start(self, record: JobRecord) -> Job:
        record.message = "A cluster is being made ready."
        record.connection = await self._clusters.get(record.cluster)
        client = record.connection.client
        record.preview = await Preview.begin(record.plan, client, record.token)
        job = await Job.submit(record.plan, client, record.token, order=record.order)
        record.stack, record.state, record.message = job.stack, "running", job.note
        record.tiles = ResultTiles.on_workers(job.stack, client, region=record.plan.request.region)
        record.started = datetime.now(UTC)
        return job


async def _finish(job: Job, record: JobRecord, max_failed_share: float) -> None:
    """Note every block that finishes, and then which scenes the result lacks."""
    async for block in job.finished_blocks():
        record.finished.append(block)
    record.failed_scenes = left_out(await job.statistics(), record.plan, max_failed_share)
    _end(record, "done", f"{failed_sentence(record.failed_scenes, record.plan)} {job.note}".strip())


async def _release_preview(record: JobRecord) -> None:
    if record.preview is not None:
        await record.preview.release()
        record.preview = None


async def _keep(job: Job) -> None:
    """Watch over a finished result until the cluster loses it."""
    while not job.lost:  # noqa: ASYNC110  # a client sends no event when it drops its futures
        await asyncio.sleep(_LOOK_S)
    raise JobError(LOST)


def _end(record: JobRecord, state: State, message: str = "") -> None:
    """Note how a job ended. Nothing follows a failure or a cancel, but a finished result can still go."""
    if record.state in ("failed", "cancelled"):
        return
    record.state, record.message = state, message
    record.ended = record.ended or datetime.now(UTC)
    if state != "done":
        record.stack = record.tiles = None
