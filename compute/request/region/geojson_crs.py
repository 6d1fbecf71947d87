"""The ``crs`` member of GeoJSON before RFC 7946, and transformation from its CRS to degrees."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from math import pi
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry import Polygon

from compute.errors import InputError

Numbers = NDArray[np.float64]

WGS84 = "OGC:CRS84"
"""CRS of coordinates without a ``crs`` member."""

_EDGE_POINTS = 128
"""Ratio of the longer side of a projected polygon's bounding box to the maximum length of its edges. Vertices are added
to longer edges, because straight edges in a projection are curved in degrees."""

_NAME = re.compile(
    r"(?:urn:(?:x-)?ogc:def:crs:|https?://(?:www\.)?opengis\.net/(?:def/crs/|gml/srs/epsg\.xml#))?"
    r"(?:(?P<authority>[A-Za-z]\w*)[:/](?:[\w.]*[:/])?)?(?P<code>\w+)",
    re.ASCII,
)


def crs_name(member: Any) -> str | None:
    """Return the CRS of a ``crs`` member as ``AUTHORITY:CODE``; None if the member is null or missing.

    Raises
    ------
    InputError
        The member is a link, or is not the name of a geographic or projected CRS in PROJ.
    """
    if member is None:
        return None
    if isinstance(member, str):
        return _known(member)
    if member.get("type") == "link":
        raise InputError(
            "region", "The region's crs is a link, which is not followed; name it, such as EPSG:4326, or leave it out."
        )
    properties = member["properties"]
    return _known(str(properties["name"] if "name" in properties else f"{member['type']}:{properties['code']}"))


def _known(name: str) -> str:
    found = _NAME.fullmatch(name.strip())
    if found is not None:
        authority, code = found["authority"] or "EPSG", found["code"]
        text = WGS84 if code.upper() in ("WGS84", "CRS84") else f"{authority.upper()}:{code}"
        if text == WGS84 or _is_of_maps(text):
            return text
    raise InputError(
        "region",
        f"The region's crs {name[:60]!r} is not known; name it as EPSG:n, or give longitude and latitude without one.",
    )


@lru_cache(maxsize=64)
def _is_of_maps(name: str) -> bool:
    try:
        known = CRS.from_authority(*name.split(":"))
    except ProjError:
        return False
    return known.is_geographic or known.is_projected


def to_degrees(polygon: Polygon, crs: str) -> Polygon:
    """Transform a polygon to longitude and latitude.

    Vertices are added to a polygon in a projection, whose straight edges are curved in degrees.

    Parameters
    ----------
    polygon : shapely.Polygon
        Coordinates as x, y or longitude, latitude, regardless of the axis order of the CRS.
    crs : str
        Authority and code, as returned by `crs_name`.

    Raises
    ------
    InputError
        The CRS cannot be transformed to longitude and latitude, or the polygon is outside its domain.
    """
    if crs in (WGS84, "EPSG:4326") or polygon.is_empty:
        return polygon
    known, transformer = _transformation(crs)
    if known.is_geographic:
        unit = known.axis_info[0].unit_conversion_factor * 180.0 / pi
        return _moved(polygon, lambda x, y: _near(x * unit, *_transformed(transformer, crs, x, y)))
    west, south, east, north = polygon.bounds
    dense = shapely.segmentize(polygon, max(east - west, north - south, 1e-9) / _EDGE_POINTS)
    return _moved(dense, lambda x, y: _continuous(*_transformed(transformer, crs, x, y)))


@lru_cache(maxsize=64)
def _transformation(crs: str) -> tuple[CRS, Transformer]:
    """Return a CRS and its transformer to degrees; cached, because creating them takes longer than their use."""
    known = CRS.from_authority(*crs.split(":"))
    try:
        return known, Transformer.from_crs(known, "EPSG:4326", always_xy=True)
    except ProjError:
        raise InputError(
            "region",
            f"The region's crs {crs} cannot be transformed to longitude and latitude on Earth; give it in EPSG:4326.",
        ) from None


def _transformed(transformer: Transformer, crs: str, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    try:
        lon, lat = transformer.transform(x, y)
    except ProjError:
        lon = lat = np.full_like(x, np.nan)
    if not (np.isfinite(lon) & np.isfinite(lat)).all():
        raise InputError("region", f"The region lies beyond what its crs {crs} can express; name the right one.")
    return lon, lat


def _moved(polygon: Polygon, move: Callable[[Numbers, Numbers], tuple[Numbers, Numbers]]) -> Polygon:
    """Apply a function of x and y to the rings of a polygon, and shift holes by whole turns to their shell."""
    rings = [np.stack(move(*shapely.get_coordinates(ring).T), 1) for ring in (polygon.exterior, *polygon.interiors)]
    for hole in rings[1:]:
        hole[:, 0] += 360.0 * np.rint((rings[0][:, 0].mean() - hole[:, 0].mean()) / 360.0)
    return Polygon(rings[0], rings[1:])


def _near(given: Numbers, lon: Numbers, lat: Numbers) -> tuple[Numbers, Numbers]:
    """Shift longitudes by whole turns to within 180 degrees of the given ones; latitudes are unchanged."""
    return lon + 360.0 * np.rint((given - lon) / 360.0), lat


def _continuous(lon: Numbers, lat: Numbers) -> tuple[Numbers, Numbers]:
    """Unwrap longitudes, so that they continue above 180 degrees; latitudes are unchanged."""
    return np.unwrap(lon, period=360.0), lat
