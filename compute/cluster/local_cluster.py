"""Local cluster: worker processes on this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from math import ceil
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import LocalCluster
from distributed.deploy.adaptive import Adaptive
from distributed.deploy.utils import nprocesses_nthreads
from distributed.system import MEMORY_LIMIT

from compute.cluster.bounded_waits import bounded, to_the_end
from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.credentials import temporary_credentials
from compute.cluster.local_dashboard import LocalScheduler
from compute.cluster.scheduler_endpoint import Endpoint
from compute.cluster.scratch_folders import Scratch, make_scratch
from compute.errors import ClusterError, GreenupError
from compute.settings import Settings

# A worker runs one task in each of its threads; libraries that thread inside a task would only get in each other's way.
_ONE_THREAD_EACH = {"NUMBA_NUM_THREADS": "1", "GDAL_NUM_THREADS": "1"}

# Moving gigabytes between processes of one machine takes seconds.
_HAND_OVER_S = 60.0

# A terminal interrupts the whole group of processes; workers are stopped in order by this one, not by the keyboard.
# What fails in a task comes back as its exception, so the workers need not show its traceback on the terminal as well.
# Each worker would serve pages about itself to all users of this machine, and no setting of Dask's ends that.
_PRELOAD = """
import logging, signal, dask
signal.signal(signal.SIGINT, signal.SIG_IGN)
for name in ("distributed", "datacube"):
    logging.getLogger(name).setLevel(logging.CRITICAL)
dask.config.set({"distributed.worker.http.routes": []})
def dask_setup(worker):
    worker.http_server.stop()
    del worker.services["dashboard"]
"""


@asynccontextmanager
async def local_scheduler(spec: ClusterSpec, settings: Settings) -> AsyncIterator[Endpoint]:
    """Run a scheduler in this process and workers beside it, until the body ends.

    They speak TLS with credentials of their own, made for this cluster, and refuse whoever has none: the other users
    of this machine reach every port of it, and who reaches a scheduler runs code as its user.

    Processes, threads and memory follow the CPUs and the memory that this process may use, cgroup limits included,
    as `dask.system` finds them, unless they are asked for; workers that are added later get the same share each, on
    top.

    Parameters
    ----------
    spec : ClusterSpec
        Of kind ``"local"``.
    settings : Settings
        With the home folder, for what the workers move to their disk.

    Yields
    ------
    Endpoint
        The scheduler, with no worker yet.

    Raises
    ------
    ClusterError
        No scheduler can be started here, or the workers' scratch folder not be made.
    """
    workers, threads = _sizes(spec)
    security = temporary_credentials()
    scratch = await _make_scratch(settings)
    cluster: Any = LocalCluster(
        asynchronous=True,
        processes=True,
        host="127.0.0.1",
        protocol="tls",
        security=security,
        n_workers=0,
        threads_per_worker=threads,
        memory_limit=MEMORY_LIMIT // workers,
        local_directory=str(scratch.path),
        env=_ONE_THREAD_EACH,
        preload=[*dask.config.get("distributed.worker.preload"), _PRELOAD],
        dashboard_address=None,
        silence_logs=logging.ERROR,
    )
    cluster.scheduler_spec["cls"] = LocalScheduler

    following: Adaptive | None = None

    async def scale(n: int) -> int:
        if following is not None:
            following.stop()
        return await _scale(cluster, n)

    async def adapt(least: int, most: int) -> int:
        nonlocal following
        following = cluster.adapt(_Careful, minimum=least, maximum=most)
        return most

    try:
        await _start(cluster)
        # Reached by address like any other, and directly, since a tile need not pass through the scheduler.
        yield Endpoint(
            address=cluster.scheduler_address,
            name="local cluster",
            security=security,
            direct=True,
            scale=scale,
            adapt=adapt,
            workers=workers,
            dashboard=lambda: cluster.scheduler.show_dashboard(scratch.path),
        )
    finally:
        await to_the_end(_stop(cluster, scratch))


async def _make_scratch(settings: Settings) -> Scratch:
    """Make a scratch folder beside the event loop; one that is made for who was cancelled meanwhile is removed."""
    making = asyncio.create_task(asyncio.to_thread(make_scratch, settings))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        with suppress(GreenupError):
            (await making).remove()
        raise


def _sizes(spec: ClusterSpec) -> tuple[int, int]:
    """Return how many workers there are to be, and how many threads each has: together the cores, where they may."""
    workers = spec.most_workers or spec.workers
    if workers:
        return workers, spec.threads or ceil(CPU_COUNT / workers)
    if spec.threads:
        return max(1, CPU_COUNT // spec.threads), spec.threads
    workers, threads = nprocesses_nthreads()
    return workers, threads


async def _scale(cluster: Any, n: int) -> int:
    """Add workers, or let the newest go; return how many there will be."""
    await _let_go(cluster, list(cluster.worker_spec)[n:])
    allowed = max(n, len(cluster.worker_spec))
    cluster.scale(allowed)
    return allowed


class _Careful(Adaptive):
    """Dask's adaptive scaling, but that a worker stays which cannot part with what it holds."""

    async def scale_down(self, workers: Any) -> None:
        """Let workers go, by their names."""
        cluster: Any = self.cluster
        await _let_go(cluster, workers)
        cluster.scale(len(cluster.worker_spec))


async def _let_go(cluster: Any, leaving: Sequence[object]) -> None:
    """Take workers out of the plan, but for those that could not hand over what they hold."""
    async with bounded(_HAND_OVER_S, "workers handed over what they hold"):
        stuck = await _hand_over(cluster.scheduler, leaving)
    for name in leaving:
        if name not in stuck:
            cluster.worker_spec.pop(name, None)


async def _hand_over(scheduler: Any, leaving: Sequence[object]) -> set[object]:
    """Move what workers hold to those that stay, and return the workers that could not part with it.

    `LocalCluster.scale` means to, but names workers where addresses are looked up, and closes them as they are.
    """
    there = {worker.name for worker in scheduler.workers.values()}
    free = {worker["name"] for worker in (await scheduler.retire_workers(names=leaving)).values()}
    return there.intersection(leaving) - free


async def _start(cluster: Any) -> None:
    try:
        await to_the_end(cluster)
    except RuntimeError:
        raise ClusterError(
            "No scheduler could be started on this machine; check that it has a free port on 127.0.0.1."
        ) from None


async def _stop(cluster: Any, scratch: Scratch) -> None:
    await cluster.close()
    await asyncio.to_thread(scratch.remove)
