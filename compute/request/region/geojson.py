"""Parsing and validation of GeoJSON polygons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from compute.errors import InputError
from compute.request.region.antimeridian import longitude_span, turns_between
from compute.request.region.boxes import DECIMALS, Region, check_degrees, rounded
from compute.request.region.geojson_crs import WGS84, crs_name, to_degrees

MAX_GEOJSON_BYTES = 2_000_000
"""Maximum length of GeoJSON text; it is enough for a detailed coastline, and is parsed in less than a second."""

MAX_CRS = 16
"""Maximum number of different CRSs in a region; each lookup takes some milliseconds."""

MAX_VERTICES = 10_000
"""Maximum number of vertices; it is more than a screen can show, and still fast to clip against every chunk."""

MAX_JOINED_VERTICES = 500
"""Maximum number of vertices of polygons that touch or overlap; the time to join them grows with its square."""

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
"""Errors that Python and shapely raise for JSON that is not GeoJSON."""

_Rings = list[list[list[Any]]]
"""Coordinates of a polygon in JSON: rings of positions."""


def parse_geojson(text: str) -> Region:
    """Parse the polygons of a GeoJSON geometry, feature or feature collection, and join them.

    Parameters
    ----------
    text : str
        GeoJSON in longitude and latitude (RFC 7946), or in the CRS of a ``crs`` member; at most 2 MB. Heights are
        ignored.

    Returns
    -------
    Region
        Polygon or multipolygon, including holes. If the region crosses 180 degrees, longitudes east of that meridian
        are above 180.

    Raises
    ------
    InputError
        The text is too long, not JSON or not GeoJSON, has an unknown CRS, no polygons or other geometries; or a polygon
        crosses itself, or has no area, too many vertices, coordinates out of range, or an edge of more than 180 degrees
        whose direction is ambiguous.
    """
    refuse_bytes(len(text.encode(errors="surrogatepass")))
    text = text.lstrip("\ufeff \t\r\n")
    _refuse_others(text)
    try:
        found = list(_polygons(json.loads(text, parse_constant=_refuse_constant), None, set()))
        # An empty ring counts as one vertex, because it takes about as long to process.
        _refuse_vertices(sum(max(len(ring), 1) for rings, _ in found for ring in rings or [[]]))
        polygons = _in_degrees(found)
    except json.JSONDecodeError as error:
        raise InputError("region", f"The region is not JSON (line {error.lineno}); give GeoJSON.") from None
    except InputError:
        raise
    except _NOT_GEOJSON:
        raise InputError("region", "The region is not valid GeoJSON; give a Polygon or MultiPolygon.") from None
    return _region_from_polygons(polygons)


def _refuse_others(text: str) -> None:
    if not text:
        raise InputError("region", "The region is empty; give GeoJSON with a Polygon or MultiPolygon.")
    if text.startswith("<"):
        kind = "KML" if "kml" in text[:1_000].lower() else "GML" if "gml" in text[:1_000].lower() else "XML"
        raise InputError("region", f"The region is {kind}, not GeoJSON; save it as GeoJSON.")


def _refuse_constant(name: str) -> float:
    raise InputError("region", f"The region holds the coordinate {name}; give finite degrees.")


def _polygons(document: Any, crs: str | None, known: set[str]) -> Iterator[tuple[_Rings, str | None]]:
    """Yield the rings and the CRS of every polygon in a document; the CRS may be that of an enclosing object.

    Names of CRSs are added to `known`; too many of them raise an `InputError`, since each lookup takes time.
    """
    if not isinstance(document, dict):
        raise TypeError
    crs, kind = crs_name(document.get("crs")) or crs, document.get("type")
    _note_crs(crs or "", known)
    if kind == "FeatureCollection":
        for feature in document["features"]:
            yield from _polygons(feature, crs, known)
    elif kind == "Feature":
        if document["geometry"] is not None:
            yield from _polygons(document["geometry"], crs, known)
    elif kind in ("Polygon", "MultiPolygon"):
        nested = document["coordinates"]
        for rings in [nested] if kind == "Polygon" else nested:
            yield rings, crs
    else:
        named = "has no type of GeoJSON" if kind is None else f"is a {str(kind)[:40]!r}, not a polygon"
        raise InputError("region", f"The region {named}; give a Polygon or MultiPolygon.")


def _note_crs(name: str, known: set[str]) -> None:
    known.add(name)
    if len(known) > MAX_CRS:
        raise InputError("region", f"The region names more than {MAX_CRS} different crs; give it in one.")


def _in_degrees(found: list[tuple[_Rings, str | None]]) -> list[Polygon]:
    """Convert polygons to degrees, and check the number of vertices, including those added to projected edges."""
    polygons, vertices = list[Polygon](), 0
    for rings, crs in found:
        polygons.append(to_degrees(_polygon(rings), crs or WGS84))
        vertices += int(shapely.get_num_coordinates(polygons[-1]))
        _refuse_vertices(vertices)
    return polygons


def refuse_bytes(count: int) -> None:
    """Check the length of GeoJSON text in bytes.

    Raises
    ------
    InputError
        The length is above `MAX_GEOJSON_BYTES`.
    """
    if count > MAX_GEOJSON_BYTES:
        raise InputError("region", f"The GeoJSON is over {MAX_GEOJSON_BYTES // 1_000_000} MB; simplify the region.")


def _refuse_vertices(count: int) -> None:
    if count > MAX_VERTICES:
        raise InputError("region", f"The region has {count:,} vertices, more than {MAX_VERTICES:,}; simplify it.")


def _polygon(rings: _Rings) -> Polygon:
    """Create a polygon from rings of positions; numbers after the first two of a position are ignored."""
    flat = [[(_number(place[0]), _number(place[1])) for place in ring] for ring in rings]
    return Polygon(flat[0], flat[1:]) if flat else Polygon()


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _region_from_polygons(polygons: list[Polygon]) -> Region:
    polygons = [polygon for polygon in polygons if not polygon.is_empty]
    if not polygons:
        raise InputError("region", "The region holds no polygon; give a Polygon or MultiPolygon.")
    coordinates = shapely.get_coordinates(polygons)
    if not all(isfinite(value) for value in coordinates.ravel()):
        raise InputError("region", "The region holds a coordinate that is not finite; give degrees.")
    check_degrees(coordinates[:, 0], coordinates[:, 1], "region")
    for polygon in polygons:
        _refuse_long_edges(polygon)
        if not polygon.is_valid:
            reason = explain_validity(polygon).replace("[", " at longitude and latitude ").rstrip("]")
            raise InputError("region", f"The region is not a simple polygon ({reason}); draw it without crossings.")
    joined = _join(_placed(polygons))
    if joined.area == 0:
        raise InputError("region", "The region has no area; draw a larger one.")
    _refuse_vertices(int(shapely.get_num_coordinates(joined)))
    bbox, wkt = rounded(joined.bounds), shapely.to_wkt(joined.normalize(), rounding_precision=DECIMALS)
    return Region(bbox=bbox, polygon=wkt)


def _refuse_long_edges(polygon: Polygon) -> None:
    """Raise an `InputError` for an ambiguous edge: from 179.9 to -179.9, it may be 359.8 or 0.2 degrees long."""
    for ring in (polygon.exterior, *polygon.interiors):
        x = shapely.get_coordinates(ring)[:, 0]
        steps = np.abs(np.diff(x))
        at = int(steps.argmax())
        if 180.0 < steps[at] < 360.0:
            raise InputError(
                "region",
                f"The region has an edge from longitude {x[at]:g} to {x[at + 1]:g}, {steps[at]:g} degrees long; split "
                f"the region at 180 degrees, write {min(x[at : at + 2]) + 360.0:g} for {min(x[at : at + 2]):g}, or, if "
                "it is meant so, add a point on the edge.",
            )


def _placed(polygons: list[Polygon]) -> list[Polygon]:
    """Shift polygons by whole turns so that they are side by side; longitudes may then be above 180."""
    arcs = [(polygon.bounds[0], polygon.bounds[2]) for polygon in polygons]
    if max(east - west for west, east in arcs) > 360.0:
        raise InputError("region", "The region goes around the globe more than once; draw a smaller one.")
    begin, _ = longitude_span(arcs)
    turns = [turns_between(west + 10.0**-DECIMALS, begin) for west, _ in arcs]
    return [_moved(polygon, 360.0 * turn) for polygon, turn in zip(polygons, turns, strict=True)]


def _moved(polygon: Polygon, degrees: float) -> Polygon:
    return shapely.transform(polygon, lambda at: at + np.array([degrees, 0.0])) if degrees else polygon


def _join(polygons: list[Polygon]) -> BaseGeometry:
    """Join polygons to one geometry, with coordinates rounded to `DECIMALS` decimals."""
    if any(polygon.bounds[2] > 180.0 for polygon in polygons):
        sides = _sides(polygons)
        # Polygons that touch only along 180 degrees are joined quickly, whatever their number of vertices.
        joined = shapely.union_all([_joined(side) for side in sides if side])
    else:
        joined = _joined(polygons)
    parts = shapely.get_parts(shapely.set_precision(joined, 10.0**-DECIMALS))
    return parts[0] if len(parts) == 1 else MultiPolygon(list(parts))


def _sides(polygons: list[Polygon]) -> tuple[list[Polygon], list[Polygon]]:
    """Split polygons into those west and east of 180 degrees; if one crosses 180 degrees, all are in the first list."""
    east = [polygon for polygon in polygons if polygon.bounds[0] >= 180.0 - 10.0**-DECIMALS]
    west = [polygon for polygon in polygons if polygon.bounds[0] < 180.0 - 10.0**-DECIMALS]
    is_split = all(polygon.bounds[2] <= 180.0 + 10.0**-DECIMALS for polygon in west)
    return (west, east) if is_split else (polygons, [])


def _joined(polygons: list[Polygon]) -> BaseGeometry:
    together: BaseGeometry = MultiPolygon(polygons)
    if together.is_valid:
        return together
    vertices = int(shapely.get_num_coordinates(polygons).sum())
    if vertices > MAX_JOINED_VERTICES:
        raise InputError(
            "region",
            f"The region's polygons touch or overlap and have {vertices:,} vertices, more than "
            f"{MAX_JOINED_VERTICES:,}; dissolve them into one MultiPolygon.",
        )
    return shapely.union_all(polygons)
