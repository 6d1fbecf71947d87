"""Results in the store: their locations, and tiles of them without a cluster."""

from __future__ import annotations

import asyncio
from typing import Any

from compute.errors import JobError, ResultAwayError, ResultGoneError
from compute.jobs.run.checkpointing import CheckpointTarget
from compute.jobs.run.computation import Computation
from compute.plan import NdviPlan
from compute.result.store import Checkpoint
from compute.tiles.reader_processes import StoreReaders
from compute.tiles.stored_pixels import StoredPixels
from compute.tiles.tile_service import ResultTiles

_GONE = "What was kept of this result is not there any more; compute it again."

_AT_ONCE_S = 2.0

AWAY = "The folder of all results cannot be reached now; try again later, or ask those who run the server."


class KeptResults:
    """Store of a server's results: one checkpoint for each job, in a folder named after its token.

    Parameters
    ----------
    root : str
        Folder or fsspec URL, valid on the workers as well.
    required : bool
        Whether to refuse jobs whose checkpoints cannot be written.

    Attributes
    ----------
    readers : StoreReaders
        Processes that read blocks for tiles, values and statistics.
    """

    def __init__(self, root: str, *, required: bool = False) -> None:
        self.readers = StoreReaders()
        self._root = root.rstrip("/")
        self._required = required

    def url(self, token: str) -> str:
        """Return the URL of the checkpoint of a job; the checkpoint need not exist."""
        return f"{self._root}/{token}"

    def target(self, token: str, scope: str) -> CheckpointTarget:
        """Return the target of the checkpoint of a job."""
        return CheckpointTarget(url=self.url(token), scope=scope, required=self._required)

    def tiles(self, computation: Computation, client: Any) -> ResultTiles:
        """Return the tiles of a computation, from the workers with its blocks or from its checkpoint.

        After the checkpoint is complete, the tiles do not need the cluster.
        """
        kept = StoredPixels(computation.stack, computation.checkpointing.stored, self.readers)
        return ResultTiles.on_workers(computation.stack, client, region=computation.plan.request.region, kept=kept)

    async def is_whole(self, token: str, plan: NdviPlan) -> bool:
        """Return whether the checkpoint of a job is complete; False if reading it fails or takes over two seconds."""
        try:
            async with asyncio.timeout(_AT_ONCE_S):
                found = await asyncio.to_thread(Checkpoint.find, self.url(token))
                if found is None or found.manifest.plan != plan:
                    return False
                return len(await asyncio.to_thread(found.written)) == len(plan.blocks)
        except (OSError, JobError):
            return False

    async def open(self, url: str, plan: NdviPlan) -> ResultTiles:
        """Return the tiles of a complete checkpoint, without a cluster.

        Parameters
        ----------
        url : str
            URL of the checkpoint.
        plan : NdviPlan
            Plan of the result.

        Raises
        ------
        ResultGoneError
            The checkpoint is missing, incomplete or of another plan.
        ResultAwayError
            The URL cannot be reached.
        """
        try:
            found = await asyncio.to_thread(Checkpoint.find, url)
            stack = None if found is None or found.manifest.plan != plan else await asyncio.to_thread(found.stack)
        except OSError as error:
            raise ResultAwayError(AWAY) from error
        if stack is None or len(stack.graph) < len(plan.blocks):
            raise ResultGoneError(_GONE)
        self.readers.start()
        return ResultTiles(stack, StoredPixels.from_stack(stack, self.readers), region=plan.request.region)

    async def close(self) -> None:
        """Stop the readers."""
        await self.readers.close()
