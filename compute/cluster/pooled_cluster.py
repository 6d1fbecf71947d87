"""One open cluster of a server: its state, connection and end."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from compute.cluster.bounded_waits import GONE_LOOKS
from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.connection import Connection
from compute.cluster.gateway import short_name
from compute.cluster.idle_policy import Need
from compute.cluster.startup_progress import Stage
from compute.errors import ClusterError, GreenupError

_log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How soon a lost scheduler shows; its client gave up long before, and tells nobody."""


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
    resume : str
        Short name of the Gateway cluster that stands for the one to start; empty for none.
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
    resume: str = ""
    wanted: int = 0
    began: float = field(default_factory=time.monotonic)
    ready: asyncio.Future[Connection] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def short_name(self) -> str:
        """Short name of a Gateway cluster, once it has one; empty for other kinds."""
        started = self.stage.cluster if self.stage else ""
        return started or self.resume or short_name(self.spec.name or "")


async def keep_open(pooled: PooledCluster, connection: Connection) -> bool:
    """Let a cluster grow until it is to be closed, and tell whether that is because nobody needs it.

    Raises
    ------
    ClusterError
        Its scheduler is gone before.
    """
    gone = 0
    while connection.client.status not in ("closing", "closed") and gone < GONE_LOOKS:
        gone = gone + 1 if await connection.is_gone() else 0
        await _grow(pooled, connection)
        if pooled.spec.kind == "gateway":
            pooled.need.stir(connection.client)
        if pooled.need.left == 0.0:
            pooled.notice = f"The {connection.name} was let go, as nobody needed it."
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await pooled.stopping.wait()
                return False
    raise ClusterError(f"The {connection.name} was lost and its results with it; compute again to open another.")


async def _grow(pooled: PooledCluster, connection: Connection) -> None:
    """Ask for the workers that came to be wanted since it opened; never for fewer than there are."""
    wanted, pooled.wanted = pooled.wanted, 0
    enough = max(connection.workers, pooled.spec.workers or 0)
    if not connection.resizable or pooled.spec.most_workers or wanted <= enough:
        return
    try:
        allowed = await resize(pooled, connection, wanted)
    except GreenupError as error:
        pooled.notice = str(error)
    else:
        pooled.notice = "" if allowed == wanted else f"The Gateway allows {allowed} of {wanted} workers."


async def resize(pooled: PooledCluster, connection: Connection, n: int) -> int:
    """Ask for a number of workers, and return how many the cluster will have; raises as `Connection.scale` does."""
    allowed = await connection.scale(n)
    pooled.spec, pooled.notice = replace(pooled.spec, workers=allowed, most_workers=None), ""
    return allowed


async def follow_work(pooled: PooledCluster, connection: Connection, least: int, most: int) -> int:
    """Have it follow its work, and return the most workers that it will have; raises as `Connection.adapt` does."""
    allowed = await connection.adapt(least, most)
    pooled.spec, pooled.notice = replace(pooled.spec, workers=min(least, allowed), most_workers=allowed), ""
    return allowed


def give_up(pooled: PooledCluster, reason: GreenupError | None = None) -> None:
    """Tell those who still wait that they wait in vain."""
    if not pooled.ready.done():
        stopped = pooled.error or "The cluster was stopped; compute again to open one."
        pooled.ready.set_exception(reason or ClusterError(stopped))
        # Looked at, or asyncio would report it as forgotten where nobody waits.
        pooled.ready.exception()


@contextmanager
def problem_noted(pooled: PooledCluster) -> Iterator[None]:
    """Note why the body failed, if it does, and fail; however it ends, the cluster cannot be used after it."""
    try:
        yield
    except Exception as error:
        if not pooled.error:
            pooled.error = _sentence(pooled, error)
        give_up(pooled, error if isinstance(error, GreenupError) else None)
        raise
    finally:
        pooled.connection = None


def _sentence(pooled: PooledCluster, error: Exception) -> str:
    if isinstance(error, GreenupError):
        return str(error)
    _log.error("A %s cluster failed", pooled.spec.kind, exc_info=error)
    return f"The cluster failed ({type(error).__name__}); try again, or ask those who run the server."
