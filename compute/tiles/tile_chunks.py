"""Chunks under a tile, and assembly of a tile from their patches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from compute import kernels
from compute.result.chunk_windows import Chunks, borders
from compute.scenes.pixel_frames import ResultWindow
from compute.tiles.tile_patches import ControlPoints, Patch

# A single value for the whole result, at a level so coarse that a result of any size has one pixel.
_ANYTHING = np.zeros((1, 1), np.int16)
_COARSEST = 62


def chunks_under_tile(chunks: Chunks, control: ControlPoints) -> Iterator[tuple[int, int, ResultWindow]]:
    """Yield (row, column, window) of every chunk that overlaps the range of a tile's control points.

    Parameters
    ----------
    chunks : Chunks
        Sizes of the chunks along y and x.
    control : ControlPoints
        Control points of the tile.
    """
    rows, columns = (borders(sizes).tolist() for sizes in chunks)
    for row, column in product(_reached(rows, control.nodes[0]), _reached(columns, control.nodes[1])):
        yield row, column, ResultWindow((rows[row], columns[column], rows[row + 1], columns[column + 1]))


def _reached(edges: list[int], nodes: NDArray[np.float64]) -> range:
    finite = nodes[np.isfinite(nodes)]
    if finite.size == 0:
        return range(0)
    first, last = (bisect_right(edges, place) - 1 for place in (finite.min(), finite.max()))
    return range(max(first, 0), min(last + 1, len(edges) - 1))


def blank_tile(shape: tuple[int, int], control: ControlPoints) -> NDArray[np.int16]:
    """Return a tile without computed pixels.

    Parameters
    ----------
    shape : (int, int)
        (rows, columns) of the result.
    control : ControlPoints
        Control points of the tile.

    Returns
    -------
    numpy.ndarray
        (y, x) int16: `kernels.NOT_COMPUTED` inside the grid of the result, `kernels.OUTSIDE` elsewhere.
    """
    tile = np.full((control.size, control.size), kernels.NOT_COMPUTED, np.int16)
    rows, columns = control.nodes
    if not (rows.min() >= 0 and columns.min() >= 0 and rows.max() < shape[0] and columns.max() < shape[1]):
        hit = np.zeros(tile.shape, np.bool_)
        kernels.gather_pixels(
            _ANYTHING, (0, 0, *shape), _COARSEST, control.nodes, control.step, np.empty_like(tile), hit
        )
        tile[~hit] = kernels.OUTSIDE
    return tile


def paste_patches(tile: NDArray[np.int16], patches: Iterable[Patch]) -> None:
    """Paste patches into a tile in place. Patches share no pixels, so their order is irrelevant.

    Parameters
    ----------
    tile : numpy.ndarray
        (y, x) int16 values of the tile; changed in place.
    patches : iterable of Patch
        Patches of the tile.
    """
    for patch in patches:
        height, width = patch.shape
        given = np.unpackbits(patch.bits, count=height * width).reshape(patch.shape).view(bool)
        tile[patch.row : patch.row + height, patch.column : patch.column + width][given] = patch.values
