"""Tile geometry: control points, levels, zooms and outlines that relate Web Mercator tiles to result pixels.

Tiles follow the XYZ scheme in Web Mercator (EPSG:3857), which is the tile matrix set WebMercatorQuad of OGC 17-083r4:
https://docs.ogc.org/is/17-083r4/17-083r4.html
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from math import ceil, floor, log2
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from compute.plan import level_count
from compute.request.region import Bbox, turns_between
from compute.scenes import Grid
from compute.scenes.pixel_frames import ResultPixel, ResultWindow, whole_window
from compute.scenes.warp import turn_width
from compute.tiles.tile_patches import ControlPoints
from compute.tiles.web_mercator import HALF_WORLD_M, MAX_ZOOM, TILE_PX, TileAddress, pixel_m

WEB_MERCATOR, LONLAT = "EPSG:3857", "EPSG:4326"

WORLD = Grid(
    crs=WEB_MERCATOR,
    shape=(TILE_PX, TILE_PX),
    transform=(pixel_m(0), 0.0, -HALF_WORLD_M, 0.0, -pixel_m(0), HALF_WORLD_M),
)
"""Pixel grid of the tile at zoom 0."""

_STEP_PX = {9: 16, 5: 8, 0: 4}
"""Distance between control points in tile pixels, by smallest zoom of 256 px tiles. At lower zooms, projections are
more curved within a pixel. The error of interpolation between control points is a few thousandths of a pixel."""

_EDGE_POINTS = 65
"""Number of points along each edge of an outline."""

_SLACK = 0.01
"""Margin added to an outline as a share of its size, since an edge may curve outwards between two points."""

_TURNS_M = (0.0, 2 * HALF_WORLD_M, -2 * HALF_WORLD_M)

_TOUCHING_DEG = 1e-9

_ROUNDING = 1e-6
"""Largest relative difference between equal pixel sizes through rounding."""


class ResultGeometry:
    """Relation of a result's pixel grid to Web Mercator tiles and to longitude and latitude.

    Use `result_geometry` to obtain a cached instance, since PROJ needs up to 40 ms to find the transformation between
    two CRS. An instance may be used from several threads, since each pyproj Transformer has a PROJ context per thread.

    Attributes
    ----------
    grid : Grid
        Pixel grid of the result.
    levels : int
        Number of overview levels of the result.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.levels = level_count(grid.shape)

    @cached_property
    def _to_grid(self) -> Transformer:
        return Transformer.from_crs(WEB_MERCATOR, self.grid.crs, always_xy=True)

    @cached_property
    def _lonlat(self) -> Transformer:
        return Transformer.from_crs(self.grid.crs, LONLAT, always_xy=True)

    def control(self, address: TileAddress, size: int = TILE_PX) -> ControlPoints:
        """Return the control points of a tile.

        Control points of all tiles of a zoom and size are on one lattice, so that neighbouring tiles match exactly.

        Parameters
        ----------
        address : TileAddress
            Address of the tile.
        size : int
            Pixels along each edge, a multiple of 16.
        """
        depth = address.z + log2(size / TILE_PX)
        step = next(step for least, step in _STEP_PX.items() if depth >= least)
        metres = pixel_m(address.z, size)
        offsets = np.arange(0, size + step, step)
        x = (address.x * size + offsets) * metres - HALF_WORLD_M
        y = HALF_WORLD_M - (address.y * size + offsets) * metres
        nodes = np.full((2, y.size, x.size), np.nan)
        left, bottom, right, top = self._outline_m
        reach = step * metres
        rows = (y >= bottom - reach) & (y <= top + reach)
        # A result across 180 degrees extends beyond the eastern edge of the map and is also shown at the western edge.
        columns = np.any([(x + turn >= left - reach) & (x + turn <= right + reach) for turn in _TURNS_M], axis=0)
        # Control points far from the result are NaN, since their projections may fall inside the result or be invalid.
        near = np.ix_(rows, columns)
        easting, northing = self._to_grid.transform(*np.meshgrid(x[columns], y[rows]))
        nodes[1][near], nodes[0][near] = self._to_pixels(self._unturned(easting), northing)
        return ControlPoints(nodes=nodes, step=step)

    def level(self, zoom: int, size: int = TILE_PX) -> int:
        """Return the coarsest level whose pixels are nowhere larger than those of the tiles of a zoom and size.

        Parameters
        ----------
        zoom : int
            Zoom of the tiles.
        size : int
            Pixels along each edge of a tile.
        """
        ratio = pixel_m(zoom, size) / self._pixel_m[1] * (1 + _ROUNDING)
        return min(max(floor(log2(ratio)), 0), self.levels)

    @property
    def native_zoom(self) -> int:
        """Lowest zoom at which pixels of 256 px tiles are nowhere larger than those of the result; up to `MAX_ZOOM`."""
        return min(max(ceil(log2(pixel_m(0) / self._pixel_m[0] * (1 - _ROUNDING))), 0), MAX_ZOOM)

    def place_of(self, lon: float, lat: float) -> tuple[float, float]:
        """Return the fractional (row, column) of a position in degrees; it may be outside the result, or infinite.

        Parameters
        ----------
        lon, lat : float
            Longitude and latitude in degrees.
        """
        x, y = self._lonlat.transform(lon, lat, direction="INVERSE")
        column, row = self._to_pixels(float(self._unturned(x)), y)
        return row, column

    def pixel_of(self, lon: float, lat: float) -> ResultPixel | None:
        """Return the pixel at a position in degrees, or None if the position is outside the result.

        Parameters
        ----------
        lon, lat : float
            Longitude and latitude in degrees.
        """
        row, column = self.place_of(lon, lat)
        rows, columns = self.grid.shape
        return ResultPixel((floor(row), floor(column))) if 0 <= row < rows and 0 <= column < columns else None

    def bbox(self, window: ResultWindow | None = None) -> Bbox:
        """Return the bounding box (west, south, east, north) of a window in degrees, by default of the whole result.

        The box is padded by a pixel and by `_SLACK` of its size. East may exceed 180 if the result crosses 180 degrees.
        """
        top, left, bottom, right = window or whole_window(self.grid.shape)
        lon, lat = self._lonlat.transform(*self._edges(ResultWindow((top - 1, left - 1, bottom + 1, right + 1))))
        south, north = _span(lat, (-90.0, 90.0))
        middle, limits = self._frame
        west, east = _span(_nearest(lon, middle, 360.0), limits)
        # An outline around a pole has no western and no eastern end.
        return (west, south, east, north) if east - west <= 180.0 else (-180.0, south, 180.0, north)

    @cached_property
    def _frame(self) -> tuple[float, tuple[float, float]]:
        """Central longitude of the result and limits for the longitudes of its bounding box, in degrees."""
        rows, columns = self.grid.shape
        lon, _ = self._lonlat.transform(*self._edges(whole_window(self.grid.shape)))
        middle = float(self._lonlat.transform(*_apply(self.grid.transform, columns / 2, rows / 2))[0])
        if not (np.isfinite(lon).all() and np.isfinite(middle)) or np.ptp(_nearest(lon, middle, 360.0)) > 180.0:
            return 0.0, (-180.0, 180.0)
        near = _nearest(lon, middle, 360.0)
        turn = 360.0 * turns_between(float(near.min()) + _TOUCHING_DEG, -180.0)
        crosses = near.max() + turn > 180.0 + _TOUCHING_DEG
        return middle + turn, (-np.inf, np.inf) if crosses else (-180.0, 180.0)

    def _unturned(self, x: Any) -> Any:
        """Move x in the CRS of the grid by whole turns of the globe, as near as possible to the result's middle."""
        middle = self.grid.transform[2] + self.grid.transform[0] * self.grid.shape[1] / 2
        return _nearest(x, middle, turn_width(self.grid.crs))

    @cached_property
    def _outline_m(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) of the result in Web Mercator metres; may extend beyond 180 degrees as `bbox`."""
        x, y = self._to_grid.transform(*self._edges(whole_window(self.grid.shape)), direction="INVERSE")
        bottom, top = _span(y, (-HALF_WORLD_M, HALF_WORLD_M))
        middle, limits = (value / 180.0 * HALF_WORLD_M for value in np.array([self._frame[0], self._frame[1][1]]))
        left, right = _span(_nearest(x, middle, 2 * HALF_WORLD_M), (-limits, limits))
        if right - left > HALF_WORLD_M:
            left, right = -HALF_WORLD_M, HALF_WORLD_M
        return left, bottom, right, top

    @cached_property
    def _pixel_m(self) -> tuple[float, float]:
        """Smallest and largest extent of level-0 pixels in the result, in metres of Web Mercator."""
        rows, columns = (np.linspace(0, length - 1, 9) for length in self.grid.shape)
        column, row = np.meshgrid(columns, rows)
        at, right, down = (np.stack(self._to_map(column + dx, row + dy)) for dx, dy in ((0, 0), (1, 0), (0, 1)))
        jacobians = np.moveaxis(np.stack([right - at, down - at], axis=1), (0, 1), (-2, -1)).reshape(-1, 2, 2)
        stretch = np.linalg.svd(jacobians[np.isfinite(jacobians).all((1, 2))], compute_uv=False)
        return float(stretch.min()), float(stretch.max())

    def _to_map(self, column: NDArray[np.float64], row: NDArray[np.float64]) -> tuple[Any, Any]:
        x, y = self._to_grid.transform(*_apply(self.grid.transform, column, row), direction="INVERSE")
        return x, y

    def _to_pixels(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Convert x and y in the CRS of the grid to fractional columns and rows (numbers or arrays)."""
        return _apply((~Affine(*self.grid.transform))[:6], x, y)

    def _edges(self, window: ResultWindow) -> tuple[Any, Any]:
        """Return x and y of points along the border of a window, in the CRS of the grid."""
        top, left, bottom, right = window
        along = np.linspace(0.0, 1.0, _EDGE_POINTS)
        columns, rows = left + (right - left) * along, top + (bottom - top) * along
        column = np.concatenate([columns, columns, np.full(along.size, left), np.full(along.size, right)])
        row = np.concatenate([np.full(along.size, top), np.full(along.size, bottom), rows, rows])
        return _apply(self.grid.transform, column, row)


# Cached, since all tiles of a result need the same geometry.
@lru_cache(maxsize=256)
def result_geometry(grid: Grid) -> ResultGeometry:
    """Return the cached geometry of a result, given its pixel grid."""
    return ResultGeometry(grid)


def _apply(affine: Sequence[float], column: Any, row: Any) -> tuple[Any, Any]:
    """Apply an affine map (a, b, c, d, e, f) to columns and rows (numbers or arrays)."""
    a, b, c, d, e, f = affine
    return a * column + b * row + c, d * column + e * row + f


def _nearest(values: Any, middle: float, turn: float) -> Any:
    """Move values by whole turns as near as possible to `middle`; return them unchanged if `turn` is 0."""
    return values + turn * np.rint((middle - values) / turn) if turn else values


def _span(values: NDArray[np.float64], limits: tuple[float, float]) -> tuple[float, float]:
    """Return the range of coordinates, widened by `_SLACK` within limits, or the limits if a value is not finite."""
    if not np.isfinite(values).all():
        return limits
    least, greatest = float(values.min()), float(values.max())
    slack = (greatest - least) * _SLACK
    return max(least - slack, limits[0]), min(greatest + slack, limits[1])
