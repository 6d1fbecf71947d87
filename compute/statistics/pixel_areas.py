"""Pixel areas on the ground in any CRS, from an equal-area projection of the ellipsoid.

The area of a pixel is the determinant of the derivative of the transformation to EASE-Grid 2.0 (EPSG:6933), a Lambert
cylindrical equal-area projection of the WGS 84 ellipsoid: Brodzik et al. (2012), EASE-Grid 2.0, ISPRS International
Journal of Geo-Information 1(1), doi:10.3390/ijgi1010032; Snyder (1987), Map Projections, USGS Professional Paper 1395.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from compute.scenes import Grid
from compute.scenes.pixel_frames import ResultWindow

_EQUAL_AREA = "EPSG:6933"
"""EASE-Grid 2.0, cylindrical and equal-area on the WGS 84 ellipsoid."""

_TURN_M = 2 * 17_367_530.445
"""Width of the world in EASE-Grid 2.0, in metres."""

_STEP_PX = 32
"""Pixels between positions at which areas are computed. The relative error of linear interpolation between them is less
than 1e-6 for pixels of 30 m."""


def pixel_areas(
    grid: Grid, window: ResultWindow, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the areas of level-0 pixels on the ground.

    Parameters
    ----------
    grid : Grid
        Pixel grid of the result.
    window : ResultWindow
        Window of the result that encloses the pixels.
    rows, columns : numpy.ndarray
        (y,) and (x,) float64 centres of the pixels, in pixels of the grid; 0.5 is the centre of the first pixel.

    Returns
    -------
    numpy.ndarray
        (y, x) float64 areas in square metres; 0 where PROJ cannot transform the position.
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
    """Return the area of a pixel around each position: that of the parallelogram spanned by its two centre lines."""
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


# Cached, since PROJ needs about 40 ms to find a transformation.
@lru_cache(maxsize=32)
def _transformer(crs: str) -> Transformer:
    return Transformer.from_crs(crs, _EQUAL_AREA, always_xy=True)
