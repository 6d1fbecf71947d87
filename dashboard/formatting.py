"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def size_text(count: float) -> str:
    """Return a number of bytes with three digits, in the binary unit that has no more of them before the point."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.3g} {_UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def day_text(day: date) -> str:
    """Return a day as people write it."""
    return f"{day.day} {day:%B %Y}"


def place_text(lon: float, lat: float) -> str:
    """Return a place in degrees as people write it."""
    return f"{abs(lat):.5f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.5f}° {'E' if lon >= 0 else 'W'}"


def bbox_text(bbox: Sequence[float]) -> str:
    """Return (west, south, east, north) in degrees as people write it; across 180 degrees, that is E to W."""
    west, south, east, north = bbox
    return f"{_span(_wrapped(west), _wrapped(east), 'E', 'W')}, {_span(south, north, 'N', 'S')}"


def _wrapped(lon: float) -> float:
    return lon if abs(lon) <= 180.0 else (lon + 180.0) % 360.0 - 180.0


def _span(low: float, high: float, positive: str, negative: str) -> str:
    sides = [positive if end >= 0 else negative for end in (low, high)]
    if sides[0] != sides[1]:
        return f"{abs(low):.2f}° {sides[0]} to {abs(high):.2f}° {sides[1]}"
    least, greatest = sorted((abs(low), abs(high)))
    return f"{least:.2f}° to {greatest:.2f}° {sides[0]}"
