"""Scene footprints in longitude and latitude, and selection of scenes by region."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from compute.request.region import longitude_span
from compute.scenes import Grid, Scene

Geometries = NDArray[np.object_]

TOLERANCE_DEG = 0.01
"""Maximum distance in degrees at which a scene counts as touching a region: about 1 km, since producers simplify
outlines."""

_POINTS_PER_OUTLINE = 40
"""Number of points to which an outline is densified before reprojection. An edge that is straight in a projection is
curved in degrees; with 40 points, the error is metres instead of kilometres."""


def filter_by_region(scenes: Sequence[Scene], region: BaseGeometry) -> list[Scene]:
    """Return the scenes whose grids or footprints are within `TOLERANCE_DEG` of a region.

    Parameters
    ----------
    scenes : sequence of Scene
        Scenes in any coordinate reference systems.
    region : shapely geometry
        Region in longitude and latitude (EPSG:4326), in degrees; longitudes may exceed 180.

    Returns
    -------
    list of Scene
        Selected scenes in the order of `scenes`. A scene is kept if its outline cannot be transformed to degrees.
    """
    sides = [region, translate(region, xoff=360.0), translate(region, xoff=-360.0)]
    shapely.prepare(sides)
    frames = _group_by_outline(scenes)
    names = list(frames)
    touching = _touch_region([shapely.Polygon(corners) for _, corners in names], [crs for crs, _ in names], sides)
    kept = {place for name, touches in zip(names, touching, strict=True) if touches for place in frames[name]}
    others = [place for place in range(len(scenes)) if place not in kept]
    outlines = [scenes[place].footprint for place in others]
    touching = _touch_region(outlines, [scenes[place].crs for place in others], sides)
    kept.update(place for place, touches in zip(others, touching, strict=True) if touches)
    return [scene for place, scene in enumerate(scenes) if place in kept]


def _group_by_outline(scenes: Sequence[Scene]) -> Mapping[tuple[str, Any], set[int]]:
    """Return the indices of scenes by the CRS and corners of their grids; many scenes share a grid."""
    names: dict[Grid, tuple[str, Any]] = {}
    frames: dict[tuple[str, Any], set[int]] = defaultdict(set)
    for place, scene in enumerate(scenes):
        for grid in {band.grid for band in scene.source.bands.values()}:
            if grid not in names:
                names[grid] = grid.crs, grid.corners
            frames[names[grid]].add(place)
    return frames


def _touch_region(
    outlines: Sequence[BaseGeometry], crs: Sequence[str], sides: Sequence[BaseGeometry]
) -> NDArray[np.bool_]:
    """Return (n,) bool, True for outlines that touch a region or its shifted copies, or have no position in degrees."""
    touches = np.ones(len(outlines), bool)
    for places, degrees in _outlines_by_crs(outlines, crs):
        known = np.isfinite(shapely.bounds(degrees)).all(axis=1)
        found = [shapely.dwithin(degrees[known], side, TOLERANCE_DEG) for side in sides]
        touches[places[known]] = np.logical_or.reduce(found)
    return touches


def bounds_degrees(scenes: Sequence[Scene]) -> tuple[float, float, float, float] | None:
    """Return the bounding box of scene footprints.

    Parameters
    ----------
    scenes : sequence of Scene
        Scenes in any coordinate reference systems.

    Returns
    -------
    tuple of float or None
        (west, south, east, north) in degrees; east exceeds 180 if a footprint crosses the antimeridian. None if there
        are no scenes.
    """
    if not scenes:
        return None
    footprints = [scene.footprint for scene in scenes], [scene.crs for scene in scenes]
    corners = np.concatenate([shapely.bounds(outlines) for _, outlines in _outlines_by_crs(*footprints)])
    west, east = longitude_span(corners[np.isfinite(corners).all(1)][:, ::2].tolist())
    return west, float(np.nanmin(corners[:, 1])), east, float(np.nanmax(corners[:, 3]))


def _outlines_by_crs(
    outlines: Sequence[BaseGeometry], crs: Sequence[str]
) -> Iterator[tuple[NDArray[np.intp], Geometries]]:
    """Yield (indices, outlines in degrees) for each CRS, so that one transformer is created per CRS."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(crs):
        groups[name].append(place)
    for name, places in groups.items():
        yield np.asarray(places), _in_degrees(np.array([outlines[place] for place in places]), name)


def _in_degrees(footprints: Geometries, crs: str) -> Geometries:
    """Transform footprints to EPSG:4326; longitudes exceed 180 if a footprint crosses the antimeridian."""
    dense = shapely.segmentize(footprints, shapely.length(footprints) / _POINTS_PER_OUTLINE)
    transformer = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    outlines = shapely.transform(dense, lambda points: np.column_stack(transformer.transform(*points.T)))
    west, _, east, _ = shapely.bounds(outlines).T
    wrapped = east - west > 180
    outlines[wrapped] = shapely.transform(outlines[wrapped], _continue_east)
    return outlines


def _continue_east(points: NDArray[Any]) -> NDArray[Any]:
    """Add 360 degrees to negative longitudes; `points` is an (n, 2) array of longitude and latitude in degrees."""
    return np.column_stack([points[:, 0] + np.where(points[:, 0] < 0, 360.0, 0.0), points[:, 1]])
