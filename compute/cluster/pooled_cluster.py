"""One cluster of a pool: state, monitoring, scaling and failure."""

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
"""Interval between checks for a lost scheduler, in seconds; the client does not report it."""


@dataclass(kw_only=True, eq=False)
class PooledCluster:
    """One cluster of the pool. Only the pool changes it.

    Attributes
    ----------
    spec : ClusterSpec
        Specification, with the number of workers that was requested last.
    idle_policy : IdlePolicy
        Last use and idle time limit.
    id : str
        Identifier in lists; grants no access.
    stage : Stage or None
        Latest stage of the start.
    connection : Connection or None
        Set while the cluster is ready.
    error : str
        One sentence, if it could not be opened, was lost or not stopped; `ClusterPool.open` then opens it again.
    notice : str
        One sentence, if it cannot have all requested workers.
    resume : str
        Short name of an existing Gateway cluster to use instead of a new one; empty for none.
    wanted : int
        Largest number of workers requested by later `ClusterPool.open` calls, until the cluster is scaled.
    began : float
        Start of opening, in seconds of `time.monotonic`.
    ready : asyncio.Future of Connection
        Set when opening ends, with a result or an exception.
    stopping : asyncio.Event
        Set to request closing.
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
        """Short name of a Gateway cluster, once known; empty for other kinds."""
        started = self.stage.cluster if self.stage else ""
        return started or self.resume or short_name(self.spec.name or "")


def count_open_clusters(spec: ClusterSpec, clusters: Iterable[PooledCluster], elsewhere: Set[str]) -> int:
    """Return the number of clusters that an owner has open beside a requested one.

    Parameters
    ----------
    spec : ClusterSpec
        The requested cluster, with its owner.
    clusters : iterable of PooledCluster
        Clusters of this server.
    elsewhere : set of str
        Short names of the owner's Gateway clusters on other servers; each cluster counts once.
    """
    here = [each for each in clusters if each.spec.owner == spec.owner and not each.error]
    counted = {each.short_name for each in here} | {short_name(spec.name or "")}
    return len(here) + len(elsewhere - counted)


async def keep_open(pooled: PooledCluster, connection: Connection) -> bool:
    """Monitor a cluster until it is to be closed.

    Parameters
    ----------
    pooled : PooledCluster
        The cluster.
    connection : Connection
        Its connection.

    Returns
    -------
    bool
        True if it is to be closed as idle, False if `PooledCluster.stopping` is set.

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
    """Scale up to the number of workers requested since opening; never down."""
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
    """Fail the `ready` future, for callers that wait for the cluster.

    Parameters
    ----------
    pooled : PooledCluster
        The cluster.
    reason : GreenupError, optional
        Error to raise. Default: the cluster's error, or that it was stopped.
    """
    if not pooled.ready.done():
        stopped = pooled.error or "The cluster was stopped; compute again to open one."
        pooled.ready.set_exception(reason or ClusterError(stopped))
        # Retrieved, so that asyncio does not log it if there is no waiter.
        pooled.ready.exception()


@contextmanager
def record_failure(pooled: PooledCluster) -> Iterator[None]:
    """Record the error of the body, and raise it; the cluster has no connection afterwards."""
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
