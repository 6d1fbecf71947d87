"""Registry of jobs, shared by all users of a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from compute.cluster import ClusterPool, ClusterSpec
from compute.errors import InputError
from compute.jobs.gateway_leases import GatewayLeases
from compute.jobs.housekeeping import Housekeeping
from compute.jobs.identity import ANONYMOUS, Principal, job_token
from compute.jobs.job_list import JobList
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import ENDED, JobRow, clean_title, new_row
from compute.jobs.kept_results import KeptResults
from compute.jobs.live_job import LiveJob
from compute.jobs.live_jobs import NO_RESULT, LiveJobs
from compute.jobs.retention import Retention
from compute.jobs.run.block_order import Viewpoint
from compute.jobs.runner import PAUSES_S
from compute.plan import NdviPlan


class JobRegistry:
    """Jobs of a server process, and of other servers that share its list.

    Parameters
    ----------
    clusters : ClusterPool
        Clusters of the server, which outlive jobs.
    secret : bytes
        Secret of the server, from which tokens are derived.
    max_failed_share : float
        Largest share of the scenes, from 0 to 1, that a result may lack because they cannot be read.
    store : JobStore, optional
        The durable list of jobs; by default one in memory.
    kept : KeptResults, optional
        Store of results; by default results are lost with their clusters.
    own : ClusterSpec, optional
        Cluster for jobs that are taken over and ran on the own cluster of a server; by default the cluster of the job.
    must_keep : bool
        Whether to refuse new jobs while the durable list cannot be written.
    pauses : sequence of float
        See `compute.jobs.runner.PAUSES_S`.
    most_at_once : int
        Largest number of jobs of one scope that all servers of the list compute at once; further ones are queued.
    """

    def __init__(
        self,
        clusters: ClusterPool,
        secret: bytes,
        max_failed_share: float = 0.0,
        *,
        store: JobStore | None = None,
        kept: KeptResults | None = None,
        own: ClusterSpec | None = None,
        must_keep: bool = False,
        pauses: Sequence[float] = PAUSES_S,
        most_at_once: int = 4,
    ) -> None:
        self._list = JobList(store or JobStore(), must_keep=must_keep)
        self._live = LiveJobs(self._list, clusters, kept, own, max_failed_share, pauses, most_at_once)
        self._leases = GatewayLeases(self._list.store, self._list.holder, clusters)
        self._housekeeping = Housekeeping(self._list, self._live, self._leases, clusters)
        self._secret = secret
        # Jobs are started and opened one at a time, so that none is started or opened twice.
        self._opening = asyncio.Lock()

    async def start(self, retention: Retention | None = None) -> None:
        """Read the list, take over the jobs that no server holds, and keep doing so until `close`.

        Parameters
        ----------
        retention : Retention, optional
            Limits on the age and size of results; by default those of `Retention`.
        """
        await self._housekeeping.start(retention or Retention())

    @property
    def trouble(self) -> str:
        """Sentence with the reason why the list of jobs cannot be written; empty after a successful write."""
        return self._list.trouble

    async def submit(self, plan: NdviPlan, cluster: ClusterSpec, principal: Principal, participant: str) -> LiveJob:
        """Start a computation, or join the one of the same token.

        Parameters
        ----------
        plan : NdviPlan
            Plan of the computation.
        cluster : ClusterSpec
            Cluster for a new computation.
        principal : Principal
            Principal who submits it.
        participant : str
            New participant of the job, from `participant_of`; see `withdraw`.

        Returns
        -------
        LiveJob
            Job of the computation: queued, under way or done. While `trouble` is empty, another server takes it over
            if this process ends.

        Raises
        ------
        InputError
            The cluster belongs to another scope.
        JobStoreError
            The list of jobs cannot be written, and `must_keep` is set.
        ResultAwayError
            The job is done, and its checkpoint cannot be reached.
        """
        if cluster.owner not in (None, principal.scope):
            raise InputError("cluster", "There is no such cluster here; choose another.")
        token = self.token(plan, principal)
        async with self._opening:
            job = self._live.jobs.get(token)
            if job is None or job.state in ENDED - {"done"}:
                row = new_row(plan, token=token, scope=principal.scope, owner=principal.name, cluster=cluster)
                job = await self._live.start_job(row, plan)
        await self._list.add_participant(token, participant)
        return job

    def token(self, plan: NdviPlan, principal: Principal) -> str:
        """Return the token of a computation, whether or not it has been submitted."""
        return job_token(plan, principal.scope, self._secret)

    def get(self, token: str, principal: Principal) -> LiveJob:
        """Return a job that was started or opened on this server.

        Raises
        ------
        InputError
            No such job is open, or it belongs to another scope; the message is the same in both cases.
        """
        job = self._live.jobs.get(token)
        if job is None or job.scope != principal.scope:
            raise InputError("token", NO_RESULT)
        job.seen = time.monotonic()
        return job

    async def open(self, token: str, principal: Principal) -> LiveJob:
        """Return a job by its token, and open it if necessary; any server of the list may have computed it.

        Raises
        ------
        InputError
            No such job exists, it belongs to another scope, or it has expired.
        ResultGoneError, ResultAwayError
            The checkpoint cannot be read any more, or cannot be reached.
        """
        if token not in self._live.jobs:
            row = await self.find(token, principal)
            async with self._opening:
                if token not in self._live.jobs:
                    await self._live.open_job(row)
        job = self.get(token, principal)
        await self._list.record_opening(token)
        return job

    async def find(self, token: str, principal: Principal) -> JobRow:
        """Return the record of a job in the list.

        Raises
        ------
        InputError
            No such job exists, or it belongs to another scope; the message is the same in both cases.
        """
        row = await self._list.find_job(token)
        if row is None or row.scope != principal.scope:
            raise InputError("token", NO_RESULT)
        return row

    def listed_row(self, job: LiveJob) -> JobRow:
        """Return the latest listed record of an open job, also if another server computes it."""
        return self._list.row(job.token) or job.row

    async def recipe(self, token: str, principal: Principal) -> str:
        """Return the request of a job, expired or not, as canonical JSON; raises as `find`."""
        await self.find(token, principal)
        details = await self._list.read_details(token)
        if details is None:
            raise InputError("token", NO_RESULT)
        return details.recipe

    def held_by(self, cluster: ClusterSpec) -> list[LiveJob]:
        """Return the jobs that end with a cluster: queued for it, running on it, or held only in its memory."""
        return list(self._live.jobs_on(cluster))

    def cluster_owner(self, short_name: str) -> str | None:
        """Return the scope that owns a Gateway cluster, by its short name.

        None is returned for the own cluster of a server, and the shared scope for a cluster that no server of the list
        has started.
        """
        return self._leases.owners.get(short_name, ANONYMOUS.scope)

    async def fail_waiting_jobs(self, cluster: ClusterSpec) -> None:
        """Fail the queued jobs of a stopped cluster, because they would start it again."""
        await self._live.fail_waiting_jobs(cluster)

    def list(self, principal: Principal) -> list[JobRow]:
        """Return the records of the principal's jobs, newest first."""
        mine = (row for row in self._list.rows.values() if row.scope == principal.scope)
        return sorted(mine, key=lambda row: row.created, reverse=True)

    def look_at(self, token: str, principal: Principal, viewer: str, viewpoint: Viewpoint | None) -> None:
        """Set the viewpoint of a visit, so that the blocks around it are computed next.

        Parameters
        ----------
        token : str
            Token of the job.
        principal : Principal
            Principal of the visit.
        viewer : str
            Name of the visit; if there are several, their blocks are computed in turn.
        viewpoint : Viewpoint or None
            Viewpoint; None to remove it, when the visit shows another result.

        Raises
        ------
        InputError
            See `get`.
        """
        self.get(token, principal).order.set_viewpoint(viewer, viewpoint)

    async def rename(self, token: str, principal: Principal, title: str) -> None:
        """Set the title of a job; an empty title removes it.

        Raises
        ------
        InputError
            The title is too long; otherwise see `find`.
        """
        await self._list.set_title(await self.find(token, principal), clean_title(title))

    async def withdraw(self, token: str, principal: Principal, participant: str) -> bool:
        """Withdraw a participant of a job; when the last one withdraws, an unfinished job is cancelled on any server.

        A list that was rebuilt from checkpoints has no participants; there the first withdrawal cancels the job.

        Returns
        -------
        bool
            Whether other participants remain, so that the job goes on.

        Raises
        ------
        InputError
            See `find`.
        """
        await self.find(token, principal)
        if await self._list.remove_participant(token, participant):
            return True
        await self.cancel(token, principal)
        return False

    async def cancel(self, token: str, principal: Principal) -> None:
        """Cancel an unfinished job for all participants, on any server; raises as `find`."""
        row = await self.find(token, principal)
        job = self._live.jobs.get(token)
        if job is not None and job in self._live.tasks:
            if job.state not in ENDED:
                await self._live.cancel_job(job)
        elif row.state not in ENDED:
            await self._list.request_action(token, "cancel")

    async def delete(self, token: str, principal: Principal) -> None:
        """Delete a job with its result, after cancelling it if it is unfinished; raises as `find`."""
        row = await self.find(token, principal)
        if not await self._live.delete_job(row):
            await self._list.request_action(token, "delete")

    async def close(self) -> None:
        """Stop all work. The next server takes over the jobs, and opens results from their checkpoints."""
        await self._housekeeping.close()
        await self._live.close()
        await self._leases.close()
        await self._list.close()
