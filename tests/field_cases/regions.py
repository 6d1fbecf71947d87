"""Field cases of region files: encodings, coordinate reference systems, 180 degrees, and files without polygons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyproj import Transformer

Bbox = tuple[float, float, float, float]
Ring = Sequence[tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class RegionFile:
    """File that is given as a region.

    Attributes
    ----------
    name : str
        Short unique name.
    why : str
        The rule, and its source.
    content : bytes
        Content of the file.
    suffix : str
        Suffix of its name.
    bbox : tuple of float or None
        (west, south, east, north) in degrees, modulo 360, if it is accepted; None if only a refusal is correct.
    refusal : tuple of str
        Parts of the sentence if it is refused, case-insensitive; empty if only `bbox` is correct.
    never : tuple of str
        Parts that the sentence must not contain.
    """

    name: str
    why: str
    content: bytes
    suffix: str = ".geojson"
    bbox: Bbox | None = None
    refusal: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


PLACE: Bbox = (151.9, -33.95, 152.05, -33.8)


def ring(box: Bbox = PLACE, height: float | None = None) -> list[tuple[float, ...]]:
    """Return a closed ring around a box, counter-clockwise."""
    west, south, east, north = box
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return [corner if height is None else (*corner, height) for corner in corners]


def polygon(*rings: Ring) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": rings}


def text(document: Any = None, /, encoding: str = "utf-8", **members: Any) -> bytes:
    """Return a document as GeoJSON, by default the usual polygon, with further members."""
    found = polygon(ring()) if document is None else document
    return json.dumps({**found, **members}, ensure_ascii=False).encode(encoding)


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def crs(name: str) -> dict[str, Any]:
    """Return the member of GeoJSON 2008 that names a coordinate reference system."""
    return {"type": "name", "properties": {"name": name}}


def projected(code: str) -> list[tuple[float, ...]]:
    """Return the usual ring in a projection."""
    to_metres = Transformer.from_crs("EPSG:4326", code, always_xy=True)
    return [to_metres.transform(*corner) for corner in ring()]


WEST_PART, EAST_PART = ring((179.9, -17.6, 180.0, -17.4)), ring((-180.0, -17.6, -179.8, -17.4))
FIJI: Bbox = (179.9, -17.6, 180.2, -17.4)
KML = b"""<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>
151.9,-33.95 152.05,-33.95 152.05,-33.8 151.9,-33.95</coordinates></LinearRing>
</outerBoundaryIs></Polygon></Placemark></kml>"""
NAMED = {"type": "FeatureCollection", "features": [feature(polygon(ring()), name="Réserve Büro")]}

REGIONS = (
    RegionFile(
        name="gda94",
        why="a datum within 2 m of WGS 84",
        content=text(crs=crs("urn:ogc:def:crs:EPSG::4283")),
        bbox=PLACE,
    ),
    RegionFile(name="gda2020", why="a datum within 2 m of WGS 84", content=text(crs=crs("EPSG:7844")), bbox=PLACE),
    RegionFile(name="crs84", why="RFC 7946's own", content=text(crs=crs("urn:ogc:def:crs:OGC:1.3:CRS84")), bbox=PLACE),
    RegionFile(
        name="mga_zone_56",
        why="a CRS that PROJ knows, named in the crs member",
        content=text(polygon(projected("EPSG:28356")), crs=crs("urn:ogc:def:crs:EPSG::28356")),
        bbox=PLACE,
    ),
    RegionFile(
        name="web_mercator_of_a_collection",
        why="a CRS that PROJ knows, named by the collection",
        content=text(
            {"type": "FeatureCollection", "features": [feature(polygon(projected("EPSG:3857")))]}, crs=crs("EPSG:3857")
        ),
        bbox=PLACE,
    ),
    RegionFile(
        name="crs_that_nobody_knows",
        why="a CRS that is not known must not be ignored",
        content=text(crs=crs("EPSG:999999")),
        refusal=("EPSG:999999",),
    ),
    RegionFile(
        name="crs_as_text",
        why="not GeoJSON 2008, but clear",
        content=text(crs="EPSG:4326"),
        bbox=PLACE,
        refusal=("crs",),
    ),
    RegionFile(
        name="crs_of_null",
        why="GeoJSON 2008: no CRS can be assumed",
        content=text(crs=None),
        bbox=PLACE,
        refusal=("crs",),
    ),
    RegionFile(
        name="crs_as_a_link",
        why="a CRS that is not known must not be ignored",
        content=text(crs={"type": "link", "properties": {"href": "https://example.org/crs/42", "type": "proj4"}}),
        refusal=("crs",),
    ),
    RegionFile(
        name="utf8_with_mark", why="a byte order mark is no content", content=text(NAMED, "utf-8-sig"), bbox=PLACE
    ),
    RegionFile(
        name="utf16",
        why="the sentence names the encoding",
        content=text(NAMED, "utf-16"),
        bbox=PLACE,
        refusal=("UTF-8",),
    ),
    RegionFile(
        name="latin1",
        why="the sentence names the encoding",
        content=text(NAMED, "latin-1"),
        bbox=PLACE,
        refusal=("UTF-8",),
    ),
    RegionFile(
        name="heights_of_some",
        why="RFC 7946: a position may have a height",
        content=text(
            {
                "type": "MultiPolygon",
                "coordinates": [[ring((151.9, -33.95, 152.0, -33.8), 12.5)], [ring((152.01, -33.95, 152.05, -33.8))]],
            }
        ),
        bbox=PLACE,
    ),
    RegionFile(
        name="heights_of_some_corners",
        why="RFC 7946: a position may have a height",
        content=text(polygon([corner if place % 2 else (*corner, 3.0) for place, corner in enumerate(ring())])),
        bbox=PLACE,
    ),
    RegionFile(
        name="longitude_a_turn_west",
        why="-208 degrees is 152: read as it, or the remedy named",
        content=text(polygon([(lon - 360, lat) for lon, lat in ring()])),
        bbox=PLACE,
        refusal=("360",),
    ),
    RegionFile(
        name="longitude_beyond_a_turn",
        why="512 degrees is 152: read as it, or the remedy named",
        content=text(polygon([(lon + 360, lat) for lon, lat in ring()])),
        bbox=PLACE,
        refusal=("360",),
    ),
    RegionFile(
        name="cut_at_180",
        why="RFC 7946 cuts a region at 180 degrees",
        content=text({"type": "MultiPolygon", "coordinates": [[WEST_PART], [EAST_PART]]}),
        bbox=FIJI,
    ),
    RegionFile(
        name="cut_at_180_in_two_features",
        why="RFC 7946 cuts a region at 180 degrees",
        content=text(
            {"type": "FeatureCollection", "features": [feature(polygon(WEST_PART)), feature(polygon(EAST_PART))]}
        ),
        bbox=FIJI,
    ),
    RegionFile(
        name="beyond_180",
        why="a region may go on east of 180",
        content=text(polygon(ring(FIJI))),
        bbox=FIJI,
        refusal=("180",),
    ),
    RegionFile(
        name="uncut_at_180",
        why="from 179.9 to -179.8 is 0.3 degrees, never 359.7",
        content=text(polygon([(179.9, -17.6), (-179.8, -17.6), (-179.8, -17.4), (179.9, -17.4), (179.9, -17.6)])),
        bbox=FIJI,
        refusal=("180",),
    ),
    RegionFile(
        name="metres_without_crs",
        why="the sentence says that these are no degrees",
        content=text(polygon(projected("EPSG:28356"))),
        refusal=("degrees",),
        never=("longitude first",),
    ),
    RegionFile(
        name="geometry_collection",
        why="refused by its name",
        content=text({"type": "GeometryCollection", "geometries": [polygon(ring())]}),
        refusal=("GeometryCollection",),
    ),
    RegionFile(
        name="line_string",
        why="refused by its name",
        content=text({"type": "LineString", "coordinates": ring()}),
        refusal=("LineString",),
    ),
    RegionFile(name="empty", why="no polygon", content=b"", refusal=("region",)),
    RegionFile(
        name="no_feature",
        why="no polygon",
        content=text({"type": "FeatureCollection", "features": []}),
        refusal=("polygon",),
    ),
    RegionFile(name="kml", why="another format", content=KML, suffix=".kml", refusal=("GeoJSON",)),
    RegionFile(
        name="zip", why="another format", content=b"PK\x03\x04\x14\x00\xff\xfe", suffix=".zip", refusal=("GeoJSON",)
    ),
)
