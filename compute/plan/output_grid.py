"""Output grid of a request: bounding box of the region on whole pixels, number of levels, and chunk sizes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log2, log10
from typing import Any

import shapely
from pyproj import CRS
from shapely.affinity import translate

from compute.errors import InputError, TooLargeError
from compute.plan.grid_outlines import is_torn, project_region
from compute.request import NATIVE, NdviRequest
from compute.request.region import Region
from compute.scenes import Grid, Scene

COARSEST_PX = 512
"""Longest edge of a result's coarsest level in pixels: about the size of a screen."""

_SNAP = 0.01
"""Tolerance for edges of a region along pixel borders, as a share of a pixel, as in odc-geo (`GeoBox.from_bbox`,
``tol``). Regions are rounded to a centimetre, so without it a region along pixel borders could gain a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GridAnchor:
    """CRS, resolution and position of pixel borders. Pixels of grids with the same anchor coincide.

    Attributes
    ----------
    crs : str
        Coordinate reference system.
    resolution : (float, float)
        Pixel size (y, x) in units of the CRS.
    origin : (float, float)
        Position (y, x) of a pixel border modulo the pixel size, in units of the CRS.
    """

    crs: str
    resolution: tuple[float, float]
    origin: tuple[float, float]

    @classmethod
    def from_grid(cls, grid: Grid) -> GridAnchor:
        """Return the anchor of a grid without rotation.

        Raises
        ------
        InputError
            The grid is rotated or sheared.
        """
        _, skew_x, left, skew_y, _, top = grid.transform
        if skew_x or skew_y:
            raise InputError("crs", "The scenes' own grid is rotated; give --crs EPSG:n and --resolution.")
        dy, dx = grid.resolution
        return cls(crs=grid.crs, resolution=(dy, dx), origin=(_modulo(top, dy), _modulo(left, dx)))


def _modulo(value: float, step: float) -> float:
    """Return value modulo step, rounded so that differences of up to a millionth of the step are removed."""
    rest = round(value % step, 6 - floor(log10(step)))
    return 0.0 if abs(rest - step) < step * 1e-6 else rest


def native_anchor(scenes: Sequence[Scene], bands: Mapping[str, str]) -> GridAnchor:
    """Return the anchor that most scenes of a product share; of several products, the finest such anchor.

    Parameters
    ----------
    scenes : sequence of Scene
        At least one scene.
    bands : mapping of str to str
        Name of the measurement whose grid is used, by product; the bands of a scene may have different grids.
    """
    counts: dict[str, Counter[GridAnchor]] = defaultdict(Counter)
    for scene in scenes:
        counts[scene.product][GridAnchor.from_grid(scene.source.bands[bands[scene.product]].grid)] += 1
    return min((_most_shared(each) for each in counts.values()), key=_fineness)


def _most_shared(counts: Counter[GridAnchor]) -> GridAnchor:
    return min(counts, key=lambda each: (-counts[each], *_fineness(each)))


def _fineness(each: GridAnchor) -> tuple[Any, ...]:
    return each.resolution, each.crs, each.origin


def output_grid(request: NdviRequest, scenes: Sequence[Scene], bands: Mapping[str, str], *, max_edge_px: int) -> Grid:
    """Return the grid of the result: the bounding box of the region, extended to whole pixels.

    A native grid has the CRS, pixel size and pixel borders of the scenes. Any other grid has its pixel borders at
    multiples of the pixel size, as in datacube.

    Parameters
    ----------
    request : NdviRequest
        Region, CRS and resolution.
    scenes : sequence of Scene
        At least one scene.
    bands : mapping of str to str
        Name of the red measurement by product.
    max_edge_px : int
        Longest permitted edge in pixels.

    Returns
    -------
    Grid
        Grid with north up.

    Raises
    ------
    InputError
        The region does not fit the CRS, the scenes' grid is rotated, the request states a resolution for a native grid,
        or it states none and the scenes' resolution has another unit.
    TooLargeError
        An edge would be longer than `max_edge_px`.
    """
    if request.crs == NATIVE:
        if request.resolution is not None:
            raise InputError("resolution", "A native grid has the scenes' own resolution; leave --resolution out.")
        home = native_anchor(scenes, bands)
        return _snap(_envelope(request.region, home.crs), home, max_edge_px)
    # A CRS of the scenes is not checked, since scenes south of the equator may have northern UTM zones.
    if all(scene.crs != request.crs for scene in scenes):
        _check_area_of_use(request.region, request.crs)
    size = request.resolution or _own_resolution(request.crs, native_anchor(scenes, bands))
    aligned = GridAnchor(crs=request.crs, resolution=(size, size), origin=(0.0, 0.0))
    return _snap(_envelope(request.region, request.crs), aligned, max_edge_px)


def _own_resolution(crs: str, home: GridAnchor) -> float:
    if CRS(crs).axis_info[0].unit_name != CRS(home.crs).axis_info[0].unit_name:
        raise InputError("resolution", f"The scenes' pixel size has no meaning in {crs}; give --resolution.")
    return home.resolution[0]


def _check_area_of_use(region: Region, crs: str) -> None:
    """Raise InputError if a region lies outside the area of use of a CRS."""
    area = CRS(crs).area_of_use
    if area is None:
        return
    east = area.east + (360.0 if area.west > area.east else 0.0)
    places = [translate(region.geometry, turn) for turn in (-360.0, 0.0, 360.0)]
    if not shapely.intersects(places, shapely.box(area.west, area.south, east, area.north)).any():
        raise InputError(
            "crs",
            f"{crs} is made for longitudes {area.west:g} to {area.east:g} and latitudes {area.south:g} to "
            f"{area.north:g}, and the region lies outside; give --crs native or another EPSG code"
            f"{', such as EPSG:3832 over 180 degrees' if region.crosses_180 else ''}.",
        )


def _envelope(region: Region, crs: str) -> tuple[float, float, float, float]:
    left, bottom, right, top = project_region(region.geometry, crs).bounds
    if not all(isfinite(value) for value in (left, bottom, right, top)):
        raise InputError("bbox", f"The region reaches beyond what {crs} can express; draw a smaller one.")
    if not CRS(crs).is_geographic and is_torn(region.geometry, crs):
        raise InputError(
            "crs",
            f"The region crosses {'180 degrees' if region.crosses_180 else 'the line'}, where the map of {crs} ends; "
            "give a --crs that goes on there, such as native, the UTM zone, or EPSG:3832 around 180 degrees.",
        )
    return left, bottom, right, top


def _snap(bounds: tuple[float, float, float, float], alignment: GridAnchor, max_edge_px: int) -> Grid:
    left, bottom, right, top = bounds
    (dy, dx), (oy, ox) = alignment.resolution, alignment.origin
    if (right - left) / dx > max_edge_px or (top - bottom) / dy > max_edge_px:
        raise TooLargeError(
            "resolution",
            f"The output grid would be {max((right - left) / dx, (top - bottom) / dy):,.0f} pixels along an edge, "
            f"more than {max_edge_px:,}; give a coarser --resolution or a smaller region.",
        )
    first, last = floor((left - ox) / dx + _SNAP), ceil((right - ox) / dx - _SNAP)
    lowest, highest = floor((bottom - oy) / dy + _SNAP), ceil((top - oy) / dy - _SNAP)
    shape = (max(highest - lowest, 1), max(last - first, 1))
    return Grid(crs=alignment.crs, shape=shape, transform=(dx, 0.0, ox + first * dx, 0.0, -dy, oy + highest * dy))


def level_count(shape: tuple[int, int]) -> int:
    """Return the number of overview levels: halvings of (rows, columns) until neither exceeds `COARSEST_PX`."""
    return max(0, ceil(log2(max(shape) / COARSEST_PX)))


def fit_chunks(length: int, target: int, multiple: int) -> tuple[int, ...]:
    """Divide an edge into chunks of one size near `target`, without a very small last chunk.

    Parameters
    ----------
    length : int
        Pixels along the edge.
    target : int
        Preferred chunk size in pixels.
    multiple : int
        Factor of chunk sizes: that of the coarsest level, so that chunk borders are pixel borders of every level.

    Returns
    -------
    tuple of int
        Chunk sizes with the sum `length`. All but the last are equal. The last is at least half as long if a size
        within a factor of 1.5 of the target permits it.
    """
    if length <= target * 1.5:
        return (length,)
    smallest, largest = ceil(target / 1.5 / multiple), floor(target * 1.5 / multiple)
    sizes = [n * multiple for n in range(max(smallest, 1), max(largest, smallest, 1) + 1)]
    size = min(sizes, key=lambda each: (_last(length, each) < each / 2, abs(each - target), each))
    return (size,) * ((length - 1) // size) + (_last(length, size),)


def _last(length: int, size: int) -> int:
    return (length - 1) % size + 1
