"""From a chunk to the pixels of a picture on another grid."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def gather(
    values: NDArray[np.generic], window: tuple[int, int, int, int], level: int, nodes: NDArray[np.float64], step: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Take from one chunk the nearest value for every pixel of a picture that falls on it.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x) values of the chunk at a level.
    window : (int, int, int, int)
        First row, first column, and row and column after the last, of the chunk in level-0 pixels of the result.
    level : int
        Level of `values`.
    nodes : numpy.ndarray
        (2, m + 1, n + 1) float64 row and column, in level-0 pixels of the result with 0 at the outer border of the
        first, of points `step` picture pixels apart; between them pixel centres are interpolated. Cells with a
        corner that is not finite lie nowhere.
    step : int
        Picture pixels between two nodes.

    Returns
    -------
    picked : numpy.ndarray
        (m * step, n * step) of the type of `values`, of no meaning where nothing was hit.
    hit : numpy.ndarray
        (m * step, n * step) bool: where the picture shows the chunk.
    """
    shape = (nodes.shape[1] - 1) * step, (nodes.shape[2] - 1) * step
    picked, hit = np.empty(shape, values.dtype), np.zeros(shape, np.bool_)
    # What came from another process is read-only, what was made here is not: one compiled form for both.
    held = values.view()
    held.flags.writeable = False
    _gather(held, window, level, nodes, step, picked, hit)
    return picked, hit


@njit(nogil=True, cache=True)
def _gather(values, window, level, nodes, step, picked, hit):  # type: ignore[no-untyped-def]  # for any value type
    for i in range(nodes.shape[1] - 1):
        for j in range(nodes.shape[2] - 1):
            corners, y, x = nodes[:, i : i + 2, j : j + 2], i * step, j * step
            if _meets(corners, window):
                cell = picked[y : y + step, x : x + step], hit[y : y + step, x : x + step]
                _gather_cell(values, window, level, corners, *cell)


@njit(nogil=True, cache=True)
def _meets(corners, window):  # type: ignore[no-untyped-def]  # numba types it
    """Tell whether a cell may show a chunk: what is interpolated never leaves the corners' range."""
    if not np.isfinite(corners.sum()):
        return False
    rows, columns = corners[0], corners[1]
    below = rows.max() < window[0] or columns.max() < window[1]
    return not (below or rows.min() >= window[2] or columns.min() >= window[3])


@njit(nogil=True, cache=True)
def _gather_cell(values, window, level, corners, picked, hit):  # type: ignore[no-untyped-def]  # for any value type
    step = hit.shape[0]
    top, left, bottom, right = window
    for y in range(step):
        down = (y + 0.5) / step
        row, column = (1 - down) * corners[:, 0] + down * corners[:, 1]
        for x in range(step):
            along = (x + 0.5) / step
            r = int(np.floor((1 - along) * row[0] + along * row[1]))
            c = int(np.floor((1 - along) * column[0] + along * column[1]))
            if top <= r < bottom and left <= c < right:
                hit[y, x] = True
                picked[y, x] = values[(r - top) >> level, (c - left) >> level]
