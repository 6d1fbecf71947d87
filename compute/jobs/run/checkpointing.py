"""Checkpoint blocks of a job as they finish, and report why they cannot be kept."""

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
"""How long workers and this process may take to find out whether they share a store."""

SLOW_S = 60.0
"""How long the writing of one more block is waited for when all of them are computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointTarget:
    """Target of a job's checkpoints: folder, owner, and whether they are required.

    Attributes
    ----------
    url : str
        Folder of the result, or the fsspec URL of one, the same for the workers.
    scope : str
        Whose result it is.
    required : bool
        Whether a job is refused that cannot be kept there; else it goes on in memory alone.
    """

    url: str
    scope: str
    required: bool = False


class Checkpointing:
    """Has the blocks of a job written as they finish, for as long as that works.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        None where nothing can be kept.
    slots : mapping of Key to Slot
        Where the blocks lie, by their keys.
    problem : str
        Why nothing can be kept, as a sentence.

    Attributes
    ----------
    stored : dict of Key to Slot
        The blocks that are written; it grows.
    tallies : mapping
        Of all blocks by season, row and column, once all are written; empty before.
    problem : str
        Why not all blocks are written, as a sentence; empty while nothing is wrong.
    """

    def __init__(self, checkpoint: Checkpoint | None, slots: Mapping[Key, Slot], problem: str = "") -> None:
        self.stored: dict[Key, Slot] = {}
        self.tallies: Mapping[Index, Tally] = {}
        self.problem = problem
        self._checkpoint = checkpoint
        self._slots = slots
        self._under_way: dict[Any, tuple[Key, Future[None]]] = {}

    @classmethod
    async def begin(
        cls, keep: CheckpointTarget | None, lazy: SeasonStack, plan: NdviPlan, token: str, client: Any
    ) -> tuple[Self, SeasonStack]:
        """Find or make the checkpoint of a job.

        Parameters
        ----------
        keep : CheckpointTarget or None
            Where; None where the workers alone are to hold the result.
        lazy : SeasonStack
            What the job computes.
        plan : NdviPlan
            Of the job.
        token : str
            Of the job.
        client : distributed.Client
            Asynchronous client.

        Returns
        -------
        (Checkpointing, SeasonStack)
            The stack computes what is not written yet; see `compute.result.store.recalled`.

        Raises
        ------
        JobError
            The result cannot be kept, and has to be.
        """
        if keep is None:
            return cls(None, {}), lazy
        try:
            async with asyncio.timeout(_PROBE_S):
                await check_shared(keep.url, client)
                checkpoint = await asyncio.to_thread(Checkpoint.resume, keep.url, plan, token, keep.scope)
                written = await asyncio.to_thread(checkpoint.written)
        except Exception as error:  # whatever a store raises, a job can do without
            problem = _sentence(error)
            if keep.required:
                raise JobError(f"{problem} This server computes nothing that it cannot keep.") from error
            return cls(None, {}, problem), lazy
        slots = slots_of(lazy, checkpoint.store)
        keeping = cls(checkpoint, slots)
        keeping.stored.update((key, slot) for key, slot in slots.items() if slot.index in written)
        return keeping, recalled(lazy, slots, written)

    @property
    def note(self) -> str:
        """Sentence on trouble with the checkpoint; empty where there is none."""
        return f"The workers alone hold the result, which goes with them. {self.problem}" if self.problem else ""

    def tasks(self, key: Key) -> dict[Key, Task]:
        """Return the task that writes a block, by its key; none where writing is of no use."""
        if self._checkpoint is None or self.problem:
            return {}
        return dict([keep_task(key, self._slots[key])])

    def follow(self, key: Key, future: Future[None]) -> None:
        """Hold the future of the task that writes a block until it has ended."""
        self._under_way[future.key] = key, future

    @property
    def under_way(self) -> list[Future[None]]:
        """Futures of the tasks that have not ended."""
        return [future for _, future in self._under_way.values()]

    async def settle(self, future: Future[Any]) -> bool:
        """Note how the writing of a block ended; tell whether it is one that was followed."""
        key, _ = self._under_way.pop(future.key, (None, None))
        if key is None:
            return False
        if future.status == "finished":
            self.stored[key] = self._slots[key]
        elif future.status == "error" and not self.problem:
            self.problem = _sentence(await future.exception())
        return True

    async def finish(self) -> None:
        """Make sure that this process reads all that workers say they have written, and note it in the manifest."""
        if self._checkpoint is None or self.problem:
            return
        if self._under_way:
            self.problem = f"Nothing was written for {SLOW_S:g} s; check the store."
            return
        try:
            self.tallies = await asyncio.to_thread(self._checkpoint.finish)
        except Exception as error:  # noqa: BLE001  # whatever a store raises, the result is there all the same
            self.problem = _sentence(error)


def _sentence(error: BaseException | None) -> str:
    if isinstance(error, JobError):
        return str(error)
    assert error is not None, "it has failed"
    return f"The result could not be written ({reason_of(error)}); check the free space of the folder."
