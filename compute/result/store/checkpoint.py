"""Checkpoints: a folder for each result, with its manifest and the blocks written so far.

::

    0f3a.../manifest.json       owner, plan, and name of the block store
    0f3a.../ndvi-5e1b.zarr      the blocks; see `compute.result.store`
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from compute.engine import Tally
from compute.errors import JobError
from compute.plan import NdviPlan
from compute.result.stack import SeasonStack, without_blocks
from compute.result.store.completion_marks import Index, written_blocks
from compute.result.store.manifest import MANIFEST, STORE_NAME, Manifest
from compute.result.store.object_files import names_in, remove
from compute.result.store.stored_blocks import Slot, StoredBlock, slots_of
from compute.result.store.zarr_layout import create_store


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Checkpoint of a result. The methods block on reads and writes; asynchronous code must call them in a thread.

    Attributes
    ----------
    url : str
        Folder or fsspec URL.
    manifest : Manifest
        Manifest as last read or written.
    """

    url: str
    manifest: Manifest

    @classmethod
    def find(cls, url: str) -> Self | None:
        """Return the checkpoint in a folder, or None if the folder has none.

        Raises
        ------
        JobError
            The checkpoint cannot be read.
        OSError
            The folder cannot be reached.
        """
        manifest = Manifest.read(url)
        return None if manifest is None else cls(url=url, manifest=manifest)

    @classmethod
    def resume(cls, url: str, plan: NdviPlan, token: str, scope: str) -> Self:
        """Return the existing checkpoint if it belongs to the same computation, else a new one.

        Parameters
        ----------
        url : str
            Folder or fsspec URL. A checkpoint of another computation in the folder is removed.
        plan : NdviPlan
            Plan of the result.
        token : str
            Identity of the computation.
        scope : str
            Scope of the owner.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        with suppress(JobError):
            found = cls.find(url)
            if found is not None and (found.manifest.token, found.manifest.plan) == (token, plan):
                return found
        return cls._begin(url, plan, token, scope)

    @classmethod
    def _begin(cls, url: str, plan: NdviPlan, token: str, scope: str) -> Self:
        cls.clear(url)
        store = f"ndvi-{secrets.token_hex(4)}.zarr"
        manifest = Manifest(token=token, scope=scope, plan=plan, store=store, created=datetime.now(UTC))
        begun = cls(url=url, manifest=manifest)
        create_store(begun.store, without_blocks(plan, token))
        manifest.write(url)
        return begun

    @property
    def store(self) -> str:
        """URL of the block store."""
        return f"{self.url}/{self.manifest.store}"

    def slots(self, stack: SeasonStack) -> Mapping[Index, Slot]:
        """Return the positions of the blocks of a stack in the store, by season, row and column."""
        return {slot.index: slot for slot in slots_of(stack, self.store).values()}

    def written(self) -> Mapping[Index, Tally]:
        """Return the totals of the completely written blocks, by season, row and column."""
        return written_blocks(self.store)

    def stack(self) -> SeasonStack:
        """Return the result as a stack of the written blocks, without tasks for the others."""
        lazy, written = without_blocks(self.manifest.plan, self.manifest.token), self.written()
        graph = {
            key: StoredBlock(slot=slot, tally=written[slot.index])
            for key, slot in slots_of(lazy, self.store).items()
            if slot.index in written
        }
        return replace(lazy, graph=graph)

    def finish(self) -> Mapping[Index, Tally]:
        """Mark the result as done in the manifest and return the totals of its blocks.

        Raises
        ------
        JobError
            Blocks are missing in the folder as this process reads it.
        OSError
            The folder cannot be reached.
        """
        written = self.written()
        missing = len(self.manifest.plan.blocks) - len(written)
        if missing:
            raise JobError(f"{missing:,} blocks that workers have written are not in the folder; have them share it.")
        replace(self.manifest, state="done").write(self.url)
        return written

    @staticmethod
    def clear(url: str) -> None:
        """Remove the checkpoint in a folder, complete or not; other files are kept.

        The manifest is removed first, so that an interrupted removal does not leave a checkpoint with missing blocks.
        """
        remove(f"{url}/{MANIFEST}")
        for name in filter(STORE_NAME.fullmatch, names_in(url)):
            remove(f"{url}/{name}")
