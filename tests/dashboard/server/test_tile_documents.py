"""What other clients are told of tiles: held against what TileJSON 3.0 and OGC API - Tiles 1.0 require, by hand."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from compute.plan import NdviPlan, make_plan
from compute.request.region import parse_bbox
from compute.settings import Settings
from dashboard.server.tile_documents import TileDocuments, compute_matrix_limits
from dashboard.server.tile_metadata import find_root_url
from tests.strategies import request_of, roles_of, scene_of

pytestmark = pytest.mark.unit

TOKEN = "0" * 32
ROOT = "https://hub.example/user/a%20b/greenup"
REL = "http://www.opengis.net/def/rel/ogc/1.0/"


@pytest.fixture(scope="module")
def plan() -> NdviPlan:
    scenes = [scene_of("a", "2020-01-05T00:00:00"), scene_of("b", "2020-04-05T00:00:00")]
    request = request_of(by="season-year")
    return make_plan(request, scenes, {"landsat": roles_of()}, Settings())


@pytest.fixture(scope="module")
def documents(plan: NdviPlan) -> TileDocuments:
    return TileDocuments(plan=plan, token=TOKEN, root=ROOT, style="palette=land&span=0,1")


def links(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By relation; each has what RFC 8288 and OGC API - Common want."""
    for link in document["links"]:
        assert {"rel", "href"} <= set(link)
        parts = urlsplit(link["href"])
        assert (parts.scheme, parts.netloc) == ("https", "hub.example")
        assert parts.path.startswith("/user/a%20b/greenup/")
        assert parts.query == "palette=land&span=0,1"
    return {link["rel"]: link for link in document["links"]}


def test_tilejson_has_what_its_specification_requires(documents: TileDocuments, plan: NdviPlan) -> None:
    document = json.loads(json.dumps(documents.build_tilejson("ndvi_mean", plan.labels[0]), allow_nan=False))
    assert document["tilejson"] == "3.0.0"
    (tiles,) = document["tiles"]
    label = plan.labels[0]
    assert tiles == f"{ROOT}/tiles/{TOKEN}/ndvi_mean/{label}/{{z}}/{{x}}/{{y}}.png?palette=land&span=0,1"
    assert document["scheme"] == "xyz"
    assert 0 <= document["minzoom"] <= document["center"][2] <= document["maxzoom"] <= 30
    west, south, east, north = document["bounds"]
    assert -180 <= west < document["center"][0] < east <= 180
    assert -90 <= south < document["center"][1] < north <= 90
    assert document["version"].count(".") == 2


def test_the_landing_page_leads_everywhere(documents: TileDocuments) -> None:
    found = links(documents.build_landing_page())
    assert {"self", "service-desc", "conformance", "data", f"{REL}data", f"{REL}tiling-schemes"} <= set(found)
    assert found["service-desc"]["type"].startswith("application/vnd.oai.openapi+json")
    assert documents.build_landing_page()["title"]


def test_conformance_is_declared(documents: TileDocuments) -> None:
    declared = documents.build_conformance()["conformsTo"]
    part = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf"
    assert {f"{part}/core", f"{part}/tileset", f"{part}/tilesets-list", f"{part}/geodata-tilesets"} <= set(declared)


def test_every_layer_of_every_season_is_a_collection(documents: TileDocuments, plan: NdviPlan) -> None:
    document = documents.build_collections()
    assert "self" in links(document)
    assert len({each["id"] for each in document["collections"]}) == 2 * len(plan.labels) == 4
    for each in document["collections"]:
        assert f"{REL}tilesets-map" in links(each)
        ((west, south, east, north),) = each["extent"]["spatial"]["bbox"]
        assert west < east
        assert south < north


def test_a_tileset_has_what_its_schema_requires(documents: TileDocuments, plan: NdviPlan) -> None:
    listed = documents.build_tilesets("clear_count", plan.labels[1])
    assert "self" in links(listed)
    for each in (*listed["tilesets"], documents.build_tileset("clear_count", plan.labels[1])):
        assert {"dataType", "crs", "links"} <= set(each)
        assert each["dataType"] == "map"
        assert each["tileMatrixSetURI"] == "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"
        found = links(each)
        assert {"self", f"{REL}tiling-scheme", "item"} <= set(found)
        assert (found["item"]["templated"], found["item"]["type"]) == (True, "image/png")
        for variable in ("{tileMatrix}", "{tileRow}", "{tileCol}"):
            assert found["item"]["href"].count(variable) == 1


def test_web_mercator_quad_is_that_of_ogc(documents: TileDocuments) -> None:
    """OGC 17-083r4, annex D.1."""
    assert links({"links": documents.build_matrix_sets()["tileMatrixSets"][0]["links"]})
    document = documents.build_matrix_set()
    assert (document["id"], document["crs"]) == ("WebMercatorQuad", "http://www.opengis.net/def/crs/EPSG/0/3857")
    first, second = document["tileMatrices"][:2]
    assert first["scaleDenominator"] == pytest.approx(559_082_264.028717, rel=1e-9)
    assert first["cellSize"] == pytest.approx(156_543.033928041, rel=1e-9)
    assert first["pointOfOrigin"] == pytest.approx([-20_037_508.3427892, 20_037_508.3427892])
    assert (first["matrixWidth"], first["tileWidth"], second["matrixHeight"]) == (1, 256, 2)


def test_the_api_defines_every_document(documents: TileDocuments) -> None:
    definition = documents.build_api_definition()
    assert definition["openapi"].startswith("3.0")
    assert definition["servers"] == [{"url": f"{ROOT}/api/results/{TOKEN}/ogc"}]
    assert {"title", "version"} <= set(definition["info"])
    assert all(each["get"]["responses"] for each in definition["paths"].values())


@given(lon=st.floats(-180, 179.9), lat=st.floats(-85, 85), zoom=st.integers(0, 24))
def test_limits_hold_the_tile_of_every_place(lon: float, lat: float, zoom: int) -> None:
    within = compute_matrix_limits((lon, lat, min(lon + 0.5, 180.0), min(lat + 0.05, 85.05)), zoom)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(lon, lat)
    edge = 2 * 20_037_508.342789244 / 2**zoom
    column, row = (x + 20_037_508.342789244) / edge, (20_037_508.342789244 - y) / edge
    assert within["minTileCol"] <= column + 1e-6
    assert column - 1e-6 <= within["maxTileCol"] + 1
    assert within["minTileRow"] <= row + 1e-6
    assert row - 1e-6 <= within["maxTileRow"] + 1
    assert within["maxTileCol"] - within["minTileCol"] <= 0.5 / 360 * 2**zoom + 1


@pytest.mark.parametrize(
    ("headers", "path", "root"),
    [
        ({}, "", "http://here:5006"),
        ({}, "/some/where", "http://here:5006/some/where"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example"}, "/a", "https://hub.example/a"),
        ({"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "a.example:81, b"}, "", "https://a.example:81"),
        ({"X-Forwarded-Prefix": "/apps/greenup/"}, "", "http://here:5006/apps/greenup"),
        ({"X-Forwarded-Prefix": "/apps"}, "/apps/greenup", "http://here:5006/apps/greenup"),
        ({"X-Forwarded-Host": 'evil"><script>', "X-Forwarded-Proto": "javascript"}, "", "http://here:5006"),
        ({"X-Forwarded-Prefix": "//evil.example"}, "", "http://here:5006"),
    ],
)
def test_addresses_are_those_that_the_client_knows(headers: dict[str, str], path: str, root: str) -> None:
    line = RequestStartLine("GET", f"{path}/api/results/{TOKEN}/ogc", "HTTP/1.1")
    request = HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": "here:5006", **headers}))
    assert find_root_url(request) == root


# Over 180 degrees


def test_a_result_over_180_degrees_is_centred_on_itself_and_bounded_as_each_specification_says() -> None:
    request = request_of(crs="native", region=parse_bbox("179.8,-17.1,-179.9,-16.9"))
    fiji = scene_of("a", lon=179.95, lat=-17.0, crs="EPSG:32660")
    plan = make_plan(request, [fiji], {"landsat": roles_of()}, Settings())
    documents = TileDocuments(plan=plan, token=TOKEN, root=ROOT)
    tilejson = documents.build_tilejson("ndvi_mean", plan.labels[0])
    west, south, east, north = tilejson["bounds"]
    assert (west, east) == (-180.0, 180.0), "bounds of TileJSON 3 must not wrap"
    assert tilejson["center"][0] == pytest.approx(179.95, abs=0.01)
    assert south < tilejson["center"][1] < north
    ((west, _, east, _),) = documents.build_collection("ndvi_mean", plan.labels[0])["extent"]["spatial"]["bbox"]
    assert 179.7 < west < 179.8
    assert -179.9 < east < -179.8
    listed = documents.build_tileset("ndvi_mean", plan.labels[0])["tileMatrixSetLimits"]
    assert all((each["minTileCol"], each["maxTileCol"] + 1) == (0, 2 ** int(each["tileMatrix"])) for each in listed)
