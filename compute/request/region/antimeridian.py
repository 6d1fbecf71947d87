"""Longitudes of regions that cross the antimeridian."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor

_TOUCHING_DEG = 1e-6
"""Maximum distance from 180 degrees, about 10 cm, at which arcs on both sides are treated as touching."""


def turns_between(longitude: float, west: float) -> int:
    """Return the number of whole turns to add to a longitude so that it is from `west` to below `west` + 360."""
    return -floor((longitude - west) / 360.0)


def longitude_span(arcs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the range of longitudes that contains all of some arcs.

    Parameters
    ----------
    arcs : iterable of (float, float)
        West and east of each arc in degrees, at least one arc, with east not below west. Arcs may be shifted by whole
        turns.

    Returns
    -------
    west, east : float
        West is from -180 to below 180. East is above 180 if an arc crosses 180 degrees, if arcs touch there from both
        sides, or if the shortest range crosses 180 degrees and is at most 180 degrees wide, while the range that does
        not cross is wider. (-180, 180) if the arcs leave no gap.
    """
    placed = sorted((west + 360.0 * turns_between(west, -180.0), east - west) for west, east in arcs)
    ends = [(west, west + length) for west, length in placed]
    first, last = ends[0][0], max(east for _, east in ends)
    is_open = last <= 180.0 and not (first + 180.0 <= _TOUCHING_DEG and 180.0 - last <= _TOUCHING_DEG)
    west, east = _shortest(ends)
    if east - west >= 360.0:
        return -180.0, 180.0
    return (first, last) if is_open and (last - first <= 180.0 or east - west > 180.0) else (west, east)


def _shortest(ends: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the range that excludes the widest gap between arcs, which must be sorted by their western ends."""
    reached, gaps = ends[0][1], []
    for west, east in ends[1:]:
        gaps.append((west - reached, west))
        reached = max(reached, east)
    gaps.append((ends[0][0] + 360.0 - reached, ends[0][0]))
    # Arcs that cross 180 degrees may overlap the first arcs.
    over = reached - 360.0
    widest, west = max((min(gap, start - over), start) for gap, start in gaps)
    return west, west + 360.0 - max(widest, 0.0)
