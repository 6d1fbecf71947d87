"""Tile patches: the pixels of a tile, cut from blocks or from windows of the result."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute import kernels
from compute.engine import Block
from compute.engine import warm_up as warm_up_blocks
from compute.engine.overview_levels import LAYER_ENCODING
from compute.result.layers import ARRAYS
from compute.result.stack_tasks import Key
from compute.scenes.pixel_frames import BlockPixel, ResultWindow

WindowValues = tuple[ResultWindow, Mapping[str, NDArray[Any]]]
"""A window of the result, and by layer the (y, x) values of a level in it."""

PixelReadings = Mapping[str, Any]
"""Values of one pixel by array name; a list for an array with an axis of reasons."""


@dataclass(frozen=True, kw_only=True)
class ControlPoints:
    """Control points of a tile on the result.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, n + 1, n + 1) float64 row and column in level-0 pixels of the result, 0 at the outer border of the first
        pixel; not finite far from the result.
    step : int
        Tile pixels between two nodes; the first node is the tile's corner. The tile has n * step pixels along an edge.
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
        Overview level of the values; 0 for the blocks' own pixels.
    control : ControlPoints
        Control points of the tile.
    windows : mapping of Key to ResultWindow
        Windows of the blocks by key.
    split : bool
        Whether pixels with too few observations for a mean are distinguished from those never clear.
    """

    layer: str
    level: int
    control: ControlPoints
    windows: Mapping[Key, ResultWindow]
    split: bool = False

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers to read."""
        return (self.layer, "clear_count") if self.split else (self.layer,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Patch:
    """Pixels of a tile from some blocks: 2 bytes for each, and a bit for each pixel of their bounding box.

    Attributes
    ----------
    row, column : int
        First pixel of the patch in the tile.
    shape : (int, int)
        (rows, columns) of the bounding box; 0 where the tile does not show the blocks.
    bits : numpy.ndarray
        uint8 from `numpy.packbits` of (y, x) bool: pixels that the blocks provide.
    values : numpy.ndarray
        (n,) int16 values of those pixels, row by row.
    """

    row: int
    column: int
    shape: tuple[int, int]
    bits: NDArray[np.uint8]
    values: NDArray[np.int16]


def cut_patches(blocks: Mapping[Key, Block], request: PatchRequest) -> dict[Key, Patch]:
    """Cut the pixels of a tile from blocks. Thread-safe; most of the time the GIL is released.

    Parameters
    ----------
    blocks : mapping of Key to Block
        Blocks by key, all of them in the request.
    request : PatchRequest
        Layer, level and control points.

    Returns
    -------
    dict of Key to Patch
        As from `cut_window_patches`.
    """
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
        Windows and their values by the keys of the blocks.
    request : PatchRequest
        Layer, level and control points.

    Returns
    -------
    dict
        By the same keys, one patch for all, since the cost of patches with few pixels is in their number.
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
    """Return (y, x) values of a layer in a tile, undefined outside the blocks, and (y, x) bool of pixels inside."""
    control = request.control
    picked = np.empty((control.size, control.size), next(layers[layer].dtype for _, layers in held))
    hit = np.zeros(picked.shape, np.bool_)
    for window, layers in held:
        kernels.gather_pixels(layers[layer], window, request.level, control.nodes, control.step, picked, hit)
    return picked, hit


def _tell_apart(values: NDArray[np.int16], counts: NDArray[np.generic], level: int) -> None:
    """Set `TOO_FEW` in place where a mean is missing although there are observations."""
    none = kernels.NEVER_CLEAR if level else 0
    np.copyto(values, kernels.TOO_FEW, where=(values == kernels.NEVER_CLEAR) & (counts != none))


def visible_window(window: ResultWindow, request: PatchRequest) -> ResultWindow:
    """Return the part of a block's window that a tile may show, on whole pixels of the level; it may be empty.

    Parameters
    ----------
    window : ResultWindow
        Window of the block.
    request : PatchRequest
        Level and control points.
    """
    spans = (
        _visible_span(window[axis], window[axis + 2], nodes, 1 << request.level)
        for axis, nodes in enumerate(request.control.nodes)
    )
    (top, bottom), (left, right) = spans
    return ResultWindow((top, left, bottom, right))


def _visible_span(first: int, last: int, nodes: NDArray[np.float64], size: int) -> tuple[int, int]:
    """Return the part of a span within the range of the nodes, in which all interpolated positions lie."""
    finite = nodes[np.isfinite(nodes)]
    if not finite.size:
        return first, first
    low = floor(finite.min() / size) * size
    high = (floor(finite.max() / size) + 1) * size
    return min(max(first, low), last), max(min(last, high), first)


def _extent(hit: NDArray[np.bool_], axis: int) -> slice:
    """Return the smallest slice that encloses all True values along the other axis."""
    places = np.flatnonzero(hit.any(axis=axis))
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def read_pixels(blocks: Mapping[Key, Block], places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
    """Return the values of one pixel of each block, by key.

    Parameters
    ----------
    blocks : mapping of Key to Block
        Blocks by key.
    places : mapping of Key to BlockPixel
        Pixel to read in each block.
    """
    return {key: _read(block, places[key]) for key, block in blocks.items()}


def _read(block: Block, place: BlockPixel) -> PixelReadings:
    held = {name: getattr(block, name) for name in ARRAYS}
    return {name: values[(..., *place)].tolist() for name, values in held.items() if values is not None}


def warm_up() -> None:
    """Load libraries and compile kernels for blocks and tiles in advance; run once on each worker."""
    warm_up_blocks()
    warm_up_cutting()


def warm_up_cutting() -> None:
    """Compile the kernels for tiles in advance."""
    hit = np.zeros((1, 1), np.bool_)
    for dtype in (np.float32, np.uint16, np.int16):
        values = np.ones((1, 1), dtype)
        kernels.gather_pixels(values, (0, 0, 1, 1), 0, np.zeros((2, 2, 2)), 1, np.empty_like(values), hit)
        kernels.encode_values(values.ravel(), 1.0)
