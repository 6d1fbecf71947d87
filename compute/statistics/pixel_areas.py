"""Pixel areas on the ground in any CRS, by an equal-area projection of the ellipsoid."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from compute.scenes import Grid
from compute.scenes.pixel_frames import ResultWindow

_EQUAL_AREA = "EPSG:6933"
"""Cylindrical, of WGS 84: what lies in it as large as on the ellipsoid is so everywhere."""

_TURN_M = 2 * 17_367_530.445
"""Metres around the world in it."""

_STEP_PX = 32
"""Pixels between places whose size is worked out; in between it is interpolated, within a millionth at 30 m."""


def pixel_areas(
    grid: Grid, window: ResultWindow, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how large level-0 pixels are.

    Parameters
    ----------
    grid : Grid
        Pixel grid of the result.
    window : ResultWindow
        In which the pixels lie.
    rows, columns : numpy.ndarray
        (y,) and (x,) centres of the pixels, in pixels of the grid, 0.5 for that of the first.

    Returns
    -------
    numpy.ndarray
        (y, x) float64 square metres, 0 where PROJ knows none.
    """
    top, left, bottom, right = window
    down, along = (
        np.linspace(first, last, ceil((last - first) / _STEP_PX) + 1) for first, last in ((top, bottom), (left, right))
    )
    known = _areas_at(grid, *np.meshgrid(along, down))
    lines = np.stack([np.interp(columns, along, line) for line in known])
    place = np.clip(np.searchsorted(down, rows, side="right") - 1, 0, down.size - 2)
    share = ((rows - down[place]) / (down[place + 1] - down[place]))[:, np.newaxis]
    areas: NDArray[np.float64] = lines[place] * (1 - share) + lines[place + 1] * share
    return areas


def _areas_at(grid: Grid, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how large a pixel around each place is: the parallelogram of the lines through its middle."""
    right = _equal_area(grid, columns + 0.5, rows) - _equal_area(grid, columns - 0.5, rows)
    down = _equal_area(grid, columns, rows + 0.5) - _equal_area(grid, columns, rows - 0.5)
    for step in (right, down):
        step[0] -= _TURN_M * np.rint(step[0] / _TURN_M)
    areas: NDArray[np.float64] = np.nan_to_num(np.abs(right[0] * down[1] - right[1] * down[0]), nan=0.0, posinf=0.0)
    return areas


def _equal_area(grid: Grid, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c, d, e, f = grid.transform
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    moved: NDArray[np.float64] = np.array(_transformer(grid.crs).transform(x, y))
    return np.where(np.isfinite(moved), moved, np.nan)


# A memo of a pure constructor, which takes PROJ some 40 ms.
@lru_cache(maxsize=32)
def _transformer(crs: str) -> Transformer:
    return Transformer.from_crs(crs, _EQUAL_AREA, always_xy=True)
