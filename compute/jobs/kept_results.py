"""Results in the store: their location, and opening them without a cluster."""

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
    """The checkpoints of a server's results, each in a folder of its token.

    Parameters
    ----------
    root : str
        Folder or fsspec URL, which the workers share.
    required : bool
        Whether to refuse jobs that cannot be kept there.

    Attributes
    ----------
    readers : StoreReaders
        Who reads them for tiles, for values and for statistics.
    """

    def __init__(self, root: str, *, required: bool = False) -> None:
        self.readers = StoreReaders()
        self._root = root.rstrip("/")
        self._required = required

    def url(self, token: str) -> str:
        """Return where the result of a job lies, there already or not."""
        return f"{self._root}/{token}"

    def keep(self, token: str, scope: str) -> CheckpointTarget:
        """Return what a job is submitted with that is to be kept."""
        return CheckpointTarget(url=self.url(token), scope=scope, required=self._required)

    def tiles(self, job: Computation, client: Any) -> ResultTiles:
        """Return the tiles of a job, from the workers that hold its blocks and otherwise from what is kept of it.

        They go on without the cluster where all is kept.
        """
        kept = StoredPixels(job.stack, job.keeping.stored, self.readers)
        return ResultTiles.on_workers(job.stack, client, region=job.plan.request.region, kept=kept)

    async def is_whole(self, token: str, plan: NdviPlan) -> bool:
        """Return whether all blocks of a result lie there already; False where that cannot be told at once."""
        try:
            async with asyncio.timeout(_AT_ONCE_S):
                found = await asyncio.to_thread(Checkpoint.find, self.url(token))
                if found is None or found.manifest.plan != plan:
                    return False
                return len(await asyncio.to_thread(found.written)) == len(plan.blocks)
        except (OSError, JobError):
            return False

    async def open(self, url: str, plan: NdviPlan) -> ResultTiles:
        """Return the tiles of a result that lies whole at a URL, without a cluster.

        Parameters
        ----------
        url : str
            As `url` returns it.
        plan : NdviPlan
            Of the result.

        Raises
        ------
        ResultGoneError
            It does not, or not any more.
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
        """End the readers."""
        await self.readers.close()
