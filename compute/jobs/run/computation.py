"""Computation of a plan on a cluster, from submission to result."""

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
# Tasks stop at their next read; `cancel` returns after this time if a read hangs.
_CANCEL_S = 30.0

# A scheduler responds within milliseconds, unless it is busy with a large graph.
_SUBMIT_S = 60.0


class Computation:
    """A running computation, whose blocks stay on the cluster as long as this object exists.

    Attributes
    ----------
    token : str
        Token of the computation.
    plan : NdviPlan
        Plan of the computation.
    stack : SeasonStack
        The persisted result, whose graph has the submitted and the stored blocks.
    checkpointing : Checkpointing
        Writer of its blocks to the checkpoint.
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
        """Start a computation, which runs until all blocks are computed, one fails, or `cancel` is called.

        The keys are unique even for a repeated request, because tasks of a cancelled run may still be ending.

        Parameters
        ----------
        plan : NdviPlan
            Plan of the computation.
        client : distributed.Client
            Asynchronous client of a cluster with workers.
        token : str, optional
            Token of the computation; by default that of the plan.
        order : BlockOrder, optional
            Order of the blocks, evaluated again before each submission; by default that of the plan.
        store : str, optional
            Folder or fsspec URL of a new block store, valid on the workers as well. Each finished block moves there,
            so the result may be larger than the cluster's memory; by default the workers hold the blocks.
        ahead : bool
            Whether all its tasks are sent to the workers at once, and run before other tasks; for few and small tasks.
        target : CheckpointTarget, optional
            Checkpoint to which finished blocks are also written. Blocks that an earlier run of the same computation
            has written count as finished. If a write fails, `note` has the reason.
        threads : callable, optional
            Returns the number of threads to submit blocks for, because an adaptive cluster grows with the number of
            submitted blocks; by default that of the workers.
        share : QueueShare, optional
            Share of the computation in the queue of its scheduler; by default it shares the scheduler with no other.

        Returns
        -------
        Computation
            The running computation.

        Raises
        ------
        ClusterError
            The scheduler cannot be reached, or does not respond in time.
        TooLargeError
            A block needs more memory than a worker has for one thread.
        JobError
            The checkpoint cannot be written, and `target` requires it.
        """
        if client.status != "running":
            raise ClusterError("The cluster is not there any more; try again in a minute, or choose another.")
        async with limit_wait(_SUBMIT_S, "the computation was submitted"):
            await client.register_plugin(CancelFlags())
            memory = await WorkerMemory.read(client)
            # Tasks without a list of workers may be queued on the scheduler, where others overtake them.
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
        """Sentences for users on a result that exceeds the memory, or a checkpoint that failed; empty for none."""
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
        """Whether the cluster has lost blocks of this computation, because it stopped or the connection broke."""
        return not self._cancelled and any(future.cancelled() for future in self._futures.values())

    @property
    def _futures(self) -> Mapping[Key, Future[HeldBlock]]:
        return self._submission.futures

    async def finished_blocks(self) -> AsyncIterator[tuple[int, int, int]]:
        """Yield (season, row, column) of each block when it finishes, until all blocks are finished.

        Raises
        ------
        JobCancelledError
            The computation was cancelled.
        JobLostError
            The cluster has lost a block.
        JobError
            A block failed in all its attempts; the message has the reason.
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
        """Yield the number of finished blocks whenever a block finishes; raises as `finished_blocks`."""
        done = 0
        async for _ in self.finished_blocks():
            done += 1
            yield done

    async def result(self) -> SeasonStack:
        """Wait for the last block, and return the persisted stack; raises as `finished_blocks`."""
        async for _ in self.progress():
            pass
        return self.stack

    async def statistics(self) -> list[dict[str, Any]]:
        """Compute statistics of each season of the finished result, on the workers or from the checkpoint.

        Returns
        -------
        list of dict
            For each season ``label``, ``ndvi_mean`` (unweighted mean over the pixels with a mean; None without any),
            ``clear_share`` (share of the region's pixels that have a mean), ``clear_count_max``, ``scenes_failed``
            (``scene``, ``file`` and ``reason`` of each unread scene), ``unphysical`` (number of observations outside
            -1 to 1), ``out_of_range`` (number of observations excluded by the index range), and ``remarks`` (sentences
            on files that contradict their documents). If exclusion reasons are counted, also ``looks``, a mapping from
            ``clear`` and each reason to the number of looks, summed over pixels. A look is a pixel on one platform and
            solar day whose mask is not nodata.
        """
        tallies = season_tallies(self.checkpointing.tallies) or await tally_seasons(self.stack, self._client)
        # In a thread, because rasterising the outline of a large region takes seconds.
        return await asyncio.to_thread(season_numbers, self.plan, tallies)

    def provenance(
        self, failed: Sequence[UnreadScene] = (), statistics: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """Return the metadata from which the result can be computed again, ready for JSON.

        Parameters
        ----------
        failed : sequence of UnreadScene
            Scenes that could not be read.
        statistics : sequence of mapping
            Statistics of each season, from `statistics`; ``looks`` and the counts for remarks are used.
        """
        return result_provenance(self.plan, self.token, failed, statistics)

    def caption(self, failed: Sequence[UnreadScene] = ()) -> tuple[str, list[str]]:
        """Return the title of a picture of the result, and the notes below it; for `failed` see `provenance`."""
        return caption_of(failed, self.plan)

    async def cancel(self) -> None:
        """Stop the computation, and wait up to 30 seconds until none of its tasks runs.

        Running tasks end at their next read, waiting tasks do not start, and finished blocks are released.
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
        # Errors of workers that leave meanwhile are ignored.
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
