"""Outlines of scenes in longitude and latitude, by which a region finds them."""

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
"""A scene this close to a region counts as touching: about 1 km, since outlines are simplified by their producers."""

_POINTS_PER_OUTLINE = 40
"""A straight edge in a projection is a curve in degrees; with this many points it is off by metres, not kilometres."""


def meeting(scenes: Sequence[Scene], region: BaseGeometry) -> list[Scene]:
    """Keep the scenes whose grids or footprint touch a region, giving `TOLERANCE_DEG` in doubt.

    Parameters
    ----------
    scenes : sequence of Scene
        Candidates, in any mix of coordinate reference systems.
    region : shapely geometry
        In degrees of longitude and latitude (EPSG:4326), past 180 where it crosses them.

    Returns
    -------
    list of Scene
        In the order given. An outline that cannot be expressed in degrees is kept: a scene is never lost.
    """
    sides = [region, translate(region, xoff=360.0), translate(region, xoff=-360.0)]
    shapely.prepare(sides)
    frames = _frames(scenes)
    names = list(frames)
    touching = _touches([shapely.Polygon(corners) for _, corners in names], [crs for crs, _ in names], sides)
    kept = {place for name, touches in zip(names, touching, strict=True) if touches for place in frames[name]}
    others = [place for place in range(len(scenes)) if place not in kept]
    outlines = [scenes[place].footprint for place in others]
    touching = _touches(outlines, [scenes[place].crs for place in others], sides)
    kept.update(place for place, touches in zip(others, touching, strict=True) if touches)
    return [scene for place, scene in enumerate(scenes) if place in kept]


def _frames(scenes: Sequence[Scene]) -> Mapping[tuple[str, Any], set[int]]:
    """Return the places of the scenes by the CRS and corners of their bands' grids, which many of them share."""
    names: dict[Grid, tuple[str, Any]] = {}
    frames: dict[tuple[str, Any], set[int]] = defaultdict(set)
    for place, scene in enumerate(scenes):
        for grid in {band.grid for band in scene.source.bands.values()}:
            if grid not in names:
                names[grid] = grid.crs, grid.corners
            frames[names[grid]].add(place)
    return frames


def _touches(outlines: Sequence[BaseGeometry], crs: Sequence[str], sides: Sequence[BaseGeometry]) -> NDArray[np.bool_]:
    """Tell which outlines touch a region from one of its sides; (n,) bool."""
    touches = np.ones(len(outlines), bool)
    for places, degrees in _by_crs(outlines, crs):
        known = np.isfinite(shapely.bounds(degrees)).all(axis=1)
        found = [shapely.dwithin(degrees[known], side, TOLERANCE_DEG) for side in sides]
        touches[places[known]] = np.logical_or.reduce(found)
    return touches


def bounds_degrees(scenes: Sequence[Scene]) -> tuple[float, float, float, float] | None:
    """Return the box around the footprints of some scenes.

    Parameters
    ----------
    scenes : sequence of Scene
        In any mix of coordinate reference systems.

    Returns
    -------
    tuple of float or None
        (west, south, east, north) in degrees; east exceeds 180 where a footprint crosses the antimeridian. None
        without scenes.
    """
    if not scenes:
        return None
    footprints = [scene.footprint for scene in scenes], [scene.crs for scene in scenes]
    corners = np.concatenate([shapely.bounds(outlines) for _, outlines in _by_crs(*footprints)])
    west, east = longitude_span(corners[np.isfinite(corners).all(1)][:, ::2].tolist())
    return west, float(np.nanmin(corners[:, 1])), east, float(np.nanmax(corners[:, 3]))


def _by_crs(outlines: Sequence[BaseGeometry], crs: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], Geometries]]:
    """Yield (places, outlines in degrees), one CRS at a time: one transformer for each."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(crs):
        groups[name].append(place)
    for name, places in groups.items():
        yield np.asarray(places), _in_degrees(np.array([outlines[place] for place in places]), name)


def _in_degrees(footprints: Geometries, crs: str) -> Geometries:
    """Transform footprints to EPSG:4326; those across the antimeridian continue past 180 degrees east."""
    dense = shapely.segmentize(footprints, shapely.length(footprints) / _POINTS_PER_OUTLINE)
    transformer = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    outlines = shapely.transform(dense, lambda points: np.column_stack(transformer.transform(*points.T)))
    west, _, east, _ = shapely.bounds(outlines).T
    wrapped = east - west > 180
    outlines[wrapped] = shapely.transform(outlines[wrapped], _continue_east)
    return outlines


def _continue_east(points: NDArray[Any]) -> NDArray[Any]:
    """Add a turn to western longitudes; `points` is (n, 2) of x, y in degrees."""
    return np.column_stack([points[:, 0] + np.where(points[:, 0] < 0, 360.0, 0.0), points[:, 1]])
