"""Bounding boxes in degrees, and the region record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import shapely
from shapely.geometry import box, mapping
from shapely.geometry.base import BaseGeometry

from compute.errors import InputError
from compute.request.region.antimeridian import turns_between

Bbox = tuple[float, float, float, float]
"""(west, south, east, north) in degrees; east is above 180 if the box crosses 180 degrees."""

DECIMALS = 7
"""Number of decimals to which degrees are rounded (about 1 cm), so that equal regions give equal requests."""

MOST_DEGREES = 540
"""Maximum absolute longitude of input: a box with a western longitude below 180 may be 360 degrees wide."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """Region of a request: a box, or a polygon that masks pixels within its bounding box.

    Attributes
    ----------
    bbox : tuple of float
        (west, south, east, north) in degrees, WGS 84. West is from -180 to below 180; east is above 180 if the region
        crosses 180 degrees.
    polygon : str or None
        Canonical WKT of the polygon or multipolygon, with longitudes as in `bbox`; None for a box.
    """

    bbox: Bbox
    polygon: str | None = None

    @property
    def geometry(self) -> BaseGeometry:
        """Region as a shapely geometry in degrees; if it crosses 180 degrees, longitudes continue above 180."""
        return box(*self.bbox) if self.polygon is None else shapely.from_wkt(self.polygon)

    @property
    def geojson(self) -> dict[str, Any]:
        """Region as a GeoJSON geometry, with the coordinates of `geometry`."""
        return dict(mapping(self.geometry))

    @property
    def crosses_180(self) -> bool:
        """Whether the region lies on both sides of 180 degrees."""
        return self.bbox[2] > 180.0


def region_from_bbox(west: float, south: float, east: float, north: float) -> Region:
    """Create a region from a box in degrees.

    The box crosses 180 degrees if `west` is greater than `east`, or if 180 is between them. Longitudes are shifted by
    whole turns so that `west` is from -180 to below 180.

    Raises
    ------
    InputError
        A number is not finite or out of range, `south` is greater than `north`, or the box has no area or is too wide:
        wider than 360 degrees, or wider than 180 degrees if `west` is greater than `east`.
    """
    values = (west, south, east, north)
    if not all(isfinite(value) for value in values):
        raise InputError("bbox", "The bbox holds a number that is not finite; give W,S,E,N in degrees.")
    check_degrees(values[0::2], values[1::2], "bbox")
    if south > north:
        raise InputError("bbox", f"The bbox has south {south:g} north of north {north:g}; give W,S,E,N.")
    if west > east:
        east = _east_over_180(west, east)
    if east - west > 360.0:
        raise InputError("bbox", f"The bbox is {east - west:g} degrees wide, more than 360; give W,S,E,N.")
    turn = 360.0 * turns_between(west, -180.0)
    bbox = rounded((west + turn, south, east + turn, north))
    if bbox[0] >= bbox[2] or bbox[1] >= bbox[3]:
        raise InputError("bbox", "The bbox has no area; draw a larger one.")
    return Region(bbox=bbox)


def _east_over_180(west: float, east: float) -> float:
    """Return the eastern longitude, above 180, of a box whose west is greater than its east (RFC 7946, section 5.2).

    If the box would be wider than 180 degrees, the values are probably in the wrong order, and an `InputError` is
    raised.
    """
    width = (east - west) % 360.0
    if width > 180.0:
        raise InputError(
            "bbox",
            f"The bbox has west {west:g} east of east {east:g}, which over 180 degrees is {width:g} degrees wide; "
            "give W,S,E,N.",
        )
    return west + width


def parse_bbox(text: str) -> Region:
    """Parse ``W,S,E,N`` in degrees.

    Raises
    ------
    InputError
        The text is not four numbers, or `region_from_bbox` does not accept them.
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError("bbox", f"The bbox {text[:80]!r} is not four numbers; give W,S,E,N in degrees.") from None
    return region_from_bbox(west, south, east, north)


def rounded(bbox: Iterable[float]) -> Bbox:
    """Round a box to `DECIMALS` decimals, without negative zeros."""
    west, south, east, north = (round(float(value), DECIMALS) + 0.0 for value in bbox)
    return west, south, east, north


def check_degrees(longitudes: Iterable[float], latitudes: Iterable[float], field: str) -> None:
    """Check that coordinates are in degrees, and in the order longitude, latitude.

    Raises
    ------
    InputError
        A coordinate is out of range; the message contains the largest ones.
    """
    lon, lat = max(longitudes, key=abs), max(latitudes, key=abs)
    if abs(lon) > MOST_DEGREES or abs(lat) > 360:
        remedy = ", or name their CRS in a crs member, such as EPSG:28355" if field == "region" else ""
        raise InputError(
            field, f"The {field} reaches {lon:g}, {lat:g}, not degrees; give longitude and latitude{remedy}."
        )
    if abs(lat) > 90:
        remedy = "give longitude first" if abs(lon) <= 90 else "give degrees"
        raise InputError(field, f"The latitude {lat:g} is outside -90 to 90 degrees; {remedy}.")
