"""Text and permitted actions of a cluster."""

from __future__ import annotations

import time
from collections.abc import Sequence

from compute.cluster import Connection, PooledCluster
from compute.errors import ClusterError
from compute.jobs import LiveJob
from dashboard.formatting import duration_text


def gateway_cluster_name(pooled: PooledCluster) -> str:
    """Return the name of a Gateway cluster, as short as the Gateway's secret demands."""
    return f"Gateway cluster {pooled.short_name}" if pooled.short_name else "Gateway cluster, starting"


def permitted_actions(pooled: PooledCluster | None, *, running: bool) -> list[str]:
    """Return the permitted actions on a cluster.

    Parameters
    ----------
    pooled : PooledCluster or None
        The cluster, where it is held here.
    running : bool
        Whether it runs at the Gateway, held here or not.

    Returns
    -------
    list of str
        Of ``"start"``, ``"connect"``, ``"scale"``, ``"keep_alive"`` (leave open while idle), ``"disconnect"`` and
        ``"stop"``.
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
    """Return the status of a cluster: ``none``, ``starting``, ``idle``, ``working`` or ``failed``."""
    if pooled is None:
        return "none"
    if pooled.error:
        return "failed"
    if pooled.connection is None or pooled.stopping.is_set():
        return "starting"
    return "working" if working else "idle"


def describe_cluster(pooled: PooledCluster | None, name: str) -> str:
    """Return name, size and status of a cluster in a few words.

    Parameters
    ----------
    pooled : PooledCluster or None
        The cluster, if there is one.
    name : str
        What it is called; empty where it has no name yet.
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
    """Return workers, threads and memory; `asked` is the number of workers that it is to have."""
    there, threads, memory = connection.workers, connection.threads, connection.memory_bytes
    parts = [
        f"{there} of {asked} workers" if asked > there else _counted(there, "worker"),
        _counted(threads, "thread"),
        f"{memory / 2**30:.3g} GiB" if memory else "",
    ]
    return ", ".join(part for part in parts if part)


def stop_warning_text(records: Sequence[LiveJob], *, elsewhere: bool) -> str:
    """Return a warning of what stopping a cluster would lose; empty if nothing.

    Parameters
    ----------
    records : sequence of LiveJob
        The jobs that it holds, waits for or works on.
    elsewhere : bool
        Whether it was started elsewhere, so that others may use it.
    """
    done = sum(record.state == "done" for record in records)
    going = len(records) - done
    parts = [_counted(done, "result")] if done else []
    parts += [_counted(going, "computation") + " under way"] if going else []
    lost = [f"Stopping it loses {' and '.join(parts)}."] if parts else []
    others = ["It was started elsewhere: whoever else uses it loses it."] if elsewhere else []
    return " ".join(lost + others)


def disconnect_text(name: str, records: Sequence[LiveJob]) -> str:
    """Return what happens to a cluster and its queued jobs when a visitor disconnects.

    Parameters
    ----------
    name : str
        What it is called.
    records : sequence of LiveJob
        The jobs that it holds, waits for or works on.

    Raises
    ------
    ClusterError
        It computes or alone holds what would be lost: jobs outlive who looks, and must outlive who leaves.
    """
    if any(record.state != "queued" for record in records):
        raise ClusterError(
            f"{name} computes for you, or alone holds a result of yours; cancel or delete that to leave."
        )
    waiting = f" What waits for its turn on it, {_counted(len(records), 'computation')}, connects to it again then."
    return f"{name} goes on without this page.{waiting if records else ''}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
