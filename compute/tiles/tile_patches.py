"""Tile patches: a worker cuts the pixels of a tile from the blocks that it holds.

It stands below `compute.tiles`, so that workers load no more of them than this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
from distributed import Worker, WorkerPlugin
from distributed.protocol.pickle import loads
from distributed.protocol.serialize import to_serialize
from numpy.typing import NDArray

from compute import kernels
from compute.engine import Block
from compute.engine import warm_up as warm_up_blocks
from compute.engine.overview_levels import LAYER_ENCODING
from compute.result.layers import ARRAYS
from compute.result.stack_tasks import Key
from compute.scenes.pixel_frames import BlockPixel, ResultWindow

PIXELS = "greenup_pixels"
"""Name of what answers for pixels on a worker: of its handler, of its threads and of the plugin that brings both."""

# One more than a tile needs, so that none waits for another's large chunk; Dask offloads to one, which transfers hold.
_THREADS = 2

WindowValues = tuple[ResultWindow, Mapping[str, NDArray[Any]]]
"""A window of the result, and by layer the (y, x) values of a level in it."""

PixelReadings = Mapping[str, Any]
"""What one pixel holds: a number by the name of each of its block's arrays, or one for each reason."""


@dataclass(frozen=True, kw_only=True)
class ControlPoints:
    """Control points of a tile on the result.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, n + 1, n + 1) float64 row and column in level-0 pixels of the result, 0 at the outer border of the first;
        not finite where the tile is far from the result.
    step : int
        Tile pixels between two nodes, the first on the tile's corner; the tile has n * step pixels along each edge.
    """

    nodes: NDArray[np.float64]
    step: int

    @property
    def size(self) -> int:
        """Pixels along each edge of the tile."""
        return int(self.nodes.shape[1] - 1) * self.step


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchRequest:
    """Request for the patches of some blocks under one tile.

    Attributes
    ----------
    layer : str
        ``"ndvi_mean"`` or ``"clear_count"``.
    level : int
        Level to take values from; 0 is the blocks' own pixels.
    control : ControlPoints
        Where the tile lies.
    windows : mapping of Key to ResultWindow
        By the key of a block, where it lies in the result.
    split : bool
        Whether means that are missing though something was clear are told from those of what never was.
    """

    layer: str
    level: int
    control: ControlPoints
    windows: Mapping[Key, ResultWindow]
    split: bool = False

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that it takes."""
        return (self.layer, "clear_count") if self.split else (self.layer,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Patch:
    """The pixels of a tile that some blocks give: 2 bytes for each of them, and a bit for each around them.

    Attributes
    ----------
    row, column : int
        First pixel of the patch in the tile.
    shape : (int, int)
        Rows and columns; 0 where the tile does not show the blocks after all.
    bits : numpy.ndarray
        uint8, as `numpy.packbits` makes them of the (y, x) pixels that the blocks give.
    values : numpy.ndarray
        (n,) int16 values of those pixels, row by row.
    """

    row: int
    column: int
    shape: tuple[int, int]
    bits: NDArray[np.uint8]
    values: NDArray[np.int16]


def cut_patches(blocks: Mapping[Key, Block], request: PatchRequest) -> dict[Key, Patch]:
    """Cut the pixels of a tile from blocks; pure arithmetic without the GIL, for any thread."""
    return cut_window_patches(
        {key: (request.windows[key], _layers(block, request)) for key, block in blocks.items()}, request
    )


def _layers(block: Block, request: PatchRequest) -> dict[str, NDArray[Any]]:
    held = block if request.level == 0 else block.levels[request.level - 1]
    return {layer: getattr(held, layer) for layer in request.layers}


def cut_window_patches(held: Mapping[Key, WindowValues], request: PatchRequest) -> dict[Key, Patch]:
    """Cut the pixels of a tile from windows of the result.

    Parameters
    ----------
    held : mapping of Key to WindowValues
        By the keys of their blocks.
    request : PatchRequest
        What is wanted.

    Returns
    -------
    dict
        By the same keys, one patch for all: what few pixels of many blocks cost is in their number.
    """
    if not held:
        return {}
    picked, hit = _gathered(held.values(), request.layer, request)
    rows, columns = _extent(hit, 1), _extent(hit, 0)
    given = hit[rows, columns]
    found = picked[rows, columns][given]
    per_unit = 1.0 / LAYER_ENCODING[request.layer].scale
    values = found.astype(np.int16, copy=False) if request.level else kernels.encode_values(found, per_unit)
    if request.split and (values == kernels.NEVER_CLEAR).any():
        counts, _ = _gathered(held.values(), "clear_count", request)
        _tell_apart(values, counts[rows, columns][given], request.level)
    bits = np.packbits(given)
    patch = Patch(row=rows.start, column=columns.start, shape=given.shape, bits=bits, values=values)
    return dict.fromkeys(held, patch)


def _gathered(
    held: Collection[WindowValues], layer: str, request: PatchRequest
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return the values of a layer in the pixels of a tile, of no meaning where nothing was hit, and what was hit."""
    control = request.control
    picked = np.empty((control.size, control.size), next(layers[layer].dtype for _, layers in held))
    hit = np.zeros(picked.shape, np.bool_)
    for window, layers in held:
        kernels.gather_pixels(layers[layer], window, request.level, control.nodes, control.step, picked, hit)
    return picked, hit


def _tell_apart(values: NDArray[np.int16], counts: NDArray[np.generic], level: int) -> None:
    """Mark, in place, the means that are missing where something was clear."""
    none = kernels.NEVER_CLEAR if level else 0
    np.copyto(values, kernels.TOO_FEW, where=(values == kernels.NEVER_CLEAR) & (counts != none))


def visible_window(window: ResultWindow, request: PatchRequest) -> ResultWindow:
    """Return the part of a block's window that a tile may show, on whole pixels of the order's level; may be empty."""
    spans = (
        _visible_span(window[axis], window[axis + 2], nodes, 1 << request.level)
        for axis, nodes in enumerate(request.control.nodes)
    )
    (top, bottom), (left, right) = spans
    return ResultWindow((top, left, bottom, right))


def _visible_span(first: int, last: int, nodes: NDArray[np.float64], size: int) -> tuple[int, int]:
    """Return where the part of a span begins and ends that nodes surround; what is interpolated lies among them."""
    finite = nodes[np.isfinite(nodes)]
    if not finite.size:
        return first, first
    low = floor(finite.min() / size) * size
    high = (floor(finite.max() / size) + 1) * size
    return min(max(first, low), last), max(min(last, high), first)


def _extent(hit: NDArray[np.bool_], axis: int) -> slice:
    """Return the smallest slice that holds every hit, looking along an axis."""
    places = np.flatnonzero(hit.any(axis=axis))
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def read_pixels(blocks: Mapping[Key, Block], places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
    """Return what one pixel of each block holds."""
    return {key: _read(block, places[key]) for key, block in blocks.items()}


def _read(block: Block, place: BlockPixel) -> PixelReadings:
    held = {name: getattr(block, name) for name in ARRAYS}
    return {name: values[(..., *place)].tolist() for name, values in held.items() if values is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerReplies:
    """Results or exceptions of functions that a worker ran, in order.

    Not a list, which Dask would take apart to send everything in it by itself, and twice what is in it twice.
    """

    each: list[Any]


class PixelPlugin(WorkerPlugin):
    """Answer questions about blocks on a worker, now and on those that join later, which it warms up.

    A handler of the worker takes them, so they wait for no task and need no client's round trip of tasks; what takes
    time is done in threads of its own.
    """

    name = PIXELS
    _worker: Worker

    def setup(self, worker: Worker) -> None:
        """Begin to answer."""
        self._worker = worker
        worker.executors[PIXELS] = threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="Greenup-Pixels")
        worker.handlers[PIXELS] = self.answer
        threads.submit(warm_up)

    def teardown(self, worker: Worker) -> None:
        """Answer no more; what was asked before still is answered."""
        del worker.handlers[PIXELS]
        worker.executors.pop(PIXELS).shutdown(wait=False)

    async def answer(self, questions: bytes) -> dict[str, Any]:
        """Answer several questions at once; the handler.

        Parameters
        ----------
        questions : bytes
            Pickled list of pairs: an asynchronous function of an argument and ``dask_worker``, and its argument.

        Returns
        -------
        dict
            ``answers``: `WorkerReplies`.
        """
        asked = loads(questions)
        calls = (function(argument, dask_worker=self._worker) for function, argument in asked)
        answers = WorkerReplies(each=await asyncio.gather(*calls, return_exceptions=True))
        return {"answers": to_serialize(answers)}


async def cut_patches_on_worker(request: PatchRequest, dask_worker: Worker) -> dict[Key, Patch]:
    """Cut the patches of a tile on a worker that has a `PixelPlugin`.

    Returns
    -------
    dict
        By key, the patches of those blocks that the worker holds.
    """
    held, threads = _held(request.windows, dask_worker), dask_worker.executors[PIXELS]
    return await asyncio.get_running_loop().run_in_executor(threads, cut_patches, held, request)


async def read_pixels_on_worker(places: Mapping[Key, BlockPixel], dask_worker: Worker) -> dict[Key, PixelReadings]:
    """Read one pixel of each block on a worker."""
    return read_pixels(_held(places, dask_worker), places)


def _held(keys: Mapping[Key, object], worker: Worker) -> dict[Key, Block]:
    """Return the blocks that a worker holds, read back from its disk where they were spilled.

    Called on the worker's event loop, as Dask itself does: its buffer is not made for several threads.
    """
    data: Mapping[Any, Any] = worker.data
    return {key: data[key] for key in keys if key in data}


def warm_up() -> None:
    """Load and compile what the first block and the first tile would otherwise wait for; run once on each worker."""
    warm_up_blocks()
    warm_up_cutting()


def warm_up_cutting() -> None:
    """Load and compile what the first tile alone would wait for."""
    hit = np.zeros((1, 1), np.bool_)
    for dtype in (np.float32, np.uint16, np.int16):
        values = np.ones((1, 1), dtype)
        kernels.gather_pixels(values, (0, 0, 1, 1), 0, np.zeros((2, 2, 2)), 1, np.empty_like(values), hit)
        kernels.encode_values(values.ravel(), 1.0)
