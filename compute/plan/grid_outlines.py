"""Outlines of scenes, regions and windows of a grid, projected to one CRS."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from compute.scenes import Grid, Scene
from compute.scenes.warp import transformer_of, turn_width

LONLAT = "EPSG:4326"

_STEP_M, _STEP_DEG = 8_000.0, 0.07
"""Distance between points along an edge, in metres and in degrees. An edge deviates from a straight line between two
of them by one or two metres."""

_EDGE_POINTS = 128
"""Number of points along the longest edge of a geometry before it is projected, so that the result has curved edges."""

_ROUNDING = 1.0
"""Largest distance between 180° E and 180° W, in units of the CRS, at which they count as one position."""

_TURNS = (0, -1, 1, -2, 2)
"""Turns of the globe by which a position may be moved to meet a grid. A grid begins below 180 degrees and may be a turn
wide."""


def project(geometries: NDArray[np.object_], source: str, target: str) -> NDArray[np.object_]:
    """Project geometries with densified edges, so that they follow the curves of the projection.

    Parameters
    ----------
    geometries : numpy.ndarray
        (n,) shapely geometries in `source`.
    source, target : str
        Coordinate reference systems; coordinates are (x, y) or (longitude, latitude).

    Returns
    -------
    numpy.ndarray
        (n,) geometries in `target`, with infinite coordinates if `target` cannot express them.
    """
    if source == target:
        return geometries
    transformer = transformer_of(source, target)

    def move(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(coordinates[:, 0], coordinates[:, 1]))

    projected: NDArray[np.object_] = shapely.transform(_densified(geometries), move)
    return projected


def _densified(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    bounds = shapely.bounds(geometries)
    longest = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    fine: NDArray[np.object_] = shapely.segmentize(geometries, np.maximum(longest / _EDGE_POINTS, 1e-9))
    return fine


def project_region(region: BaseGeometry, crs: str) -> BaseGeometry:
    """Project a region from degrees, in one piece across the edge of the map (such as 180 degrees).

    Parameters
    ----------
    region : shapely geometry
        Region in (longitude, latitude) degrees; longitudes exceed 180 if it crosses 180 degrees.
    crs : str
        Coordinate reference system.

    Returns
    -------
    shapely geometry
        Region in `crs`, with infinite coordinates if `crs` cannot express them.
    """
    if crs == LONLAT:
        return region
    transformer, width = transformer_of(LONLAT, crs), turn_width(crs)
    zero = transformer.transform(0.0, 0.0)[0]

    def move(at: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transformer.transform(at[:, 0], at[:, 1])
        if width:
            # PROJ returns the same position for longitudes that differ by 360 degrees.
            turns = np.rint((zero + at[:, 0] * (width / 360.0) - x) / width)
            x = x + np.where(np.isfinite(x), turns - _least(turns), 0.0) * width
        return np.column_stack([x, y])

    projected: BaseGeometry = shapely.transform(_densified(np.array([region]))[0], move)
    return projected


def _least(turns: NDArray[np.float64]) -> float:
    return float(np.min(turns, where=np.isfinite(turns), initial=np.inf))


def project_onto(region: BaseGeometry, grid: Grid) -> BaseGeometry:
    """Project a region from degrees to the CRS of a grid, moved by whole turns of the globe so that it meets the grid.

    Parameters
    ----------
    region : shapely geometry
        Region in (longitude, latitude) degrees.
    grid : Grid
        Pixel grid.
    """
    polygon = np.array([shapely.make_valid(project_region(region, grid.crs))])
    onto: BaseGeometry = _meeting(polygon, grid, turn_width(grid.crs))[0]
    return onto


def is_torn(region: BaseGeometry, crs: str) -> bool:
    """Return whether a region in degrees crosses the edge of the map of a CRS, such as 180 degrees.

    The projected distance between two points on either side of the edge does not shrink if points are inserted between
    them.

    Parameters
    ----------
    region : shapely geometry
        Region in (longitude, latitude) degrees.
    crs : str
        Coordinate reference system of the map.
    """
    if crs == LONLAT:
        return False
    transformer = transformer_of(LONLAT, crs)
    points, owners = shapely.get_coordinates(_densified(shapely.get_parts([region])), return_index=True)
    steps = np.where(np.diff(owners) == 0, _steps(transformer, points), 0.0)
    at = int(np.nan_to_num(steps).argmax())
    between = np.linspace(points[at], points[at + 1], 33)
    return bool(np.nan_to_num(_steps(transformer, between)).max() > max(steps[at] / 2.0, _ROUNDING))


def _steps(transformer: Transformer, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n - 1,) projected distances between consecutive positions in degrees."""
    x, y = transformer.transform(points[:, 0], points[:, 1])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.hypot(np.diff(x), np.diff(y)))


def _whole(geometries: NDArray[np.object_], turn: float) -> NDArray[np.object_]:
    """Repair outlines that are torn at the edge of a map of width `turn`: the repaired outlines continue beyond it."""
    points, owners = shapely.get_coordinates(geometries, return_index=True)
    with np.errstate(invalid="ignore"):
        leaps = (np.abs(np.diff(points[:, 0])) > turn / 2) & (np.diff(owners) == 0)
    torn = np.unique(owners[1:][leaps])
    whole = geometries.copy()
    whole[torn] = [_continued(geometry, turn) for geometry in geometries[torn]]
    return whole


def _continued(geometry: BaseGeometry, turn: float) -> BaseGeometry:
    x = shapely.get_coordinates(geometry)[:, 0]
    first = x[np.isfinite(x)][0]

    def move(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([at[:, 0] + np.rint((first - at[:, 0]) / turn) * turn, at[:, 1]])

    continued: BaseGeometry = shapely.transform(geometry, move)
    return continued


def _meeting(geometries: NDArray[np.object_], grid: Grid, turn: float) -> NDArray[np.object_]:
    """Move geometries by whole turns of the globe to where they may meet a grid; others are unchanged."""
    if not turn:
        return geometries
    left, _, right, _ = window(grid, (0, grid.shape[0]), (0, grid.shape[1])).bounds
    west, _, east, _ = shapely.bounds(geometries).T
    moves = np.array(_TURNS)[:, np.newaxis] * turn
    meets = (west + moves <= right) & (east + moves >= left)
    found = geometries.copy()
    for index in np.flatnonzero(meets.any(0) & ~(meets[0] & (meets.sum(0) == 1))):
        here = [translate(geometries[index], move) for move in moves[meets[:, index], 0]]
        found[index] = here[0] if len(here) == 1 else shapely.union_all(here)
    return found


def _edge_to_edge(crs: str) -> float:
    """Return the change of x for a turn around the equator, or 0 if the map has no edge at 180 degrees."""
    west, east = transformer_of(LONLAT, crs).transform([-180.0, 180.0], [0.0, 0.0])[0]
    turn = east - west
    return turn if isfinite(turn) and turn > _ROUNDING else 0.0


def with_valid_outline(scene: Scene) -> Scene:
    """Return a scene with a valid footprint, since footprints in some documents intersect themselves."""
    if scene.footprint.is_valid:
        return scene
    return replace(scene, footprint=shapely.make_valid(scene.footprint))


def project_outlines(outlines: NDArray[np.object_], sources: NDArray[np.str_], grid: Grid) -> NDArray[np.object_]:
    """Project outlines to the CRS of a grid, each in one piece.

    Outlines are moved by whole turns of the globe to where they may meet the grid. Outlines that the CRS cannot express
    are replaced by the outline of the grid, so that no scene is lost.

    Parameters
    ----------
    outlines : numpy.ndarray
        (n,) shapely geometries.
    sources : numpy.ndarray
        (n,) coordinate reference system of each outline.
    grid : Grid
        Pixel grid of the result.
    """
    projected, turn = outlines.copy(), turn_width(grid.crs) or _edge_to_edge(grid.crs)
    for source in np.unique(sources):
        members = sources == source
        if source != grid.crs:
            found = _bend(outlines[members], str(source), grid.crs)
            projected[members] = _whole(found, turn) if turn else found
    projected = _meeting(projected, grid, turn)
    unknown = np.isinf(shapely.bounds(projected)).any(axis=1)
    projected[unknown] = window(grid, (0, grid.shape[0]), (0, grid.shape[1]))
    return projected


def _bend(outlines: NDArray[np.object_], source: str, target: str) -> NDArray[np.object_]:
    """Project outlines with a point every `_STEP_M` or `_STEP_DEG` along their edges."""
    fine = shapely.segmentize(outlines, _STEP_DEG if CRS(source).is_geographic else _STEP_M)
    transformer = transformer_of(source, target)
    bent: NDArray[np.object_] = shapely.transform(fine, lambda at: np.column_stack(transformer.transform(*at.T)))
    return bent


def project_window(grid: Grid, crs: str) -> BaseGeometry:
    """Return the outline of a grid in another CRS, in one piece across the edge of the map.

    Parameters
    ----------
    grid : Grid
        Pixel grid.
    crs : str
        Coordinate reference system to project to.
    """
    own = np.array([window(grid, (0, grid.shape[0]), (0, grid.shape[1]), margin=0.0)])
    turn = turn_width(crs) or _edge_to_edge(crs)
    projected = project(own, grid.crs, crs)
    if turn and grid.crs != crs:
        projected = _whole(projected, turn)
    outline: BaseGeometry = projected[0]
    is_known = bool(np.isfinite(shapely.bounds(projected)).all())
    return shapely.make_valid(outline) if is_known else outline


def window(grid: Grid, rows: tuple[int, int], columns: tuple[int, int], *, margin: float = 2.0) -> BaseGeometry:
    """Return the outline of a window of a grid.

    Parameters
    ----------
    grid : Grid
        Pixel grid.
    rows, columns : (int, int)
        (first row, row after the last) and (first column, column after the last).
    margin : float
        Number of pixels to add on every side, since outlines in documents are simplified.
    """
    dx, _, left, _, dy, top = grid.transform
    xs = left + dx * (columns[0] - margin), left + dx * (columns[1] + margin)
    ys = top + dy * (rows[1] + margin), top + dy * (rows[0] - margin)
    return shapely.box(xs[0], ys[0], xs[1], ys[1])
