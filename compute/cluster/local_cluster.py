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

from compute.cluster.bounded_waits import finish_despite_cancel, limit_wait
from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.credentials import temporary_credentials
from compute.cluster.local_dashboard import LocalScheduler
from compute.cluster.scheduler_endpoint import Endpoint
from compute.cluster.scratch_folders import Scratch, make_scratch
from compute.errors import ClusterError, GreenupError
from compute.settings import Settings

# A worker runs one task per thread; threads inside a task would oversubscribe the cores.
_ONE_THREAD_EACH = {"NUMBA_NUM_THREADS": "1", "GDAL_NUM_THREADS": "1"}

# Moving gigabytes between processes on one machine takes seconds.
_MOVE_DATA_S = 60.0

# A terminal sends SIGINT to the whole process group; workers ignore it, because this process stops them in order.
# The exception of a failed task is sent to the client, so workers do not log its traceback.
# distributed 2026.8 serves HTTP pages of each worker to all users of this machine (distributed/node.py,
# `start_http_server`), without a setting to turn this off; remove the last lines once there is one.
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
    """Run a scheduler in this process and workers in other processes, until the body ends.

    The processes communicate over TLS with temporary credentials of this cluster, because other users of this machine
    can reach its ports, and access to a scheduler allows running code as the user of its process.

    Defaults for processes, threads and memory are derived from the CPUs and memory available to this process, including
    cgroup limits, as detected by Dask. Each worker added later gets the same threads and memory in addition.

    Parameters
    ----------
    spec : ClusterSpec
        Specification of kind ``"local"``.
    settings : Settings
        Settings with the home folder, for data that workers spill to disk.

    Yields
    ------
    Endpoint
        Endpoint of the scheduler, without workers.

    Raises
    ------
    ClusterError
        The scheduler cannot be started, or the scratch folder cannot be created.
    InputError
        The home folder belongs to another user.
    """
    workers, threads = _worker_sizes(spec)
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
        following = cluster.adapt(_DataKeepingAdaptive, minimum=least, maximum=most)
        return most

    try:
        await _start(cluster)
        # `direct`, so that data for tiles does not pass through the scheduler.
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
        await finish_despite_cancel(_stop(cluster, scratch))


async def _make_scratch(settings: Settings) -> Scratch:
    """Create a scratch folder in a thread; remove it if the caller is cancelled."""
    making = asyncio.create_task(asyncio.to_thread(make_scratch, settings))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        with suppress(GreenupError):
            (await making).remove()
        raise


def _worker_sizes(spec: ClusterSpec) -> tuple[int, int]:
    """Return the number of workers and of threads per worker; by default, they use all cores."""
    workers = spec.most_workers or spec.workers
    if workers:
        return workers, spec.threads or ceil(CPU_COUNT / workers)
    if spec.threads:
        return max(1, CPU_COUNT // spec.threads), spec.threads
    workers, threads = nprocesses_nthreads()
    return workers, threads


async def _scale(cluster: Any, n: int) -> int:
    """Add workers or remove the newest ones, and return the resulting number."""
    await _remove_workers(cluster, list(cluster.worker_spec)[n:])
    allowed = max(n, len(cluster.worker_spec))
    cluster.scale(allowed)
    return allowed


class _DataKeepingAdaptive(Adaptive):
    """Adaptive scaling of Dask that keeps workers whose data cannot be moved."""

    async def scale_down(self, workers: Any) -> None:
        """Remove workers, given by name, except those whose data cannot be moved."""
        cluster: Any = self.cluster
        await _remove_workers(cluster, workers)
        cluster.scale(len(cluster.worker_spec))


async def _remove_workers(cluster: Any, leaving: Sequence[object]) -> None:
    """Remove workers from the cluster's specification, except those whose data could not be moved."""
    async with limit_wait(_MOVE_DATA_S, "workers moved their data"):
        stuck = await _move_data(cluster.scheduler, leaving)
    for name in leaving:
        if name not in stuck:
            cluster.worker_spec.pop(name, None)


async def _move_data(scheduler: Any, leaving: Sequence[object]) -> set[object]:
    """Move the data of workers to the remaining ones, and return the workers whose data could not be moved.

    Needed for distributed 2026.8: `SpecCluster._correct_state_internal` (distributed/deploy/spec.py) retires workers
    too, but passes their names as `workers`, for which the scheduler expects addresses, so that they close without
    moving their data. Remove this function once distributed passes `names`.
    """
    there = {worker.name for worker in scheduler.workers.values()}
    free = {worker["name"] for worker in (await scheduler.retire_workers(names=leaving)).values()}
    return there.intersection(leaving) - free


async def _start(cluster: Any) -> None:
    try:
        await finish_despite_cancel(cluster)
    except RuntimeError:
        raise ClusterError(
            "No scheduler could be started on this machine; check that it has a free port on 127.0.0.1."
        ) from None


async def _stop(cluster: Any, scratch: Scratch) -> None:
    await cluster.close()
    await asyncio.to_thread(scratch.remove)
