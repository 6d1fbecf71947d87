"""Placement of a region on the grid of a result: polygon, level to reduce and chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil, floor

import numpy as np
import shapely
from affine import Affine
from shapely.geometry.base import BaseGeometry

from compute.errors import InputError
from compute.plan.grid_outlines import project_onto
from compute.request.region import Region
from compute.result.chunk_windows import chunk_window
from compute.result.stack import SeasonStack
from compute.scenes import Grid
from compute.scenes.pixel_frames import ResultWindow

MOST_PIXELS = 2**24
"""Largest number of pixels that are reduced for a season: 4096 by 4096, which take about a second on a worker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegionOnGrid:
    """Region on the grid of a result.

    Attributes
    ----------
    grid : Grid
        Pixel grid of the result.
    polygon : bytes
        Region as WKB in the CRS of the result.
    level : int
        Level to reduce. A pixel of the level belongs to the region if its centre lies in the polygon.
    """

    grid: Grid
    polygon: bytes
    level: int


def place_region(stack: SeasonStack, region: Region) -> tuple[RegionOnGrid, list[tuple[int, int]]]:
    """Place a region on the grid of a result; also return (row, column) of the chunks that it may meet.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    region : Region
        Region in degrees.

    Raises
    ------
    InputError
        The region does not meet the result, or does not fit the CRS of the result.
    """
    polygon = project_onto(region.geometry, stack.grid)
    window = _window_of(polygon, stack.grid)
    cut = RegionOnGrid(grid=stack.grid, polygon=shapely.to_wkb(polygon), level=_level_for(window, stack.levels))
    return cut, list(_places_in(stack, window))


def _window_of(polygon: BaseGeometry, grid: Grid) -> ResultWindow:
    """Return the smallest window of a result that encloses a polygon in its CRS."""
    left, bottom, right, top = polygon.bounds
    corners = [~Affine(*grid.transform) @ place for place in ((left, top), (right, bottom))]
    (first, last), (rows, columns) = zip(*corners, strict=True), grid.shape
    if not np.isfinite([*first, *last]).all():
        raise InputError("region", "The region does not fit the CRS of the result; draw a smaller one.")
    spans = [
        (max(0, floor(min(ends))), min(length, ceil(max(ends)))) for ends, length in ((last, rows), (first, columns))
    ]
    if any(start >= stop for start, stop in spans):
        raise InputError("region", "The region does not meet the result; draw one that does.")
    return ResultWindow((spans[0][0], spans[1][0], spans[0][1], spans[1][1]))


def _level_for(window: ResultWindow, levels: int) -> int:
    """Return the finest level at which a window has at most `MOST_PIXELS` pixels, else the coarsest level."""
    top, left, bottom, right = window
    pixels = (bottom - top) * (right - left)
    return next((level for level in range(levels) if pixels <= MOST_PIXELS * 4**level), levels)


def _places_in(stack: SeasonStack, window: ResultWindow) -> Iterator[tuple[int, int]]:
    """Yield (row, column) of the chunks that meet a window."""
    top, left, bottom, right = window
    for place in product(range(len(stack.chunks[0])), range(len(stack.chunks[1]))):
        first_row, first_column, last_row, last_column = chunk_window(stack.chunks, *place)
        if first_row < bottom and top < last_row and first_column < right and left < last_column:
            yield place
