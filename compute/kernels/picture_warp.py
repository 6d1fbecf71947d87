"""Nearest-neighbour warp of a chunk to the pixels of a picture on another grid."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def gather_pixels(
    values: NDArray[np.generic],
    window: tuple[int, int, int, int],
    level: int,
    nodes: NDArray[np.float64],
    step: int,
    picked: NDArray[np.generic],
    hit: NDArray[np.bool_],
) -> None:
    """Write the nearest values of one chunk to the pixels of a picture that it covers.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x) values of the chunk at a level.
    window : (int, int, int, int)
        (first row, first column, row after the last, column after the last) of the chunk in level-0 pixels of the
        result: a `compute.scenes.pixel_frames.ResultWindow`.
    level : int
        Level of `values`.
    nodes : numpy.ndarray
        (2, m + 1, n + 1) float64 row and column, in level-0 pixels of the result with 0 at the outer border of the
        first, of points `step` picture pixels apart. Pixel centres are interpolated between them. Cells with a corner
        that is not finite are skipped.
    step : int
        Number of picture pixels between two nodes.
    picked : numpy.ndarray
        (m * step, n * step) values of the picture, of the type of `values`; changed in place.
    hit : numpy.ndarray
        (m * step, n * step) bool: set to True where a value is written.
    """
    _gather_pixels(_as_received(values), window, level, _as_received(nodes), step, picked, hit)


def _as_received(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a contiguous read-only view, like arrays from another process, so that numba compiles one form only."""
    held = np.ascontiguousarray(values).view()
    held.flags.writeable = False
    return held


# Scalars instead of slices below: numba creates an object for each slice, and most cells are skipped.


@njit(nogil=True, cache=True)
def _gather_pixels(values, window, level, nodes, step, picked, hit):  # type: ignore[no-untyped-def]  # for any value type
    for i in range(nodes.shape[1] - 1):
        for j in range(nodes.shape[2] - 1):
            if _meets(nodes, i, j, window):
                _gather_cell(values, window, level, nodes, (i, j), step, picked, hit)


@njit(nogil=True, cache=True)
def _meets(nodes, i, j, window):  # type: ignore[no-untyped-def]  # numba types it
    """Return whether a cell may overlap a chunk: interpolated positions stay within the range of the corners."""
    for axis in range(2):
        a, b, c, d = nodes[axis, i, j], nodes[axis, i, j + 1], nodes[axis, i + 1, j], nodes[axis, i + 1, j + 1]
        if not np.isfinite(a + b + c + d) or max(a, b, c, d) < window[axis] or min(a, b, c, d) >= window[axis + 2]:
            return False
    return True


@njit(nogil=True, cache=True)
def _gather_cell(values, window, level, nodes, cell, step, picked, hit):  # type: ignore[no-untyped-def]  # as above
    i, j = cell
    top, left, bottom, right = window
    for y in range(step):
        down = (y + 0.5) / step
        row_west, row_east = _between(nodes, 0, i, j, down), _between(nodes, 0, i, j + 1, down)
        column_west, column_east = _between(nodes, 1, i, j, down), _between(nodes, 1, i, j + 1, down)
        for x in range(step):
            along = (x + 0.5) / step
            r = int(np.floor((1 - along) * row_west + along * row_east))
            c = int(np.floor((1 - along) * column_west + along * column_east))
            if top <= r < bottom and left <= c < right:
                hit[i * step + y, j * step + x] = True
                picked[i * step + y, j * step + x] = values[(r - top) >> level, (c - left) >> level]


@njit(nogil=True, cache=True)
def _between(nodes, axis, i, j, down):  # type: ignore[no-untyped-def]  # numba types it
    """Return a coordinate interpolated between a node and the one below it."""
    return (1 - down) * nodes[axis, i, j] + down * nodes[axis, i + 1, j]
