"""Measurement of a computation: wall time, CPU time and memory of the workers, and number of tasks."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from threading import Event, Thread
from typing import Any, TypeVar

from distributed import Scheduler, Worker, WorkerPlugin
from distributed.diagnostics.plugin import SchedulerPlugin

from compute.errors import ClusterError

T = TypeVar("T")

_SAMPLE_S = 0.02
"""Interval between two samples of a worker's memory, shorter than the time that a block of 2048 pixels takes."""

_RELEASE_S = 60.0
_POLL_S = 0.02
_MB = 1e6


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Figures of one run.

    Attributes
    ----------
    wall_s : float
        Time from the submission of the lazy result to its last finished block, in seconds.
    cpu_s : float
        CPU time of all workers, in seconds.
    peak_mb : float
        Largest increase in the memory of a worker, in units of 10**6 bytes.
    idle_mb : float
        Memory of the same worker before the run, in units of 10**6 bytes.
    tasks : float
        Tasks submitted to the scheduler.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    idle_mb: float
    tasks: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """Memory and peak memory of a worker in bytes, and its CPU time in seconds."""

    memory: int
    peak: int
    cpu: float


class Meter(WorkerPlugin):
    """Worker plugin that samples the memory of its worker."""

    name = "greenup-bench-meter"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Start sampling; called by distributed on each worker."""
        self._process: Any = worker.monitor.proc
        self._peak = 0
        self._ended = Event()
        Thread(target=self._watch, name=self.name, daemon=True).start()

    def teardown(self, worker: Worker) -> None:  # the signature that distributed calls
        """Stop sampling."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self._peak = max(self._peak, self._memory())

    def _memory(self) -> int:
        return int(self._process.memory_info().rss)

    def restart(self) -> None:
        """Reset the peak."""
        self._peak = self._memory()

    def read(self) -> _Reading:
        """Return current and peak memory and the CPU time of the worker."""
        times, memory = self._process.cpu_times(), self._memory()
        return _Reading(memory=memory, peak=max(self._peak, memory), cpu=times.user + times.system)


class TaskCounter(SchedulerPlugin):
    """Scheduler plugin that counts submitted tasks."""

    name = "greenup-bench-tasks"
    idempotent = True

    def __init__(self) -> None:
        self.given = 0

    def update_graph(self, *_: Any, tasks: Sequence[Any], **__: Any) -> None:
        """Count the tasks of a submission; called by distributed."""
        self.given += len(tasks)


async def register_meters(client: Any) -> None:
    """Register the plugins that `measure_run` needs on the scheduler and all workers."""
    await client.register_plugin(Meter())
    await client.register_plugin(TaskCounter())


async def measure_run(client: Any, run: Callable[[], Awaitable[T]]) -> tuple[Figures, T]:
    """Run a computation on idle workers and measure it.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous client with registered meters, whose workers hold no data.
    run : callable
        Coroutine function that returns when its result is complete on the workers.

    Returns
    -------
    Figures
        Figures of the run.
    object
        Return value of `run`.
    """
    before = await client.run(_prepare_worker)
    given = await client.run_on_scheduler(_count_given_tasks)
    started = time.perf_counter()
    result = await run()
    wall_s = time.perf_counter() - started
    after = await client.run(_read_meter)
    grown, idle = max((after[worker].peak - each.memory, each.memory) for worker, each in before.items())
    figures = Figures(
        wall_s=wall_s,
        cpu_s=sum(after[worker].cpu - each.cpu for worker, each in before.items()),
        peak_mb=grown / _MB,
        idle_mb=idle / _MB,
        tasks=await client.run_on_scheduler(_count_given_tasks) - given,
    )
    return figures, result


def _find_meter(worker: Worker) -> Meter:
    meter = worker.plugins[Meter.name]
    assert isinstance(meter, Meter)
    return meter


def _prepare_worker(dask_worker: Worker) -> _Reading:
    """Free unused memory, so that runs do not affect each other, and return a reading."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    meter = _find_meter(dask_worker)
    meter.restart()
    return meter.read()


def _read_meter(dask_worker: Worker) -> _Reading:
    return _find_meter(dask_worker).read()


def _count_given_tasks(dask_scheduler: Scheduler) -> int:
    counter = dask_scheduler.plugins[TaskCounter.name]
    assert isinstance(counter, TaskCounter)
    return counter.given


def _count_held_tasks(dask_scheduler: Scheduler) -> int:
    return len(dask_scheduler.tasks)


async def wait_until_released(client: Any) -> None:
    """Wait until the cluster holds no task. The caller has dropped its results.

    Raises
    ------
    ClusterError
        The cluster still holds a task after a minute.
    """
    deadline = time.monotonic() + _RELEASE_S
    gc.collect()
    while await client.run_on_scheduler(_count_held_tasks):
        if time.monotonic() > deadline:
            raise ClusterError("The cluster did not release a result within a minute; run the benchmark again.")
        await asyncio.sleep(_POLL_S)


def compute_medians(runs: Sequence[Figures]) -> dict[str, float]:
    """Return the medians of the figures of several runs, ready for JSON."""
    values = {each.name: median(getattr(run, each.name) for run in runs) for each in fields(Figures)}
    return {name: round(value, 4) for name, value in values.items()}


def list_wall_seconds(runs: Sequence[Figures]) -> list[float]:
    """Return the wall times of several runs in seconds, in their order."""
    return [round(asdict(run)["wall_s"], 4) for run in runs]
