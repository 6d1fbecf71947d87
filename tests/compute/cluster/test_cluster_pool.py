"""The pool of clusters: opened once for everybody, opened again after a failure, closed without a trace."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psutil
import pytest
from distributed import LocalCluster

from compute.cluster import ClusterPool, ClusterSpec, Connection, PooledCluster, parse_cluster
from compute.errors import ClusterError, InputError
from compute.settings import Settings

NOWHERE = parse_cluster("tcp://127.0.0.1:9")
"""Nothing listens on the discard port."""

HURRIED = Settings(cluster_start_timeout_s=1.0)


def watched(act: Callable[[], Awaitable[Any]]) -> Any:
    """Run a test in an event loop that must have nothing to complain of, and no task left, at its end."""
    complaints: list[dict[str, Any]] = []

    async def run() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        result = await act()
        left = await _tasks_left()
        assert not left
        gc.collect()
        return result

    result = asyncio.run(run())
    gc.collect()
    assert not complaints
    return result


async def _tasks_left() -> set[Any]:
    """Return the pool's tasks, if any still run a moment later; others are of distributed's own."""
    await asyncio.sleep(0)
    return {task for task in asyncio.all_tasks() if task.get_name().endswith(" cluster")}


@asynccontextmanager
async def scheduler() -> AsyncIterator[Any]:
    """Run a scheduler and a worker that the pool has not started."""
    async with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
        asynchronous=True,
    ) as cluster:
        yield cluster


async def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # as the page does
            await asyncio.sleep(0.02)


def test_all_who_ask_for_a_cluster_share_one() -> None:
    async def share() -> None:
        async with scheduler() as cluster:
            pool = ClusterPool(Settings())
            spec = parse_cluster(cluster.scheduler_address)
            first, second = await asyncio.gather(pool.get(spec), pool.get(spec))
            assert first is second
            assert await pool.get(parse_cluster(cluster.scheduler_address, workers=1)) is first
            assert [pooled.connection for pooled in pool.clusters()] == [first]
            await pool.close()
            assert first.client.status == "closed"
            assert pool.clusters() == []

    watched(share)


def test_one_who_goes_away_leaves_the_others_waiting_in_peace() -> None:
    async def leave() -> None:
        async with scheduler() as cluster:
            pool = ClusterPool(Settings())
            spec = parse_cluster(cluster.scheduler_address)
            impatient, patient = (asyncio.create_task(pool.get(spec)) for _ in range(2))
            await asyncio.sleep(0)
            impatient.cancel()
            assert (await patient).client.status == "running"
            assert impatient.cancelled()
            await pool.close()

    watched(leave)


def test_a_cluster_that_cannot_be_opened_says_why_and_is_tried_again() -> None:
    async def again() -> None:
        pool = ClusterPool(HURRIED)
        for _ in range(2):
            with pytest.raises(ClusterError, match=r"^The scheduler did not answer within .*\.$"):
                await pool.get(NOWHERE)
        assert len(pool.clusters()) == 1
        assert pool.clusters()[0].error
        await pool.close()

    watched(again)


def test_a_failure_that_nobody_waits_for_is_no_complaint_of_asyncio() -> None:
    async def alone() -> PooledCluster:
        pool = ClusterPool(HURRIED)
        pooled = pool.open(NOWHERE)
        await until(lambda: bool(pooled.error))
        await pool.close()
        return pooled

    assert watched(alone).connection is None


def test_an_unforeseen_failure_reaches_those_who_wait_and_is_tried_again() -> None:
    """Also one that is no error of ours: what Dask, the Gateway's library or the system may raise."""

    async def fail() -> None:
        pool = ClusterPool(Settings())
        for _ in range(2):
            with pytest.raises(ClusterError, match=r"^The cluster failed \(ValueError\); try again"):
                await pool.get(ClusterSpec(kind="tcp", address="carrier-pigeon://127.0.0.1:9"))
        await pool.close()

    watched(fail)


def test_a_specification_that_is_refused_reaches_those_who_wait() -> None:
    async def refuse() -> None:
        pool = ClusterPool(Settings(max_workers=2))
        with pytest.raises((ClusterError, InputError), match="At most 2 workers"):
            await pool.get(parse_cluster("local", workers=3))
        await pool.close()

    watched(refuse)


@pytest.mark.parametrize("steps", [0, 1, 5, 50])
def test_stopped_while_it_opens_it_tells_all_who_wait(steps: int) -> None:
    """After 0 steps of the event loop the pool's task has not even begun."""

    async def stop() -> None:
        async with scheduler() as cluster:
            pool = ClusterPool(Settings())
            spec = parse_cluster(cluster.scheduler_address)
            pooled = pool.open(spec)
            waiting = [asyncio.create_task(pool.get(spec)) for _ in range(2)]
            for _ in range(steps):
                await asyncio.sleep(0)
            await pool.stop(spec)
            if steps == 0:
                # They began to ask after the stop, and so have a cluster of their own.
                assert pooled.ready.done()
                assert await waiting[0] is await waiting[1]
            else:
                for answer in await asyncio.gather(*waiting, return_exceptions=True):
                    assert isinstance(answer, ClusterError)
                    assert str(answer).startswith("The cluster was stopped")
            await pool.close()

    watched(stop)


def test_stopped_and_asked_for_again_it_opens_anew() -> None:
    async def anew() -> None:
        async with scheduler() as cluster:
            pool = ClusterPool(Settings())
            spec = parse_cluster(cluster.scheduler_address)
            first = await pool.get(spec)
            stopping = asyncio.create_task(pool.stop(spec))
            await asyncio.sleep(0)
            second = await pool.get(spec)
            await stopping
            assert first.client.status == "closed"
            assert second.client.status == "running"
            await pool.close()

    watched(anew)


def test_whoever_stops_it_may_go_away_meanwhile() -> None:
    async def go() -> Connection:
        async with scheduler() as cluster:
            pool = ClusterPool(Settings())
            spec = parse_cluster(cluster.scheduler_address)
            connection = await pool.get(spec)
            stopping = asyncio.create_task(pool.stop(spec))
            await asyncio.sleep(0)
            stopping.cancel()
            await until(lambda: connection.client.status == "closed")
            await pool.close()
            return connection

    watched(go)


def test_a_cluster_that_is_lost_says_so_and_is_opened_again() -> None:
    async def lose() -> None:
        pool = ClusterPool(HURRIED)
        async with scheduler() as cluster:
            spec = parse_cluster(cluster.scheduler_address)
            connection = await pool.get(spec)
        (pooled,) = pool.clusters()
        await until(lambda: bool(pooled.error))
        assert pooled.connection is None
        assert pooled.error.endswith("was lost and its results with it; compute again to open another.")
        with pytest.raises(ClusterError, match="did not answer"):
            await pool.get(spec)
        assert connection.client.status == "closed"
        await pool.close()

    watched(lose)


# More and fewer workers


def test_asked_for_again_with_more_workers_it_grows_and_with_fewer_it_stays() -> None:
    async def grow() -> None:
        pool = ClusterPool(Settings(max_workers=3))
        connection = await pool.get(parse_cluster("local", workers=1))
        pooled = pool.open(parse_cluster("local", workers=2))
        await until(lambda: connection.workers == 2)
        assert pooled.spec.workers == 2
        assert pooled.connection is connection
        pool.open(parse_cluster("local", workers=1))
        pool.open(parse_cluster("local", workers=4))
        await until(lambda: bool(pooled.notice))
        assert pooled.notice == "The number of workers must be from 1 to 3, not 4."
        assert (connection.workers, pooled.spec.workers, pooled.error) == (2, 2, "")
        assert await pool.scale(pooled.spec, 3) == 3
        assert pooled.notice == ""
        await pool.close()

    watched(grow)


def test_results_move_to_the_workers_that_stay() -> None:
    async def shrink() -> None:
        pool = ClusterPool(Settings())
        spec = parse_cluster("local", workers=2)
        connection = await pool.get(spec)
        random = connection.client.map(os.urandom, [8] * 20, pure=False)
        before = await connection.client.gather(random)
        assert len(set((await connection.client.who_has(random)).values())) == 2
        assert await pool.scale(spec, 1) == 1
        await until(lambda: connection.workers == 1, 20.0)
        assert await connection.client.gather(random) == before, "moved, not computed again"
        await pool.close()

    watched(shrink)


def test_only_an_open_cluster_can_be_scaled_and_only_one_without_a_size_of_its_own() -> None:
    async def scale() -> None:
        async with scheduler() as cluster:
            pool = ClusterPool(Settings())
            spec = parse_cluster(cluster.scheduler_address)
            with pytest.raises(ClusterError, match="scale it once it is"):
                await pool.scale(spec, 2)
            await pool.get(spec)
            with pytest.raises(InputError, match="cannot be scaled from here"):
                await pool.scale(spec, 2)
            pooled = pool.open(parse_cluster(cluster.scheduler_address, workers=5))
            await asyncio.sleep(1.5)
            assert pooled.notice == ""
            await pool.close()

    watched(scale)


def test_owners_of_the_same_cluster_are_apart() -> None:
    async def part() -> None:
        async with scheduler() as cluster:
            pool = ClusterPool(Settings())
            everybody = parse_cluster(cluster.scheduler_address)
            anns, bobs = (replace(everybody, owner=name) for name in ("ann", "bob"))
            connections = [await pool.get(spec) for spec in (everybody, anns, bobs)]
            assert len(set(map(id, connections))) == 3
            await pool.stop(bobs)
            assert [each.client.status for each in connections] == ["running", "running", "closed"]
            assert [each.spec for each in pool.clusters()] == [everybody, anns]
            await pool.close()

    watched(part)


def test_a_user_has_no_more_clusters_than_may_be_and_the_server_its_own() -> None:
    async def ask() -> None:
        pool = ClusterPool(HURRIED.model_copy(update={"max_clusters_per_user": 2}))
        specs = [ClusterSpec(kind="tcp", address=f"tcp://127.0.0.1:{port}", owner="ann") for port in (9, 7, 6)]
        for spec in specs[:2]:
            pool.open(spec)
        with pytest.raises(InputError, match=r"^You have 2 clusters open, and may have no more; stop") as found:
            pool.open(specs[2])
        assert found.value.field == "cluster"
        pool.open(specs[0])
        pool.open(replace(specs[2], owner="bob"))
        pool.open(replace(specs[2], owner=None))
        await pool.stop(specs[0])
        failed = pool.open(specs[2])
        await until(lambda: bool(failed.error))
        # What has failed is open no more.
        pool.open(specs[0])
        await pool.close()

    watched(ask)


def test_closing_leaves_no_process() -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}

    async def close_while_opening_and_when_open() -> None:
        pool = ClusterPool(Settings())
        spec = parse_cluster("local", workers=1)
        pooled = pool.open(spec)
        await until(lambda: pooled.stage is not None and pooled.stage.name == "starting workers")
        await pool.close()
        assert not pooled.ready.done() or pooled.ready.exception()
        await pool.get(spec)
        assert len(psutil.Process().children(recursive=True)) > len(before)
        await pool.close()

    watched(close_while_opening_and_when_open)
    left = [each for each in psutil.Process().children(recursive=True) if each.pid not in before]
    assert not [each for each in left if "resource_tracker" not in " ".join(each.cmdline())]
