"""Cluster pool: the open clusters of a server, shared by its visitors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Set
from contextlib import suppress

from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.connection import Connection, WarmUp
from compute.cluster.gateway import list_gateway_clusters, short_name, stop_gateway_cluster
from compute.cluster.idle_policy import Need
from compute.cluster.pooled_cluster import LOOK_S, PooledCluster, follow_work, give_up, keep_open, problem_noted, resize
from compute.cluster.startup import open_cluster
from compute.cluster.startup_progress import Stage
from compute.errors import ClusterError, InputError
from compute.settings import Settings


class ClusterPool:
    """Opens a cluster when it is first asked for, and holds it until it is stopped, lost or the pool closes.

    Parameters
    ----------
    settings : Settings
        Limits and addresses.
    warm_up : callable, optional
        Run once on every worker before the first task.

    Attributes
    ----------
    on_named : callable or None
        Told the short name of each cluster that a Gateway starts for this pool, and what was asked for, as soon as it
        has one.
    elsewhere : callable or None
        Returns the short names of the Gateway clusters of an owner that other pools have started, as far as they count
        for how many an owner may have open; None where there are no others.
    """

    def __init__(self, settings: Settings, warm_up: WarmUp | None = None) -> None:
        self.on_named: Callable[[str, ClusterSpec], None] | None = None
        self.elsewhere: Callable[[str], Set[str]] | None = None
        self._settings = settings
        self._warm_up = warm_up
        self._clusters: dict[tuple[object, ...], PooledCluster] = {}
        self._owners: dict[str, str | None] = {}
        # Apart from the clusters, since one that is being closed may have a successor already.
        self._tasks: dict[PooledCluster, asyncio.Task[None]] = {}

    def clusters(self) -> list[PooledCluster]:
        """Return the clusters that are open or being opened, and those that failed and were not asked for since."""
        return list(self._clusters.values())

    @property
    def owners(self) -> Mapping[str, str | None]:
        """Owner of each Gateway cluster that this pool has started or taken over, by its short name."""
        return self._owners

    @property
    def started(self) -> Mapping[str, ClusterSpec]:
        """Specification of each Gateway cluster that this pool has started or taken over and not stopped."""
        named = ((pooled.short_name, pooled.spec) for pooled in self._tasks if not pooled.spec.name)
        return {name: spec for name, spec in named if name}

    def open(self, spec: ClusterSpec) -> PooledCluster:
        """Start opening a cluster without waiting for it.

        One that is open already is returned, and grows where more workers are asked for than it has.

        Raises
        ------
        InputError
            Its owner has as many open as may be.
        """
        pooled = self._clusters.get(spec.identity)
        if pooled is None or pooled.error:
            self._refuse_too_many(spec)
            pooled = self._start(spec)
        pooled.need.note()
        pooled.wanted = max(pooled.wanted, spec.workers or 0)
        return pooled

    async def get(self, spec: ClusterSpec) -> Connection:
        """Return a ready connection, opening the cluster if need be.

        Raises
        ------
        ClusterError
            It could not be opened, or was stopped meanwhile.
        InputError
            As `open` does.
        """
        # Shielded, because others may wait for it too when one of them is cancelled.
        return await asyncio.shield(self.open(spec).ready)

    def take_over(self, spec: ClusterSpec, name: str) -> bool:
        """Connect to a Gateway cluster that another pool has started; from now on it is as if this one had.

        Parameters
        ----------
        spec : ClusterSpec
            What it was started for.
        name : str
            Its short name.

        Returns
        -------
        bool
            False where this pool has another cluster in its place: nothing is done.
        """
        held = self._clusters.get(spec.identity)
        if held is not None and not held.error:
            return False
        self._owners[name] = spec.owner
        self._start(spec, resume=name)
        return True

    def name_of(self, spec: ClusterSpec) -> str:
        """Return the short name of a Gateway cluster of the pool; empty for other kinds, and before it has one."""
        pooled = self._clusters.get(spec.identity)
        return "" if pooled is None else pooled.short_name

    def use(self, spec: ClusterSpec) -> None:
        """Say that a cluster of the pool is needed now, so that it neither falls asleep nor is let go."""
        pooled = self._clusters.get(spec.identity)
        if pooled is not None:
            pooled.need.note()

    def keep_warm(self, spec: ClusterSpec, *, warm: bool) -> None:
        """Choose whether a cluster stays when nobody needs it."""
        pooled = self._clusters.get(spec.identity)
        if pooled is not None:
            pooled.need.warm = warm

    async def running(self) -> set[str]:
        """Return the short names of the clusters that start or run at the Gateway.

        Raises
        ------
        InputError
            No Gateway is configured.
        ClusterError
            It cannot be reached, or refuses the login.
        """
        return {each.short_name for each in await list_gateway_clusters(self._settings)}

    async def stop_started(self, name: str) -> None:
        """Have the Gateway stop a cluster that was started and is open here no more; raises as `running` does."""
        await stop_gateway_cluster(self._settings, name)

    def holds(self, connection: Connection) -> bool:
        """Tell whether a connection can be used, as far as is known."""
        there = (pooled.connection is connection for pooled in self._tasks)
        return connection.client.status == "running" and any(there)

    async def settled(self, spec: ClusterSpec) -> bool:
        """Wait until a cluster whose scheduler does not answer is back, or closed; False where it was stopped."""
        while (pooled := self._clusters.get(spec.identity)) is not None:
            if pooled not in self._tasks or (pooled.connection is not None and self.holds(pooled.connection)):
                return True
            await asyncio.sleep(LOOK_S / 4)
        return False

    async def scale(self, spec: ClusterSpec, n: int) -> int:
        """Change the number of workers of an open cluster; results move to those that stay.

        Parameters
        ----------
        spec : ClusterSpec
            The cluster; its own number of workers does not matter.
        n : int
            Workers to have, at least 1.

        Returns
        -------
        int
            Workers that the cluster will have: fewer than `n` where the Gateway allows no more.

        Raises
        ------
        InputError
            `n` is out of bounds, or the cluster has a size of its own.
        ClusterError
            The cluster is not open, or cannot be reached.
        """
        pooled, connection = self._ready(spec)
        return await resize(pooled, connection, n)

    async def adapt(self, spec: ClusterSpec, least: int, most: int) -> int:
        """Have an open cluster follow its work between two numbers of workers, until it is scaled.

        Returns
        -------
        int
            Most workers that the cluster will have: fewer than `most` where the Gateway allows no more.

        Raises
        ------
        InputError, ClusterError
            As `scale` does.
        """
        pooled, connection = self._ready(spec)
        return await follow_work(pooled, connection, least, most)

    async def stop(self, spec: ClusterSpec) -> None:
        """Close a cluster; one that this pool started is shut down. Its results are lost.

        Raises
        ------
        ClusterError
            It is closed here, but the Gateway did not shut it down.
        """
        pooled = self._clusters.pop(spec.identity, None)
        if pooled is None or pooled.error:
            return
        await self._end(pooled)
        if pooled.error:
            raise ClusterError(pooled.error)

    async def close(self) -> None:
        """Close every cluster."""
        self._clusters.clear()
        await asyncio.gather(*(self._end(pooled) for pooled in list(self._tasks)))

    def _ready(self, spec: ClusterSpec) -> tuple[PooledCluster, Connection]:
        pooled = self._clusters.get(spec.identity)
        if pooled is None or pooled.connection is None:
            raise ClusterError("The cluster is not ready; scale it once it is.")
        pooled.wanted = 0
        return pooled, pooled.connection

    def _refuse_too_many(self, spec: ClusterSpec) -> None:
        most = self._settings.max_clusters_per_user
        if spec.owner is not None and self._open_besides(spec, spec.owner) >= most:
            raise InputError(
                "cluster",
                f"You have {most} clusters open, and may have no more; stop or leave one, or choose one of them.",
            )

    def _open_besides(self, spec: ClusterSpec, owner: str) -> int:
        """Return how many other clusters an owner has open, here and elsewhere."""
        here = [each for each in self.clusters() if each.spec.owner == owner and not each.error]
        # To connect to one that is open elsewhere makes it no second one.
        counted = {each.short_name for each in here} | {short_name(spec.name or "")}
        elsewhere = set() if self.elsewhere is None else self.elsewhere(owner) - counted
        return len(here) + len(elsewhere)

    def _start(self, spec: ClusterSpec, resume: str = "") -> PooledCluster:
        need = Need.of(spec, self._settings.cluster_linger_s)
        pooled = self._clusters[spec.identity] = PooledCluster(spec=spec, need=need, resume=resume)

        def ended(_: asyncio.Task[None]) -> None:
            del self._tasks[pooled]
            give_up(pooled)

        # Not at the end of the task itself, which never begins when it is cancelled at once.
        self._tasks[pooled] = asyncio.create_task(self._hold(pooled), name=f"{pooled.spec.kind} cluster")
        self._tasks[pooled].add_done_callback(ended)
        return pooled

    async def _end(self, pooled: PooledCluster) -> None:
        task = self._tasks.get(pooled)
        if task is None:
            return
        if not (pooled.stopping.is_set() or pooled.ready.done()):
            task.cancel()
        pooled.stopping.set()
        # Waited for rather than awaited: it closes to the end also when whoever stops it goes away.
        await asyncio.wait([task])

    async def _hold(self, pooled: PooledCluster) -> None:
        def note(stage: Stage) -> None:
            pooled.stage = stage
            if stage.cluster and not pooled.spec.name and stage.cluster not in self._owners:
                self._owners[stage.cluster] = pooled.spec.owner
                if self.on_named is not None:
                    self.on_named(stage.cluster, pooled.spec)

        # Whoever waits for the cluster is told why; nobody awaits this.
        with suppress(Exception), problem_noted(pooled):
            async with open_cluster(
                pooled.spec, self._settings, on_stage=note, warm_up=self._warm_up, resume=pooled.resume
            ) as connection:
                pooled.connection = connection
                pooled.need.note()
                pooled.ready.set_result(connection)
                await self._keep_open(pooled, connection)

    async def _keep_open(self, pooled: PooledCluster, connection: Connection) -> None:
        # Lost before it is closed, which takes a while: a client that gets through meanwhile claims to run.
        with problem_noted(pooled):
            if await keep_open(pooled, connection):
                self._clusters.pop(pooled.spec.identity, None)
