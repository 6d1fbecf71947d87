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
"""Window of the result, and the (y, x) values of a level in the window by layer."""

PixelReadings = Mapping[str, Any]
"""Values of one pixel by array name; an array with an axis of reasons has a list of values."""


@dataclass(frozen=True, kw_only=True)
class ControlPoints:
    """Control points of a tile: a lattice of positions in the tile, as positions in the result.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, n + 1, n + 1) float64 row and column in level-0 pixels of the result. 0 is the outer border of the first
        pixel. Positions far from the result are not finite.
    step : int
        Tile pixels between two nodes. The first node is the corner of the tile, whose edges have n * step pixels.
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
        Overview level of the values; 0 means the full resolution.
    control : ControlPoints
        Control points of the tile.
    windows : mapping of Key to ResultWindow
        Windows of the blocks by key.
    split : bool
        Whether pixels with too few observations for a mean are distinguished from pixels that were never clear.
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
    """Pixels of a tile from one or several blocks: 2 bytes per pixel, and one bit per pixel of their bounding box.

    Attributes
    ----------
    row, column : int
        Row and column of the first pixel of the patch in the tile.
    shape : (int, int)
        (rows, columns) of the bounding box; (0, 0) if the tile does not show the blocks.
    bits : numpy.ndarray
        uint8 from `numpy.packbits` of (y, x) bool, True for pixels that the blocks cover.
    values : numpy.ndarray
        (n,) int16 encoded values or codes of these pixels, row by row.
    """

    row: int
    column: int
    shape: tuple[int, int]
    bits: NDArray[np.uint8]
    values: NDArray[np.int16]


def cut_patches(blocks: Mapping[Key, Block], request: PatchRequest) -> dict[Key, Patch]:
    """Cut the pixels of a tile from blocks. Thread-safe; the GIL is released for most of the time.

    Parameters
    ----------
    blocks : mapping of Key to Block
        Blocks by key; the request must contain all of these keys.
    request : PatchRequest
        Layer, level and control points.

    Returns
    -------
    dict of Key to Patch
        See `cut_window_patches`.
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
        Windows and their values, by block key.
    request : PatchRequest
        Layer, level and control points.

    Returns
    -------
    dict
        The same patch for all keys. A single patch is cheaper than several with few pixels each.
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
    """Return the (y, x) values of a layer in a tile, undefined outside the blocks, and (y, x) bool, True inside."""
    control = request.control
    picked = np.empty((control.size, control.size), next(layers[layer].dtype for _, layers in held))
    hit = np.zeros(picked.shape, np.bool_)
    for window, layers in held:
        kernels.gather_pixels(layers[layer], window, request.level, control.nodes, control.step, picked, hit)
    return picked, hit


def _tell_apart(values: NDArray[np.int16], counts: NDArray[np.generic], level: int) -> None:
    """Set values in place to `TOO_FEW` for pixels that have observations but no mean."""
    none = kernels.NEVER_CLEAR if level else 0
    np.copyto(values, kernels.TOO_FEW, where=(values == kernels.NEVER_CLEAR) & (counts != none))


def visible_window(window: ResultWindow, request: PatchRequest) -> ResultWindow:
    """Return the part of a block's window that a tile may show, in whole pixels of the level; it may be empty.

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
    """Return the part of a span in the range of the nodes, which contains all interpolated positions."""
    finite = nodes[np.isfinite(nodes)]
    if not finite.size:
        return first, first
    low = floor(finite.min() / size) * size
    high = (floor(finite.max() / size) + 1) * size
    return min(max(first, low), last), max(min(last, high), first)


def _extent(hit: NDArray[np.bool_], axis: int) -> slice:
    """Return the smallest slice along the axis other than `axis` that encloses all True values."""
    places = np.flatnonzero(hit.any(axis=axis))
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def read_pixels(blocks: Mapping[Key, Block], places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
    """Read the values of one pixel of each block, by key.

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
    """Load libraries and compile the kernels for blocks and tiles in advance; called once on each worker."""
    warm_up_blocks()
    warm_up_cutting()


def warm_up_cutting() -> None:
    """Compile the kernels for tiles in advance."""
    hit = np.zeros((1, 1), np.bool_)
    for dtype in (np.float32, np.uint16, np.int16):
        values = np.ones((1, 1), dtype)
        kernels.gather_pixels(values, (0, 0, 1, 1), 0, np.zeros((2, 2, 2)), 1, np.empty_like(values), hit)
        kernels.encode_values(values.ravel(), 1.0)
