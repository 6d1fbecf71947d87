"""Checkpoints without a cluster: what they say, when they are resumed, and the same pixels as from memory."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
import pytest
import shapely
import xarray as xr
from dask.task_spec import Task
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem

from compute.engine import Block
from compute.errors import JobError, ResultGoneError
from compute.jobs import CheckpointTarget, KeptResults
from compute.jobs.checkpoint_recovery import checkpoint_size
from compute.kernels import NOT_COMPUTED
from compute.plan import NdviPlan, make_plan
from compute.request.region import parse_geojson
from compute.result.chunk_windows import chunk_window
from compute.result.stack import SeasonStack, without_blocks
from compute.result.stack_tasks import block_key
from compute.result.store import Checkpoint, Manifest, StoredBlock, open_result, recalled, slots_of
from compute.result.store.object_files import names_in, read_objects
from compute.scenes.pixel_frames import ResultPixel
from compute.settings import Settings
from compute.statistics.region_placement import place_region
from compute.statistics.region_reduction import join_sums, region_report, sum_block
from compute.tiles.pixel_sources import FallbackPixels, LocalPixels
from compute.tiles.reader_processes import StoreReaders
from compute.tiles.stored_pixels import StoredPixels
from compute.tiles.stored_statistics import stored_region_statistics
from compute.tiles.tile_service import ResultTiles
from compute.tiles.web_mercator import TileAddress
from tests.compute.tiles.test_tiles import tile_at
from tests.fixtures.stacks import assembled, noisy_block
from tests.strategies import request_of, roles_of, scene_of

TOKEN = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def plan() -> NdviPlan:
    """Two seasons, two levels, four blocks a season of which the last are ragged, and all that may be asked for."""
    scenes = [scene_of(name, f"2020-{name[1:]}-10T00:00:00", size=4000) for name in ("s01", "s07")]
    request = request_of("146.9,-42.2,147.2,-41.9", months=True, std=True, reasons=True)
    plan = make_plan(request, scenes, {"landsat": roles_of()}, Settings(chunk_px=640))
    assert [len(sizes) for sizes in plan.chunks] == [2, 2]
    return plan


@pytest.fixture(scope="module")
def computed(plan: NdviPlan) -> SeasonStack:
    """The result in memory: noise in every block."""
    stack = without_blocks(plan, TOKEN)
    return replace(stack, graph={key: noise_of(stack, key, number) for number, key in enumerate(stack.keys)})


def noise_of(stack: SeasonStack, key: Any, seed: int) -> Block:
    random, shape = np.random.default_rng(seed), (stack.chunks[0][key[2]], stack.chunks[1][key[3]])
    block = noisy_block(shape, seed, stack.levels)
    return replace(
        block,
        clear_months=random.integers(0, 4, shape, np.uint8),
        ndvi_std=np.where(np.isnan(block.ndvi_mean), block.ndvi_mean, random.random(shape, np.float32)),
        unclear_count=random.integers(0, 9, (len(stack.reasons), *shape), np.uint16),
    )


@pytest.fixture(scope="module")
def kept(plan: NdviPlan, computed: SeasonStack, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """All of it, written."""
    return written(plan, computed, str(tmp_path_factory.mktemp("kept")), len(computed.keys))


def written(plan: NdviPlan, computed: SeasonStack, url: str, blocks: int) -> Checkpoint:
    """A checkpoint with the first blocks of a result."""
    checkpoint = Checkpoint.resume(url, plan, TOKEN, "shared")
    for key, slot in list(slots_of(computed, checkpoint.store).items())[:blocks]:
        slot.write(computed.graph[key])
    return checkpoint


# What it says


def test_a_manifest_says_all_that_is_needed_to_open_a_result(plan: NdviPlan, tmp_path: Path) -> None:
    begun = Checkpoint.resume(str(tmp_path), plan, TOKEN, "somebody")
    found = Checkpoint.find(str(tmp_path))
    assert found == begun
    assert (found.manifest.plan, found.manifest.scope, found.manifest.state) == (plan, "somebody", "unfinished")
    assert found.stack().graph == {}
    assert Checkpoint.find(str(tmp_path / "elsewhere")) is None


@pytest.mark.parametrize("root", ["{folder}", "memory://{folder}"])
def test_a_checkpoint_is_done_when_all_of_it_is_there(
    plan: NdviPlan, computed: SeasonStack, tmp_path: Path, root: str
) -> None:
    url, total = root.format(folder=tmp_path), len(computed.keys)
    with pytest.raises(JobError, match="1 blocks that workers have written are not in the folder"):
        written(plan, computed, url, total - 1).finish()
    tallies = written(plan, computed, url, total).finish()
    assert tallies == {key[1:]: computed.graph[key].tally for key in computed.keys}
    found = Manifest.read(url)
    assert found is not None
    assert found.state == "done"
    with open_result(url) as result:
        np.testing.assert_array_equal(result.ndvi_mean.values[1], assembled(computed, 1, 0, "ndvi_mean"))
    Checkpoint.clear(url)
    assert Checkpoint.find(url) is None


@pytest.mark.parametrize("content", [b"", b'{"format": 99}', None])
def test_what_another_or_nobody_can_read_is_begun_anew(
    plan: NdviPlan, computed: SeasonStack, tmp_path: Path, content: bytes | None
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    first = written(plan, computed, str(tmp_path), 1)
    token = TOKEN if content is not None else TOKEN[::-1]
    if content is not None:
        (tmp_path / "manifest.json").write_bytes(content)
        with pytest.raises(JobError, match="made by another version of Greenup, or is damaged"):
            Checkpoint.find(str(tmp_path))
    again = Checkpoint.resume(str(tmp_path), plan, token, "shared")
    assert again.store != first.store
    assert again.written() == {}
    assert {path.name for path in tmp_path.iterdir()} == {Path(again.store).name, "manifest.json", "thesis.txt"}


def test_another_plan_of_the_same_token_is_begun_anew(plan: NdviPlan, computed: SeasonStack, tmp_path: Path) -> None:
    first = written(plan, computed, str(tmp_path), 1)
    assert Checkpoint.resume(str(tmp_path), plan, TOKEN, "shared") == first
    other = replace(plan, grid=replace(plan.grid, crs="EPSG:32755"))
    assert Checkpoint.resume(str(tmp_path), other, TOKEN, "shared").written() == {}


# As labelled arrays


def test_a_result_opens_as_lazy_arrays(plan: NdviPlan, computed: SeasonStack, kept: Checkpoint) -> None:
    with open_result(kept.url) as result:
        assert all(array.chunks for array in result.data_vars.values())
        assert result.odc.geobox == plan.grid.geobox
        assert result.greenup_token == TOKEN
        elsewhere = pickle.loads(pickle.dumps(result))
        xr.testing.assert_equal(result.load(), computed.dataset().compute())
        xr.testing.assert_equal(elsewhere.load(), result)


def test_of_an_unfinished_result_what_is_not_computed_has_no_value(
    plan: NdviPlan, computed: SeasonStack, tmp_path: Path
) -> None:
    written(plan, computed, str(tmp_path), 3)
    rows, columns = plan.chunks[0][0], plan.chunks[1][0]
    with open_result(str(tmp_path)) as result:
        for layer in ("ndvi_mean", "clear_count", "ndvi_std", "clear_months"):
            found, whole = result[layer].values, assembled(computed, 0, 0, layer).astype(np.float32)
            np.testing.assert_array_equal(found[0, :rows], whole[:rows])
            np.testing.assert_array_equal(found[0, rows:, :columns], whole[rows:, :columns])
            assert np.isnan(found[0, rows:, columns:]).all()
            assert np.isnan(found[1]).all()
    with pytest.raises(JobError, match="no result in this folder"):
        open_result(str(tmp_path / "elsewhere"))


class Remembering(MemoryFileSystem):
    """Files whose listings are remembered until they are said to be old, as object stores' are."""

    protocol = "remembering"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("remembering://", "memory://")))

    def ls(self, path: str, detail: bool = True, **_: Any) -> Any:
        if path not in self.dircache:
            try:
                self.dircache[path] = super().ls(path, detail=True)
            except FileNotFoundError:
                self.dircache[path] = []
        found = self.dircache[path]
        return found if detail else [each["name"] for each in found]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.clear()


def test_what_others_write_is_seen_where_listings_are_remembered() -> None:
    register_implementation("remembering", Remembering, clobber=True)
    url, others = "remembering://results", MemoryFileSystem()
    assert (names_in(url), read_objects(url), checkpoint_size(url)) == ([], {}, 0)
    others.pipe_file("/results/a", b"1")
    assert names_in(url) == ["a"]
    others.pipe_file("/results/b", b"23")
    assert read_objects(url) == {"a": b"1", "b": b"23"}
    others.pipe_file("/results/c", b"456")
    assert checkpoint_size(url) == 6
    others.rm("/results", recursive=True)


# Tiles and statistics


@pytest.fixture(scope="module")
def readers() -> Iterator[StoreReaders]:
    readers = StoreReaders()
    yield readers
    asyncio.run(readers.close())


def random_tiles(plan: NdviPlan, number: int) -> list[tuple[str, int, TileAddress, int]]:
    """Tiles of both layers and all seasons at all zooms, on the result and across its borders."""
    random, tiles = np.random.default_rng(number), []
    for _ in range(number):
        zoom, down, along = int(random.integers(5, 16)), *random.uniform(-0.1, 1.1, 2)
        layer, season, size = random.choice(["ndvi_mean", "clear_count"]), random.integers(2), random.choice([256, 512])
        tiles.append((str(layer), int(season), tile_at(plan.grid, zoom, down, along), int(size)))
    return tiles


@pytest.mark.parametrize("number", [60, pytest.param(500, marks=pytest.mark.soak)])
def test_tiles_of_the_store_are_those_of_memory(
    plan: NdviPlan, computed: SeasonStack, kept: Checkpoint, readers: StoreReaders, number: int
) -> None:
    stack = kept.stack()
    half = replace(computed, graph=dict(list(computed.graph.items())[::2]))
    stored = StoredPixels.from_stack(stack, readers)
    alone, both = ResultTiles(stack, stored), ResultTiles(stack, FallbackPixels(stack, [LocalPixels(half), stored]))

    async def compare() -> int:
        memory, shown = ResultTiles(computed, LocalPixels(computed)), 0
        for layer, season, address, size in random_tiles(plan, number):
            expected, *found = [await tiles.tile(layer, season, address, size=size) for tiles in (memory, alone, both)]
            for tile in found:
                assert (tile is None) == (expected is None)
                if tile and expected:
                    np.testing.assert_array_equal(tile.values, expected.values)
                    assert tile.complete
                    shown += 1
        for layer in ("ndvi_mean", "clear_count"):
            assert await alone.stretch(layer) == await both.stretch(layer) == await memory.stretch(layer)
        return shown

    assert asyncio.run(compare()) > number


def test_a_place_has_the_values_of_memory(computed: SeasonStack, kept: Checkpoint, readers: StoreReaders) -> None:
    async def compare() -> None:
        for row, column in [(0, 0), (700, 20), (computed.grid.shape[0] - 1, computed.grid.shape[1] - 1)]:
            pixel = ResultPixel((row, column))
            expected = await LocalPixels(computed).values(pixel)
            assert await StoredPixels.from_stack(kept.stack(), readers).values(pixel) == expected

    asyncio.run(compare())


def test_statistics_of_a_region_are_those_of_memory(
    plan: NdviPlan, computed: SeasonStack, kept: Checkpoint, readers: StoreReaders
) -> None:
    region = parse_geojson(shapely.to_geojson(shapely.Point(147.05, -42.05).buffer(0.08)))
    cut, places = place_region(computed, region)
    parts = [
        join_sums(
            [
                sum_block(computed.graph[block_key(TOKEN, season, *place)], chunk_window(plan.chunks, *place), cut)
                for place in places
            ]
        )
        for season in range(2)
    ]
    stack = kept.stack()
    found = asyncio.run(stored_region_statistics(stack, readers, region))
    assert found == region_report(computed, cut, parts)
    assert [numbers["not_computed_share"] for numbers in found["seasons"]] == [0, 0]
    missing = replace(stack, graph={key: block for key, block in stack.graph.items() if key[1] == 1})
    first, second = asyncio.run(stored_region_statistics(missing, readers, region))["seasons"]
    assert first["not_computed_share"] == 1
    assert second == found["seasons"][1]


def test_a_server_opens_results_that_are_whole(
    plan: NdviPlan, computed: SeasonStack, readers: StoreReaders, tmp_path: Path
) -> None:
    results, total = KeptResults(f"{tmp_path}/"), len(computed.keys)
    results.readers = readers
    url = results.url(TOKEN)
    assert results.target(TOKEN, "somebody") == CheckpointTarget(url=url, scope="somebody")

    def is_gone(plan: NdviPlan, why: str) -> None:
        with pytest.raises(ResultGoneError, match=why):
            asyncio.run(results.open(url, plan))

    is_gone(plan, "not there any more")
    written(plan, computed, url, total - 1)
    is_gone(plan, "not there any more")
    written(plan, computed, url, total)
    assert len(asyncio.run(results.open(url, plan)).stack.graph) == total
    is_gone(replace(plan, notes=("another",)), "not there any more")
    (tmp_path / TOKEN / "manifest.json").write_bytes(b"{")
    is_gone(plan, "made by another version")


def harm(checkpoint: Checkpoint, shard: str) -> None:
    """Have bytes of all chunks of a shard flip."""
    path = Path(checkpoint.store) / shard
    content = bytearray(path.read_bytes())
    content[:-200:50] = bytes(len(content[:-200:50]))
    path.write_bytes(content)


def test_computing_from_a_damaged_chunk_says_what_to_do_and_the_rest_can_be_computed_from(
    plan: NdviPlan, computed: SeasonStack, tmp_path: Path, readers: StoreReaders
) -> None:
    checkpoint = written(plan, computed, str(tmp_path), len(computed.keys))
    whole = asyncio.run(stored_region_statistics(checkpoint.stack(), readers, plan.request.region))["seasons"]
    harm(checkpoint, "ndvi_mean/c/0/0/1")
    held = checkpoint.stack().dataset()
    with open_result(str(tmp_path)) as result:
        for dataset in (result, held):
            with pytest.raises(ResultGoneError, match="kept result is damaged or gone; compute it again"):
                dataset.ndvi_mean.mean().compute()
            np.testing.assert_array_equal(dataset.ndvi_mean[1], assembled(computed, 1, 0, "ndvi_mean"))
            np.testing.assert_array_equal(dataset.clear_count[0], assembled(computed, 0, 0, "clear_count"))
    first, second = asyncio.run(stored_region_statistics(checkpoint.stack(), readers, plan.request.region))["seasons"]
    assert 0 < first["not_computed_share"] < 1
    assert second == whole[1]


def test_a_damaged_block_is_not_computed_any_more_and_nothing_else_changes(
    plan: NdviPlan, computed: SeasonStack, tmp_path: Path, readers: StoreReaders, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = written(plan, computed, str(tmp_path), len(computed.keys))
    harm(checkpoint, "ndvi_mean/c/0/0/1")
    stack = checkpoint.stack()
    assert len(stack.graph) == len(computed.keys)
    address = tile_at(plan.grid, 12, 0.4, 0.5)

    async def tiles() -> list[Any]:
        stored = ResultTiles(stack, StoredPixels.from_stack(stack, readers))
        memory = ResultTiles(computed, LocalPixels(computed))
        return [await each.tile("ndvi_mean", 0, address) for each in (stored, stored, memory)]

    with caplog.at_level(logging.WARNING):
        *found, expected = asyncio.run(tiles())
    for tile in found:
        assert not tile.complete
        there = tile.values != NOT_COMPUTED
        assert 0 < there.mean() < 1
        np.testing.assert_array_equal(tile.values[there], expected.values[there])
    assert [record.message for record in caplog.records] == ["Block (0, 0, 1) of a kept result is damaged or gone"]
    assert set(checkpoint.written()) == {key[1:] for key in computed.keys} - {(0, 0, 1)}


def test_a_reader_that_dies_is_replaced(kept: Checkpoint, readers: StoreReaders) -> None:
    async def kill_and_read() -> list[Any]:
        os.kill(await readers.ask(os.getpid), signal.SIGKILL)
        return await StoredPixels.from_stack(kept.stack(), readers).values(ResultPixel((3, 3)))

    assert asyncio.run(kill_and_read())[0].clear_count is not None


def test_readers_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    script = """
import asyncio, os, time
from compute.tiles.reader_processes import StoreReaders
if __name__ == "__main__":
    print(asyncio.run(StoreReaders().ask(os.getpid)), flush=True)
    time.sleep(600)
"""
    (tmp_path / "server.py").write_text(script)
    with subprocess.Popen([sys.executable, tmp_path / "server.py"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        reader = psutil.Process(int(server.stdout.readline()))
        server.kill()
    deadline = time.monotonic() + 20
    while reader.is_running() and reader.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not reader.is_running() or reader.status() == psutil.STATUS_ZOMBIE


def test_a_stack_of_the_store_holds_blocks_that_are_read_when_asked(computed: SeasonStack, kept: Checkpoint) -> None:
    for key, block in kept.stack().graph.items():
        assert isinstance(block, StoredBlock)
        assert block.tally == computed.graph[key].tally


def test_what_is_written_is_recalled_rather_than_computed(computed: SeasonStack, kept: Checkpoint) -> None:
    lost = replace(computed, graph={key: Task(key, fail) for key in computed.keys})
    with dask.config.set(scheduler="synchronous"):
        (found,) = dask.compute(recalled(lost, slots_of(lost, kept.store), {}))
    for key, block in found.graph.items():
        for name in (*computed.layers, "levels"):
            for array, whole in zip(arrays_of(block, name), arrays_of(computed.graph[key], name), strict=True):
                np.testing.assert_array_equal(array, whole, strict=True)


def arrays_of(block: Block, name: str) -> list[Any]:
    if name == "levels":
        return [array for level in block.levels for array in (level.ndvi_mean, level.clear_share, level.clear_count)]
    return [getattr(block, name)]


def fail() -> Block:
    raise AssertionError("computed again")
