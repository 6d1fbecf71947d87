"""Computation of one plan on a cluster, from submission to result."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Self

from distributed import Client, Future, KilledWorker

from compute import __version__
from compute.cluster.bounded_waits import limit_wait
from compute.engine import CancelFlags, HeldBlock, cancel_on_worker, running_on_worker
from compute.errors import ClusterError, JobCancelledError, JobError, JobLostError
from compute.jobs.identity import job_token
from compute.jobs.provenance import SOURCE, plan_provenance
from compute.jobs.run.block_order import BlockOrder
from compute.jobs.run.block_submission import BlockSubmission
from compute.jobs.run.checkpointing import Checkpointing, CheckpointTarget
from compute.jobs.run.fair_queue import QueueShare
from compute.jobs.run.season_summary import result_remarks, season_numbers, season_tallies
from compute.jobs.run.unread_scenes import caption_of, read_scenes
from compute.jobs.run.worker_memory import WorkerMemory, refuse_large_blocks, spill_note
from compute.plan import NdviPlan
from compute.result.stack import SeasonStack, build_stack
from compute.result.stack_tasks import Key
from compute.result.store import create_store, streamed
from compute.scenes import UnreadScene
from compute.statistics.season_tally import tally_seasons

RETRIES = 3
"""Times that a block is tried again when its worker dies or a read fails: networks and nodes do."""

CANCELLED = "The computation was cancelled."
LOST = "The cluster that held this result was stopped or lost; compute it again."

_CANCEL_POLL_S = 0.05
# Tasks stop at their next read; where reading hangs, nobody need wait for it.
_CANCEL_S = 30.0

# A scheduler that is there answers at once, but one that hands out a large graph may be busy.
_SUBMIT_S = 60.0


class Computation:
    """A computation that runs on a cluster; as long as this object lives, the cluster keeps its blocks.

    Attributes
    ----------
    token : str
        Identity of the computation.
    plan : NdviPlan
        What is computed.
    stack : SeasonStack
        The persisted result; its graph has the blocks that are finished or under way.
    keeping : Checkpointing
        What of it is in its checkpoint.
    """

    def __init__(self, token: str, plan: NdviPlan, submission: BlockSubmission, client: Client, note: str = "") -> None:
        self.token = token
        self.plan = plan
        self.stack = submission.stack
        self.keeping = submission.keeping
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
        keep: CheckpointTarget | None = None,
        threads: Callable[[], int] | None = None,
        share: QueueShare | None = None,
    ) -> Self:
        """Start a computation. It goes on until it ends or `cancel` is called, whether or not anybody follows it.

        Its keys are its own even when the same request ran before: tasks of a cancelled run may still be ending.

        Parameters
        ----------
        plan : NdviPlan
            What to compute.
        client : distributed.Client
            An asynchronous client of a cluster with workers.
        token : str, optional
            Identity of the computation; left out, that of the plan.
        order : BlockOrder, optional
            Of the plan's blocks, asked for the next one each time that there is room; left out, that of the plan.
        store : str, optional
            Folder or fsspec URL, the same for the workers, of a new block store. Each block leaves memory for it as it
            finishes, and the result may be larger than the cluster's memory; left out, the workers hold the blocks.
        ahead : bool
            Whether its tasks go before all others, and to the workers at once. They should be few and small.
        keep : CheckpointTarget, optional
            Where blocks are also written as they finish, and looked for before: those of an earlier run of the same
            computation count as finished at once. What cannot be written costs no result: `note` says why.
        threads : callable, optional
            Returns for how many threads the scheduler has blocks: it grows by what it has. Left out, those there are.
        share : QueueShare, optional
            Of the threads, where other computations run on the same cluster; left out, there are no others.

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
            The result cannot be kept, and `keep` requires it.
        """
        if client.status != "running":
            raise ClusterError("The cluster is not there any more; try again in a minute, or choose another.")
        async with limit_wait(_SUBMIT_S, "the computation was submitted"):
            await client.register_plugin(CancelFlags())
            room = await WorkerMemory.of(client)
            # Tasks that may run anywhere wait at the scheduler, where others slip past them whatever their priority.
            workers = list(await client.nthreads()) if ahead else None
        refuse_large_blocks(plan, room)
        token = token or job_token(plan)
        lazy = build_stack(plan, f"{token}-{secrets.token_hex(4)}")
        if store is not None:
            lazy = await asyncio.to_thread(_into_store, lazy, store)
        keeping, lazy = await Checkpointing.begin(keep, lazy, plan, token, client)
        note = "" if store is not None else spill_note(plan, room)
        order = order or BlockOrder.of_plan(plan)
        submission = BlockSubmission(
            lazy, client, order, retries=RETRIES, ahead=workers, keeping=keeping, threads=threads, share=share
        )
        return cls(token, plan, submission, client, note)

    @property
    def note(self) -> str:
        """Sentence on how the result is held; empty where there is nothing to say."""
        return f"{self._note} {self.keeping.note}".strip()

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
        async for index, future in self._submission.ended():
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
        """Reduce each season of the finished result to a few numbers, on the workers or from what its marks say.

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
        tallies = season_tallies(self.keeping.tallies) or await tally_seasons(self.stack, self._client)
        # In a thread, since drawing the outline of a large region takes seconds.
        return await asyncio.to_thread(season_numbers, self.plan, tallies)

    def provenance(
        self, failed: Sequence[UnreadScene] = (), statistics: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """Return what a reader of the result must know to make it again, ready for JSON.

        Parameters
        ----------
        failed : sequence of UnreadScene
            Scenes that could not be read.
        statistics : sequence of mapping
            As `statistics` returns them; only what they say of looks is kept.
        """
        return {
            "title": "Seasonal mean NDVI",
            SOURCE: f"greenup {__version__}",
            "greenup_token": self.token,
            "greenup_request": self.plan.request.to_json(),
            "greenup_harmonise": self.plan.request.harmonise,
            "greenup_notes": list(self.plan.notes),
            "greenup_scenes": read_scenes(failed, self.plan),
            "greenup_scenes_failed": [asdict(each) for each in failed],
            "greenup_remarks": result_remarks(self.plan, statistics),
            "greenup_dates": {s.label: s.dates for s in self.plan.seasons},
            **({"greenup_looks": {s["label"]: s["looks"] for s in statistics}} if self.stack.reasons else {}),
            "greenup_incomplete": {s.label: list(s.missing) for s in self.plan.seasons if s.missing},
            **plan_provenance(self.plan),
        }

    def caption(self, failed: Sequence[UnreadScene] = ()) -> tuple[str, list[str]]:
        """Return the title of a picture of the result, and the notes below it; `failed` as for `provenance`."""
        return caption_of(failed, self.plan)

    async def cancel(self) -> None:
        """Stop the work and return when no task of it runs any more.

        Running tasks end at their next read, the others never start, and finished blocks are forgotten. Where the
        cluster is gone, so is the work.
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
        # A worker that leaves meanwhile does not answer, and need not.
        await client.run(cancel_on_worker, run, on_error="ignore")
        await client.cancel([*self._futures.values(), *self.keeping.under_way], force=True)
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
