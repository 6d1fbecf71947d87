"""Nearest-neighbour warp of a chunk to the pixel grid of a picture."""

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
    """Write the values of one chunk to the picture pixels whose centres it covers.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x) values of the chunk at an overview level.
    window : (int, int, int, int)
        Window of the chunk in level-0 pixels of the result (a `compute.scenes.pixel_frames.ResultWindow`): first row,
        first column, row after the last, column after the last.
    level : int
        Overview level of `values`; 0 for full resolution.
    nodes : numpy.ndarray
        (2, m + 1, n + 1) float64 positions of control points: row and column in level-0 pixels of the result, where the
        first pixel extends from 0 to 1. Positions of pixel centres are interpolated between the nodes. Cells with a
        non-finite corner are skipped.
    step : int
        Number of picture pixels between two nodes.
    picked : numpy.ndarray
        (m * step, n * step) values of the picture, in the dtype of `values`; changed in place.
    hit : numpy.ndarray
        (m * step, n * step) bool, set to True at pixels to which a value is written; changed in place.
    """
    _gather_pixels(_as_received(values), window, level, _as_received(nodes), step, picked, hit)


def _as_received(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a contiguous read-only array, so that numba compiles for one array type only."""
    held = np.ascontiguousarray(values).view()
    held.flags.writeable = False
    return held


# The functions below use scalars instead of slices: numba creates an object for each slice, even of skipped cells.


@njit(nogil=True, cache=True)
def _gather_pixels(values, window, level, nodes, step, picked, hit):  # type: ignore[no-untyped-def]  # for any value type
    for i in range(nodes.shape[1] - 1):
        for j in range(nodes.shape[2] - 1):
            if _meets(nodes, i, j, window):
                _gather_cell(values, window, level, nodes, (i, j), step, picked, hit)


@njit(nogil=True, cache=True)
def _meets(nodes, i, j, window):  # type: ignore[no-untyped-def]  # numba infers types
    """Return whether a cell may overlap a window. Interpolated positions lie within the range of the corners."""
    for axis in range(2):
        a, b, c, d = nodes[axis, i, j], nodes[axis, i, j + 1], nodes[axis, i + 1, j], nodes[axis, i + 1, j + 1]
        if not np.isfinite(a + b + c + d) or max(a, b, c, d) < window[axis] or min(a, b, c, d) >= window[axis + 2]:
            return False
    return True


@njit(nogil=True, cache=True)
def _gather_cell(values, window, level, nodes, cell, step, picked, hit):  # type: ignore[no-untyped-def]  # for any value type
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
def _between(nodes, axis, i, j, down):  # type: ignore[no-untyped-def]  # numba infers types
    """Return a coordinate interpolated between a node and the node below."""
    return (1 - down) * nodes[axis, i, j] + down * nodes[axis, i + 1, j]
