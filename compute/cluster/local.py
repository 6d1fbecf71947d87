"""A cluster of worker processes on this machine."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import ceil
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import LocalCluster
from distributed.deploy.adaptive import Adaptive
from distributed.deploy.utils import nprocesses_nthreads
from distributed.system import MEMORY_LIMIT

from compute.cluster.endpoint import Endpoint
from compute.cluster.spec import ClusterSpec
from compute.cluster.waiting import bounded, to_the_end
from compute.errors import ClusterError

# A worker runs one task in each of its threads; libraries that thread inside a task would only get in each other's way.
_ONE_THREAD_EACH = {"NUMBA_NUM_THREADS": "1", "GDAL_NUM_THREADS": "1"}

# Moving gigabytes between processes of one machine takes seconds.
_HAND_OVER_S = 60.0

# A terminal interrupts the whole group of processes; workers are stopped in order by this one, not by the keyboard.
# What fails in a task comes back as its exception, so the workers need not show its traceback on the terminal as well.
_PRELOAD = """
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
for name in ("distributed", "datacube"):
    logging.getLogger(name).setLevel(logging.CRITICAL)
"""


@asynccontextmanager
async def local_scheduler(spec: ClusterSpec) -> AsyncIterator[Endpoint]:
    """Run a scheduler in this process and workers beside it, until the body ends.

    Processes, threads and memory follow the CPUs and the memory that this process may use, cgroup limits included,
    as `dask.system` finds them, unless they are asked for; workers that are added later get the same share each, on
    top.

    Parameters
    ----------
    spec : ClusterSpec
        Of kind ``"local"``.

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
    scratch = _make_scratch()
    cluster: Any = LocalCluster(
        asynchronous=True,
        processes=True,
        host="127.0.0.1",
        protocol="tcp",
        n_workers=0,
        threads_per_worker=threads,
        memory_limit=MEMORY_LIMIT // workers,
        local_directory=scratch,
        env=_ONE_THREAD_EACH,
        preload=[*dask.config.get("distributed.worker.preload"), _PRELOAD],
        # Without an address the scheduler would ask for port 8787, and warn where it is taken. See `_dashboard`.
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.ERROR,
    )

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
            direct=True,
            scale=scale,
            adapt=adapt,
            workers=workers,
            dashboard=lambda: _dashboard(cluster.scheduler),
        )
    finally:
        await to_the_end(_stop(cluster, scratch))


def _make_scratch() -> str:
    """Make the folder of what the workers move to their disk."""
    try:
        return tempfile.mkdtemp(prefix="greenup-", dir=dask.config.get("temporary-directory"))
    except OSError as error:
        raise ClusterError(
            f"The workers' scratch folder cannot be made ({error.strerror}); free room where temporary files go, or "
            "have temporary-directory of Dask's configuration (DASK_TEMPORARY_DIRECTORY) name another folder."
        ) from None


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


def _dashboard(scheduler: Any) -> str:
    """Return where the dashboard answers; its pages are made when it is first wanted, as few ever do."""
    from distributed.dashboard.scheduler import connect  # noqa: PLC0415  # Bokeh, which a computation does without

    if not scheduler.http_application.applications:
        connect(scheduler.http_application, scheduler.http_server, scheduler)
        for application in scheduler.http_application.applications:
            _restore_handlers(application)
    return f"http://127.0.0.1:{scheduler.http_server.port}"


def _restore_handlers(application: Any) -> None:
    """Have a Bokeh server answer with Bokeh's own handlers.

    Panel, where it is in the process, puts its own in their place for all servers, and they break some of Dask's pages.
    """
    for rule in application.wildcard_router.rules:
        ancestors = getattr(rule.target, "__mro__", ())
        rule.target = next((each for each in ancestors if each.__module__.startswith("bokeh.")), rule.target)


async def _start(cluster: Any) -> None:
    try:
        await to_the_end(cluster)
    except RuntimeError:
        raise ClusterError(
            "No scheduler could be started on this machine; check that it has a free port on 127.0.0.1."
        ) from None


async def _stop(cluster: Any, scratch: str) -> None:
    await cluster.close()
    await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
