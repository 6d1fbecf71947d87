"""Worker plugin that answers requests for pixels of the blocks on a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from distributed import Worker, WorkerPlugin
from distributed.protocol.pickle import loads
from distributed.protocol.serialize import to_serialize

from compute.engine import Block
from compute.result.stack_tasks import Key
from compute.scenes.pixel_frames import BlockPixel
from compute.tiles.tile_patches import Patch, PatchRequest, PixelReadings, cut_patches, read_pixels, warm_up

PIXELS = "greenup_pixels"
"""Name of the worker's handler, thread pool and plugin for pixels."""

# One more than a tile needs, so that no tile waits for a large chunk. Dask's own offload thread is busy with transfers.
_THREADS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerReplies:
    """Results or exceptions of functions that a worker ran, in order.

    A record, since Dask serialises the items of a list one by one, and repeated items several times.
    """

    each: list[Any]


class PixelPlugin(WorkerPlugin):
    """Worker plugin that answers requests for pixels of blocks; distributed installs it on workers that join later too.

    Requests go to a handler of the worker, so that they neither wait for tasks nor need one. Slow work runs in a thread
    pool of the plugin.
    """

    name = PIXELS
    _worker: Worker

    def setup(self, worker: Worker) -> None:
        """Install handler and thread pool, and compile kernels in advance."""
        self._worker = worker
        worker.executors[PIXELS] = threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="Greenup-Pixels")
        worker.handlers[PIXELS] = self.answer
        threads.submit(warm_up)

    def teardown(self, worker: Worker) -> None:
        """Remove the handler; requests under way are still answered."""
        del worker.handlers[PIXELS]
        worker.executors.pop(PIXELS).shutdown(wait=False)

    async def answer(self, questions: bytes) -> dict[str, Any]:
        """Run several functions at the same time; the handler of the worker.

        Parameters
        ----------
        questions : bytes
            Pickled list of pairs: an asynchronous function of an argument and ``dask_worker``, and its argument.

        Returns
        -------
        dict
            ``answers``: a `WorkerReplies`.
        """
        asked = loads(questions)
        calls = (function(argument, dask_worker=self._worker) for function, argument in asked)
        answers = WorkerReplies(each=await asyncio.gather(*calls, return_exceptions=True))
        return {"answers": to_serialize(answers)}


async def cut_patches_on_worker(request: PatchRequest, dask_worker: Worker) -> dict[Key, Patch]:
    """Cut the patches of a tile on a worker that has a `PixelPlugin`.

    Parameters
    ----------
    request : PatchRequest
        Layer, level, control points and blocks.
    dask_worker : distributed.Worker
        Worker, which its handler passes.

    Returns
    -------
    dict
        Patches by key, of the blocks that the worker holds.
    """
    held, threads = _held(request.windows, dask_worker), dask_worker.executors[PIXELS]
    return await asyncio.get_running_loop().run_in_executor(threads, cut_patches, held, request)


async def read_pixels_on_worker(places: Mapping[Key, BlockPixel], dask_worker: Worker) -> dict[Key, PixelReadings]:
    """Return the values of one pixel of each block that a worker holds, by key.

    Parameters
    ----------
    places : mapping of Key to BlockPixel
        Pixel to read in each block.
    dask_worker : distributed.Worker
        Worker, which its handler passes.
    """
    return read_pixels(_held(places, dask_worker), places)


def _held(keys: Mapping[Key, object], worker: Worker) -> dict[Key, Block]:
    """Return the blocks that a worker holds, in memory or spilled to disk.

    Call it on the worker's event loop, since Dask's spill buffer is not thread-safe.
    """
    data: Mapping[Any, Any] = worker.data
    return {key: data[key] for key in keys if key in data}
