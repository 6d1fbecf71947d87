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

from compute.errors import InputError
from compute.region import MAX_VERTICES, Region, parse_bbox, parse_geojson, read_region, region_from_bbox
from tests.strategies import JSON, accepted, boxes, polygons

pytestmark = pytest.mark.timeout(30)
"""What grows with the square of the vertices would take minutes."""

SQUARE = [[145, -42], [146, -42], [146, -41], [145, -41], [145, -42]]
HOLE = [[145.2, -41.8], [145.4, -41.8], [145.4, -41.6], [145.2, -41.8]]


def geojson(*rings: Any, kind: str = "Polygon", **members: Any) -> str:
    return json.dumps({"type": kind, "coordinates": rings, **members})


def feature(geometry: Any, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": geometry, **members}


def collection(*geometries: Any) -> str:
    return json.dumps({"type": "FeatureCollection", "features": [feature(each) for each in geometries]})


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
        ("179,-17,-179,-16", "180 degrees"),
        ("147,-41,148,-42", "W,S,E,N"),
        ("147,-91,148,-42", "latitude"),
        ("-42,147,-41,148", "longitude first"),
        ("540,-42,541,-41", "-180 to 180"),
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
        assert -180 <= west < east <= 180
        assert -90 <= south < north <= 90


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
        ("", "not JSON"),
        ("{", "not JSON"),
        ("not JSON at all", "not JSON"),
        (geojson(SQUARE)[:-9], "not JSON"),
        ("\ufeff" + geojson(SQUARE), "not JSON"),
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
        ("{}", "Polygon"),
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
        (geojson([[5e5, 5e6], [5.1e5, 5e6], [5.1e5, 5.1e6], [5e5, 5e6]]), "-90 to 90"),
        (geojson([point[::-1] for point in SQUARE]), "longitude first"),
        (geojson([[x + 395, y] for x, y in SQUARE]), "-180 to 180"),
        (geojson(SQUARE, crs={"type": "name", "properties": {"name": "EPSG:3577"}}), "EPSG:4326"),
        (geojson(SQUARE, crs="EPSG:4326"), "GeoJSON"),
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


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "field.geojson"
    path.write_text(geojson(SQUARE), encoding="utf-8-sig")
    assert read_region(path) == parse_geojson(geojson(SQUARE))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (geojson(SQUARE).encode("utf-16"), "UTF-8"),
        (b" " * 50_000_000, "2 MB"),
        ("é".encode() * 2_000_001, "2 MB"),
        (b"PK\x03\x04" + bytes(100), "GeoJSON"),
    ],
)
def test_a_file_that_is_no_geojson_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "field.geojson"
    path.write_bytes(content)
    sentence = refusal(read_region, path)
    assert says in sentence
    assert str(tmp_path) not in sentence


def test_a_file_that_cannot_be_opened_is_named_without_its_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.geojson", tmp_path):
        sentence = refusal(read_region, path)
        assert path.name in sentence
        assert str(tmp_path.parent) not in sentence
