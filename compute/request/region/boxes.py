"""Bounding boxes and the region record, in degrees."""

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
"""(west, south, east, north) in degrees; east is above 180 where the box crosses it."""

DECIMALS = 7
"""Degrees are kept to 1 cm, so that the same region drawn twice is the same request."""

MOST_DEGREES = 540
"""Maximum absolute longitude: a box that begins below 180 may be 360 degrees wide."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region of the request: a box, or a polygon that masks within its envelope.

    Attributes
    ----------
    bbox : tuple of float
        (west, south, east, north) in degrees, WGS 84: west from -180 to below 180, east above 180 where the region
        crosses it.
    polygon : str or None
        Canonical WKT of the polygon or multipolygon in the same degrees; None for a box.
    """

    bbox: Bbox
    polygon: str | None = None

    @property
    def geometry(self) -> BaseGeometry:
        """The region in degrees, as a shapely geometry; it goes on past 180 degrees where it crosses them."""
        return box(*self.bbox) if self.polygon is None else shapely.from_wkt(self.polygon)

    @property
    def geojson(self) -> dict[str, Any]:
        """The region as a GeoJSON geometry, likewise."""
        return dict(mapping(self.geometry))

    @property
    def crosses_180(self) -> bool:
        """True where the region lies on both sides of 180 degrees."""
        return self.bbox[2] > 180.0


def region_from_bbox(west: float, south: float, east: float, north: float) -> Region:
    """Make a region of a box in degrees; with west east of east, or east above 180, it crosses 180 degrees.

    Raises
    ------
    InputError
        A number is not finite, a latitude or longitude is out of range, the box has no area, or is wider than half a
        turn where west lies east of east.
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
    """Return the eastern end of a box across 180 degrees (RFC 7946, 5.2), unless its ends are only in a wrong order."""
    width = (east - west) % 360.0
    if width > 180.0:
        raise InputError(
            "bbox",
            f"The bbox has west {west:g} east of east {east:g}, which over 180 degrees is {width:g} degrees wide; "
            "give W,S,E,N.",
        )
    return west + width


def parse_bbox(text: str) -> Region:
    """Read ``W,S,E,N`` in degrees.

    Raises
    ------
    InputError
        See `region_from_bbox`; also when these are not four numbers.
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError("bbox", f"The bbox {text[:80]!r} is not four numbers; give W,S,E,N in degrees.") from None
    return region_from_bbox(west, south, east, north)


def rounded(bbox: Iterable[float]) -> Bbox:
    """Return a box on the lattice of kept degrees, without negative zeros."""
    west, south, east, north = (round(float(value), DECIMALS) + 0.0 for value in bbox)
    return west, south, east, north


def check_degrees(longitudes: Iterable[float], latitudes: Iterable[float], field: str) -> None:
    """Refuse numbers that are no degrees, or stand in another order than longitude, latitude.

    Raises
    ------
    InputError
        The sentence names the first of them.
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
