"""Leases of Gateway clusters: their owners, and a stop for those that outlive their use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from functools import partial

from compute.cluster import ClusterPool, ClusterSpec
from compute.errors import GreenupError
from compute.jobs.jobstore.async_store import AsyncJobStore
from compute.jobs.jobstore.clusters import ClusterRow
from compute.jobs.jobstore.job_store import JobStore


class GatewayLeases:
    """Keeps the list of started clusters in step with the pool, and takes up those whose server is gone.

    What no server of this list has started is left alone.

    Parameters
    ----------
    journal : AsyncJobStore
        Of the list.
    holder : str
        Name of this server among those that share the list.
    pool : ClusterPool
        The clusters of this server.
    """

    def __init__(self, journal: AsyncJobStore, holder: str, pool: ClusterPool) -> None:
        self._journal = journal
        self._holder = holder
        self._pool = pool
        self._listed: dict[str, ClusterRow] = {}
        self._writing: set[asyncio.Task[None]] = set()
        pool.on_named = self._named
        pool.elsewhere = self._elsewhere

    @property
    def owners(self) -> Mapping[str, str | None]:
        """Owner of each cluster that any server of the list has started, by its short name."""
        return {name: row.cluster.owner for name, row in self._listed.items()} | dict(self._pool.owners)

    async def tend(self) -> None:
        """Write down what is missing in the list, take up what no server owns, and stop what is of no use.

        Raises
        ------
        JobStoreError
            The list cannot be read.
        """
        for name, cluster in self._pool.started.items():
            if name not in self._listed:
                await self._put(name, cluster)
        rows = await self._journal.read(lambda store: store.clusters.rows())
        if any(row.holder != self._holder for row in rows):
            await self._journal.write(lambda store: store.clusters.take_unheld(self._holder))
            rows = await self._journal.read(lambda store: store.clusters.rows())
        self._listed = {row.name: row for row in rows}
        loose = [row for row in rows if row.holder == self._holder and row.name not in self._pool.started]
        if loose:
            await self._settle(loose)

    async def close(self) -> None:
        """Wait for what is being written. What the pool stops later, the next server finds gone."""
        await asyncio.gather(*self._writing)

    async def _settle(self, loose: list[ClusterRow]) -> None:
        """Take up clusters that are this server's and not open here, or have them stopped, or forget them."""
        try:
            running = await self._pool.list_running()
            for row in loose:
                if row.name not in running:
                    await self._journal.write(partial(_forget, name=row.name))
                elif not self._take_up(row):
                    await self._pool.stop_gateway(row.name)
        except GreenupError:
            # The Gateway is away: next time, it may tell.
            return

    def _take_up(self, row: ClusterRow) -> bool:
        """Tell whether a cluster may be of use: what a server had for itself, or what was open here, is not."""
        if row.cluster.owner is None or row.name in self._pool.owners:
            return False
        return self._pool.adopt_cluster(row.cluster, row.name)

    def _named(self, name: str, cluster: ClusterSpec) -> None:
        """Write a cluster down as soon as there is one: a server may die at any moment."""
        writing = asyncio.create_task(self._put(name, cluster))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    def _elsewhere(self, owner: str) -> Set[str]:
        """Return the clusters of an owner that other servers hold which are alive, as the list had them last."""
        rows = (row for row in self._listed.values() if row.holder != self._holder)
        return {row.name for row in rows if row.cluster.owner == owner}

    async def _put(self, name: str, cluster: ClusterSpec) -> None:
        row = ClusterRow(name=name, cluster=cluster, holder=self._holder)
        await self._journal.write(lambda store: store.clusters.put(row))


def _forget(store: JobStore, name: str) -> None:
    store.clusters.delete(name)
