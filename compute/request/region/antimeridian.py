"""Longitudes of regions that cross the antimeridian."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor

_TOUCHING_DEG = 1e-6
"""Parts that end this close to 180 degrees on both sides belong together: 10 cm."""


def turns_between(longitude: float, west: float) -> int:
    """Return the turns by which a longitude must be moved east to lie from `west` to below a turn east of it."""
    return -floor((longitude - west) / 360.0)


def longitude_span(arcs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the longitudes that some arcs of a parallel span together.

    Parameters
    ----------
    arcs : iterable of (float, float)
        West and east of each in degrees, at least one, east not below west; whole turns make no difference.

    Returns
    -------
    west, east : float
        West is from -180 to below 180. East is above 180 where an arc crosses it, where arcs meet there, or where the
        span is at most half a turn that way alone.
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
    """Return the span that leaves out the widest gap between arcs, which are in the order of their western ends."""
    reached, gaps = ends[0][1], []
    for west, east in ends[1:]:
        gaps.append((west - reached, west))
        reached = max(reached, east)
    gaps.append((ends[0][0] + 360.0 - reached, ends[0][0]))
    # Arcs that cross 180 degrees may reach over the first ones.
    over = reached - 360.0
    widest, west = max((min(gap, start - over), start) for gap, start in gaps)
    return west, west + 360.0 - max(widest, 0.0)
