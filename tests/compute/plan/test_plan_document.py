"""Plans as documents: whatever a plan holds comes back to the last bit, and what is damaged is refused."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS

from compute.errors import JobError
from compute.files.access import Access
from compute.jobs import job_token
from compute.plan import BlockPlan, NdviPlan, SeasonPlan, make_plan, plan_document, plan_of
from compute.products import BandRole, MaskRole, OffsetRule, RangeRole, Roles, Scaling
from compute.request import NdviRequest
from compute.scenes import Band, Grid, Source
from compute.settings import Settings
from tests.strategies import WORDS, request_of, requests, roles_of, scene_of

NUMBERS = st.floats(allow_nan=False)
SIZES = st.integers(1, 10**6)
TEXTS = st.text(max_size=12)
CRS_TEXTS = st.sampled_from(["EPSG:3577", CRS("EPSG:32655").to_wkt(), CRS("EPSG:6933").to_wkt(pretty=True)])

GRIDS = st.builds(Grid, crs=CRS_TEXTS, shape=st.tuples(SIZES, SIZES), transform=st.tuples(*[NUMBERS] * 6))
STATEMENTS = st.builds(Scaling, scale=st.none() | NUMBERS, offset=st.none() | NUMBERS, nodata=st.none() | NUMBERS)
BANDS = st.builds(
    Band,
    uri=TEXTS,
    index=st.integers(1, 99),
    grid=GRIDS,
    stored=st.none() | st.tuples(SIZES, SIZES),
    stated=STATEMENTS,
)
SOURCES = st.builds(Source, id=TEXTS, product=WORDS, bands=st.dictionaries(WORDS, BANDS, max_size=3), home=TEXTS)
PAIRS = st.tuples(st.integers(0, 65535), st.integers(0, 65535))
BAND_ROLES = st.builds(
    BandRole,
    measurement=WORDS,
    dtype=st.sampled_from(["int16", "float32"]),
    scale=NUMBERS,
    offset=NUMBERS,
    nodata=st.none() | NUMBERS,
    valid_min=NUMBERS,
    valid_max=NUMBERS,
    valid_reflectance=st.booleans(),
    gain=NUMBERS,
    bias=NUMBERS,
    offset_rule=st.none() | st.builds(OffsetRule, by=WORDS, since=WORDS, offset=NUMBERS, unless=st.none() | WORDS),
    override=st.booleans(),
    all_stored=st.booleans(),
    offset_from=st.sampled_from(["", "definition"]),
)
MASK_ROLES = st.builds(
    MaskRole,
    measurement=WORDS,
    dtype=st.just("uint16"),
    nodata=st.none() | NUMBERS,
    clauses=st.lists(st.lists(PAIRS, max_size=2).map(tuple), max_size=2).map(tuple),
    all_stored=st.booleans(),
    reason=st.sampled_from(["", "discontiguous"]),
    filters=st.lists(st.tuples(*[st.integers(0, 50)] * 4), max_size=2).map(tuple),
    classes=st.lists(st.tuples(TEXTS, st.integers(0, 255), st.integers(0, 255)), max_size=2).map(tuple),
)
RANGE_ROLES = st.builds(RangeRole, band=BAND_ROLES, reason=WORDS)
ROLES = st.builds(
    Roles,
    product=WORDS,
    red=BAND_ROLES,
    nir=BAND_ROLES,
    mask=st.none() | MASK_ROLES,
    conditions=st.lists(MASK_ROLES | RANGE_ROLES, max_size=2).map(tuple),
    notes=st.lists(TEXTS, max_size=2).map(tuple),
    sensor=st.sampled_from(["", "etm+"]),
)
BLOCKS = st.builds(
    BlockPlan,
    season=st.integers(0, 9),
    row=SIZES,
    column=SIZES,
    groups=st.lists(st.lists(SIZES, max_size=3).map(tuple), max_size=3).map(tuple),
    polygon=st.none() | st.binary(max_size=40),
)
SEASONS = st.builds(
    SeasonPlan, label=TEXTS, dates=SIZES, scenes=SIZES, missing=st.lists(TEXTS, max_size=2).map(tuple), months=SIZES
)
PLANS = st.builds(
    NdviPlan,
    request=requests(),
    grid=GRIDS,
    chunks=st.tuples(*[st.lists(SIZES, min_size=1, max_size=3).map(tuple)] * 2),
    seasons=st.lists(SEASONS, max_size=2).map(tuple),
    blocks=st.lists(BLOCKS, max_size=3).map(tuple),
    sources=st.lists(SOURCES, max_size=3).map(tuple),
    roles=st.dictionaries(WORDS, ROLES, max_size=2),
    bytes_to_read=st.integers(0, 10**15),
    max_groups_per_task=SIZES,
    notes=st.lists(TEXTS, max_size=2).map(tuple),
    synthetic=st.booleans(),
    months=st.lists(SIZES, max_size=3).map(tuple),
    times=st.lists(st.datetimes(timezones=st.just(UTC)), max_size=3).map(tuple),
    platforms=st.lists(TEXTS, max_size=3).map(tuple),
    reasons=st.lists(TEXTS, max_size=3).map(tuple),
    access=st.builds(Access, roots=st.lists(TEXTS, max_size=2).map(tuple), max_block_bytes=SIZES),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(PLANS)
def test_whatever_a_plan_holds_comes_back(plan: NdviPlan) -> None:
    document = plan_document(plan)
    found = plan_of(document)
    assert found == plan
    assert repr(found.roles) == repr(plan.roles)
    assert job_token(found) == job_token(plan)
    assert plan_document(found) == document


DIAMOND = '{"type": "Polygon", "coordinates": [[[146.8, -42], [147, -42.2], [147.2, -42], [147, -41.8], [146.8, -42]]]}'


def planned(request: NdviRequest, **roles: Any) -> NdviPlan:
    scenes = [
        scene_of(f"{product}-{month}", f"{year}-{month:02}-10T00:00:00.123456", product=product)
        for product in request.products
        for year in (2019, 2020)
        for month in (1, 7, 12)
    ]
    known = {product: replace(roles_of(product), **roles) for product in request.products}
    return make_plan(request, scenes, known, Settings(chunk_px=256))


def test_a_made_plan_computes_the_same_after_its_document() -> None:
    request = NdviRequest.from_query(
        f"products=landsat,sentinel&region={DIAMOND}&time=2019-01-01/2020-12-31&by=season-year&weight=month&reasons=true"
    )
    plan = planned(
        request, conditions=(MaskRole(measurement="mask", dtype="uint8", nodata=None, clauses=(((255, 1),),)),)
    )
    assert any(block.polygon for block in plan.blocks)
    assert plan.task_count > 0  # what a plan has worked out and keeps is not of its document
    found = plan_of(plan_document(plan))
    assert found == plan
    assert found.summary() == plan.summary()
    assert [found.parts(block) for block in found.blocks] == [plan.parts(block) for block in plan.blocks]
    assert found.times[0] == datetime(2019, 1, 10, 0, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
def plan() -> NdviPlan:
    return planned(request_of())


@given(st.data())
def test_what_is_damaged_is_refused_or_read_whole(plan: NdviPlan, data: st.DataObject) -> None:
    document = plan_document(plan)
    cut = document[: data.draw(st.integers(0, len(document) - 1))]
    place = data.draw(st.integers(0, len(document) - 1))
    flipped = document[:place] + bytes([document[place] ^ data.draw(st.integers(1, 255))]) + document[place + 1 :]
    for damaged in (cut, flipped, data.draw(st.binary(max_size=40))):
        try:
            assert plan_of(damaged) == plan
        except JobError as refusal:
            assert str(refusal).endswith("compute it again.")


def test_a_document_of_another_shape_is_refused() -> None:
    for other in (b"{}", b"[]", b"null", b'{"request": 1}', b"\xff"):
        with pytest.raises(JobError, match="made by another version of Greenup, or is damaged"):
            plan_of(gzip.compress(other))
