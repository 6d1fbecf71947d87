"""A Gateway that ends idle clusters: it takes none that somebody looks at, and with it goes nothing that is kept."""

from __future__ import annotations

import asyncio
from math import asinh, pi, radians, tan
from pathlib import Path

import pytest

from compute.cluster import ClusterSpec, list_gateway_clusters
from compute.jobs import ANONYMOUS, LiveJob
from compute.plan import NdviPlan
from compute.settings import Settings
from compute.tiles.tile_service import ResultTiles
from compute.tiles.web_mercator import TileAddress
from dashboard.services import Services
from tests.fixtures.gateway import running_gateway, settings_for

pytestmark = [pytest.mark.gateway, pytest.mark.index, pytest.mark.soak, pytest.mark.timeout(500)]

IDLE_S = 20.0
CLUSTER = ClusterSpec(kind="gateway", workers=1, owner=ANONYMOUS.scope)
OWN = ClusterSpec(kind="tcp", address="tcp://127.0.0.1:9")


async def computed(services: Services, plan: NdviPlan) -> LiveJob:
    record = await services.jobs.submit(plan, CLUSTER, ANONYMOUS, "a")
    async with asyncio.timeout(60):
        while record.state != "done":  # as the page does
            assert record.state not in ("failed", "expired"), record.message
            await asyncio.sleep(0.1)
    return record


async def look(services: Services, record: LiveJob, seconds: float) -> None:
    """Look at a result as a page does, and at its one tile every now and then."""
    for _ in range(round(seconds)):
        seen = await services.jobs.open(record.token, ANONYMOUS)
        assert seen.state == "done"
        assert seen.tiles is not None
        assert await seen.tiles.tile("ndvi_mean", 0, middle(seen.tiles))
        await asyncio.sleep(1.0)


def middle(tiles: ResultTiles) -> TileAddress:
    """The tile in the middle of a result."""
    west, south, east, north = tiles.geometry.bbox()
    zoom, latitude = tiles.geometry.native_zoom, radians((south + north) / 2)
    x, y = ((west + east) / 2 + 180) / 360, (1 - asinh(tan(latitude)) / pi) / 2
    return TileAddress(z=zoom, x=int(x * 2**zoom), y=int(y * 2**zoom))


async def gone(settings: Settings, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while await list_gateway_clusters(settings):  # noqa: ASYNC110  # a Gateway tells nobody
            await asyncio.sleep(1.0)


@pytest.mark.parametrize("kept", [True, False])
def test_a_viewer_looks_for_as_long_as_he_likes_and_what_is_kept_opens_afterwards(
    quick: NdviPlan, tmp_path: Path, kept: bool
) -> None:
    async def story(settings: Settings) -> None:
        services = Services(settings, {}, OWN)
        await services.jobs.start(services.retention)
        try:
            record = await computed(services, quick)
            await look(services, record, 180.0)
            if not kept:
                assert len(await list_gateway_clusters(settings)) == 1
            await gone(settings, 60.0)
            await asyncio.sleep(5.0)
            if kept:
                await look(services, record, 5.0)
            else:
                assert (await services.jobs.open(record.token, ANONYMOUS)).state == "expired"
        finally:
            await services.close()

    with running_gateway(tmp_path, IDLE_S) as gateway, settings_for(gateway) as settings:
        results = str(tmp_path / "results") if kept else "none"
        asyncio.run(story(settings.model_copy(update={"results": results, "cluster_linger_s": 30.0})))
