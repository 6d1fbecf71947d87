"""Checkpointing: write the blocks of a job as they finish, and report the reason if that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dask.task_spec import Task
from distributed import Future

from compute.engine import Tally
from compute.errors import JobError
from compute.plan import NdviPlan
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import Key
from compute.result.store import Checkpoint, Index, Slot, keep_task, reason_of, recalled, slots_of
from compute.result.store.shared_storage import check_shared

_PROBE_S = 60.0
"""Time limit in seconds for checking that workers and this process share a store, and for opening the checkpoint."""

SLOW_S = 60.0
"""Time limit in seconds for the next write after all blocks are computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointTarget:
    """Target of the checkpoint of a job.

    Attributes
    ----------
    url : str
        Folder or fsspec URL of the checkpoint, valid on the workers as well.
    scope : str
        Scope that the result belongs to.
    required : bool
        Whether to refuse a job whose checkpoint cannot be written; if False, only the workers hold its result.
    """

    url: str
    scope: str
    required: bool = False


class Checkpointing:
    """Writes the blocks of a job as they finish, until a write fails.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        Checkpoint to write to; None to write nothing.
    slots : mapping of Key to Slot
        Positions of the blocks in the checkpoint, by key.
    problem : str
        Sentence with the reason why blocks cannot be written; empty for none.

    Attributes
    ----------
    stored : dict of Key to Slot
        Positions of the blocks that are written so far, by key.
    tallies : mapping
        Tallies of all blocks by (season, row, column); empty until `finish` has found all blocks written.
    problem : str
        Sentence with the reason why not all blocks are written; empty without an error.
    """

    def __init__(self, checkpoint: Checkpoint | None, slots: Mapping[Key, Slot], problem: str = "") -> None:
        self.stored: dict[Key, Slot] = {}
        self.tallies: Mapping[Index, Tally] = {}
        self.problem = problem
        self._checkpoint = checkpoint
        self._slots = slots
        self._pending: dict[Any, tuple[Key, Future[None]]] = {}

    @classmethod
    async def start(
        cls, target: CheckpointTarget | None, lazy: SeasonStack, plan: NdviPlan, token: str, client: Any
    ) -> tuple[Self, SeasonStack]:
        """Find or create the checkpoint of a job.

        Parameters
        ----------
        target : CheckpointTarget or None
            Target of the checkpoint; None if only the workers hold the result.
        lazy : SeasonStack
            Stack of the job.
        plan : NdviPlan
            Plan of the job.
        token : str
            Token of the job.
        client : distributed.Client
            Asynchronous client.

        Returns
        -------
        (Checkpointing, SeasonStack)
            Writer of the checkpoint, and the stack, in which written blocks are read instead of computed; see
            `compute.result.store.recalled`.

        Raises
        ------
        JobError
            The checkpoint cannot be written, and `target` requires it.
        """
        if target is None:
            return cls(None, {}), lazy
        try:
            async with asyncio.timeout(_PROBE_S):
                await check_shared(target.url, client)
                checkpoint = await asyncio.to_thread(Checkpoint.resume, target.url, plan, token, target.scope)
                written = await asyncio.to_thread(checkpoint.written)
        except Exception as error:  # stores raise errors of any type, and a job can run without a checkpoint
            problem = _describe_error(error)
            if target.required:
                raise JobError(f"{problem} This server computes nothing that it cannot keep.") from error
            return cls(None, {}, problem), lazy
        slots = slots_of(lazy, checkpoint.store)
        checkpointing = cls(checkpoint, slots)
        checkpointing.stored.update((key, slot) for key, slot in slots.items() if slot.index in written)
        return checkpointing, recalled(lazy, slots, written)

    @property
    def note(self) -> str:
        """Sentence for users on a failed write; empty without an error."""
        return f"The workers alone hold the result, which goes with them. {self.problem}" if self.problem else ""

    def write_tasks(self, key: Key) -> dict[Key, Task]:
        """Return the task that writes a block, by its key; empty without a checkpoint or after a failed write."""
        if self._checkpoint is None or self.problem:
            return {}
        return dict([keep_task(key, self._slots[key])])

    def follow_write(self, key: Key, future: Future[None]) -> None:
        """Hold the future of a write until the write has ended."""
        self._pending[future.key] = key, future

    @property
    def pending_writes(self) -> list[Future[None]]:
        """Futures of the writes that have not ended."""
        return [future for _, future in self._pending.values()]

    async def record_write(self, future: Future[Any]) -> bool:
        """Record the end of a write; return False if the future belongs to another task."""
        key, _ = self._pending.pop(future.key, (None, None))
        if key is None:
            return False
        if future.status == "finished":
            self.stored[key] = self._slots[key]
        elif future.status == "error" and not self.problem:
            self.problem = _describe_error(await future.exception())
        return True

    async def finish(self) -> None:
        """Check that this process can read all written blocks, and mark the result as done in the manifest.

        An error is recorded in `problem`.
        """
        if self._checkpoint is None or self.problem:
            return
        if self._pending:
            self.problem = f"Nothing was written for {SLOW_S:g} s; check the store."
            return
        try:
            self.tallies = await asyncio.to_thread(self._checkpoint.finish)
        except Exception as error:  # noqa: BLE001  # stores raise errors of any type, and the workers hold the result
            self.problem = _describe_error(error)


def _describe_error(error: BaseException | None) -> str:
    if isinstance(error, JobError):
        return str(error)
    assert error is not None, "it has failed"
    return f"The result could not be written ({reason_of(error)}); check the free space of the folder."
