"""Housekeeping of a server: renew leases, refresh the list of jobs, take over orphaned jobs, remove expired results."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from compute.cluster import ClusterPool
from compute.errors import JobStoreError
from compute.jobs.gateway_leases import GatewayLeases
from compute.jobs.job_list import JobList
from compute.jobs.jobstore.rows import ENDED
from compute.jobs.jobstore.rules import needs_holder
from compute.jobs.jobstore.tables import LEASE_S
from compute.jobs.live_jobs import LiveJobs
from compute.jobs.retention import Retention

_log = logging.getLogger(__name__)

_FLUSH_S = 1.0
"""Interval between writes of progress, in seconds; a shorter one would load the disk without a visible benefit."""

_REFRESH_S = 2.0
"""Interval between reads of the list, in seconds, and so the longest delay of actions that other servers request."""

_EXPIRE_S = 600.0
"""Interval between removals of expired results, in seconds."""

VIEWED_S = 5.0
"""Time in seconds for which a result counts as viewed after a request for it."""

EXPIRED = "This result has expired; compute it again."

Duty = Callable[[], Awaitable[None]]


class Housekeeping:
    """Periodic duties of a server on its jobs.

    Parameters
    ----------
    listed : JobList
        List of all jobs.
    live : LiveJobs
        Jobs of the server.
    leases : GatewayLeases
        Gateway clusters of the server.
    clusters : ClusterPool
        Clusters of the server.
    """

    def __init__(self, listed: JobList, live: LiveJobs, leases: GatewayLeases, clusters: ClusterPool) -> None:
        self._list = listed
        self._live = live
        self._leases = leases
        self._clusters = clusters
        self._retention = Retention()
        self._last_warning = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, retention: Retention) -> None:
        """Carry out the duties once, and then periodically.

        Parameters
        ----------
        retention : Retention
            Limits on the age and size of results.
        """
        self._retention = retention
        duties: dict[Duty, float] = {
            self._list.flush: _FLUSH_S,
            self._refresh: _REFRESH_S,
            self._use_clusters: _REFRESH_S,
            self._live.renew_leases: LEASE_S / 4,
            self._expire_results: _EXPIRE_S,
        }
        await self._attempt(self._refresh)
        await self._attempt(self._expire_results)
        self._tasks = [asyncio.create_task(self._repeat(duty, seconds)) for duty, seconds in duties.items()]

    async def close(self) -> None:
        """Stop the periodic duties."""
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _refresh(self) -> None:
        """Refresh the list, carry out actions that other processes requested, and take over jobs without a server."""
        await self._list.refresh()
        self._live.drop_outdated()
        for token, action in self._list.requested_actions.items():
            row, job = self._list.row(token), self._live.jobs.get(token)
            if action == "cancel" and job is not None:
                await self._live.cancel_job(job)
            elif action == "delete" and row is not None:
                await self._live.delete_job(row)
        orphans = await self._list.store.read(lambda store: store.list_orphans())
        # Clusters first, so that each job finds the cluster that it ran on; the leases of both end at the same time.
        await self._leases.take_over_clusters()
        for token in orphans:
            await self._live.take_over_job(token)

    async def _use_clusters(self) -> None:
        """Mark the clusters in use: those with unfinished jobs, and those with the only copy of a viewed result."""
        for job in self._live.tasks:
            is_viewed = time.monotonic() - job.seen < VIEWED_S
            if needs_holder(job.row) and (is_viewed or job.state not in ENDED):
                self._clusters.mark_used(job.cluster)

    async def _expire_results(self) -> None:
        for row in self._retention.overdue(self._list.rows.values(), datetime.now(UTC)):
            await self._live.expire_job(row, EXPIRED)

    async def _repeat(self, duty: Duty, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._attempt(duty)

    async def _attempt(self, duty: Duty) -> None:
        """Carry out a duty and log its error, because the next attempt may succeed."""
        try:
            await duty()
        except JobStoreError as error:
            if str(error) != self._last_warning:
                _log.warning("%s", error)
            self._last_warning = str(error)
        except Exception:  # noqa: BLE001  # a bug
            _log.exception("Housekeeping of the list of jobs failed")
