"""Formatting of sizes, durations, days and places for users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def size_text(count: float) -> str:
    """Return a number of bytes with three significant digits and a binary unit, such as ``1.21 GiB``."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.3g} {_UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours, such as ``12 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def day_text(day: date) -> str:
    """Return a date, such as ``5 March 2024``."""
    return f"{day.day} {day:%B %Y}"


def place_text(lon: float, lat: float) -> str:
    """Return latitude and longitude in degrees, such as ``42.12345° S, 146.54321° E``."""
    return f"{abs(lat):.5f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.5f}° {'E' if lon >= 0 else 'W'}"


def bbox_text(bbox: Sequence[float]) -> str:
    """Return a box in degrees, such as ``146.00° to 147.00° E, 42.00° to 43.00° S``.

    Longitudes beyond 180 degrees are wrapped, so a box across the antimeridian is ``179.00° E to 179.00° W``.

    Parameters
    ----------
    bbox : sequence of float
        West, south, east and north in degrees.
    """
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
