"""Descriptions, status and permitted actions of a cluster."""

from __future__ import annotations

import time
from collections.abc import Sequence

from compute.cluster import Connection, PooledCluster
from compute.errors import ClusterError
from compute.jobs import LiveJob
from dashboard.formatting import duration_text


def gateway_cluster_name(pooled: PooledCluster) -> str:
    """Return the display name of a Gateway cluster; the full name is not shown, because it grants access."""
    return f"Gateway cluster {pooled.short_name}" if pooled.short_name else "Gateway cluster, starting"


def permitted_actions(pooled: PooledCluster | None, *, running: bool) -> list[str]:
    """Return the permitted actions on a cluster.

    Parameters
    ----------
    pooled : PooledCluster or None
        The cluster; None if the visitor has neither started it nor connected to it.
    running : bool
        Whether a cluster without a connection runs at the Gateway.

    Returns
    -------
    list of str
        Subset of ``"start"``, ``"connect"``, ``"scale"``, ``"keep_alive"`` (leave open while idle), ``"disconnect"``
        and ``"stop"``.
    """
    if pooled is None:
        return ["connect", "stop"] if running else ["start"]
    ready = pooled.connection is not None
    possible = {
        "scale": ready,
        "keep_alive": ready and not pooled.spec.name,
        "disconnect": bool(pooled.spec.name),
        "stop": True,
    }
    return [action for action, can in possible.items() if can]


def cluster_status(pooled: PooledCluster | None, *, working: bool) -> str:
    """Return the status of a cluster: ``none``, ``starting``, ``idle``, ``working`` or ``failed``.

    Parameters
    ----------
    pooled : PooledCluster or None
        The cluster; None if there is none or it is not connected.
    working : bool
        Whether a job runs on the cluster.
    """
    if pooled is None:
        return "none"
    if pooled.error:
        return "failed"
    if pooled.connection is None or pooled.stopping.is_set():
        return "starting"
    return "working" if working else "idle"


def describe_cluster(pooled: PooledCluster | None, name: str) -> str:
    """Return name, size and status of a cluster as a short text.

    Parameters
    ----------
    pooled : PooledCluster or None
        The cluster; None if there is none or it is not connected.
    name : str
        Name of the cluster; empty if it has none yet.
    """
    if pooled is None:
        return f"{name} · not connected" if name else "No cluster yet"
    if pooled.error:
        return "No cluster: it failed"
    if pooled.stopping.is_set():
        return f"{name} is stopping"
    if pooled.connection is None:
        step = pooled.stage.detail.rstrip(".") if pooled.stage else "A cluster is asked for"
        return f"{step} · {duration_text(time.monotonic() - pooled.began)}"
    left, most = pooled.idle_policy.seconds_left, pooled.spec.most_workers
    follows = f", up to {_counted(most, 'worker')} as needed" if most else ""
    leaving = "" if left is None else f", let go in {duration_text(left)}"
    return f"{name} · {size_text(pooled.connection, pooled.spec.workers or 0)}{follows}{leaving}"


def size_text(connection: Connection, asked: int) -> str:
    """Return number of workers, number of threads and memory of a cluster as a text.

    Parameters
    ----------
    connection : Connection
        Connection to the cluster.
    asked : int
        Requested number of workers.
    """
    there, threads, memory = connection.workers, connection.threads, connection.memory_bytes
    parts = [
        f"{there} of {asked} workers" if asked > there else _counted(there, "worker"),
        _counted(threads, "thread"),
        f"{memory / 2**30:.3g} GiB" if memory else "",
    ]
    return ", ".join(part for part in parts if part)


def stop_warning_text(records: Sequence[LiveJob], *, elsewhere: bool) -> str:
    """Return a warning about jobs and other users that stopping a cluster would affect; empty if there are none.

    Parameters
    ----------
    records : sequence of LiveJob
        Jobs that wait for the cluster, run on it, or have their result only in its memory.
    elsewhere : bool
        Whether the cluster was started elsewhere, so that others may use it.
    """
    done = sum(record.state == "done" for record in records)
    going = len(records) - done
    parts = [_counted(done, "result")] if done else []
    parts += [_counted(going, "computation") + " under way"] if going else []
    lost = [f"Stopping it loses {' and '.join(parts)}."] if parts else []
    others = ["It was started elsewhere: whoever else uses it loses it."] if elsewhere else []
    return " ".join(lost + others)


def disconnect_text(name: str, records: Sequence[LiveJob]) -> str:
    """Return a text for a visitor who disconnects: the cluster continues, and queued jobs connect to it again.

    Parameters
    ----------
    name : str
        Name of the cluster.
    records : sequence of LiveJob
        Jobs that wait for the cluster, run on it, or have their result only in its memory.

    Raises
    ------
    ClusterError
        A job runs on the cluster or has its result only in its memory; disconnecting would lose it.
    """
    if any(record.state != "queued" for record in records):
        raise ClusterError(
            f"{name} computes for you, or alone holds a result of yours; cancel or delete that to leave."
        )
    waiting = f" What waits for its turn on it, {_counted(len(records), 'computation')}, connects to it again then."
    return f"{name} goes on without this page.{waiting if records else ''}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
