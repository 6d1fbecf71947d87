"""What a worker does for a tile: cut the pixels that it shows from the blocks that the worker holds.

It stands below `compute.tiles`, so that workers load no more of them than this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import floor
from typing import Any

import numpy as np
from distributed import Worker, WorkerPlugin
from distributed.protocol.pickle import loads
from distributed.protocol.serialize import to_serialize
from numpy.typing import NDArray

from compute import kernels
from compute.blocks import Block
from compute.blocks import warm_up as warm_up_blocks
from compute.layers import ARRAYS
from compute.levels import LAYER_ENCODING
from compute.stack import Key, Window

PIXELS = "greenup_pixels"
"""Name of what answers for pixels on a worker: of its handler, of its threads and of the plugin that brings both."""

_THREADS = 2
"""Threads of a worker that cut tiles beside its tasks: one more than a tile needs, so that none waits for another's
large chunk. Dask's own offloading has a single thread, which big transfers hold as well."""

Readings = Mapping[str, Any]
"""What one pixel holds: a number by the name of each of its block's arrays, or one for each reason."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """Control points of a tile on the result.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, n + 1, n + 1) float64 row and column in level-0 pixels of the result, 0 at the outer border of the first;
        not finite where the tile is far from the result.
    step : int
        Tile pixels between two nodes, the first on the tile's corner; the tile has n * step pixels along each edge.
    first : (int, int)
        Row and column of the first pixel in the tile, where these are the control points of a part of it.
    """

    nodes: NDArray[np.float64]
    step: int
    first: tuple[int, int] = (0, 0)

    @property
    def size(self) -> int:
        """Pixels along each edge of the tile."""
        return int(self.nodes.shape[1] - 1) * self.step

    def around(self, window: Window) -> Control:
        """Return the control points of the part of the tile that may show a chunk: little of it where chunks are many.

        Parameters
        ----------
        window : Window
            The chunk in level-0 pixels of the result.
        """
        rows, columns = kernels.cells_on(self.nodes, window)
        nodes = self.nodes[:, rows.start : rows.stop + 1, columns.start : columns.stop + 1]
        first = rows.start * self.step, columns.start * self.step
        return Control(nodes=np.ascontiguousarray(nodes), step=self.step, first=first)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is wanted of some blocks for one tile.

    Attributes
    ----------
    layer : str
        ``"ndvi_mean"`` or ``"clear_count"``.
    level : int
        Level to take values from; 0 is the blocks' own pixels.
    control : Control
        Where the tile lies.
    windows : mapping of Key to Window
        By the key of a block, where it lies in the result.
    split : bool
        Whether means that are missing though something was clear are told from those of what never was.
    """

    layer: str
    level: int
    control: Control
    windows: Mapping[Key, Window]
    split: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """The pixels of a tile that one block gives: 2 bytes for each of them, and a bit for each around them.

    Attributes
    ----------
    row, column : int
        First pixel of the patch in the tile.
    shape : (int, int)
        Rows and columns; 0 where the tile does not show the block after all.
    bits : numpy.ndarray
        uint8, as `numpy.packbits` makes them of the (y, x) pixels that the block gives.
    values : numpy.ndarray
        (n,) int16 values of those pixels, row by row.
    """

    row: int
    column: int
    shape: tuple[int, int]
    bits: NDArray[np.uint8]
    values: NDArray[np.int16]


def cut(blocks: Mapping[Key, Block], order: Order) -> dict[Key, Patch]:
    """Cut the patches of a tile from blocks; pure arithmetic without the GIL, for any thread."""
    return {key: _cut(block, order.windows[key], order) for key, block in blocks.items()}


def _cut(block: Block, window: Window, order: Order) -> Patch:
    held = block if order.level == 0 else block.levels[order.level - 1]
    return cut_values(partial(getattr, held), window, order)


def cut_values(layer: Callable[[str], NDArray[Any]], window: Window, order: Order) -> Patch:
    """Cut the patch of a tile from a window of the result.

    Parameters
    ----------
    layer : callable
        Given the name of a layer, returns its (y, x) values in that window at the order's level.
    window : Window
        In level-0 pixels of the result.
    order : Order
        What is wanted.
    """
    part = order.control.around(window)
    picked, hit = kernels.gather(layer(order.layer), window, order.level, part.nodes, part.step)
    rows, columns = _extent(hit, 1), _extent(hit, 0)
    given = hit[rows, columns]
    found = picked[rows, columns][given]
    per_unit = 1.0 / LAYER_ENCODING[order.layer].scale
    values = found.astype(np.int16, copy=False) if order.level else kernels.encode(found, per_unit)
    if order.split and (values == kernels.NEVER_CLEAR).any():
        counts, _ = kernels.gather(layer("clear_count"), window, order.level, part.nodes, part.step)
        _tell_apart(values, counts[rows, columns][given], order.level)
    row, column = part.first[0] + rows.start, part.first[1] + columns.start
    return Patch(row=row, column=column, shape=given.shape, bits=np.packbits(given), values=values)


def _tell_apart(values: NDArray[np.int16], counts: NDArray[np.generic], level: int) -> None:
    """Mark, in place, the means that are missing where something was clear."""
    none = kernels.NEVER_CLEAR if level else 0
    np.copyto(values, kernels.TOO_FEW, where=(values == kernels.NEVER_CLEAR) & (counts != none))


def shown(window: Window, order: Order) -> Window:
    """Return the part of a block's window that a tile may show, on whole pixels of the order's level; may be empty."""
    spans = (
        _shown(window[axis], window[axis + 2], nodes, 1 << order.level)
        for axis, nodes in enumerate(order.control.nodes)
    )
    (top, bottom), (left, right) = spans
    return top, left, bottom, right


def _shown(first: int, last: int, nodes: NDArray[np.float64], size: int) -> tuple[int, int]:
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


def read(blocks: Mapping[Key, Block], places: Mapping[Key, tuple[int, int]]) -> dict[Key, Readings]:
    """Return what one pixel of each block holds."""
    return {key: _read(block, places[key]) for key, block in blocks.items()}


def _read(block: Block, place: tuple[int, int]) -> Readings:
    held = {name: getattr(block, name) for name in ARRAYS}
    return {name: values[(..., *place)].tolist() for name, values in held.items() if values is not None}


class PixelPlugin(WorkerPlugin):
    """Answers questions about blocks on a worker, now and on those that join later, which it warms up.

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
            ``answers``: in the order of the questions, what each function returned or raised.
        """
        asked = loads(questions)
        calls = (function(argument, dask_worker=self._worker) for function, argument in asked)
        return {"answers": to_serialize(await asyncio.gather(*calls, return_exceptions=True))}


async def cut_on_worker(order: Order, dask_worker: Worker) -> dict[Key, Patch]:
    """Cut the patches of a tile on a worker that has a `PixelPlugin`.

    Returns
    -------
    dict
        By key, the patches of those blocks that the worker holds.
    """
    held, threads = _held(order.windows, dask_worker), dask_worker.executors[PIXELS]
    return await asyncio.get_running_loop().run_in_executor(threads, cut, held, order)


async def read_on_worker(places: Mapping[Key, tuple[int, int]], dask_worker: Worker) -> dict[Key, Readings]:
    """Read one pixel of each block on a worker."""
    return read(_held(places, dask_worker), places)


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
    window = 0, 0, 1, 1
    part = Control(nodes=np.zeros((2, 2, 2)), step=1).around(window)
    for dtype in (np.float32, np.uint16, np.int16):
        picked, _ = kernels.gather(np.ones((1, 1), dtype), window, 0, part.nodes, part.step)
        kernels.encode(picked.ravel(), 1.0)
