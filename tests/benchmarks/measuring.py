"""What a computation costs: seconds, CPU and memory of the workers, tasks handed to the scheduler."""

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
"""Time between two looks at a worker's memory: a block of 2048 pixels a side takes longer than that to fill."""

_RELEASE_S = 60.0
_POLL_S = 0.02
_MB = 1e6


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What one run cost.

    Attributes
    ----------
    wall_s : float
        From handing the lazy result to Dask to its last finished block, in seconds.
    cpu_s : float
        CPU time of all workers, in seconds.
    peak_mb : float
        Largest memory of a worker above what it had before, in units of 10**6 bytes.
    idle_mb : float
        What the same worker had before, warmed up and tidied.
    tasks : int
        Tasks that the scheduler was given.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    idle_mb: float
    tasks: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """What a worker uses at one moment: memory and its peak in bytes, CPU time in seconds."""

    memory: int
    peak: int
    cpu: float


class Meter(WorkerPlugin):
    """Watches the memory of the worker that it is registered on."""

    name = "greenup-bench-meter"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Start watching; called by distributed on each worker."""
        self._process: Any = worker.monitor.proc
        self._peak = 0
        self._ended = Event()
        Thread(target=self._watch, name=self.name, daemon=True).start()

    def teardown(self, worker: Worker) -> None:  # the signature that distributed calls
        """Stop watching."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self._peak = max(self._peak, self._memory())

    def _memory(self) -> int:
        return int(self._process.memory_info().rss)

    def restart(self) -> None:
        """Forget the peak."""
        self._peak = self._memory()

    def read(self) -> _Reading:
        """Return what the worker uses now, and the most that it used since the last restart."""
        times, memory = self._process.cpu_times(), self._memory()
        return _Reading(memory=memory, peak=max(self._peak, memory), cpu=times.user + times.system)


class TaskCounter(SchedulerPlugin):
    """Counts the tasks that a scheduler is given."""

    name = "greenup-bench-tasks"
    idempotent = True

    def __init__(self) -> None:
        self.given = 0

    def update_graph(self, *_: Any, tasks: Sequence[Any], **__: Any) -> None:
        """Count what a client submits; called by distributed."""
        self.given += len(tasks)


async def watch(client: Any) -> None:
    """Register what `measure` asks, on the scheduler and on all workers."""
    await client.register_plugin(Meter())
    await client.register_plugin(TaskCounter())


async def measure(client: Any, run: Callable[[], Awaitable[T]]) -> tuple[Figures, T]:
    """Run a computation on idle workers and measure it.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous; its workers are watched and hold nothing.
    run : callable
        Returns when all of its result is on the workers.

    Returns
    -------
    Figures
        What it cost.
    object
        What `run` returned.
    """
    before = await client.run(_tidy)
    given = await client.run_on_scheduler(_given)
    started = time.perf_counter()
    result = await run()
    wall_s = time.perf_counter() - started
    after = await client.run(_read)
    grown, idle = max((after[worker].peak - each.memory, each.memory) for worker, each in before.items())
    figures = Figures(
        wall_s=wall_s,
        cpu_s=sum(after[worker].cpu - each.cpu for worker, each in before.items()),
        peak_mb=grown / _MB,
        idle_mb=idle / _MB,
        tasks=await client.run_on_scheduler(_given) - given,
    )
    return figures, result


def _meter(worker: Worker) -> Meter:
    meter = worker.plugins[Meter.name]
    assert isinstance(meter, Meter)
    return meter


def _tidy(dask_worker: Worker) -> _Reading:
    """Give back what is free, so that one run neither pays for the one before nor lives on it; then read."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    meter = _meter(dask_worker)
    meter.restart()
    return meter.read()


def _read(dask_worker: Worker) -> _Reading:
    return _meter(dask_worker).read()


def _given(dask_scheduler: Scheduler) -> int:
    counter = dask_scheduler.plugins[TaskCounter.name]
    assert isinstance(counter, TaskCounter)
    return counter.given


def _held(dask_scheduler: Scheduler) -> int:
    return len(dask_scheduler.tasks)


async def released(client: Any) -> None:
    """Wait until the cluster holds nothing any more; the caller has dropped its results.

    Raises
    ------
    ClusterError
        Something is held for a minute.
    """
    deadline = time.monotonic() + _RELEASE_S
    gc.collect()
    while await client.run_on_scheduler(_held):
        if time.monotonic() > deadline:
            raise ClusterError("The cluster did not let go of a result; run the benchmark again.")
        await asyncio.sleep(_POLL_S)


def typical(runs: Sequence[Figures]) -> dict[str, float]:
    """Return the medians of the figures of several runs, ready for JSON."""
    values = {each.name: median(getattr(run, each.name) for run in runs) for each in fields(Figures)}
    return {name: round(value, 4) for name, value in values.items()}


def spread(runs: Sequence[Figures]) -> list[float]:
    """Return the wall seconds of several runs, in their order."""
    return [round(asdict(run)["wall_s"], 4) for run in runs]
