"""State, monitoring, scaling and failures of one cluster of a pool."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from compute.cluster.bounded_waits import GONE_CHECKS
from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.connection import Connection
from compute.cluster.gateway import short_name
from compute.cluster.idle_policy import IdlePolicy
from compute.cluster.startup_progress import Stage
from compute.errors import ClusterError, GreenupError

_log = logging.getLogger(__name__)

CHECK_INTERVAL_S = 1.0
"""Interval in seconds between checks for a lost scheduler, which the client does not report."""


@dataclass(kw_only=True, eq=False)
class PooledCluster:
    """State of one cluster of the pool; to be changed by the pool only.

    Attributes
    ----------
    spec : ClusterSpec
        Specification, with the number of workers that was set last.
    idle_policy : IdlePolicy
        Last use and idle time limit.
    id : str
        Identifier for lists, which grants no access.
    stage : Stage or None
        Latest stage of the startup.
    connection : Connection or None
        Connection while the cluster is ready, otherwise None.
    error : str
        Sentence if the cluster could not be opened, was lost or was not stopped, otherwise empty; after an error,
        `ClusterPool.open` opens the cluster again.
    notice : str
        Sentence if the Gateway limits or refuses the requested workers, or the cluster was stopped after being idle;
        otherwise empty.
    resume : str
        Short name of an existing Gateway cluster to use instead of a new one; empty for a new cluster.
    wanted : int
        Maximum number of workers requested by `ClusterPool.open` since the cluster was last scaled.
    began : float
        Time when opening began, in seconds of `time.monotonic`.
    ready : asyncio.Future of Connection
        Future that is completed with the connection or an exception when opening ends.
    stopping : asyncio.Event
        Event that is set to request closing.
    """

    spec: ClusterSpec
    idle_policy: IdlePolicy
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    stage: Stage | None = None
    connection: Connection | None = None
    error: str = ""
    notice: str = ""
    resume: str = ""
    wanted: int = 0
    began: float = field(default_factory=time.monotonic)
    ready: asyncio.Future[Connection] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def short_name(self) -> str:
        """Short name of a Gateway cluster; empty for other kinds, and before the cluster has a name."""
        started = self.stage.cluster if self.stage else ""
        return started or self.resume or short_name(self.spec.name or "")


def count_open_clusters(spec: ClusterSpec, clusters: Iterable[PooledCluster], elsewhere: Set[str]) -> int:
    """Return the number of open clusters of an owner, not counting a requested one.

    Parameters
    ----------
    spec : ClusterSpec
        The requested cluster, which is not open on this server, with its owner.
    clusters : iterable of PooledCluster
        Clusters of this server.
    elsewhere : set of str
        Short names of the owner's Gateway clusters on other servers; those also in `clusters` count only once.
    """
    here = [each for each in clusters if each.spec.owner == spec.owner and not each.error]
    counted = {each.short_name for each in here} | {short_name(spec.name or "")}
    return len(here) + len(elsewhere - counted)


async def keep_open(pooled: PooledCluster, connection: Connection) -> bool:
    """Monitor a cluster until it must be closed.

    Parameters
    ----------
    pooled : PooledCluster
        The cluster.
    connection : Connection
        Its connection.

    Returns
    -------
    bool
        True if the idle time limit was reached, False if `PooledCluster.stopping` was set.

    Raises
    ------
    ClusterError
        The scheduler was lost.
    """
    gone = 0
    while connection.client.status not in ("closing", "closed") and gone < GONE_CHECKS:
        gone = gone + 1 if await connection.is_gone() else 0
        await _grow(pooled, connection)
        if pooled.spec.kind == "gateway":
            pooled.idle_policy.keep_active(connection.client)
        if pooled.idle_policy.seconds_left == 0.0:
            pooled.notice = f"The {connection.name} was stopped after being idle."
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_INTERVAL_S):
                await pooled.stopping.wait()
                return False
    raise ClusterError(f"The {connection.name} was lost and its results with it; compute again to open another.")


async def _grow(pooled: PooledCluster, connection: Connection) -> None:
    """Scale a cluster up, but never down, to the number of workers in `PooledCluster.wanted`."""
    wanted, pooled.wanted = pooled.wanted, 0
    enough = max(connection.workers, pooled.spec.workers or 0)
    if not connection.resizable or pooled.spec.most_workers or wanted <= enough:
        return
    try:
        allowed = await resize_cluster(pooled, connection, wanted)
    except GreenupError as error:
        pooled.notice = str(error)
    else:
        pooled.notice = "" if allowed == wanted else f"The Gateway allows {allowed} of {wanted} workers."


async def resize_cluster(pooled: PooledCluster, connection: Connection, n: int) -> int:
    """Set the number of workers of a cluster; raises as `Connection.scale`.

    Parameters
    ----------
    pooled : PooledCluster
        The cluster.
    connection : Connection
        Its connection.
    n : int
        Number of workers.

    Returns
    -------
    int
        Number of workers that the cluster will have.
    """
    allowed = await connection.scale(n)
    pooled.spec, pooled.notice = replace(pooled.spec, workers=allowed, most_workers=None), ""
    return allowed


async def adapt_cluster(pooled: PooledCluster, connection: Connection, least: int, most: int) -> int:
    """Start adaptive scaling of a cluster; raises as `Connection.adapt`.

    Parameters
    ----------
    pooled : PooledCluster
        The cluster.
    connection : Connection
        Its connection.
    least, most : int
        Minimum and maximum number of workers.

    Returns
    -------
    int
        Maximum number of workers that the cluster will have.
    """
    allowed = await connection.adapt(least, most)
    pooled.spec, pooled.notice = replace(pooled.spec, workers=min(least, allowed), most_workers=allowed), ""
    return allowed


def fail_waiters(pooled: PooledCluster, reason: GreenupError | None = None) -> None:
    """Set an exception on the `ready` future, unless it is already completed, for callers that await the cluster.

    Parameters
    ----------
    pooled : PooledCluster
        The cluster.
    reason : GreenupError, optional
        The exception. Default: a `ClusterError` with `PooledCluster.error`, or that the cluster was stopped.
    """
    if not pooled.ready.done():
        stopped = pooled.error or "The cluster was stopped; compute again to open one."
        pooled.ready.set_exception(reason or ClusterError(stopped))
        # Retrieved, so that asyncio does not log it if no caller awaits the future.
        pooled.ready.exception()


@contextmanager
def record_failure(pooled: PooledCluster) -> Iterator[None]:
    """Record an error of the body in the cluster and raise it again; reset the connection in any case."""
    try:
        yield
    except Exception as error:
        if not pooled.error:
            pooled.error = _describe_failure(pooled, error)
        fail_waiters(pooled, error if isinstance(error, GreenupError) else None)
        raise
    finally:
        pooled.connection = None


def _describe_failure(pooled: PooledCluster, error: Exception) -> str:
    if isinstance(error, GreenupError):
        return str(error)
    _log.error("A %s cluster failed", pooled.spec.kind, exc_info=error)
    return f"The cluster failed ({type(error).__name__}); try again, or ask the administrator of the server."
