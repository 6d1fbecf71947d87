"""Clusters that a server has started and left, on a real Dask Gateway: whose they are, and when they go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dask_gateway import Gateway
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from compute.cluster import ClusterSpec, list_gateway_clusters, short_name, stop_gateway_cluster
from compute.errors import InputError
from compute.jobs import JobStore, Principal
from compute.jobs.jobstore.clusters import ClusterRow
from compute.settings import Settings
from dashboard.services import Services

pytestmark = pytest.mark.gateway

OWN = ClusterSpec(kind="tcp", address="tcp://127.0.0.1:9")
"""The server's own cluster, of which these tests ask nothing."""

ANN, BOB = (Principal(name=name, scope=name) for name in ("ann", "bob"))


async def until(true: Callable[[], object], within_s: float = 40.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # as the page does
            await asyncio.sleep(0.02)


async def running(settings: Settings) -> set[str]:
    return {each.short_name for each in await list_gateway_clusters(settings)}


async def only(names: set[str], settings: Settings, within_s: float = 40.0) -> None:
    async with asyncio.timeout(within_s):
        while await running(settings) != names:  # noqa: ASYNC110  # a Gateway tells nobody
            await asyncio.sleep(0.2)


async def left_behind(address: str | None) -> str:
    """Have a cluster started that nobody holds."""
    async with Gateway(address=address, asynchronous=True) as gateway:
        return short_name(await gateway.submit())


def run_out(url: str, holder: str) -> None:
    """Let the leases of a server have run out."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update greenup_clusters set lease_end = 0 where holder = :holder"), {"holder": holder})
    engine.dispose()


def visitors(principal: Principal) -> ClusterSpec:
    return ClusterSpec(kind="gateway", workers=1, owner=principal.scope)


@pytest.fixture
def settings(gateway_settings: Settings, tmp_path: Path) -> Settings:
    url = SecretStr(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    return gateway_settings.model_copy(update={"jobs_url": url, "results": "none", "cluster_linger_s": 3.0})


def test_what_a_dead_server_left_is_its_owners_until_it_is_let_go_and_all_else_is_left_alone(
    settings: Settings,
) -> None:
    url = settings.jobs_location

    async def story() -> None:
        anns, servers, alive, elsewhere = [await left_behind(settings.gateway_address) for _ in range(4)]
        store, services = JobStore(url), Services(settings, {}, OWN)
        store.clusters.add_cluster(ClusterRow(name=anns, cluster=visitors(ANN), holder="dead"))
        store.clusters.add_cluster(ClusterRow(name=servers, cluster=ClusterSpec(kind="gateway"), holder="dead"))
        store.clusters.add_cluster(ClusterRow(name="0a1b2c3d", cluster=visitors(BOB), holder="dead"))
        store.clusters.add_cluster(ClusterRow(name=alive, cluster=visitors(BOB), holder="alive"))
        run_out(url, "dead")
        await services.jobs.start(services.retention)
        try:
            assert [each.short_name for each in services.held_clusters(ANN)] == [anns]
            with pytest.raises(InputError, match="Only those who started a cluster can stop it"):
                await services.stop_cluster(visitors(ANN), BOB)
            assert {each.short_name for each in await services.running_clusters(BOB)} == {alive}
            await only({anns, alive, elsewhere}, settings)
            [pooled] = services.held_clusters(ANN)
            await until(lambda: pooled.connection)
            await only({alive, elsewhere}, settings)
            assert pooled.notice == f"The Gateway cluster {anns} was stopped after being idle."
            await until(lambda: [row.name for row in store.clusters.list_clusters()] == [alive])
        finally:
            await services.close()
        assert await running(settings) == {alive, elsewhere}
        for name in (alive, elsewhere):
            await stop_gateway_cluster(settings, name)

    asyncio.run(story())


def test_what_a_user_has_started_on_another_server_counts_unless_that_is_dead(settings: Settings) -> None:
    url, few = settings.jobs_location, settings.model_copy(update={"max_clusters_per_user": 2})

    async def story() -> None:
        store, services = JobStore(url), Services(few, {}, OWN)
        for name, principal, holder in (
            ("0a1b2c3d", ANN, "alive"),
            ("1a1b2c3d", ANN, "dead"),
            ("2a1b2c3d", BOB, "alive"),
        ):
            store.clusters.add_cluster(ClusterRow(name=name, cluster=visitors(principal), holder=holder))
        pool, named = services.clusters, [replace(visitors(ANN), name=name) for name in ("0a1b2c3d", "9a1b2c3d")]
        try:
            await services.jobs._leases.take_over_clusters()
            with pytest.raises(InputError, match="You have 2 clusters open, and may have no more"):
                pool.open(visitors(ANN))
            # One that is open already is no other one.
            assert pool.open(named[0])
            assert pool.open(visitors(BOB))
            run_out(url, "dead")
            await services.jobs._leases.take_over_clusters()
            assert pool.open(named[1])
            with pytest.raises(InputError, match="You have 2 clusters open, and may have no more"):
                pool.open(visitors(ANN))
        finally:
            await services.close()
        await only(set(), settings)

    asyncio.run(story())


def test_a_cluster_is_written_down_before_it_is_ready_and_forgotten_once_it_is_gone(settings: Settings) -> None:
    async def story() -> None:
        store, services = JobStore(settings.jobs_location), Services(settings, {}, OWN)
        await services.jobs.start(services.retention)
        try:
            pooled = services.clusters.open(visitors(ANN))
            await until(store.clusters.list_clusters)
            assert pooled.connection is None
            [row] = store.clusters.list_clusters()
            assert (row.name, row.cluster) == (pooled.short_name, visitors(ANN))
            await services.clusters.stop(visitors(ANN))
            await until(lambda: not store.clusters.list_clusters())
            assert await running(settings) == set()
        finally:
            await services.close()

    asyncio.run(story())
