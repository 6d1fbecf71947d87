"""Clusters that a server keeps open for all of its visitors."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field

from compute.cluster.connection import Connection, WarmUp
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
        What was asked for.
    stage : Stage or None
        The latest stage of its start.
    connection : Connection or None
        Once it is ready, and as long as it is.
    error : str
        One sentence, where it could not be opened or was lost; the next who asks has it opened again.
    ready : asyncio.Future of Connection
        Settled when opening ends, whichever way.
    stopping : asyncio.Event
        Set when it is to be closed.
    """

    spec: ClusterSpec
    stage: Stage | None = None
    connection: Connection | None = None
    error: str = ""
    ready: asyncio.Future[Connection] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


_Key = tuple[str, str | None, str | None, frozenset[tuple[str, str]]]


def _key(spec: ClusterSpec) -> _Key:
    """Return what makes two specifications the same cluster; its number of workers may change."""
    return spec.kind, spec.name, spec.address, frozenset(spec.options.items())


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
        self._clusters: dict[_Key, PooledCluster] = {}
        # Apart from the clusters, since one that is being closed may have a successor already.
        self._tasks: dict[PooledCluster, asyncio.Task[None]] = {}

    def clusters(self) -> list[PooledCluster]:
        """Return the clusters that are open or being opened, and those that failed and were not asked for since."""
        return list(self._clusters.values())

    def open(self, spec: ClusterSpec) -> PooledCluster:
        """Start opening a cluster without waiting for it; one that is open already is returned."""
        key = _key(spec)
        pooled = self._clusters.get(key)
        if pooled is None or pooled.error:
            pooled = self._clusters[key] = PooledCluster(spec=spec)
            self._start(pooled)
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

    async def stop(self, spec: ClusterSpec) -> None:
        """Close a cluster; one that this pool started is shut down. Its results are lost."""
        pooled = self._clusters.pop(_key(spec), None)
        if pooled is not None:
            await self._end(pooled)

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

        try:
            async with open_cluster(
                pooled.spec, self._settings, on_stage=note, warm_up=self._warm_up
            ) as pooled.connection:
                pooled.ready.set_result(pooled.connection)
                await _until_stopped(pooled, pooled.connection)
        except GreenupError as error:
            pooled.error = str(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            _log.exception("A %s cluster failed", pooled.spec.kind)
            pooled.error = f"The cluster failed ({type(error).__name__}); try again, or ask those who run the server."
        finally:
            pooled.connection = None


async def _until_stopped(pooled: PooledCluster, connection: Connection) -> None:
    """Wait until a cluster is to be closed; raise a `ClusterError` when its scheduler is gone before."""
    while connection.client.status not in ("closing", "closed"):
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await pooled.stopping.wait()
                return
    raise ClusterError(f"The {connection.name} was lost and its results with it; compute again to open another.")


def _give_up(pooled: PooledCluster) -> None:
    """Tell those who still wait that they wait in vain."""
    if not pooled.ready.done():
        pooled.ready.set_exception(ClusterError(pooled.error or "The cluster was stopped; compute again to open one."))
        # Looked at, or asyncio would report it as forgotten where nobody waits.
        pooled.ready.exception()
