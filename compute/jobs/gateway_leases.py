"""Leases of Gateway clusters: record their owners, and take over or stop the clusters of servers that have ended."""

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
    """Records the Gateway clusters of the pool in the durable list, and takes over those of servers that have ended.

    Clusters that no server of this list has started are not touched.

    Parameters
    ----------
    store : AsyncJobStore
        The durable list.
    holder : str
        Name of this server among those that share the list.
    pool : ClusterPool
        Clusters of this server.
    """

    def __init__(self, store: AsyncJobStore, holder: str, pool: ClusterPool) -> None:
        self._store = store
        self._holder = holder
        self._pool = pool
        self._listed: dict[str, ClusterRow] = {}
        self._writing: set[asyncio.Task[None]] = set()
        pool.on_named = self._record_cluster
        pool.elsewhere = self._clusters_elsewhere

    @property
    def owners(self) -> Mapping[str, str | None]:
        """Owner of each cluster that any server of the list has started, by its short name."""
        return {name: row.cluster.owner for name, row in self._listed.items()} | dict(self._pool.owners)

    async def take_over_clusters(self) -> None:
        """Record unlisted clusters of the pool, take over clusters without a server, and open or stop them.

        Raises
        ------
        JobStoreError
            The list cannot be read.
        """
        for name, cluster in self._pool.started.items():
            if name not in self._listed:
                await self._add_cluster(name, cluster)
        rows = await self._store.read(lambda store: store.clusters.list_clusters())
        if any(row.holder != self._holder for row in rows):
            await self._store.write(lambda store: store.clusters.take_over_unheld(self._holder))
            rows = await self._store.read(lambda store: store.clusters.list_clusters())
        self._listed = {row.name: row for row in rows}
        unopened = [row for row in rows if row.holder == self._holder and row.name not in self._pool.started]
        if unopened:
            await self._settle_clusters(unopened)

    async def close(self) -> None:
        """Wait for pending writes. The next server removes clusters from the list that the pool stops later."""
        await asyncio.gather(*self._writing)

    async def _settle_clusters(self, rows: list[ClusterRow]) -> None:
        """Open the clusters that this server has taken over, or stop them; delete stopped ones from the list."""
        try:
            running = await self._pool.list_running()
            for row in rows:
                if row.name not in running:
                    await self._store.write(partial(_delete_cluster, name=row.name))
                elif not self._open_cluster(row):
                    await self._pool.stop_gateway(row.name)
        except GreenupError:
            # The Gateway cannot be reached; the next call may succeed.
            return

    def _open_cluster(self, row: ClusterRow) -> bool:
        """Open a cluster of a user; return False for the own cluster of a server, or one that the pool has closed."""
        if row.cluster.owner is None or row.name in self._pool.owners:
            return False
        return self._pool.adopt_cluster(row.cluster, row.name)

    def _record_cluster(self, name: str, cluster: ClusterSpec) -> None:
        """Add a cluster to the list as soon as it has a name, because a server may end at any moment."""
        writing = asyncio.create_task(self._add_cluster(name, cluster))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    def _clusters_elsewhere(self, owner: str) -> Set[str]:
        """Return the short names of an owner's clusters that other servers held when the list was last read."""
        rows = (row for row in self._listed.values() if row.holder != self._holder)
        return {row.name for row in rows if row.cluster.owner == owner}

    async def _add_cluster(self, name: str, cluster: ClusterSpec) -> None:
        row = ClusterRow(name=name, cluster=cluster, holder=self._holder)
        await self._store.write(lambda store: store.clusters.add_cluster(row))


def _delete_cluster(store: JobStore, name: str) -> None:
    store.clusters.delete_cluster(name)
