"""Clusters that follow their work between two numbers of workers, and lose nothing by it."""

from __future__ import annotations

import asyncio
import os
import time

import dask
import pytest

from compute.cluster import ClusterPool, ClusterSpec, Connection, open_cluster, parse_cluster
from compute.errors import InputError
from compute.settings import Settings
from tests.compute.cluster.test_local_cluster import SETTINGS
from tests.fixtures.gateway import MAX_WORKERS


@pytest.mark.parametrize(
    ("text", "cluster", "workers", "says"),
    [
        ("8-1", "local", None, "not LEAST-MOST workers, such as 1-8"),
        ("0-4", "gateway", None, "from 1 upwards"),
        ("4", "local", None, "not LEAST-MOST workers"),
        ("1-٣", "local", None, "not LEAST-MOST workers"),
        ("1-4", "local", 2, "leave --workers or --adapt out"),
        ("1-4", "tcp://127.0.0.1:9", None, "may have other users and is not scaled; leave --adapt out"),
        ("1-4", "gateway:some", None, "may have other users and is not scaled; leave --adapt out"),
    ],
)
def test_limits_are_read_or_refused(text: str, cluster: str, workers: int | None, says: str) -> None:
    assert parse_cluster("gateway", adapt=" 2-9 ") == ClusterSpec(kind="gateway", workers=2, most_workers=9)
    with pytest.raises(InputError, match=says) as refusal:
        parse_cluster(cluster, workers=workers, adapt=text)
    assert refusal.value.field == "adapt"


async def reaches(cluster: Connection, least: int, most: int) -> None:
    """Wait until there are so many workers."""
    async with asyncio.timeout(60):
        while not least <= cluster.workers <= most:  # noqa: ASYNC110  # workers send no event
            await asyncio.sleep(0.05)


async def grows_and_shrinks(cluster: Connection, most: int) -> None:
    """Have work for all workers, then none, and hold results meanwhile."""
    assert cluster.workers == 1
    assert cluster.threads_to_come == most * cluster.threads
    busy = cluster.client.map(time.sleep, [2.0] * 12 * most, pure=False)
    await reaches(cluster, most, most)
    held = cluster.client.map(os.urandom, [2**16] * 8 * most, pure=False, priority=1)
    before = await cluster.client.gather(held)
    assert len(set((await cluster.client.who_has(held)).values())) == most
    await cluster.client.cancel(busy)
    await reaches(cluster, 1, 1)
    assert await cluster.client.gather(held) == before, "moved, not computed again"


def test_a_local_cluster_grows_and_shrinks_with_its_work_and_a_persisted_result_stays_to_the_bit() -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("local", adapt="1-2"), SETTINGS) as cluster:
            # Each worker has the share of the machine that it has among the most of them.
            assert cluster.threads == max(1, -(-dask.system.CPU_COUNT // 2))
            await grows_and_shrinks(cluster, 2)
            for least, most in [(0, 2), (3, 2), (1, SETTINGS.max_workers + 1)]:
                with pytest.raises(InputError, match=r"must be from 1 to \d+, the least first, not"):
                    await cluster.adapt(least, most)
            # Scaled by hand it has that size again, whatever there is to do.
            assert await cluster.scale(2) == 2
            assert cluster.threads_to_come == cluster.threads
            await reaches(cluster, 2, 2)
            await asyncio.sleep(2)
            assert cluster.workers == 2

    with dask.config.set({"distributed.adaptive.interval": "200ms"}):
        asyncio.run(scenario())


def test_a_pool_keeps_to_the_limits_of_a_cluster_that_is_asked_for_with_more_workers() -> None:
    async def scenario() -> None:
        pool = ClusterPool(Settings(cluster_start_timeout_s=30.0))
        spec = parse_cluster("local", workers=1, threads=1)
        connection = await pool.get(spec)
        assert await pool.adapt(spec, 1, 2) == 2
        pooled = pool.open(ClusterSpec(kind="local", workers=2, threads=1))
        assert (pooled.spec.workers, pooled.spec.most_workers) == (1, 2)
        await asyncio.sleep(1.5)
        assert connection.workers == 1
        assert await pool.scale(spec, 1) == 1
        assert (pooled.spec.workers, pooled.spec.most_workers) == (1, None)
        await pool.close()

    asyncio.run(scenario())


@pytest.mark.gateway
def test_a_gateway_cluster_grows_as_far_as_the_gateway_allows_and_loses_nothing(gateway_settings: Settings) -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("gateway", adapt="1-2"), gateway_settings) as cluster:
            assert await cluster.adapt(1, MAX_WORKERS + 5) == MAX_WORKERS
            assert await cluster.adapt(1, 2) == 2
            await grows_and_shrinks(cluster, 2)

    asyncio.run(scenario())
