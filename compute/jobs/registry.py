"""Registry of a server's jobs, shared by all visitors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

from compute.cluster import ClusterPool, ClusterSpec
from compute.errors import InputError
from compute.jobs.gateway_leases import GatewayLeases
from compute.jobs.identity import Principal, job_token
from compute.jobs.job_list import JobList
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import ENDED, JobRow, checked_title
from compute.jobs.kept_results import KeptResults
from compute.jobs.live_job import LiveJob
from compute.jobs.live_jobs import NONE, LiveJobs
from compute.jobs.run.block_order import Viewpoint
from compute.jobs.runner import PAUSES_S
from compute.plan import NdviPlan

LOOKED_S = 5.0
"""How long a result counts as looked at after a page or another client has asked for anything of it."""


class JobRegistry:
    """All jobs of a server process, and those of others that share its list.

    Parameters
    ----------
    clusters : ClusterPool
        Where jobs run; clusters outlive jobs.
    secret : bytes
        Secret of the server, from which tokens are made.
    max_failed_share : float
        Largest share of the scenes, from 0 to 1, that a result may lack because they cannot be read.
    store : JobStore, optional
        The durable list of jobs; left out, one in memory.
    kept : KeptResults, optional
        Where results outlive clusters; left out, nowhere.
    own : ClusterSpec, optional
        Where jobs are taken up again that ran on a cluster of a server's own; left out, on one alike.
    must_keep : bool
        Whether to refuse a job that would not survive a restart.
    pauses : sequence of float
        See `compute.jobs.runner.PAUSES_S`.
    most_at_once : int
        Jobs of one scope that are computed at once by all servers of the list; others are queued.

    Attributes
    ----------
    ledger : JobList
        The list of jobs.
    holdings : LiveJobs
        Those that this server has in hand.
    started : GatewayLeases
        The Gateway clusters on which they may run.
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
        self.ledger = JobList(store or JobStore(), must_keep=must_keep)
        self.holdings = LiveJobs(self.ledger, clusters, kept, own, max_failed_share, pauses, most_at_once)
        self.started = GatewayLeases(self.ledger.journal, self.ledger.holder, clusters)
        self._secret = secret
        # One at a time, so that none is begun or opened twice.
        self._opening = asyncio.Lock()

    @property
    def trouble(self) -> str:
        """Sentence on why jobs would not survive a restart now; empty where they would."""
        return self.ledger.trouble

    async def submit(self, plan: NdviPlan, cluster: ClusterSpec, principal: Principal, participant: str) -> LiveJob:
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
            Who takes part from now on, as `participant_of` has it; see `withdraw`.

        Returns
        -------
        LiveJob
            Begun, or ended well. Whatever dies from now on, it comes to an end, unless `trouble` says otherwise.

        Raises
        ------
        InputError
            The cluster is somebody else's.
        JobStoreError
            The list of jobs cannot be written, and it must.
        """
        if cluster.owner not in (None, principal.scope):
            raise InputError("cluster", "There is no such cluster here; choose another.")
        token = self.token(plan, principal)
        async with self._opening:
            record = self.holdings.records.get(token)
            if record is None or record.state in ENDED - {"done"}:
                record = await self.holdings.begin(plan, cluster, token, principal.scope, principal.name)
        await self.ledger.join(token, participant)
        return record

    def token(self, plan: NdviPlan, principal: Principal) -> str:
        """Return the token that a computation has or would have."""
        return job_token(plan, principal.scope, self._secret)

    def get(self, token: str, principal: Principal) -> LiveJob:
        """Return a job that was begun or opened here.

        Raises
        ------
        InputError
            There is none, or it is not the principal's: the sentence is the same.
        """
        record = self.holdings.records.get(token)
        if record is None or record.scope != principal.scope:
            raise InputError("token", NONE)
        record.seen = time.monotonic()
        return record

    async def open(self, token: str, principal: Principal) -> LiveJob:
        """Return a job by its token, whichever server has computed it.

        Raises
        ------
        InputError
            As `get` does, and with another sentence where it has expired.
        ResultGoneError, ResultAwayError
            What is kept of it cannot be read any more, or not be reached.
        """
        if token not in self.holdings.records:
            row = await self.find(token, principal)
            async with self._opening:
                if token not in self.holdings.records:
                    await self.holdings.load(row)
        record = self.get(token, principal)
        await self.ledger.note_opened(token)
        return record

    async def find(self, token: str, principal: Principal) -> JobRow:
        """Return what the list says of a job; raises as `get` does."""
        row = await self.ledger.find(token)
        if row is None or row.scope != principal.scope:
            raise InputError("token", NONE)
        return row

    async def recipe(self, token: str, principal: Principal) -> str:
        """Return the request of a job, expired or not, as canonical JSON; raises as `get` does."""
        await self.find(token, principal)
        details = await self.ledger.details(token)
        if details is None:
            raise InputError("token", NONE)
        return details.recipe

    def held_by(self, cluster: ClusterSpec) -> list[LiveJob]:
        """Return the jobs that end with a cluster: waiting for it, running there, or held in its memory."""
        there = (record for record in self.holdings.lives if record.cluster.identity == cluster.identity)
        return [record for record in there if record.state not in ENDED or (record.state == "done" and not record.size)]

    def needed(self) -> Iterator[ClusterSpec]:
        """Yield the clusters that work, or that alone hold what somebody looks at."""
        for record in self.holdings.lives:
            looked_at = time.monotonic() - record.seen < LOOKED_S
            if record.state not in ENDED or (record.state == "done" and not record.size and looked_at):
                yield record.cluster

    def list(self, principal: Principal) -> list[JobRow]:
        """Return the rows of the principal's jobs, newest first."""
        mine = (row for row in self.ledger.rows.values() if row.scope == principal.scope)
        return sorted(mine, key=lambda row: row.created, reverse=True)

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

    async def rename(self, token: str, principal: Principal, title: str) -> None:
        """Give a job a title, or take it away by an empty one.

        Raises
        ------
        InputError
            The title is too long, or as `get` does.
        """
        await self.ledger.rename(await self.find(token, principal), checked_title(title))

    async def withdraw(self, token: str, principal: Principal, participant: str) -> bool:
        """Withdraw one participant; with the last of them a running job stops, whichever server computes it.

        Where nobody is known to take part, as in a list that was made again from results, whoever withdraws is last.

        Returns
        -------
        bool
            Whether others take part, for whom the job goes on.

        Raises
        ------
        InputError
            As `get` does.
        """
        await self.find(token, principal)
        if await self.ledger.leave(token, participant):
            return True
        await self.cancel(token, principal)
        return False

    async def cancel(self, token: str, principal: Principal) -> None:
        """Stop a running job whoever takes part in it, and whichever server computes it; raises as `get` does."""
        row = await self.find(token, principal)
        record = self.holdings.records.get(token)
        if record is not None and record in self.holdings.lives:
            if record.state not in ENDED:
                await self.holdings.stop(record)
        elif row.state not in ENDED:
            await self.ledger.wish(token, "cancel")

    async def delete(self, token: str, principal: Principal) -> None:
        """Forget a job and all that is kept of it; a running one is stopped first. Raises as `get` does."""
        row = await self.find(token, principal)
        if not await self.holdings.delete(row):
            await self.ledger.wish(token, "delete")

    async def close(self) -> None:
        """Let go of everything: what runs is taken up by the next server, and so is what is kept outside of memory."""
        await self.holdings.close()
        await self.started.close()
        await self.ledger.close()
