"""Regions: what is kept of a box or a polygon, and that everything else is refused quickly in one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from compute.errors import InputError
from compute.request.region import (
    MAX_VERTICES,
    Region,
    parse_bbox,
    parse_geojson,
    read_region,
    region_from_bbox,
    region_from_bytes,
)
from tests.strategies import JSON, accepted, boxes, polygons

pytestmark = [pytest.mark.unit, pytest.mark.timeout(30)]
"""What grows with the square of the vertices would take minutes."""

SQUARE = [[145, -42], [146, -42], [146, -41], [145, -41], [145, -42]]
HOLE = [[145.2, -41.8], [145.4, -41.8], [145.4, -41.6], [145.2, -41.8]]


def geojson(*rings: Any, kind: str = "Polygon", **members: Any) -> str:
    return json.dumps({"type": kind, "coordinates": rings, **members})


def feature(geometry: Any, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": geometry, **members}


def collection(*geometries: Any) -> str:
    return json.dumps({"type": "FeatureCollection", "features": [feature(each) for each in geometries]})


def named(crs: str) -> dict[str, Any]:
    return {"type": "name", "properties": {"name": crs}}


def square(west: float, south: float, size: float) -> dict[str, Any]:
    return shapely.geometry.mapping(shapely.box(west, south, west + size, south + size))


def refusal(parse: Callable[[Any], Region], given_: Any) -> str:
    """The sentence of a refusal."""
    with pytest.raises(InputError) as caught:
        parse(given_)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 300
    assert caught.value.field in {"bbox", "region"}
    sentence.encode()
    return sentence


# Boxes


def test_a_box_is_kept_as_given() -> None:
    region = parse_bbox("146.8, -42.2, 147.2,-41.8")
    assert region == Region(bbox=(146.8, -42.2, 147.2, -41.8))
    assert region.geometry.equals(shapely.box(146.8, -42.2, 147.2, -41.8))


@pytest.mark.parametrize("text", ["0,0,1,1", "-0.0,0,1,1", "0.00000001,-0.00000001,0.99999999,1", "0e5,+0,1.0,1"])
def test_the_same_box_written_differently_is_the_same_region(text: str) -> None:
    region = parse_bbox(text)
    assert repr(region) == repr(parse_bbox("0,0,1,1"))


@given(boxes())
def test_a_box_written_and_read_is_the_same(region: Region) -> None:
    assert parse_bbox(",".join(map(repr, region.bbox))) == region
    assert region_from_bbox(*region.bbox) == region


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("147,-42,147,-41", "draw a larger"),
        ("147,-42,148,-42", "draw a larger"),
        ("147,-42,147.00000001,-41", "draw a larger"),
        ("148,-42,147,-41", "359 degrees wide"),
        ("-200,-42,161,-41", "more than 360"),
        ("180,-42,-180,-41", "draw a larger"),
        ("147,-41,148,-42", "W,S,E,N"),
        ("147,-91,148,-42", "latitude"),
        ("-42,147,-41,148", "longitude first"),
        ("540,-42,541,-41", "not degrees"),
        ("1200000,-4700000,1210000,-4690000", "1.21e+06, -4.7e+06, not degrees"),
        ("nan,-42,148,-41", "not finite"),
        ("147,inf,148,-41", "not finite"),
        ("1e309,-42,148,-41", "not finite"),
        ("", "W,S,E,N"),
        ("abc", "W,S,E,N"),
        ("147,-42,148", "W,S,E,N"),
        ("147,-42,148,-41,0", "W,S,E,N"),
        ("147,-42,148,0x1", "W,S,E,N"),
        ("\ud800,1,2,3", "W,S,E,N"),
        ("1" * 5_000 + ",-42,148,-41", "not finite"),
        ("147," * 1_000_000, "W,S,E,N"),
    ],
)
def test_an_unusable_box_is_refused(text: str, says: str) -> None:
    assert says in refusal(parse_bbox, text)


@given(st.text() | st.lists(st.floats() | st.integers(), min_size=4, max_size=4).map(lambda v: ",".join(map(str, v))))
def test_no_text_breaks_the_box_parser(text: str) -> None:
    region = accepted(lambda: parse_bbox(text))
    if region is not None:
        west, south, east, north = region.bbox
        assert -180 <= west < 180
        assert west < east <= west + 360
        assert -90 <= south < north <= 90


@pytest.mark.parametrize(
    ("text", "bbox"),
    [
        ("179,-17,-179,-16", (179, -17, 181, -16)),
        ("179,-17,181,-16", (179, -17, 181, -16)),
        ("-181,-17,-179,-16", (179, -17, 181, -16)),
        ("170,-17,-180,-16", (170, -17, 180, -16)),
        ("180,-17,-170,-16", (-180, -17, -170, -16)),
        ("-213,-42.5,-212.9,-42.4", (147, -42.5, 147.1, -42.4)),
        ("181.2,-17,181.4,-16", (-178.8, -17, -178.6, -16)),
        ("-180,-90,180,90", (-180, -90, 180, 90)),
        ("-200,-80,160,80", (160, -80, 520, 80)),
    ],
)
def test_a_box_over_180_degrees_goes_on_past_it(text: str, bbox: tuple[float, ...]) -> None:
    region = parse_bbox(text)
    assert region.bbox == bbox
    assert parse_bbox(",".join(map(repr, region.bbox))) == region


# Polygons


def test_a_hole_is_kept() -> None:
    region = parse_geojson(geojson(SQUARE, HOLE))
    assert region.bbox == (145.0, -42.0, 146.0, -41.0)
    assert region.geometry.equals(shapely.Polygon(SQUARE, [HOLE]))


def test_a_multipolygon_is_kept() -> None:
    islands = shapely.MultiPolygon([shapely.box(147, -43, 148, -42), shapely.box(149, -40, 149.5, -39)])
    region = parse_geojson(shapely.to_geojson(islands))
    assert region.geometry.equals(islands)
    assert region.bbox == (147.0, -43.0, 149.5, -39.0)


@pytest.mark.parametrize(
    "text",
    [
        geojson(SQUARE),
        geojson(SQUARE[::-1]),
        geojson(SQUARE[2:-1] + SQUARE[:3]),
        geojson([[*point, 12.5] for point in SQUARE]),
        geojson([SQUARE], kind="MultiPolygon"),
        json.dumps(feature(json.loads(geojson(SQUARE)))),
        collection(json.loads(geojson(SQUARE)), None),
        collection(square(145, -42, 1), square(145.5, -42, 0.5)),
        geojson(SQUARE, crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}),
        geojson([[x + 1e-9, y - 1e-9] for x, y in SQUARE]),
    ],
)
def test_the_same_polygon_written_differently_is_the_same_region(text: str) -> None:
    assert parse_geojson(text).geometry.normalize().equals(shapely.Polygon(SQUARE).normalize())
    if "FeatureCollection" not in text:
        assert parse_geojson(text) == parse_geojson(geojson(SQUARE))


@given(polygons())
def test_a_polygon_written_and_read_is_the_same(region: Region) -> None:
    assert parse_geojson(json.dumps(region.geojson)) == region


@given(polygons())
def test_a_polygon_keeps_its_place_to_a_centimetre(region: Region) -> None:
    west, south, east, north = region.geometry.bounds
    np.testing.assert_allclose(region.bbox, (west, south, east, north), rtol=0, atol=1e-9)
    assert region.geometry.is_valid


def test_heights_on_some_positions_are_left_out() -> None:
    text = geojson([[*point, 12.5][: 2 + n % 2] for n, point in enumerate(SQUARE)])
    assert parse_geojson(text) == parse_geojson(geojson(SQUARE))


# Over 180 degrees


def rings_of(*boxes_: tuple[float, float]) -> list[dict[str, Any]]:
    return [shapely.geometry.mapping(shapely.box(west, -17.0, east, -16.0)) for west, east in boxes_]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(rings_of((179.9, 180.1))[0]),
        json.dumps(rings_of((-180.1, -179.9))[0]),
        geojson(*(each["coordinates"] for each in rings_of((179.9, 180), (-180, -179.9))), kind="MultiPolygon"),
        geojson(*(each["coordinates"] for each in rings_of((-180, -179.9), (179.9, 180))), kind="MultiPolygon"),
        collection(*rings_of((179.9, 180), (-180, -179.95), (-179.95, -179.9))),
        collection(*rings_of((179.9, 180.05), (-179.95, -179.9))),
    ],
)
def test_the_same_polygon_over_180_degrees_written_differently_is_the_same_region(text: str) -> None:
    region = parse_geojson(text)
    assert region.geometry.equals(shapely.box(179.9, -17, 180.1, -16))
    assert region.bbox == (179.9, -17.0, 180.1, -16.0)
    assert region.crosses_180
    assert parse_geojson(json.dumps(region.geojson)) == region


@pytest.mark.parametrize(
    ("parts", "span"),
    [
        ([(-213, -212.9)], (147.0, 147.1)),
        ([(190, 191)], (-170.0, -169.0)),
        ([(177, 179.5), (-179.8, -178)], (177.0, 182.0)),
        ([(19, 180), (-180, -169)], (19.0, 191.0)),
        ([(100, 110), (-100, -90)], (100.0, 270.0)),
        ([(-170, -60), (-10, 150)], (-170.0, 150.0)),
        ([(-180, -170), (0, 1)], (-180.0, 1.0)),
        ([(-180, 180)], (-180.0, 180.0)),
        ([(-180, 0), (0, 180)], (-180.0, 180.0)),
    ],
)
def test_parts_of_a_region_lie_side_by_side(parts: list[tuple[float, float]], span: tuple[float, float]) -> None:
    region = parse_geojson(collection(*rings_of(*parts)))
    assert region.bbox[::2] == span
    assert region.geometry.area == pytest.approx(sum(east - west for west, east in parts))
    assert parse_geojson(json.dumps(region.geojson)) == region


def test_a_coastline_that_is_split_at_180_degrees_is_joined_however_many_vertices_it_has() -> None:
    island = shapely.Point(180.0, -17.0).buffer(1.0, quad_segs=1_000)
    west, east = shapely.intersection(island, [shapely.box(170, -30, 180, 0), shapely.box(180, -30, 190, 0)])
    east = shapely.transform(east, lambda at: at - [360.0, 0.0])
    region = parse_geojson(collection(*map(shapely.geometry.mapping, (west, east))))
    assert region.geometry.geom_type == "Polygon"
    assert region.geometry.symmetric_difference(island).area < 1e-4


# Other coordinate reference systems


@pytest.mark.parametrize(
    "member",
    [
        *("EPSG:4283", "urn:ogc:def:crs:EPSG::4283", "urn:ogc:def:crs:EPSG::7844", "urn:ogc:def:crs:EPSG:9.8:7844"),
        *(
            "http://www.opengis.net/def/crs/EPSG/0/7844",
            "epsg:4326",
            "OGC:CRS84",
            "urn:ogc:def:crs:OGC::CRS84",
            "CRS84",
        ),
        *("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "urn:x-ogc:def:crs:EPSG:4326", "EPSG:7843"),
    ],
)
def test_a_datum_within_metres_of_wgs_84_changes_nothing(member: str) -> None:
    expected = parse_geojson(geojson(SQUARE))
    for crs in (named(member), member):
        found = parse_geojson(geojson(SQUARE, crs=crs))
        assert shapely.hausdorff_distance(found.geometry, expected.geometry) < 2e-5
    assert (
        parse_geojson(
            json.dumps(
                {"type": "FeatureCollection", "crs": named(member), "features": [feature(json.loads(geojson(SQUARE)))]}
            )
        )
        == found
    )


@pytest.mark.parametrize("crs", ["EPSG:28355", "EPSG:7855", "EPSG:3577", "EPSG:3857", "ESRI:102100"])
def test_a_projected_polygon_keeps_its_edges(crs: str) -> None:
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(147.0, -42.0)
    square_ = shapely.box(x, y, x + 90_000, y + 90_000)
    region = parse_geojson(shapely.to_geojson(square_)[:-1] + f',"crs":{json.dumps(named(crs))}}}')
    back = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    lonlat = shapely.get_coordinates(region.geometry)
    places = shapely.points(np.column_stack(back.transform(*lonlat.T)))
    assert shapely.distance(places, square_.exterior).max() < 0.02


@pytest.mark.parametrize("crs", ["EPSG:3832", "EPSG:32760", "EPSG:3460", "EPSG:32701"])
def test_a_projected_polygon_over_180_degrees_is_whole(crs: str) -> None:
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(180.0, -17.0)
    around = shapely.Point(x, y).buffer(20_000).difference(shapely.Point(x, y).buffer(5_000))
    region = parse_geojson(shapely.to_geojson(around)[:-1] + f',"crs":{json.dumps(crs)}}}')
    west, _, east, _ = region.bbox
    assert 179.7 < west < 179.9 < 180.1 < east < 180.3
    assert len(region.geometry.interiors) == 1


def test_a_longitude_of_another_datum_keeps_its_turn() -> None:
    text = geojson([[179.9, -17], [180.1, -17], [180.1, -16], [179.9, -16], [179.9, -17]], crs="EPSG:7844")
    assert parse_geojson(text).bbox == pytest.approx((179.9, -17.0, 180.1, -16.0), abs=2e-5)


def test_several_polygons_are_joined() -> None:
    region = parse_geojson(collection(square(145, -42, 1), square(145.5, -41.5, 1), square(150, -30, 1)))
    assert region.geometry.area == pytest.approx(2.75)


def test_a_collection_of_many_vertices_that_stay_apart_is_joined() -> None:
    islands = [square(140 + n % 20 * 0.1, -40 + n // 20 * 0.1, 0.05) for n in range(400)]
    assert parse_geojson(collection(*islands)).geometry.area == pytest.approx(1.0)


def circle(vertices: int) -> str:
    angles = np.linspace(0, 2 * math.pi, vertices, endpoint=False)
    ring = np.column_stack([147 + np.cos(angles), -42 + np.sin(angles)]).round(5).tolist()
    return geojson([*ring, ring[0]])


def comb(teeth: int, *, upright: bool) -> Any:
    """A polygon of many teeth: two of these, crosswise, have teeth x teeth crossings."""
    ring = [(0.0, -0.01)]
    for x in np.arange(teeth) / teeth:
        ring += [(x, 0.0), (x, 1.0), (x + 0.5 / teeth, 1.0), (x + 0.5 / teeth, 0.0)]
    ring += [(1.0, -0.01)]
    return shapely.geometry.mapping(shapely.Polygon(ring if upright else [(y, x) for x, y in ring]))


def nested(opening: str, depth: int, closing: str) -> str:
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \r\n", "empty"),
        ("{", "not JSON"),
        ("not JSON at all", "not JSON"),
        (geojson(SQUARE)[:-9], "not JSON"),
        (geojson(SQUARE).encode("utf-16").decode("latin-1"), "not JSON"),
        ("{\ud800", "not JSON"),
        ('{"type": "\\ud800"}', "Polygon"),
        (" " * 2_000_001, "2 MB"),
        ("é" * 1_000_001, "2 MB"),
        (nested("[", 100_000, "]"), "not valid GeoJSON"),
        (nested('{"type":"Feature","geometry":', 10_000, "}"), "GeoJSON"),
        (nested('{"type":"FeatureCollection","features":[', 900, "]}"), "Polygon"),
        (nested('{"type":"GeometryCollection","geometries":[', 100, "]}"), "GeometryCollection"),
        ("null", "not valid GeoJSON"),
        ("[]", "not valid GeoJSON"),
        ("5", "not valid GeoJSON"),
        ("{}", "no type of GeoJSON"),
        ('{"rings":[[[145,-42],[146,-42],[146,-41],[145,-42]]],"spatialReference":{"wkid":4326}}', "no type"),
        ('<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"/>', "KML"),
        ("<gml:Polygon/>", "GML"),
        ("POLYGON((145 -42, 146 -42, 146 -41, 145 -42))", "give GeoJSON"),
        ('{"type":"Polygon"}', "not valid GeoJSON"),
        ('{"type":"Polygon","type":"Point","coordinates":[1,2]}', "Point"),
        (json.dumps(feature(None)), "no polygon"),
        (collection(), "no polygon"),
        (collection(None, None), "no polygon"),
        ('{"type":"FeatureCollection","features":null}', "not valid GeoJSON"),
        ('{"type":"FeatureCollection","features":{"a":1}}', "not valid GeoJSON"),
        (json.dumps({"type": "Point", "coordinates": [147, -42]}), "Point"),
        (json.dumps({"type": "LineString", "coordinates": SQUARE}), "LineString"),
        (collection(square(145, -42, 1), {"type": "Point", "coordinates": [147, -42]}), "Point"),
        (geojson(), "no polygon"),
        (geojson([]), "no polygon"),
        (geojson(SQUARE[:2]), "not valid GeoJSON"),
        (geojson([*SQUARE[:3], [145], SQUARE[0]]), "not valid GeoJSON"),
        (geojson([[None, 1], [1, 1], [1, 0], [0, 1]]), "not valid GeoJSON"),
        (geojson([SQUARE]), "not valid GeoJSON"),
        (geojson("abc"), "not valid GeoJSON"),
        (geojson([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]), "draw it without crossings"),
        (geojson([[0, 0], [1, 1], [0, 0]]), "crossings"),
        (geojson([[0, 0], [1, 1e-9], [1, 0], [0, 0]]), "no area"),
        (geojson([[0, 0], [1, 1], [2, 2], [0, 0]]), "crossings"),
        (geojson([[5e5, 5e6], [5.1e5, 5e6], [5.1e5, 5.1e6], [5e5, 5e6]]), "not degrees"),
        (geojson([[145, -92], [146, -92], [146, -91], [145, -92]]), "-90 to 90 degrees; give degrees"),
        (geojson([point[::-1] for point in SQUARE]), "longitude first"),
        (geojson([[x + 396, y] for x, y in SQUARE]), "not degrees"),
        (geojson([[179.9, -17], [-179.9, -17], [-179.9, -16], [179.9, -16], [179.9, -17]]), "write 180.1 for -179.9"),
        (geojson([[-100, 0], [100, 0], [100, 9], [-100, 9], [-100, 0]]), "200 degrees long"),
        (geojson([[-200, 0], [-30, 0], [140, 0], [200, 9], [20, 9], [-150, 9], [-200, 0]]), "more than once"),
        (geojson(SQUARE, crs=named("EPSG:99999")), "'EPSG:99999' is not known"),
        (geojson(SQUARE, crs=named("GDA94")), "'GDA94' is not known"),
        (geojson(SQUARE, crs=named("+proj=utm +zone=55")), "not known"),
        (geojson(SQUARE, crs=named("EPSG:5711")), "'EPSG:5711' is not known"),
        (geojson(SQUARE, crs=named("EPSG:4978")), "not known"),
        (geojson(SQUARE, crs="somewhere"), "'somewhere' is not known"),
        (geojson(SQUARE, crs={"type": "link", "properties": {"href": "http://example.com/crs"}}), "link"),
        (geojson([[1e9, 1e9], [2e9, 1e9], [2e9, 2e9], [1e9, 1e9]], crs=named("EPSG:32655")), "beyond"),
        (geojson(SQUARE, crs={"properties": None}), "GeoJSON"),
        (geojson(SQUARE).replace("145", "NaN"), "NaN"),
        (geojson(SQUARE).replace("145", "-Infinity"), "-Infinity"),
        (geojson(SQUARE).replace("145", "1e999"), "not finite"),
        (geojson(SQUARE).replace("145", "1" + "0" * 400), "not valid GeoJSON"),
        (geojson(SQUARE).replace("145", "1" * 5_000), "not valid GeoJSON"),
        (circle(80_000), "80,001 vertices"),
        (circle(MAX_VERTICES), "10,001 vertices"),
        (geojson(*([SQUARE] for _ in range(20_000)), kind="MultiPolygon"), "100,000 vertices"),
        (collection(comb(1_200, upright=True), comb(1_200, upright=False)), "dissolve"),
    ],
)
def test_what_is_no_usable_polygon_is_refused(text: str, says: str) -> None:
    assert says in refusal(parse_geojson, text)


def test_a_polygon_of_the_most_vertices_is_read() -> None:
    region = parse_geojson(circle(MAX_VERTICES - 1))
    assert shapely.get_num_coordinates(region.geometry) == MAX_VERTICES


def test_markup_in_properties_goes_nowhere() -> None:
    script = "<script>alert(1)</script>"
    document = feature(json.loads(geojson(SQUARE)), properties={"name": script, "__proto__": script}, id=script)
    assert "script" not in repr(parse_geojson(json.dumps(document)))


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_no_text_breaks_the_geojson_parser(text: str) -> None:
    accepted(lambda: parse_geojson(text))


@given(
    st.sampled_from(["Polygon", "MultiPolygon", "Feature", "FeatureCollection", "Point", "GeometryCollection"]),
    JSON | st.lists(st.lists(st.lists(st.floats() | st.integers(), min_size=2, max_size=3), max_size=5), max_size=2),
)
def test_no_document_breaks_the_geojson_parser(kind: str, content: Any) -> None:
    members = dict.fromkeys(("coordinates", "geometry", "features", "geometries", "crs"), content)
    with_crs, without = (json.dumps({"type": kind} | members | extra) for extra in ({}, {"crs": None}))
    accepted(lambda: parse_geojson(with_crs))
    accepted(lambda: parse_geojson(without))


# Files


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"])
def test_a_file_of_any_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "field.geojson"
    document = feature(json.loads(geojson(SQUARE)), properties={"name": "Zürich"})
    path.write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    assert read_region(path) == region_from_bytes(path.read_bytes()) == parse_geojson(geojson(SQUARE))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\xff\xfe{\x00}\x00", "no type of GeoJSON"),
        ("<kml>é</kml>".encode("utf-16"), "KML"),
        (b"\xe9", "not JSON"),
        (b" " * 50_000_000, "2 MB"),
        ("é".encode() * 2_000_001, "2 MB"),
        (b"PK\x03\x04" + bytes(100), "zip"),
        (b"\x00\x00\x27\x0a" + bytes(96), "Shapefile"),
        (b"SQLite format 3\x00" + bytes(100), "GeoPackage"),
        (b"\x1f\x8b" + bytes(100), "compressed"),
    ],
)
def test_a_file_that_is_no_geojson_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "field.geojson"
    path.write_bytes(content)
    sentence = refusal(read_region, path)
    assert says in sentence
    assert sentence == refusal(region_from_bytes, content)
    assert str(tmp_path) not in sentence


def test_a_file_that_cannot_be_opened_is_named_without_its_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.geojson", tmp_path):
        sentence = refusal(read_region, path)
        assert path.name in sentence
        assert str(tmp_path.parent) not in sentence


@pytest.mark.parametrize("name", ["IAU_2015:30100", "ESRI:104905", "ESRI:54099"])
def test_a_crs_of_another_celestial_body_is_refused_in_a_sentence(name: str) -> None:
    text = json.dumps(
        {"type": "Polygon", "coordinates": [[*SQUARE]], "crs": {"type": "name", "properties": {"name": name}}}
    )
    with pytest.raises(InputError, match="crs"):
        parse_geojson(text)


def test_a_region_names_few_crs() -> None:
    features = [
        {"type": "Feature", "geometry": None, "properties": {}, "crs": f"EPSG:{32601 + number}"} for number in range(59)
    ]
    with pytest.raises(InputError, match="more than 16 different crs"):
        parse_geojson(json.dumps({"type": "FeatureCollection", "features": features}))
