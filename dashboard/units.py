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
    """Return (west, south, east, north) in degrees as people write it."""
    west, south, east, north = bbox
    return f"{_span(west, east, 'E', 'W')}, {_span(south, north, 'N', 'S')}"


def _span(low: float, high: float, positive: str, negative: str) -> str:
    ends = (low, high) if low >= 0 else (high, low)
    sides = [positive if end >= 0 else negative for end in ends]
    first = f"{abs(ends[0]):.2f}°" + ("" if sides[0] == sides[1] else f" {sides[0]}")
    return f"{first} to {abs(ends[1]):.2f}° {sides[1]}"
