"""Registry of a server's jobs, shared by all visitors."""

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
    """All jobs of a server process, and those of other servers that share its list.

    Parameters
    ----------
    clusters : ClusterPool
        Clusters of the server, which outlive jobs.
    secret : bytes
        Secret of the server, from which tokens are made.
    max_failed_share : float
        Largest share of the scenes, from 0 to 1, that a result may lack because they cannot be read.
    store : JobStore, optional
        The durable list of jobs; left out, one in memory.
    kept : KeptResults, optional
        Store of results; left out, results go with their clusters.
    own : ClusterSpec, optional
        Cluster for jobs that are taken over from a server's own cluster; left out, the cluster of the job.
    must_keep : bool
        Whether to refuse a job that would not survive a restart.
    pauses : sequence of float
        See `compute.jobs.runner.PAUSES_S`.
    most_at_once : int
        Largest number of jobs of one scope that all servers of the list compute at once; others are queued.
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
        # One at a time, so that no job is started or opened twice.
        self._opening = asyncio.Lock()

    async def start(self, retention: Retention | None = None) -> None:
        """Read the list, take over the jobs that no server holds, and keep doing so until `close`.

        Parameters
        ----------
        retention : Retention, optional
            Limits on the age and size of results; left out, the default ones.
        """
        await self._housekeeping.start(retention or Retention())

    @property
    def trouble(self) -> str:
        """Sentence on why jobs would not survive a restart now; empty where they would."""
        return self._list.trouble

    async def submit(self, plan: NdviPlan, cluster: ClusterSpec, principal: Principal, participant: str) -> LiveJob:
        """Start a computation, or join the one of the same token.

        Parameters
        ----------
        plan : NdviPlan
            Plan of the computation.
        cluster : ClusterSpec
            Cluster for it, if it has to be started.
        principal : Principal
            Principal who submits it.
        participant : str
            New participant, as `participant_of` names it; see `withdraw`.

        Returns
        -------
        LiveJob
            Started, or finished. It survives the death of any process, unless `trouble` says otherwise.

        Raises
        ------
        InputError
            The cluster belongs to another scope.
        JobStoreError
            The list of jobs cannot be written, and it must.
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
        """Return the token that a computation has or would have."""
        return job_token(plan, principal.scope, self._secret)

    def get(self, token: str, principal: Principal) -> LiveJob:
        """Return a job that was started or opened here.

        Raises
        ------
        InputError
            There is none, or it is not the principal's: the sentence is the same.
        """
        job = self._live.jobs.get(token)
        if job is None or job.scope != principal.scope:
            raise InputError("token", NO_RESULT)
        job.seen = time.monotonic()
        return job

    async def open(self, token: str, principal: Principal) -> LiveJob:
        """Return a job by its token, whichever server has computed it.

        Raises
        ------
        InputError
            As `get` does, and with another sentence where it has expired.
        ResultGoneError, ResultAwayError
            Its checkpoint cannot be read any more, or not be reached.
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
        """Return the record of a job in the list; raises as `get` does."""
        row = await self._list.find_job(token)
        if row is None or row.scope != principal.scope:
            raise InputError("token", NO_RESULT)
        return row

    def listed_row(self, job: LiveJob) -> JobRow:
        """Return the latest record of an open job, which another server may be computing."""
        return self._list.row(job.token) or job.row

    async def recipe(self, token: str, principal: Principal) -> str:
        """Return the request of a job, expired or not, as canonical JSON; raises as `get` does."""
        await self.find(token, principal)
        details = await self._list.read_details(token)
        if details is None:
            raise InputError("token", NO_RESULT)
        return details.recipe

    def held_by(self, cluster: ClusterSpec) -> list[LiveJob]:
        """Return the jobs that end with a cluster: waiting for it, running there, or held in its memory."""
        return list(self._live.jobs_on(cluster))

    def cluster_owner(self, short_name: str) -> str | None:
        """Return the scope that owns a Gateway cluster; a cluster that no server has started is everybody's.

        None is the owner of a server's own cluster.
        """
        return self._leases.owners.get(short_name, ANONYMOUS.scope)

    async def fail_waiting_jobs(self, cluster: ClusterSpec) -> None:
        """Fail the jobs that wait for a cluster which was stopped; they would start it again."""
        await self._live.fail_waiting_jobs(cluster)

    def list(self, principal: Principal) -> list[JobRow]:
        """Return the records of the principal's jobs, newest first."""
        mine = (row for row in self._list.rows.values() if row.scope == principal.scope)
        return sorted(mine, key=lambda row: row.created, reverse=True)

    def look_at(self, token: str, principal: Principal, viewer: str, viewpoint: Viewpoint | None) -> None:
        """Set the viewpoint of a visit: the blocks around it are computed next.

        Parameters
        ----------
        token : str
            Token of the job.
        principal : Principal
            Principal of the visit.
        viewer : str
            Name of the visit; several take turns.
        viewpoint : Viewpoint or None
            None when the visit shows another result.

        Raises
        ------
        InputError
            As `get` does.
        """
        self.get(token, principal).order.set_viewpoint(viewer, viewpoint)

    async def rename(self, token: str, principal: Principal, title: str) -> None:
        """Set the title of a job; an empty one removes it.

        Raises
        ------
        InputError
            The title is too long, or as `get` does.
        """
        await self._list.set_title(await self.find(token, principal), clean_title(title))

    async def withdraw(self, token: str, principal: Principal, participant: str) -> bool:
        """Withdraw a participant; the last of them cancels a running job, whichever server computes it.

        A job without known participants, as in a list that was rebuilt from checkpoints, is cancelled by any of them.

        Returns
        -------
        bool
            Whether there are other participants, for whom the job goes on.

        Raises
        ------
        InputError
            As `get` does.
        """
        await self.find(token, principal)
        if await self._list.remove_participant(token, participant):
            return True
        await self.cancel(token, principal)
        return False

    async def cancel(self, token: str, principal: Principal) -> None:
        """Cancel a running job for all participants, whichever server computes it; raises as `get` does."""
        row = await self.find(token, principal)
        job = self._live.jobs.get(token)
        if job is not None and job in self._live.tasks:
            if job.state not in ENDED:
                await self._live.cancel_job(job)
        elif row.state not in ENDED:
            await self._list.request_action(token, "cancel")

    async def delete(self, token: str, principal: Principal) -> None:
        """Delete a job with its result; a running one is cancelled first. Raises as `get` does."""
        row = await self.find(token, principal)
        if not await self._live.delete_job(row):
            await self._list.request_action(token, "delete")

    async def close(self) -> None:
        """Stop all work. The next server takes the jobs over, and opens results from their checkpoints."""
        await self._housekeeping.close()
        await self._live.close()
        await self._leases.close()
        await self._list.close()
