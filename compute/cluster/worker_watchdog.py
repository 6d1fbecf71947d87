"""Worker watchdog: end a computation if its workers are lost, silent or out of memory, or die repeatedly.

Dask itself waits indefinitely if no worker joins, or if a full disk prevents workers from freeing memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from compute.errors import NoWorkersError

ExpectedWorkers = Callable[[Any], Awaitable[int]]
"""Function that returns the number of workers requested from a cluster, given its client."""

MOST_DEATHS = 5
"""Maximum number of worker deaths between two finished blocks, per worker of the cluster. Dask fails a block that has
killed four workers (``distributed.scheduler.allowed-failures``); this limit covers workers that die between blocks."""

SILENCE_S = 60.0
"""Minimum time in seconds after which a worker counts as silent; imports and compilation may block it for a while."""

_CHECK_INTERVAL_S = 2.0
_ANSWER_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitLimits:
    """Time limits for a computation without a usable worker.

    Attributes
    ----------
    usual_s : float
        Time limit in seconds if all requested workers have joined.
    starting_s : float
        Time limit in seconds if requested workers have not joined yet.
    """

    usual_s: float
    starting_s: float


class WorkerGuard:
    """Monitor of the workers of a cluster during a computation.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous client.
    name : str
        Display name of the cluster.
    expected : callable or None
        Returns the number of requested workers; None if unknown.
    patience : WaitLimits
        Time limits for a computation without a usable worker.
    most : int
        Number of workers at the start.
    """

    def __init__(
        self, client: Any, name: str, expected: ExpectedWorkers | None, patience: WaitLimits, most: int
    ) -> None:
        self._client = client
        self._name = name
        self._expected = expected
        self._patience = patience
        self._signs: dict[str, object] = {}
        self._most = most
        self._deaths = 0
        self._stopped = False
        self._able = time.monotonic()

    def record_progress(self) -> None:
        """Record that a block was finished, and reset the number of deaths and the waiting time."""
        self._deaths, self._able = 0, time.monotonic()
        self._most = len(self._signs) or self._most

    def stop(self) -> None:
        """Stop reporting problems; for a computation that is cancelled for another reason."""
        self._stopped = True

    async def watch(self) -> str:
        """Monitor the workers until none can continue, and return the reason as a sentence."""
        look_s = min(_CHECK_INTERVAL_S, self._patience.usual_s / 4)
        problem = ""
        while not problem:
            await asyncio.sleep(look_s)
            found = await self._check_workers()
            problem = "" if self._stopped else found
        return problem

    async def _check_workers(self) -> str:
        """Return the problem of the workers as a sentence; empty if there is none or they may still recover."""
        if self._client.status != "running":
            # A lost scheduler is detected in `compute.cluster.pooled_cluster`.
            self._able = time.monotonic()
            return ""
        try:
            async with asyncio.timeout(_ANSWER_S):
                workers = (await self._client.scheduler.identity(n_workers=-1))["workers"]
        except OSError:  # including TimeoutError
            return ""
        self._record_workers(workers)
        if self._deaths > MOST_DEATHS * max(1, self._most):
            return _describe_deaths(self._name, self._deaths)
        return "" if await self._may_wait(workers) else await self._describe_problem(workers)

    async def _may_wait(self, workers: Mapping[str, Any]) -> bool:
        waited, usual_s = time.monotonic() - self._able, self._patience.usual_s
        if workers and not any(map(_is_paused, workers.values())):
            usual_s = max(usual_s, SILENCE_S)
        return waited <= usual_s or (waited <= self._patience.starting_s and await self._are_coming(workers))

    def _record_workers(self, workers: Mapping[str, Any]) -> None:
        """Update the number of deaths and the signs of life from the current workers."""
        signs = {address: _sign_of_life(worker) for address, worker in workers.items()}
        alive = any(sign != self._signs.get(address) for address, sign in signs.items())
        if alive and not _is_stuck(workers):
            self._able = time.monotonic()
        self._deaths += len(self._signs.keys() - signs.keys())
        self._most = max(self._most, len(signs))
        self._signs = signs

    async def _are_coming(self, workers: Mapping[str, Any]) -> bool:
        if self._expected is None:
            return False
        with suppress(OSError):
            async with asyncio.timeout(_ANSWER_S):
                return await self._expected(self._client) > len(workers)
        return False

    async def _describe_problem(self, workers: Mapping[str, Any]) -> str:
        waited = f"{time.monotonic() - self._able:.0f} s"
        paused = sum(map(_is_paused, workers.values()))
        if paused:
            return _describe_full_memory(self._name, paused, len(workers), full_disks=await self._has_full_disks())
        if not self._most:
            return f"The {self._name} has no workers, and none came within {waited}; {_OTHERS}."
        all_are = f"All {self._most} workers of the {self._name} are"
        if self._most == 1:
            all_are = f"The only worker of the {self._name} is"
        end = f"silent for {waited}" if workers else f"gone, and no other came within {waited}"
        return f"{all_are} {end}; {_OTHERS}."

    async def _has_full_disks(self) -> bool:
        with suppress(OSError):
            async with asyncio.timeout(_ANSWER_S):
                return False in (await self._client.run(_can_spill, on_error="ignore")).values()
        return False


_OTHERS = "start workers there, with more memory if theirs ran out, or choose another cluster, then compute again"


def _sign_of_life(worker: Mapping[str, Any]) -> object:
    """Return a value that changes as long as a worker can run tasks or, if paused, spill data to disk."""
    moved = worker["metrics"].get("spilled_bytes")
    return (worker["status"], dict(moved or {}) if _is_paused(worker) else worker["last_seen"])


def _is_paused(worker: Mapping[str, Any]) -> bool:
    return bool(worker["status"] == "paused")


def _is_stuck(workers: Mapping[str, Any]) -> bool:
    """Return whether only paused workers have tasks to run; distributed 2026.8 does not move these to other workers."""
    counts = [(_is_paused(each), each["metrics"].get("task_counts", {})) for each in workers.values()]
    busy = any(each.get("executing") or each.get("flight") for _, each in counts)
    return not busy and any(is_paused and each.get("ready") for is_paused, each in counts)


def _can_spill(dask_worker: Any) -> bool:
    """Spill one value of a worker to disk, and return whether this succeeded; True if there is no value to spill."""
    data = dask_worker.data
    return not getattr(data, "fast", None) or data.evict() != -1


def _describe_full_memory(name: str, paused: int, workers: int, *, full_disks: bool) -> str:
    disks = " and so are the disks that it spills to" if full_disks else ""
    larger = " a larger disk (temporary-directory of Dask's configuration)," if full_disks else ""
    return (
        f"The workers' memory is full{disks}: {paused} of {workers} workers of the {name} accept no more tasks; use "
        f"more or larger workers,{larger} a smaller region or a coarser --resolution, or greenup run --out, which "
        "does not keep the result in memory."
    )


def _describe_deaths(name: str, deaths: int) -> str:
    return (
        f"Workers of the {name} died {deaths} times without finishing another block, most likely because they ran "
        "out of memory; give them more memory or fewer threads, or set a smaller GREENUP_CHUNK_PX."
    )


@asynccontextmanager
async def guard_workers(
    client: Any, name: str, expected: ExpectedWorkers | None, patience: WaitLimits, most: int
) -> AsyncIterator[WorkerGuard]:
    """Raise an error in the body if no worker can continue its computation.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous client.
    name : str
        Display name of the cluster.
    expected : callable or None
        Returns the number of requested workers; None if unknown.
    patience : WaitLimits
        Time limits for a computation without a usable worker.
    most : int
        Number of workers at the start.

    Yields
    ------
    WorkerGuard
        Monitor whose `record_progress` must be called for each finished block.

    Raises
    ------
    NoWorkersError
        No worker can continue; the message contains the reason and a remedy.
    """
    guard = WorkerGuard(client, name, expected, patience, most)
    watching = asyncio.create_task(guard.watch(), name=f"guard of the {name}")
    try:
        async with asyncio.timeout(None) as bound:
            watching.add_done_callback(lambda task: None if task.cancelled() else bound.reschedule(0.0))
            try:
                yield guard
            finally:
                watching.cancel()
                await asyncio.wait([watching])
    except TimeoutError:
        if not bound.expired():
            raise
        raise NoWorkersError(watching.result()) from None
