"""Cluster pool: the open clusters of a server, shared by its visitors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Set
from contextlib import suppress

from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.connection import Connection, WarmUp
from compute.cluster.gateway import list_gateway_clusters, stop_gateway_cluster
from compute.cluster.idle_policy import IdlePolicy
from compute.cluster.pooled_cluster import (
    CHECK_INTERVAL_S,
    PooledCluster,
    adapt_cluster,
    count_open_clusters,
    fail_waiters,
    keep_open,
    record_failure,
    resize_cluster,
)
from compute.cluster.startup import open_cluster
from compute.cluster.startup_progress import Stage
from compute.errors import ClusterError, InputError
from compute.settings import Settings


class ClusterPool:
    """Pool that opens clusters on first use, and keeps each open until it is stopped, idle for too long, or lost.

    Parameters
    ----------
    settings : Settings
        Limits and addresses.
    warm_up : callable, optional
        Function to run once on every worker before the first task.

    Attributes
    ----------
    on_named : callable or None
        Called with the short name and the specification of each Gateway cluster that this pool starts, once it is
        named.
    elsewhere : callable or None
        Returns the short names of an owner's Gateway clusters that other pools started and that count towards the
        limit; None without other pools.
    """

    def __init__(self, settings: Settings, warm_up: WarmUp | None = None) -> None:
        self.on_named: Callable[[str, ClusterSpec], None] | None = None
        self.elsewhere: Callable[[str], Set[str]] | None = None
        self._settings = settings
        self._warm_up = warm_up
        self._clusters: dict[tuple[object, ...], PooledCluster] = {}
        self._owners: dict[str, str | None] = {}
        # Separate from `_clusters`, in which a closing cluster may already be replaced by its successor.
        self._tasks: dict[PooledCluster, asyncio.Task[None]] = {}

    def clusters(self) -> list[PooledCluster]:
        """Return the clusters that are open or opening, and failed ones that were not opened again."""
        return list(self._clusters.values())

    @property
    def owners(self) -> Mapping[str, str | None]:
        """Owner of each Gateway cluster that this pool started or adopted, by short name."""
        return self._owners

    @property
    def started(self) -> Mapping[str, ClusterSpec]:
        """Specification of each Gateway cluster that this pool started or adopted and still runs, by short name."""
        named = ((pooled.short_name, pooled.spec) for pooled in self._tasks if not pooled.spec.name)
        return {name: spec for name, spec in named if name}

    def open(self, spec: ClusterSpec) -> PooledCluster:
        """Start opening a cluster, without waiting for it.

        If the cluster is open already, it is returned, and scaled up if `spec` requests more workers.

        Raises
        ------
        InputError
            The owner already has the maximum number of clusters open.
        """
        pooled = self._clusters.get(spec.identity)
        if pooled is None or pooled.error:
            self._refuse_too_many(spec)
            pooled = self._start(spec)
        pooled.idle_policy.mark_used()
        pooled.wanted = max(pooled.wanted, spec.workers or 0)
        return pooled

    async def get(self, spec: ClusterSpec) -> Connection:
        """Return a ready connection, opening the cluster if necessary.

        Raises
        ------
        InputError, ClusterError
            The owner has too many clusters open, or the cluster could not be opened or was stopped meanwhile.
        """
        # Shielded, because other callers may await the same future.
        return await asyncio.shield(self.open(spec).ready)

    def adopt_cluster(self, spec: ClusterSpec, name: str) -> bool:
        """Connect to a Gateway cluster that another pool started, and manage it in this pool.

        Parameters
        ----------
        spec : ClusterSpec
            Specification with which the cluster was started.
        name : str
            Short name of the cluster.

        Returns
        -------
        bool
            True if the cluster was adopted, False if this pool already has a cluster for `spec`.
        """
        held = self._clusters.get(spec.identity)
        if held is not None and not held.error:
            return False
        self._owners[name] = spec.owner
        self._start(spec, resume=name)
        return True

    def cluster_name(self, spec: ClusterSpec) -> str:
        """Return the short name of a Gateway cluster of the pool; empty for other kinds, and before it has a name."""
        pooled = self._clusters.get(spec.identity)
        return "" if pooled is None else pooled.short_name

    def mark_used(self, spec: ClusterSpec) -> None:
        """Record that a cluster is in use, so that it is not stopped as idle."""
        pooled = self._clusters.get(spec.identity)
        if pooled is not None:
            pooled.idle_policy.mark_used()

    def set_warm(self, spec: ClusterSpec, *, warm: bool) -> None:
        """Set whether a cluster stays open when it is idle.

        Parameters
        ----------
        spec : ClusterSpec
            The cluster.
        warm : bool
            True to keep the cluster open.
        """
        pooled = self._clusters.get(spec.identity)
        if pooled is not None:
            pooled.idle_policy.warm = warm

    async def list_running(self) -> set[str]:
        """Return the short names of the clusters that are starting or running at the Gateway.

        Raises
        ------
        InputError, ClusterError
            No Gateway is configured, or the Gateway cannot be reached or refuses the login.
        """
        return {each.short_name for each in await list_gateway_clusters(self._settings)}

    async def stop_gateway(self, name: str) -> None:
        """Stop a Gateway cluster that is not open in this pool; raises as `stop_gateway_cluster`."""
        await stop_gateway_cluster(self._settings, name)

    def is_usable(self, connection: Connection) -> bool:
        """Return whether the client of a connection is running and its cluster is in this pool."""
        there = (pooled.connection is connection for pooled in self._tasks)
        return connection.client.status == "running" and any(there)

    async def wait_until_settled(self, spec: ClusterSpec) -> bool:
        """Wait until an unresponsive cluster is usable again or has failed; return False if it was stopped."""
        while (pooled := self._clusters.get(spec.identity)) is not None:
            if pooled not in self._tasks or (pooled.connection is not None and self.is_usable(pooled.connection)):
                return True
            await asyncio.sleep(CHECK_INTERVAL_S / 4)
        return False

    async def scale(self, spec: ClusterSpec, n: int) -> int:
        """Set the number of workers of an open cluster; returns and raises as `Connection.scale`.

        Parameters
        ----------
        spec : ClusterSpec
            The cluster; `spec.workers` is ignored.
        n : int
            Number of workers.

        Raises
        ------
        ClusterError
            The cluster is not open.
        """
        pooled, connection = self._require_ready(spec)
        return await resize_cluster(pooled, connection, n)

    async def adapt(self, spec: ClusterSpec, least: int, most: int) -> int:
        """Start adaptive scaling of an open cluster, until `scale` is called; returns and raises as `Connection.adapt`.

        Parameters
        ----------
        spec : ClusterSpec
            The cluster; `spec.workers` is ignored.
        least, most : int
            Minimum and maximum number of workers.

        Raises
        ------
        ClusterError
            The cluster is not open.
        """
        pooled, connection = self._require_ready(spec)
        return await adapt_cluster(pooled, connection, least, most)

    async def stop(self, spec: ClusterSpec) -> None:
        """Disconnect from a cluster, and shut it down if this pool started or adopted it; results in memory are lost.

        Raises
        ------
        ClusterError
            The pool has disconnected from the cluster, but the Gateway did not shut it down.
        """
        pooled = self._clusters.pop(spec.identity, None)
        if pooled is None or pooled.error:
            return
        await self._close_cluster(pooled)
        if pooled.error:
            raise ClusterError(pooled.error)

    async def close(self) -> None:
        """Close every cluster."""
        self._clusters.clear()
        await asyncio.gather(*(self._close_cluster(pooled) for pooled in list(self._tasks)))

    def _require_ready(self, spec: ClusterSpec) -> tuple[PooledCluster, Connection]:
        pooled = self._clusters.get(spec.identity)
        if pooled is None or pooled.connection is None:
            raise ClusterError("The cluster is not ready; scale it once it is.")
        pooled.wanted = 0
        return pooled, pooled.connection

    def _refuse_too_many(self, spec: ClusterSpec) -> None:
        if spec.owner is None:
            return
        most = self._settings.max_clusters_per_user
        elsewhere = set[str]() if self.elsewhere is None else self.elsewhere(spec.owner)
        if count_open_clusters(spec, self.clusters(), elsewhere) >= most:
            raise InputError(
                "cluster",
                f"You have {most} clusters open, and may have no more; stop or leave one, or choose one of them.",
            )

    def _start(self, spec: ClusterSpec, resume: str = "") -> PooledCluster:
        idle_policy = IdlePolicy.for_cluster(spec, self._settings.cluster_linger_s)
        pooled = self._clusters[spec.identity] = PooledCluster(spec=spec, idle_policy=idle_policy, resume=resume)

        def ended(_: asyncio.Task[None]) -> None:
            del self._tasks[pooled]
            fail_waiters(pooled)

        # In a callback, because a task that is cancelled before its first step never runs its own code.
        self._tasks[pooled] = asyncio.create_task(self._run_cluster(pooled), name=f"{pooled.spec.kind} cluster")
        self._tasks[pooled].add_done_callback(ended)
        return pooled

    async def _close_cluster(self, pooled: PooledCluster) -> None:
        task = self._tasks.get(pooled)
        if task is None:
            return
        if not (pooled.stopping.is_set() or pooled.ready.done()):
            task.cancel()
        pooled.stopping.set()
        # `asyncio.wait`, so that the task finishes even if this caller is cancelled.
        await asyncio.wait([task])

    async def _run_cluster(self, pooled: PooledCluster) -> None:
        def record_stage(stage: Stage) -> None:
            pooled.stage = stage
            if stage.cluster and not pooled.spec.name and stage.cluster not in self._owners:
                self._owners[stage.cluster] = pooled.spec.owner
                if self.on_named is not None:
                    self.on_named(stage.cluster, pooled.spec)

        with suppress(Exception), record_failure(pooled):  # callers of `get` receive the error
            async with open_cluster(
                pooled.spec, self._settings, on_stage=record_stage, warm_up=self._warm_up, resume=pooled.resume
            ) as connection:
                pooled.connection = connection
                pooled.idle_policy.mark_used()
                pooled.ready.set_result(connection)
                await self._keep_open(pooled, connection)

    async def _keep_open(self, pooled: PooledCluster, connection: Connection) -> None:
        # Recorded before closing, which takes time, and during which the status of the client may still be "running".
        with record_failure(pooled):
            if await keep_open(pooled, connection):
                self._clusters.pop(pooled.spec.identity, None)
