"""Memory check of a plan against the workers: a block must fit a thread, the result need not fit at all."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from compute.errors import TooLargeError
from compute.plan import WORKER_BYTES, NdviPlan
from compute.settings import GIB, MIB

SPILL_SHARE = 0.6
"""Of a worker's memory: what it holds beyond this, Dask moves to its disk."""

LEVELS_BYTES_PER_PX = 5 / 3
"""Memory of all levels together for each pixel of the result: 5 bytes for each of theirs, a third as many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerMemory:
    """Memory of a cluster, in bytes.

    Attributes
    ----------
    thread : int or None
        For one task, on the worker that has least for it; None where workers have no limit.
    total : int or None
        Of all workers; None where one has no limit.
    """

    thread: int | None
    total: int | None

    @classmethod
    async def of(cls, client: Any) -> WorkerMemory:
        """Ask the scheduler of an asynchronous client."""
        workers = (await client.scheduler.identity(n_workers=-1))["workers"].values()
        limits = [(each["memory_limit"], each["nthreads"]) for each in workers if each["memory_limit"]]
        least = min(((limit - WORKER_BYTES) // threads for limit, threads in limits), default=None)
        total = sum(limit for limit, _ in limits) if limits and len(limits) == len(workers) else None
        return cls(thread=least, total=total)


def refuse_large_blocks(plan: NdviPlan, room: WorkerMemory) -> None:
    """Refuse a plan whose blocks are too large for the workers.

    Raises
    ------
    TooLargeError
        The sentence says what a block needs, what there is, and the remedies.
    """
    if room.thread is not None and plan.task_bytes > room.thread:
        raise TooLargeError(
            "workers",
            f"A block needs {plan.task_bytes / MIB:,.0f} MiB, and the smallest worker has "
            f"{max(0, room.thread) / MIB:,.0f} MiB for each thread beside its {WORKER_BYTES / MIB:.0f} MiB of "
            "programs; give workers more memory or fewer threads, or set a smaller GREENUP_CHUNK_PX.",
        )


def spill_note(plan: NdviPlan, room: WorkerMemory) -> str:
    """Return what becomes of a result that workers are to hold and cannot, as a sentence; nothing where they can."""
    held = plan.result_bytes + LEVELS_BYTES_PER_PX * len(plan.labels) * prod(plan.grid.shape)
    if room.total is None or held <= SPILL_SHARE * room.total:
        return ""
    return (
        f"The result takes {held / GIB:,.1f} GiB of memory and the workers have {room.total / GIB:,.1f} GiB: part "
        "of it will lie on their disks and come slowly; take more or larger workers, or greenup run --out."
    )
