"""Worker plugin that handles requests for pixels of the blocks on a worker."""

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
"""Name of the plugin, and of its handler and thread pool on a worker."""

# Two, so that a request for a large chunk does not delay all others. Dask uses its own offload thread for transfers.
_THREADS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerReplies:
    """Results or exceptions of functions that a worker ran, in order.

    The list is wrapped in a record, since Dask serialises the items of a plain list one by one, repeated items too.
    """

    each: list[Any]


class PixelPlugin(WorkerPlugin):
    """Worker plugin that handles requests for pixels of blocks.

    Requests are sent to a handler of the worker, so they are independent of tasks. Slow work runs in a thread pool of
    the plugin. Dask also installs the plugin on workers that join later.
    """

    name = PIXELS
    _worker: Worker

    def setup(self, worker: Worker) -> None:
        """Install the handler and the thread pool, and compile kernels in advance."""
        self._worker = worker
        worker.executors[PIXELS] = threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="Greenup-Pixels")
        worker.handlers[PIXELS] = self.answer
        threads.submit(warm_up)

    def teardown(self, worker: Worker) -> None:
        """Remove the handler; running requests are completed."""
        del worker.handlers[PIXELS]
        worker.executors.pop(PIXELS).shutdown(wait=False)

    async def answer(self, questions: bytes) -> dict[str, Any]:
        """Run several functions concurrently; this is the handler of the worker.

        Parameters
        ----------
        questions : bytes
            Pickled list of pairs (function, argument). ``function(argument, dask_worker=...)`` is asynchronous.

        Returns
        -------
        dict
            ``answers``, a `WorkerReplies` with the results in the order of `questions`.
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
        Worker on which the function runs.

    Returns
    -------
    dict
        Patches by key, for the blocks that the worker holds.
    """
    held, threads = _held(request.windows, dask_worker), dask_worker.executors[PIXELS]
    return await asyncio.get_running_loop().run_in_executor(threads, cut_patches, held, request)


async def read_pixels_on_worker(places: Mapping[Key, BlockPixel], dask_worker: Worker) -> dict[Key, PixelReadings]:
    """Read the values of one pixel of each block that a worker holds, by key.

    Parameters
    ----------
    places : mapping of Key to BlockPixel
        Pixel to read in each block.
    dask_worker : distributed.Worker
        Worker on which the function runs.
    """
    return read_pixels(_held(places, dask_worker), places)


def _held(keys: Mapping[Key, object], worker: Worker) -> dict[Key, Block]:
    """Return the blocks that a worker holds, in memory or spilled to disk.

    Call this function on the event loop of the worker, since Dask's spill buffer is not thread-safe.
    """
    data: Mapping[Any, Any] = worker.data
    return {key: data[key] for key in keys if key in data}
