"""The request: equal ones have equal texts, texts are read back, and everything unusable is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.errors import InputError
from compute.products import MaskFilter
from compute.request import NdviRequest, parse_clear, parse_mask_filters, parse_time
from compute.request.region import parse_geojson
from compute.request.seasons import parse_seasons
from tests.strategies import JSON, accepted, request_of, requests

pytestmark = pytest.mark.unit

LEAST = {"products": ["landsat"], "region": "146.8,-42.2,147.2,-41.8", "time": "2019-12-01/2020-11-30"}


def from_fields(**changes: Any) -> NdviRequest:
    """Read the least request with some fields changed; None takes one away."""
    return NdviRequest.from_json(json.dumps({k: v for k, v in (LEAST | changes).items() if v is not None}))


def from_text(**changes: str) -> NdviRequest:
    return NdviRequest.from_query(urlencode(LEAST | {"products": "landsat"} | changes))


def refusal(make: Callable[[], object]) -> InputError:
    with pytest.raises(InputError) as caught:
        make()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 400
    sentence.encode()
    caught.value.field.encode()
    return caught.value


# Canonical form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"products": ["b", "a"]}, {"products": ["a", "b", "a"]}),
        ({"crs": "epsg:3577"}, {"crs": "EPSG:3577"}),
        ({"crs": "EPSG:03577"}, {}),
        ({"resolution": 30}, {"resolution": 30.0}),
        ({"valid_range": [1, 10000]}, {"valid_range": [1.0, 1e4]}),
        ({"clear": ["water", "valid", 5]}, {"clear": ["5", "valid", "water", "valid"]}),
        ({"seasons": "DJF=12-2"}, {"seasons": "DJF"}),
        ({"region": " 146.8,-42.2, 147.20000000001,-41.8"}, {}),
        ({"min_clear": 1.0, "by": "season"}, {}),
        ({"mask_filters": {"shadow": [0, 3], "cloud": [2, 6]}}, {"mask_filters": {"cloud": [2, 6], "shadow": [0, 3]}}),
        ({"mask_filters": {"02": [2, 6]}}, {"mask_filters": {"2": [2, 6]}}),
        ({"mask_filters": {}}, {}),
        ({"resolution": None, "clear": None, "by": None, "seasons": None, "min_clear": None}, {}),
    ],
)
def test_the_same_request_written_differently_has_one_text(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = NdviRequest.from_json(json.dumps(LEAST | one)), from_fields(**other)
    assert first == second
    assert hash(first) == hash(second)
    assert first.to_json() == second.to_json()
    assert first.to_query() == second.to_query()


def test_the_canonical_json_holds_every_field_in_order_and_no_spaces() -> None:
    assert from_fields().to_json() == (
        '{"average":"clear","by":"season","clear":null,"crs":"EPSG:3577","harmonise":"none","index_range":null,'
        '"landsat7":"all","mask_filters":null,"min_area":0.5,"min_clear":1,"months":false,"products":["landsat"],"reader":"exact","reasons":false,'
        '"region":"146.8,-42.2,147.2,-41.8","resampling":"average","resolution":null,"seasons":"DJF,MAM,JJA,SON",'
        '"std":false,"time":"2019-12-01/2020-11-30","valid_range":null,"weight":"observation"}'
    )


def test_a_query_leaves_out_what_is_at_its_default() -> None:
    assert from_fields().to_query() == urlencode(sorted((LEAST | {"products": "landsat"}).items()))


@given(requests())
def test_a_request_is_read_back_from_json(request_: NdviRequest) -> None:
    again = NdviRequest.from_json(request_.to_json())
    assert again == request_
    assert again.to_json() == request_.to_json()


@given(requests())
def test_a_request_is_read_back_from_a_query(request_: NdviRequest) -> None:
    again = NdviRequest.from_query(request_.to_query())
    assert again == request_
    assert again.to_query() == request_.to_query()


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert NdviRequest.from_query(from_fields().to_query() + "&min_clear=2&min_clear=3").min_clear == 3


def test_a_polygon_travels_in_both_texts() -> None:
    square = '{"type":"Polygon","coordinates":[[[145,-42],[146,-42],[146,-41],[145,-41],[145,-42]]]}'
    request_ = request_of(region=parse_geojson(square))
    assert from_fields(region=square).region == request_.region
    assert NdviRequest.from_query(request_.to_query()) == request_


# Fields


@pytest.mark.parametrize("field", sorted(LEAST))
def test_a_missing_field_is_named(field: str) -> None:
    assert refusal(lambda: from_fields(**{field: None})).field == field


@pytest.mark.parametrize("name", ["bbox", "start", "end", "<script>alert(1)</script>", "", "\ud800", "x" * 10_000])
def test_an_unknown_field_is_refused_and_the_known_ones_listed(name: str) -> None:
    assert "min_clear" in str(refusal(lambda: from_fields(**{name: 1})))


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "5", '"a"', "{", "\ud800", "[" * 100_000, '{"a":' * 100_000, f'{{"a":{"9" * 5000}}}']
)
def test_what_is_no_json_object_is_refused(text: str) -> None:
    assert refusal(lambda: NdviRequest.from_json(text)).field == "request"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"products": []}, "product"),
        ({"products": "landsat"}, "product"),
        ({"products": [1, "a"]}, "product"),
        ({"products": [""]}, "product"),
        ({"products": ["a,b"]}, "product"),
        ({"products": ["<b>"]}, "product"),
        ({"region": "abc"}, "bbox"),
        ({"region": 5}, "bbox"),
        ({"region": "{"}, "region"),
        ({"region": "{\ud800"}, "region"),
        ({"by": "month"}, "by"),
        ({"by": []}, "by"),
        ({"seasons": ""}, "seasons"),
        ({"seasons": 5}, "seasons"),
        ({"seasons": "J"}, "seasons"),
        ({"crs": ""}, "crs"),
        ({"crs": 3577}, "crs"),
        ({"crs": "3577"}, "crs"),
        ({"crs": "EPSG:0000"}, "crs"),
        ({"crs": "EPSG:999999"}, "crs"),
        ({"crs": "EPSG:\u0663\u0665\u0667\u0667"}, "crs"),
        ({"crs": "EPSG:4978"}, "crs"),
        ({"crs": "EPSG:4979"}, "crs"),
        ({"crs": "EPSG:5703"}, "crs"),
        ({"crs": "EPSG:7405"}, "crs"),
        ({"crs": "/etc/passwd"}, "crs"),
        ({"crs": "+proj=longlat"}, "crs"),
        ({"resolution": 0}, "resolution"),
        ({"resolution": -30}, "resolution"),
        ({"resolution": "abc"}, "resolution"),
        ({"resolution": [30]}, "resolution"),
        ({"resolution": float("nan")}, "resolution"),
        ({"resolution": float("inf")}, "resolution"),
        ({"resolution": 1e300}, "resolution"),
        ({"resolution": 10**400}, "resolution"),
        ({"resampling": "lanczos9"}, "resampling"),
        ({"resampling": "cubic"}, "resampling"),
        ({"reader": "gdal"}, "reader"),
        ({"landsat7": "some"}, "landsat7"),
        ({"landsat7": 7}, "landsat7"),
        ({"harmonise": "roy2015"}, "harmonise"),
        ({"harmonise": []}, "harmonise"),
        ({"clear": []}, "clear"),
        ({"clear": "valid"}, "clear"),
        ({"clear": [""]}, "clear"),
        ({"clear": [None]}, "clear"),
        ({"clear": [1.5]}, "clear"),
        ({"clear": ["a,b"]}, "clear"),
        ({"clear": ["9" * 5000]}, "clear"),
        ({"valid_range": []}, "valid-range"),
        ({"valid_range": [1]}, "valid-range"),
        ({"valid_range": [1, 2, 3]}, "valid-range"),
        ({"valid_range": [2, 1]}, "valid-range"),
        ({"valid_range": [float("nan"), 1]}, "valid-range"),
        ({"valid_range": [0, 10**400]}, "valid-range"),
        ({"valid_range": "all"}, "valid-range"),
        ({"min_clear": 0}, "min-clear"),
        ({"min_clear": 65536}, "min-clear"),
        ({"min_clear": 1.5}, "min-clear"),
        ({"min_clear": "many"}, "min-clear"),
        ({"weight": "scene"}, "weight"),
        ({"weight": 5}, "weight"),
        ({"months": "yes"}, "months"),
        ({"months": 1}, "months"),
        ({"std": []}, "std"),
        ({"reasons": "cloud"}, "reasons"),
        ({"mask_filters": "cloud"}, "mask-filter"),
        ({"mask_filters": ["cloud"]}, "mask-filter"),
        ({"mask_filters": {"cloud": 3}}, "mask-filter"),
        ({"mask_filters": {"cloud": [3]}}, "mask-filter"),
        ({"mask_filters": {"cloud": [1.5, 2]}}, "mask-filter"),
        ({"mask_filters": {"cloud": [True, 2]}}, "mask-filter"),
        ({"mask_filters": {"cloud": [0, 0]}}, "mask-filter"),
        ({"mask_filters": {"cloud": [0, -1]}}, "mask-filter"),
        ({"mask_filters": {"cloud": [0, 51]}}, "mask-filter"),
        ({"mask_filters": {"": [0, 3]}}, "mask-filter"),
        ({"mask_filters": {"a;b": [0, 3]}}, "mask-filter"),
        ({"mask_filters": {"2": [0, 3], "02": [1, 3]}}, "mask-filter"),
        ({"mask_filters": {str(n): [0, 3] for n in range(7)}}, "mask-filter"),
        ({"mask_filters": {"cloud": [0, 3]}, "reader": "odc"}, "mask-filter"),
    ],
)
def test_an_unusable_field_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    assert refusal(lambda: from_fields(**changes)).field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"products": ","}, "product"),
        ({"clear": ""}, "clear"),
        ({"clear": "a,,b"}, "clear"),
        ({"clear": "9" * 5000}, "clear"),
        ({"valid_range": ""}, "valid-range"),
        ({"valid_range": "1"}, "valid-range"),
        ({"valid_range": "1,b"}, "valid-range"),
        ({"resolution": ""}, "resolution"),
        ({"resolution": "1e400"}, "resolution"),
        ({"min_clear": "1e3"}, "min-clear"),
        ({"min_clear": "9" * 5000}, "min-clear"),
        ({"seasons": "wet=1-13"}, "seasons"),
        ({"months": "1"}, "months"),
        ({"std": "True"}, "std"),
        ({"reasons": "yes"}, "reasons"),
        ({"mask_filters": ""}, "mask-filter"),
        ({"mask_filters": "cloud:dilation=3;"}, "mask-filter"),
        ({"mask_filters": "cloud:dilation=3,dilation=4"}, "mask-filter"),
    ],
)
def test_an_unusable_field_of_a_query_is_refused_by_name(changes: dict[str, str], field: str) -> None:
    assert refusal(lambda: from_text(**changes)).field == field


def test_a_record_made_in_code_is_checked_too() -> None:
    assert refusal(lambda: request_of(seasons=())).field == "seasons"
    assert refusal(lambda: request_of(seasons=parse_seasons("DJF") * 2)).field == "seasons"
    assert refusal(lambda: request_of(products=())).field == "product"
    assert refusal(lambda: request_of(start=date(2021, 1, 1))).field == "time"


# Texts of single fields


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-01-01",
        "2020-01-01/",
        "/2020-01-01",
        "../..",
        "2020-01-01/2020-12-31/2021-01-01",
        "2023-02-29/2023-03-01",
        "2024-13-01/2025-01-01",
        "2024-00-00/2025-01-01",
        "00/00",
        "2020-1-1/2020-12-31",
        "20200101/20201231",
        "2020-W01-1/2020-12-31",
        "2020-01-01T00:00/2020-12-31",
        "2020-12-31/2020-01-01",
        "1960-01-01/1971-12-31",
        "0001-01-01/9999-12-31",
        "\u0662\u0660\u0662\u0660-01-01/2020-12-31",
        "2020-01-01/2020-12-31\x00",
    ],
)
def test_dates_that_are_no_range_are_refused(text: str) -> None:
    assert refusal(lambda: parse_time(text)).field == "time"


def test_a_range_is_two_days_both_included() -> None:
    assert parse_time(" 2024-02-29 / 2024-02-29 ") == (date(2024, 2, 29), date(2024, 2, 29))


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("valid", ("valid",)),
        ("water, 1 ,valid,-3", (-3, 1, "valid", "water")),
        ("²", ("²",)),
        ("--5", ("--5",)),
    ],
)
def test_clear_classes_are_names_or_integers(text: str, clear: tuple[Any, ...]) -> None:
    assert parse_clear(text) == clear


def test_mask_filters_are_classes_with_radii() -> None:
    cloud, shadow = (MaskFilter(mask_class=2, opening=2, dilation=6), MaskFilter(mask_class="shadow", dilation=3))
    assert parse_mask_filters(["shadow:dilation=3", " 2:dilation=6,opening=2 "]) == (cloud, shadow)


@pytest.mark.parametrize("text", ["", "cloud", "cloud:", ":dilation=3", "cloud:closing=3", "cloud:dilation=x"])
def test_a_mask_filter_that_is_not_understood_is_refused(text: str) -> None:
    assert refusal(lambda: parse_mask_filters([text])).field == "mask-filter"


def test_a_valid_range_is_two_numbers_or_none() -> None:
    assert from_text(valid_range="1,10000").valid_range == (1.0, 10000.0)
    assert from_text(valid_range="none").valid_range == "none"


# Anything at all


@given(st.text(max_size=40) | st.text(alphabet="0123456789-/", max_size=24))
def test_no_text_breaks_the_date_parser(text: str) -> None:
    found = accepted(lambda: parse_time(text))
    assert found is None or found[0] <= found[1]


@given(JSON.map(json.dumps) | st.text(max_size=40))
def test_no_text_breaks_from_json(text: str) -> None:
    accepted(lambda: NdviRequest.from_json(text))


@given(st.dictionaries(st.sampled_from(sorted(json.loads(from_fields().to_json()))), JSON, max_size=4))
def test_no_value_of_a_field_breaks_from_json(fields: dict[str, Any]) -> None:
    request_ = accepted(lambda: NdviRequest.from_json(json.dumps(LEAST | fields)))
    if request_ is not None:
        assert NdviRequest.from_json(request_.to_json()) == request_
        assert NdviRequest.from_query(request_.to_query()) == request_


@given(st.dictionaries(st.sampled_from(sorted(json.loads(from_fields().to_json()))), st.text(max_size=12), max_size=4))
def test_no_value_of_a_field_breaks_from_query(fields: dict[str, str]) -> None:
    encodable = {key: text.encode(errors="replace").decode() for key, text in fields.items()}
    request_ = accepted(lambda: from_text(**encodable))
    if request_ is not None:
        assert NdviRequest.from_query(request_.to_query()) == request_


@given(st.text(max_size=60))
def test_no_text_breaks_from_query(text: str) -> None:
    assert accepted(lambda: NdviRequest.from_query(text)) is None
