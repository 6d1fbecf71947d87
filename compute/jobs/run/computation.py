"""Computation of one plan on a cluster, from submission to result."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from distributed import Client, Future, KilledWorker

from compute.cluster.bounded_waits import limit_wait
from compute.engine import CancelFlags, HeldBlock, cancel_on_worker, running_on_worker
from compute.errors import ClusterError, JobCancelledError, JobError, JobLostError
from compute.jobs.identity import job_token
from compute.jobs.run.block_order import BlockOrder
from compute.jobs.run.block_submission import BlockSubmission
from compute.jobs.run.checkpointing import Checkpointing, CheckpointTarget
from compute.jobs.run.fair_queue import QueueShare
from compute.jobs.run.result_provenance import result_provenance
from compute.jobs.run.season_summary import season_numbers, season_tallies
from compute.jobs.run.unread_scenes import caption_of
from compute.jobs.run.worker_memory import WorkerMemory, refuse_large_blocks, spill_note
from compute.plan import NdviPlan
from compute.result.stack import SeasonStack, build_stack
from compute.result.stack_tasks import Key
from compute.result.store import create_store, streamed
from compute.scenes import UnreadScene
from compute.statistics.season_tally import tally_seasons

RETRIES = 3
"""Number of times that a block is computed again when its worker dies or a read fails."""

CANCELLED = "The computation was cancelled."
LOST = "The cluster that held this result was stopped or lost; compute it again."

_CANCEL_POLL_S = 0.05
# Tasks stop at their next read; a read that hangs is not waited for.
_CANCEL_S = 30.0

# A scheduler answers at once, unless it distributes a large graph.
_SUBMIT_S = 60.0


class Computation:
    """A running computation; the cluster holds its blocks for as long as this object exists.

    Attributes
    ----------
    token : str
        Identity of the computation.
    plan : NdviPlan
        Plan of the computation.
    stack : SeasonStack
        The persisted result; its graph has the submitted blocks.
    checkpointing : Checkpointing
        Writes of its blocks to the checkpoint.
    """

    def __init__(self, token: str, plan: NdviPlan, submission: BlockSubmission, client: Client, note: str = "") -> None:
        self.token = token
        self.plan = plan
        self.stack = submission.stack
        self.checkpointing = submission.checkpointing
        self._note = note
        self._submission = submission
        self._client = client
        self._cancelled = False

    @classmethod
    async def submit(
        cls,
        plan: NdviPlan,
        client: Client,
        token: str | None = None,
        *,
        order: BlockOrder | None = None,
        store: str | None = None,
        ahead: bool = False,
        target: CheckpointTarget | None = None,
        threads: Callable[[], int] | None = None,
        share: QueueShare | None = None,
    ) -> Self:
        """Start a computation. It runs until it ends or `cancel` is called.

        Its keys are unique even for a repeated request, as tasks of a cancelled run may still be ending.

        Parameters
        ----------
        plan : NdviPlan
            Plan of the computation.
        client : distributed.Client
            Asynchronous client of a cluster with workers.
        token : str, optional
            Identity of the computation; left out, that of the plan.
        order : BlockOrder, optional
            Order of the blocks, read again before each block; left out, that of the plan.
        store : str, optional
            Folder or fsspec URL, the same for the workers, of a new block store. Each block moves there as it
            finishes, so the result may be larger than the cluster's memory; left out, the workers hold the blocks.
        ahead : bool
            Whether its tasks go before all others, and to the workers at once; for few and small tasks.
        target : CheckpointTarget, optional
            Checkpoint to which blocks are also written as they finish. Blocks that an earlier run of the same
            computation has written count as finished. Where a write fails, `note` has the reason.
        threads : callable, optional
            Returns the number of threads to submit blocks for: an adaptive cluster grows by its load. Left out, that
            of the workers.
        share : QueueShare, optional
            Share among the computations of the cluster; left out, there are no others.

        Returns
        -------
        Computation
            Running.

        Raises
        ------
        ClusterError
            The scheduler cannot be reached.
        TooLargeError
            A block does not fit the memory that a worker has for a thread.
        JobError
            The checkpoint cannot be written, and `target` requires it.
        """
        if client.status != "running":
            raise ClusterError("The cluster is not there any more; try again in a minute, or choose another.")
        async with limit_wait(_SUBMIT_S, "the computation was submitted"):
            await client.register_plugin(CancelFlags())
            memory = await WorkerMemory.read(client)
            # Tasks for any worker wait on the scheduler, where others pass them whatever their priority.
            workers = list(await client.nthreads()) if ahead else None
        refuse_large_blocks(plan, memory)
        token = token or job_token(plan)
        lazy = build_stack(plan, f"{token}-{secrets.token_hex(4)}")
        if store is not None:
            lazy = await asyncio.to_thread(_into_store, lazy, store)
        checkpointing, lazy = await Checkpointing.start(target, lazy, plan, token, client)
        note = "" if store is not None else spill_note(plan, memory)
        order = order or BlockOrder.of_plan(plan)
        submission = BlockSubmission(
            lazy,
            client,
            order,
            retries=RETRIES,
            ahead=workers,
            checkpointing=checkpointing,
            threads=threads,
            share=share,
        )
        return cls(token, plan, submission, client, note)

    @property
    def note(self) -> str:
        """Sentence on how the result is held; empty where there is nothing to say."""
        return f"{self._note} {self.checkpointing.note}".strip()

    @property
    def total(self) -> int:
        """Number of blocks."""
        return len(self.plan.blocks)

    @property
    def done(self) -> int:
        """Number of finished blocks."""
        stored = len(self.stack.graph) - len(self._futures)
        return stored + sum(future.status == "finished" for future in self._futures.values())

    @property
    def lost(self) -> bool:
        """Whether the cluster has dropped blocks of this job, as when it stops or the connection breaks."""
        return not self._cancelled and any(future.cancelled() for future in self._futures.values())

    @property
    def _futures(self) -> Mapping[Key, Future[HeldBlock]]:
        return self._submission.futures

    async def finished_blocks(self) -> AsyncIterator[tuple[int, int, int]]:
        """Yield (season, row, column) of each block as it finishes, until all have.

        Raises
        ------
        JobCancelledError
            The job was cancelled.
        JobError
            A block failed for good; the sentence says why.
        """
        told = 0
        async for index, future in self._submission.ended_blocks():
            if future is not None:
                await self._raise_failure(future)
            told += 1
            yield index
        if told < self.total:
            raise JobCancelledError(CANCELLED)

    async def progress(self) -> AsyncIterator[int]:
        """Yield the number of finished blocks each time that one finishes; raises as `finished_blocks` does."""
        done = 0
        async for _ in self.finished_blocks():
            done += 1
            yield done

    async def result(self) -> SeasonStack:
        """Wait for the last block and return the persisted stack; raises as `finished_blocks` does."""
        async for _ in self.progress():
            pass
        return self.stack

    async def statistics(self) -> list[dict[str, Any]]:
        """Reduce each season of the finished result to a few numbers, on the workers or from the checkpoint.

        Returns
        -------
        list of dict
            For each season ``label``, ``ndvi_mean`` (mean of the pixel means, each weighing 1; None where nothing was
            clear), ``clear_share`` (share of the region's pixels that have a mean), ``clear_count_max``,
            ``scenes_failed`` (``scene``, ``file`` and ``reason`` of each that could not be read), ``unphysical``
            (number of observations outside -1 to 1), ``out_of_range`` (number of those that the index range leaves
            out), ``remarks`` (sentences on what files state). Where looks are counted by their reason also ``looks``: a
            mapping from ``clear`` and each reason to the number of looks of all pixels.
        """
        tallies = season_tallies(self.checkpointing.tallies) or await tally_seasons(self.stack, self._client)
        # In a thread, as rasterising the outline of a large region takes seconds.
        return await asyncio.to_thread(season_numbers, self.plan, tallies)

    def provenance(
        self, failed: Sequence[UnreadScene] = (), statistics: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """Return the metadata that a reader needs to compute the result again, ready for JSON.

        Parameters
        ----------
        failed : sequence of UnreadScene
            Scenes that could not be read.
        statistics : sequence of mapping
            As `statistics` returns them; only the looks are used.
        """
        return result_provenance(self.plan, self.token, failed, statistics)

    def caption(self, failed: Sequence[UnreadScene] = ()) -> tuple[str, list[str]]:
        """Return the title of a picture of the result, and the notes below it; `failed` as for `provenance`."""
        return caption_of(failed, self.plan)

    async def cancel(self) -> None:
        """Stop the work and return when no task of it runs any more.

        Running tasks end at their next read, the others never start, and finished blocks are released.
        """
        lost, self._cancelled = self.lost, True
        self._submission.stop()
        if lost:
            return
        with suppress(OSError):  # also TimeoutError
            async with asyncio.timeout(_CANCEL_S):
                await self._free_workers(self.stack.token)

    async def _free_workers(self, run: str) -> None:
        client = self._client
        # A worker that leaves meanwhile need not answer.
        await client.run(cancel_on_worker, run, on_error="ignore")
        await client.cancel([*self._futures.values(), *self.checkpointing.pending_writes], force=True)
        while any((await client.run(running_on_worker, run, on_error="ignore")).values()):  # noqa: ASYNC110  # no event
            await asyncio.sleep(_CANCEL_POLL_S)

    async def _raise_failure(self, future: Future[HeldBlock]) -> None:
        if self._cancelled:
            raise JobCancelledError(CANCELLED)
        if future.cancelled():
            raise JobLostError(LOST)
        if future.status != "error":
            return
        error = await future.exception()
        if isinstance(error, JobError):
            raise error
        if isinstance(error, KilledWorker):
            message = (
                f"A block lost its worker {RETRIES + 1} times, most likely for want of memory (a task needs about "
                f"{self.plan.task_bytes / 2**20:.0f} MiB); give workers more memory or a smaller GREENUP_CHUNK_PX."
            )
            raise JobError(message) from error
        raise JobError(f"A block failed with {type(error).__name__}; see the workers' logs.") from error


def _into_store(stack: SeasonStack, store: str) -> SeasonStack:
    create_store(store, stack)
    return streamed(stack, store)
