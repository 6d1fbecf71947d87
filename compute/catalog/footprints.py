"""Which scenes a region meets: their outlines in longitude and latitude."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from compute.region import longitude_span
from compute.scenes import Scene

Geometries = NDArray[np.object_]

TOLERANCE_DEG = 0.01
"""A scene this close to a region counts as touching: about 1 km, since outlines are simplified by their producers."""

_POINTS_PER_OUTLINE = 40
"""A straight edge in a projection is a curve in degrees; with this many points it is off by metres, not kilometres."""


def meeting(scenes: Sequence[Scene], region: BaseGeometry) -> list[Scene]:
    """Keep the scenes whose footprint touches a region, giving `TOLERANCE_DEG` in doubt.

    Parameters
    ----------
    scenes : sequence of Scene
        Candidates, in any mix of coordinate reference systems.
    region : shapely geometry
        In degrees of longitude and latitude (EPSG:4326), past 180 where it crosses them.

    Returns
    -------
    list of Scene
        In the order given. A footprint that cannot be expressed in degrees is kept: a scene is never lost.
    """
    kept: set[int] = set()
    sides = [region, *(translate(region, xoff=turn) for turn in (-360.0, 360.0))]
    shapely.prepare(sides)
    for places, outlines in _by_crs(scenes):
        known = np.isfinite(shapely.bounds(outlines)).all(axis=1)
        touches = [shapely.dwithin(outlines[known], side, TOLERANCE_DEG) for side in sides]
        kept.update(places[~known].tolist(), places[known][np.any(touches, axis=0)].tolist())
    return [scene for place, scene in enumerate(scenes) if place in kept]


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
    corners = np.concatenate([shapely.bounds(outlines) for _, outlines in _by_crs(scenes)])
    west, east = longitude_span(corners[np.isfinite(corners).all(1)][:, ::2].tolist())
    return west, float(np.nanmin(corners[:, 1])), east, float(np.nanmax(corners[:, 3]))


def _by_crs(scenes: Sequence[Scene]) -> Iterator[tuple[NDArray[np.intp], Geometries]]:
    """Yield (positions in `scenes`, outlines in degrees), one CRS at a time: one transformer for each."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, scene in enumerate(scenes):
        groups[scene.crs].append(place)
    for crs, places in groups.items():
        yield np.asarray(places), _in_degrees(np.array([scenes[place].footprint for place in places]), crs)


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
