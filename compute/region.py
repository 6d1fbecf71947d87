"""Where: a box or a polygon in degrees, read from text or GeoJSON and refused in one sentence when it is neither."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import MultiPolygon, box, mapping, shape
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from compute.errors import InputError

Bbox = tuple[float, float, float, float]
"""(west, south, east, north) in degrees."""

MAX_GEOJSON_BYTES = 2_000_000
"""Largest GeoJSON text: a coastline in full detail, and nothing that takes a second to parse."""

MAX_VERTICES = 10_000
"""Most vertices of a polygon: more than any screen shows, and still fast to clip against every chunk."""

MAX_JOINED_VERTICES = 500
"""Most vertices of polygons that touch or overlap: every edge may cross every other, and joining takes as long."""

_DECIMALS = 7
"""Degrees are kept to 1 cm, so that the same region drawn twice is the same request."""

_LONLAT = ("urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326")


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region of the request: a box, or a polygon that masks within its envelope.

    Attributes
    ----------
    bbox : tuple of float
        (west, south, east, north) in degrees, WGS 84.
    polygon : str or None
        Canonical WKT of the polygon or multipolygon in the same degrees; None for a box.
    """

    bbox: Bbox
    polygon: str | None = None

    @property
    def geometry(self) -> BaseGeometry:
        """The region in degrees, as a shapely geometry."""
        return box(*self.bbox) if self.polygon is None else shapely.from_wkt(self.polygon)

    @property
    def geojson(self) -> dict[str, Any]:
        """The region as a GeoJSON geometry."""
        return dict(mapping(self.geometry))


def region_from_bbox(west: float, south: float, east: float, north: float) -> Region:
    """Make a region of a box in degrees.

    Raises
    ------
    InputError
        A number is not finite, a latitude or longitude is out of range, the box has no area, or west lies east
        of east.
    """
    values = (west, south, east, north)
    if not all(isfinite(value) for value in values):
        raise InputError("bbox", "The bbox holds a number that is not finite; give W,S,E,N in degrees.")
    _check_range(values[0::2], values[1::2], "bbox")
    west, south, east, north = (round(float(value), _DECIMALS) + 0.0 for value in values)
    if west > east:
        raise InputError(
            "bbox",
            f"The bbox has west {west:g} east of east {east:g}; give W,S,E,N, and split a region that crosses "
            "180 degrees in two.",
        )
    if south > north:
        raise InputError("bbox", f"The bbox has south {south:g} north of north {north:g}; give W,S,E,N.")
    if west == east or south == north:
        raise InputError("bbox", "The bbox has no area; draw a larger one.")
    return Region(bbox=(west, south, east, north))


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


def read_region(path: Path) -> Region:
    """Read a GeoJSON file; see `parse_geojson`."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_GEOJSON_BYTES + 1)
        _refuse_bytes(len(content))
        return parse_geojson(content.decode("utf-8-sig"))
    except OSError:
        raise InputError("region", f"The region file {path.name} cannot be read.") from None
    except UnicodeDecodeError:
        raise InputError("region", f"The region file {path.name} is not UTF-8 text; save it as GeoJSON.") from None


_NOT_GEOJSON = (
    RecursionError,
    ArithmeticError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    shapely.errors.ShapelyError,
)
"""What Python and shapely raise on JSON that is no GeoJSON."""


def parse_geojson(text: str) -> Region:
    """Read a polygon from GeoJSON: a geometry, a feature, or a collection whose polygons are joined.

    Parameters
    ----------
    text : str
        GeoJSON in longitude and latitude (RFC 7946), at most 2 MB.

    Returns
    -------
    Region
        The polygon or multipolygon, holes kept.

    Raises
    ------
    InputError
        The text is too long, not JSON, not GeoJSON, holds no polygon or anything beside polygons, crosses
        itself, has no area, too many vertices, or coordinates that are not degrees.
    """
    _refuse_bytes(len(text.encode(errors="surrogatepass")))
    try:
        found = _geometries(json.loads(text, parse_constant=_refuse_constant))
        _refuse_vertices(sum(_count(geometry) for geometry in found))
        geometries = [shape(geometry) for geometry in found]
    except json.JSONDecodeError as error:
        raise InputError("region", f"The region is not JSON (line {error.lineno}); give GeoJSON.") from None
    except InputError:
        raise
    except _NOT_GEOJSON:
        raise InputError("region", "The region is not valid GeoJSON; give a Polygon or MultiPolygon.") from None
    return _region_from_polygons(geometries)


def _refuse_constant(name: str) -> float:
    raise InputError("region", f"The region holds the coordinate {name}; give finite degrees.")


def _geometries(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, dict):
        raise TypeError
    crs = (document.get("crs") or {}).get("properties", {}).get("name", _LONLAT[0])
    if crs not in _LONLAT:
        raise InputError("region", f"The region is in {str(crs)[:60]!r}; give longitude and latitude (EPSG:4326).")
    if document.get("type") == "FeatureCollection":
        return [geometry for feature in document["features"] for geometry in _geometries(feature)]
    if document.get("type") == "Feature":
        return [] if document["geometry"] is None else _geometries(document["geometry"])
    if document.get("type") not in ("Polygon", "MultiPolygon"):
        kind = str(document.get("type"))[:40]
        raise InputError("region", f"The region is a {kind!r}, not a polygon; give a Polygon or MultiPolygon.")
    return [document]


def _refuse_bytes(count: int) -> None:
    if count > MAX_GEOJSON_BYTES:
        raise InputError("region", f"The GeoJSON is over {MAX_GEOJSON_BYTES // 1_000_000} MB; simplify the region.")


def _count(geometry: dict[str, Any]) -> int:
    """Count the vertices of a GeoJSON geometry, which is much quicker than to make it."""
    nested = geometry["coordinates"]
    polygons = [nested] if geometry["type"] == "Polygon" else nested
    return sum(len(ring) for polygon in polygons for ring in polygon)


def _refuse_vertices(count: int) -> None:
    if count > MAX_VERTICES:
        raise InputError("region", f"The region has {count:,} vertices, more than {MAX_VERTICES:,}; simplify it.")


def _region_from_polygons(polygons: list[BaseGeometry]) -> Region:
    polygons = [shapely.force_2d(polygon) for polygon in polygons if not polygon.is_empty]
    if not polygons:
        raise InputError("region", "The region holds no polygon; give a Polygon or MultiPolygon.")
    coordinates = shapely.get_coordinates(polygons)
    if not all(isfinite(value) for value in coordinates.ravel()):
        raise InputError("region", "The region holds a coordinate that is not finite; give degrees.")
    _check_range(coordinates[:, 0], coordinates[:, 1], "region")
    for polygon in polygons:
        if not polygon.is_valid:
            reason = explain_validity(polygon).replace("[", " at longitude and latitude ").rstrip("]")
            raise InputError("region", f"The region is not a simple polygon ({reason}); draw it without crossings.")
    joined = _join(polygons)
    if joined.area == 0:
        raise InputError("region", "The region has no area; draw a larger one.")
    _refuse_vertices(int(shapely.get_num_coordinates(joined)))
    west, south, east, north = (round(float(value), _DECIMALS) + 0.0 for value in joined.bounds)
    return Region(bbox=(west, south, east, north), polygon=shapely.to_wkt(joined.normalize(), rounding_precision=7))


def _join(polygons: list[BaseGeometry]) -> BaseGeometry:
    """Return polygons as one, on the lattice of kept degrees."""
    joined: BaseGeometry = MultiPolygon(list(shapely.get_parts(polygons)))
    if not joined.is_valid:
        vertices = int(shapely.get_num_coordinates(polygons).sum())
        if vertices > MAX_JOINED_VERTICES:
            raise InputError(
                "region",
                f"The region's polygons touch or overlap and have {vertices:,} vertices, more than "
                f"{MAX_JOINED_VERTICES:,}; dissolve them into one MultiPolygon.",
            )
        joined = shapely.union_all(polygons)
    parts = shapely.get_parts(shapely.set_precision(joined, 10.0**-_DECIMALS))
    return parts[0] if len(parts) == 1 else MultiPolygon(list(parts))


def _check_range(longitudes: Any, latitudes: Any, field: str) -> None:
    for value in latitudes:
        if abs(value) > 90:
            raise InputError(field, f"The latitude {value:g} is outside -90 to 90 degrees; give longitude first.")
    for value in longitudes:
        if abs(value) > 180:
            raise InputError(field, f"The longitude {value:g} is outside -180 to 180 degrees; give longitude first.")
