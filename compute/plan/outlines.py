"""Outlines of scenes and of parts of the grid, in one CRS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from compute.scenes import Grid, Scene

LONLAT = "EPSG:4326"

_EDGE_POINTS = 128
"""Points put along each edge before it is projected, so that a curved edge keeps its bulge."""

_ROUNDING = 1.0
"""In a CRS that does not end at 180 degrees, 180 east and 180 west are one point, but for less than one map unit."""


def project(geometries: NDArray[np.object_], source: str, target: str) -> NDArray[np.object_]:
    """Project geometries, their edges bent as the projection bends them.

    Parameters
    ----------
    geometries : numpy.ndarray
        (n,) shapely geometries in `source`.
    source, target : str
        Coordinate reference systems, x (longitude) first.

    Returns
    -------
    numpy.ndarray
        (n,) geometries in `target`; coordinates that it cannot express are infinite.
    """
    if source == target:
        return geometries
    bounds = shapely.bounds(geometries)
    longest = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    fine = shapely.segmentize(geometries, np.maximum(longest / _EDGE_POINTS, 1e-9))
    transformer = Transformer.from_crs(source, target, always_xy=True)

    def move(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(coordinates[:, 0], coordinates[:, 1]))

    projected: NDArray[np.object_] = shapely.transform(fine, move)
    return projected


def project_one(geometry: BaseGeometry, source: str, target: str) -> BaseGeometry:
    """Project one geometry; see `project`."""
    projected: BaseGeometry = project(np.array([geometry]), source, target)[0]
    return projected


def unwrap(geometries: NDArray[np.object_], crs: str) -> NDArray[np.object_]:
    """Make outlines whole again that a CRS tears apart at 180 degrees.

    Parameters
    ----------
    geometries : numpy.ndarray
        (n,) shapely geometries in `crs`, their points close together as `project` leaves them.
    crs : str
        Coordinate reference system.

    Returns
    -------
    numpy.ndarray
        (n,) geometries; those that leapt across the map stand past its eastern and past its western end.
    """
    transformer = Transformer.from_crs(LONLAT, crs, always_xy=True)
    west, east = transformer.transform([-180.0, 180.0], [0.0, 0.0])[0]
    turn = east - west
    if not (isfinite(turn) and turn > _ROUNDING):
        return geometries
    points, owners = shapely.get_coordinates(geometries, return_index=True)
    leaps = (np.abs(np.diff(points[:, 0])) > turn / 2) & (np.diff(owners) == 0)
    torn = np.unique(owners[1:][leaps])
    whole = shapely.transform(geometries[torn], lambda points: points + (points[:, :1] < 0) * [turn, 0.0])
    unwrapped = geometries.copy()
    unwrapped[torn] = shapely.union(whole, shapely.transform(whole, lambda points: points - [turn, 0.0]))
    return unwrapped


def with_valid_outline(scene: Scene) -> Scene:
    """Repair an outline that crosses itself, as those in documents now and then do: it has no area to reckon with."""
    if scene.footprint.is_valid:
        return scene
    return replace(scene, footprint=shapely.make_valid(scene.footprint))


def project_footprints(scenes: Sequence[Scene], grid: Grid) -> NDArray[np.object_]:
    """Return the scenes' footprints in the grid's CRS; each CRS is projected once for all of its scenes.

    A footprint that the grid's CRS cannot express may lie anywhere: a scene is never lost.
    """
    outlines = np.array([scene.footprint for scene in scenes])
    sources = np.array([scene.crs for scene in scenes])
    projected = np.empty(len(scenes), object)
    for source in np.unique(sources):
        members = sources == source
        projected[members] = outlines[members]
        if source != grid.crs:
            projected[members] = unwrap(project(outlines[members], str(source), grid.crs), grid.crs)
    unknown = np.isinf(shapely.bounds(projected)).any(axis=1)
    projected[unknown] = window(grid, (0, grid.shape[0]), (0, grid.shape[1]))
    return projected


def window(grid: Grid, rows: tuple[int, int], columns: tuple[int, int], *, margin: float = 2.0) -> BaseGeometry:
    """Return the outline of a window of the grid, `margin` pixels wider: outlines in documents are simplified."""
    dx, _, left, _, dy, top = grid.transform
    xs = left + dx * (columns[0] - margin), left + dx * (columns[1] + margin)
    ys = top + dy * (rows[1] + margin), top + dy * (rows[0] - margin)
    return shapely.box(xs[0], ys[0], xs[1], ys[1])
