"""Clusters that a server keeps open for all of its visitors."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from compute.cluster.connection import Connection, WarmUp
from compute.cluster.gateway import list_gateway_clusters, short_name
from compute.cluster.need import Need
from compute.cluster.opening import open_cluster
from compute.cluster.spec import ClusterSpec
from compute.cluster.stages import Stage
from compute.errors import ClusterError, GreenupError
from compute.settings import Settings

_log = logging.getLogger(__name__)

# How soon a lost scheduler shows; its client gave up long before, and tells nobody.
_LOOK_S = 1.0


@dataclass(kw_only=True, eq=False)
class PooledCluster:
    """One cluster of the pool. Changed by the pool alone.

    Attributes
    ----------
    spec : ClusterSpec
        What was asked for; its number of workers is the one asked for last.
    id : str
        Names it in lists; it opens nothing.
    stage : Stage or None
        The latest stage of its start.
    connection : Connection or None
        Once it is ready, and as long as it is.
    error : str
        One sentence, where it could not be opened, was lost or not stopped; the next who asks has it opened again.
    notice : str
        One sentence, where more workers were asked for than it can have; it goes on with those that it has.
    need : Need
        Who needs it, and when it is let go.
    wanted : int
        Most workers that were asked for by opening it again, until it is scaled to them.
    began : float
        When opening began, in seconds of `time.monotonic`.
    ready : asyncio.Future of Connection
        Settled when opening ends, whichever way.
    stopping : asyncio.Event
        Set when it is to be closed.
    """

    spec: ClusterSpec
    need: Need
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    stage: Stage | None = None
    connection: Connection | None = None
    error: str = ""
    notice: str = ""
    wanted: int = 0
    began: float = field(default_factory=time.monotonic)
    ready: asyncio.Future[Connection] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def short_name(self) -> str:
        """Short name of a Gateway cluster, once it has one; empty for other kinds."""
        started = self.stage.cluster if self.stage else ""
        return started or short_name(self.spec.name or "")


class ClusterPool:
    """Opens a cluster when it is first asked for, and holds it until it is stopped, lost or the pool closes.

    Parameters
    ----------
    settings : Settings
        Limits and addresses.
    warm_up : callable, optional
        Run once on every worker before the first task.
    """

    def __init__(self, settings: Settings, warm_up: WarmUp | None = None) -> None:
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
        """Whose each Gateway cluster is that this pool has ever started, stopped or not, by its short name."""
        return self._owners

    def open(self, spec: ClusterSpec) -> PooledCluster:
        """Start opening a cluster without waiting for it.

        One that is open already is returned, and grows where more workers are asked for than it has.
        """
        pooled = self._clusters.get(spec.identity)
        if pooled is None or pooled.error:
            need = Need.of(spec, self._settings.cluster_linger_s)
            pooled = self._clusters[spec.identity] = PooledCluster(spec=spec, need=need)
            self._start(pooled)
        pooled.need.note()
        pooled.wanted = max(pooled.wanted, spec.workers or 0)
        return pooled

    async def get(self, spec: ClusterSpec) -> Connection:
        """Return a ready connection, opening the cluster if need be.

        Raises
        ------
        ClusterError
            It could not be opened, or was stopped meanwhile.
        """
        # Shielded, because others may wait for it too when one of them is cancelled.
        return await asyncio.shield(self.open(spec).ready)

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

    async def runs(self, name: str) -> bool:
        """Tell whether a cluster of that short name runs at the Gateway; False where it cannot be asked."""
        try:
            return name in [each.short_name for each in await list_gateway_clusters(self._settings)]
        except GreenupError:
            return False

    async def settled(self, spec: ClusterSpec) -> bool:
        """Wait until a cluster whose scheduler does not answer is back, or given up; False where it was stopped."""
        while (pooled := self._clusters.get(spec.identity)) is not None:
            if pooled.connection is None or pooled.connection.client.status == "running":
                return True
            await asyncio.sleep(_LOOK_S / 4)
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
        pooled = self._clusters.get(spec.identity)
        if pooled is None or pooled.connection is None:
            raise ClusterError("The cluster is not ready; scale it once it is.")
        pooled.wanted = 0
        return await _resize(pooled, pooled.connection, n)

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

    def _start(self, pooled: PooledCluster) -> None:
        def ended(_: asyncio.Task[None]) -> None:
            del self._tasks[pooled]
            _give_up(pooled)

        # Not at the end of the task itself, which never begins when it is cancelled at once.
        self._tasks[pooled] = asyncio.create_task(self._hold(pooled), name=f"{pooled.spec.kind} cluster")
        self._tasks[pooled].add_done_callback(ended)

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
            if stage.cluster and not pooled.spec.name:
                self._owners[stage.cluster] = pooled.spec.owner

        try:
            async with open_cluster(
                pooled.spec, self._settings, on_stage=note, warm_up=self._warm_up
            ) as pooled.connection:
                pooled.need.note()
                pooled.ready.set_result(pooled.connection)
                if await _keep(pooled, pooled.connection):
                    self._clusters.pop(pooled.spec.identity, None)
        except GreenupError as error:
            pooled.error = str(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            _log.exception("A %s cluster failed", pooled.spec.kind)
            pooled.error = f"The cluster failed ({type(error).__name__}); try again, or ask those who run the server."
        finally:
            pooled.connection = None


async def _keep(pooled: PooledCluster, connection: Connection) -> bool:
    """Let a cluster grow until it is to be closed, and tell whether that is because nobody needs it.

    Raises
    ------
    ClusterError
        Its scheduler is gone before.
    """
    while connection.client.status not in ("closing", "closed"):
        await _grow(pooled, connection)
        if pooled.spec.kind == "gateway":
            pooled.need.stir(connection.client)
        if pooled.need.left == 0.0:
            pooled.notice = f"The {connection.name} was let go, as nobody needed it."
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await pooled.stopping.wait()
                return False
    raise ClusterError(f"The {connection.name} was lost and its results with it; compute again to open another.")


async def _grow(pooled: PooledCluster, connection: Connection) -> None:
    """Ask for the workers that came to be wanted since it opened; never for fewer than there are."""
    wanted, pooled.wanted = pooled.wanted, 0
    if not connection.resizable or wanted <= max(connection.workers, pooled.spec.workers or 0):
        return
    try:
        allowed = await _resize(pooled, connection, wanted)
    except GreenupError as error:
        pooled.notice = str(error)
    else:
        pooled.notice = "" if allowed == wanted else f"The Gateway allows {allowed} of {wanted} workers."


async def _resize(pooled: PooledCluster, connection: Connection, n: int) -> int:
    allowed = await connection.scale(n)
    pooled.spec, pooled.notice = replace(pooled.spec, workers=allowed), ""
    return allowed


def _give_up(pooled: PooledCluster) -> None:
    """Tell those who still wait that they wait in vain."""
    if not pooled.ready.done():
        pooled.ready.set_exception(ClusterError(pooled.error or "The cluster was stopped; compute again to open one."))
        # Looked at, or asyncio would report it as forgotten where nobody waits.
        pooled.ready.exception()
