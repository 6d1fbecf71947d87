"""Memory check of a plan: a block must fit the memory of a worker thread, while the result may spill to disk."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from compute.errors import TooLargeError
from compute.plan import WORKER_BYTES, NdviPlan
from compute.settings import GIB, MIB

SPILL_SHARE = 0.6
"""Share of a worker's memory beyond which Dask moves data to its disk (`distributed.worker.memory.target`)."""

LEVELS_BYTES_PER_PX = 5 / 3
"""Bytes of all overview levels per pixel of the result: they have a third as many pixels, of 5 bytes each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerMemory:
    """Memory of the workers of a cluster, in bytes.

    Attributes
    ----------
    thread : int or None
        Memory for one task on the worker with the least memory per thread; None if no worker has a limit.
    total : int or None
        Memory of all workers together; None if a worker has no limit.
    """

    thread: int | None
    total: int | None

    @classmethod
    async def read(cls, client: Any) -> WorkerMemory:
        """Read the memory limits of all workers from the scheduler of an asynchronous client."""
        workers = (await client.scheduler.identity(n_workers=-1))["workers"].values()
        limits = [(each["memory_limit"], each["nthreads"]) for each in workers if each["memory_limit"]]
        least = min(((limit - WORKER_BYTES) // threads for limit, threads in limits), default=None)
        total = sum(limit for limit, _ in limits) if limits and len(limits) == len(workers) else None
        return cls(thread=least, total=total)


def refuse_large_blocks(plan: NdviPlan, memory: WorkerMemory) -> None:
    """Refuse a plan whose blocks are too large for the workers.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the computation.
    memory : WorkerMemory
        Memory of the workers.

    Raises
    ------
    TooLargeError
        A block needs more memory than a worker has for one thread.
    """
    if memory.thread is not None and plan.task_bytes > memory.thread:
        raise TooLargeError(
            "workers",
            f"A block needs {plan.task_bytes / MIB:,.0f} MiB, and the smallest worker has "
            f"{max(0, memory.thread) / MIB:,.0f} MiB for each thread beside its {WORKER_BYTES / MIB:.0f} MiB of "
            "programs; give workers more memory or fewer threads, or set a smaller GREENUP_CHUNK_PX.",
        )


def spill_note(plan: NdviPlan, memory: WorkerMemory) -> str:
    """Return a sentence for users if the result does not fit the memory of the workers; empty if it fits."""
    held = plan.result_bytes + LEVELS_BYTES_PER_PX * len(plan.labels) * prod(plan.grid.shape)
    if memory.total is None or held <= SPILL_SHARE * memory.total:
        return ""
    return (
        f"The result takes {held / GIB:,.1f} GiB of memory and the workers have {memory.total / GIB:,.1f} GiB: part "
        "of it will lie on their disks and come slowly; take more or larger workers, or greenup run --out."
    )
