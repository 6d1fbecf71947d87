"""Housekeeping of a server: renew leases, refresh the list of jobs, take up orphaned jobs, remove expired results."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from compute.cluster import ClusterPool
from compute.errors import JobStoreError
from compute.jobs.jobstore.tables import LEASE_S
from compute.jobs.registry import JobRegistry
from compute.jobs.retention import Retention

_log = logging.getLogger(__name__)

_PROGRESS_S = 1.0
"""How soon others see how far a job is: more often costs the disk more than it tells anybody."""

_LOOK_S = 2.0
"""How soon a server does what was asked for elsewhere, and takes up what nobody owns any more."""

_SWEEP_S = 600.0
"""How exactly results expire."""

Duty = Callable[[], Awaitable[None]]

EXPIRED = "This result has expired; compute it again."


class Housekeeping:
    """Looks after the jobs of a server until it is closed.

    Parameters
    ----------
    jobs : JobRegistry
        Of the server.
    clusters : ClusterPool
        Likewise.
    retention : Retention
        How long results are kept.
    """

    def __init__(self, jobs: JobRegistry, clusters: ClusterPool, retention: Retention) -> None:
        self._jobs = jobs
        self._clusters = clusters
        self._retention = retention
        self._said = ""
        self._rounds: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read the list, take up what no server owns, and go on doing so."""
        duties: dict[Duty, float] = {
            self._jobs.ledger.flush: _PROGRESS_S,
            self._look: _LOOK_S,
            self._tend: _LOOK_S,
            self._jobs.holdings.renew: LEASE_S / 4,
            self._sweep: _SWEEP_S,
        }
        await self._do(self._look)
        await self._do(self._sweep)
        self._rounds = [asyncio.create_task(self._repeat(duty, seconds)) for duty, seconds in duties.items()]

    async def close(self) -> None:
        """Do nothing any more, and close the registry."""
        for each in self._rounds:
            each.cancel()
        await asyncio.gather(*self._rounds, return_exceptions=True)
        await self._jobs.close()

    async def _look(self) -> None:
        """Refresh the list, carry out requests of other servers, and take up jobs that no server owns."""
        ledger, holdings = self._jobs.ledger, self._jobs.holdings
        await ledger.refresh()
        holdings.drop_what_changed()
        for token, wanted in ledger.wishes.items():
            row, record = ledger.rows.get(token), holdings.records.get(token)
            if wanted == "cancel" and record is not None:
                await holdings.stop(record)
            elif wanted == "delete" and row is not None:
                await holdings.delete(row)
        adoptable = await ledger.adoptable()
        # Before the jobs, which find the clusters again on which they ran: both are given up at the same time.
        await self._jobs.started.tend()
        for token in adoptable:
            await holdings.adopt(token)

    async def _tend(self) -> None:
        """Say which clusters are needed."""
        for cluster in self._jobs.needed():
            self._clusters.mark_used(cluster)

    async def _sweep(self) -> None:
        for row in self._retention.overdue(self._jobs.ledger.rows.values(), datetime.now(UTC)):
            await self._jobs.holdings.expire(row, EXPIRED)

    async def _repeat(self, duty: Duty, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._do(duty)

    async def _do(self, duty: Duty) -> None:
        """Do something that must not stop the server: the list may be away for a while, which the page says, too."""
        try:
            await duty()
        except JobStoreError as error:
            if str(error) != self._said:
                _log.warning("%s", error)
            self._said = str(error)
        except Exception:  # noqa: BLE001  # a bug, and the next time may go better
            _log.exception("The list of jobs was not looked after")
