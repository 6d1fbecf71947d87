"""Watchdog of a computation: end it when its workers are gone, silent, out of memory, or die again and again.

Dask itself waits for ever: for a worker to come, and for memory that a full disk never sets free.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from compute.errors import NoWorkersError

Expected = Callable[[Any], Awaitable[int]]
"""Tells, given a client, how many workers a cluster is to have by what was asked of it."""

MOST_DEATHS = 5
"""Deaths of workers, for each one that there is, without a block finished in between. Dask gives up a block that has
killed four workers; this is for those that die between blocks, which are then computed again."""

SILENCE_S = 60.0
"""Shortest time after which a worker that is there counts as silent: one that imports and compiles is, for a while."""

_LOOK_S = 2.0
_ANSWER_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Seconds that a computation waits while no worker can work.

    Attributes
    ----------
    usual_s : float
        Seconds.
    starting_s : float
        Seconds where workers are to come that the cluster was asked for.
    """

    usual_s: float
    starting_s: float


class WorkerGuard:
    """Watches the workers of one cluster while something is computed there.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous client.
    name : str
        What people call the cluster.
    expected : callable or None
        None where nobody knows.
    patience : Patience
        When the computation is given up.
    most : int
        Workers that there were last.
    """

    def __init__(self, client: Any, name: str, expected: Expected | None, patience: Patience, most: int) -> None:
        self._client = client
        self._name = name
        self._expected = expected
        self._patience = patience
        self._signs: dict[str, object] = {}
        self._most = most
        self._deaths = 0
        self._stopped = False
        self._able = time.monotonic()

    def note_progress(self) -> None:
        """Note that something was finished that was never finished before."""
        self._deaths, self._able = 0, time.monotonic()
        self._most = len(self._signs) or self._most

    def stop(self) -> None:
        """Judge no more: what was computed is being withdrawn, and another error is on its way."""
        self._stopped = True

    async def watch(self) -> str:
        """Return why no worker can go on, as a sentence, once that is so."""
        look_s = min(_LOOK_S, self._patience.usual_s / 4)
        problem = ""
        while not problem:
            await asyncio.sleep(look_s)
            found = await self._look()
            problem = "" if self._stopped else found
        return problem

    async def _look(self) -> str:
        """Return what is wrong with the workers; nothing while something may come of them."""
        if self._client.status != "running":
            # A scheduler that is lost is another matter.
            self._able = time.monotonic()
            return ""
        try:
            async with asyncio.timeout(_ANSWER_S):
                workers = (await self._client.scheduler.identity(n_workers=-1))["workers"]
        except OSError:  # also TimeoutError
            return ""
        self._note(workers)
        if self._deaths > MOST_DEATHS * max(1, self._most):
            return _dying(self._name, self._deaths)
        return "" if await self._may_wait(workers) else await self._problem(workers)

    async def _may_wait(self, workers: Mapping[str, Any]) -> bool:
        waited, usual_s = time.monotonic() - self._able, self._patience.usual_s
        if workers and not any(map(_is_paused, workers.values())):
            usual_s = max(usual_s, SILENCE_S)
        return waited <= usual_s or (waited <= self._patience.starting_s and await self._are_coming(workers))

    def _note(self, workers: Mapping[str, Any]) -> None:
        """Compare the workers with those of the last look."""
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

    async def _problem(self, workers: Mapping[str, Any]) -> str:
        waited = f"{time.monotonic() - self._able:.0f} s"
        paused = sum(map(_is_paused, workers.values()))
        if paused:
            return _full(self._name, paused, len(workers), full_disks=await self._has_full_disks())
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
                return False in (await self._client.run(_spills, on_error="ignore")).values()
        return False


_OTHERS = "start workers there, with more memory if theirs ran out, or choose another cluster, then compute again"


def _sign_of_life(worker: Mapping[str, Any]) -> object:
    """Return what changes as long as a worker can do something: run tasks, or move to its disk what is in the way."""
    moved = worker["metrics"].get("spilled_bytes")
    return (worker["status"], dict(moved or {}) if _is_paused(worker) else worker["last_seen"])


def _is_paused(worker: Mapping[str, Any]) -> bool:
    return bool(worker["status"] == "paused")


def _is_stuck(workers: Mapping[str, Any]) -> bool:
    """Tell whether tasks lie with a worker that is paused while no other has any: Dask does not move them."""
    counts = [(_is_paused(each), each["metrics"].get("task_counts", {})) for each in workers.values()]
    busy = any(each.get("executing") or each.get("flight") for _, each in counts)
    return not busy and any(is_paused and each.get("ready") for is_paused, each in counts)


def _spills(dask_worker: Any) -> bool:
    """Tell whether a worker can move a value to its disk, by moving one; also where it has none to move."""
    data = dask_worker.data
    return not getattr(data, "fast", None) or data.evict() != -1


def _full(name: str, paused: int, workers: int, *, full_disks: bool) -> str:
    disks = " and so are the disks that it is moved to" if full_disks else ""
    larger = " a larger disk (temporary-directory of Dask's configuration)," if full_disks else ""
    return (
        f"The workers' memory is full{disks}: {paused} of {workers} workers of the {name} can take no more tasks; take "
        f"more or larger workers,{larger} a smaller region or a coarser --resolution, or greenup run --out, which "
        "needs no room for the result."
    )


def _dying(name: str, deaths: int) -> str:
    return (
        f"Workers of the {name} died {deaths} times without finishing another block, most likely for want of memory; "
        "give them more memory or fewer threads, or set a smaller GREENUP_CHUNK_PX."
    )


@asynccontextmanager
async def guard_workers(
    client: Any, name: str, expected: Expected | None, patience: Patience, most: int
) -> AsyncIterator[WorkerGuard]:
    """End the body once no worker can go on with what it waits for.

    Parameters
    ----------
    client, name, expected, patience, most
        As `WorkerGuard` takes them.

    Yields
    ------
    WorkerGuard
        To be told of progress.

    Raises
    ------
    NoWorkersError
        The sentence says what became of the workers, and what to do.
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
