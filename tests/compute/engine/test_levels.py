"""Levels against a slow reduction of level 0 that knows nothing of how they are built."""

from __future__ import annotations

import sys
from dataclasses import replace

import dask
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from compute.engine import Block
from compute.engine.overview_levels import LAYER_ENCODING, build_levels
from compute.kernels import NEVER_CLEAR
from compute.plan import level_count, make_plan
from compute.result.stack import build_stack
from compute.settings import Settings
from tests.fixtures.stacks import assembled, empty_stack, grid_at, noise, stack_of
from tests.strategies import request_of, roles_of, scene_of

MEANS = st.floats(-1, 1, width=32) | st.sampled_from([np.nan, np.nan, 0.0, 2.5, -40.0])
SHAPES = st.tuples(st.integers(1, 41), st.integers(1, 41))


@st.composite
def blocks(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Means and counts; a pixel without a mean may have observations, but too few."""
    shape = draw(SHAPES)
    mean = draw(hnp.arrays(np.float32, shape, elements=MEANS, fill=st.just(np.float32(np.nan))))
    count = draw(hnp.arrays(np.uint16, shape, elements=st.integers(1, 300) | st.just(65_535), fill=st.just(1)))
    too_few = draw(st.sampled_from([0, 2]))
    return mean, np.where(np.isnan(mean), too_few, count).astype(np.uint16)


def cells(values: NDArray[np.float64], level: int) -> NDArray[np.float64]:
    """(y, x, n) values below each pixel of a level, NaN where a ragged edge leaves none."""
    size = 2**level
    rows, columns = (-length % size for length in values.shape)
    padded = np.pad(values, ((0, rows), (0, columns)), constant_values=np.nan)
    height, width = (length // size for length in padded.shape)
    return padded.reshape(height, size, width, size).swapaxes(1, 2).reshape(height, width, -1)


@given(blocks(), st.integers(1, 6))
def test_a_level_is_the_direct_reduction_of_level_0(
    block: tuple[NDArray[np.float32], NDArray[np.uint16]], levels: int
) -> None:
    mean, count = block
    built = build_levels(mean, count, levels)
    assert len(built) == levels
    inside = np.ones(mean.shape)
    for number, level in enumerate(built, 1):
        pixels = np.nansum(cells(inside, number), -1)
        clear = np.isfinite(cells(mean.astype(float), number)).sum(-1)
        total = np.nansum(np.rint(cells(mean.astype(float), number) * 2**24), -1)
        expected = np.clip(np.rint(total / np.maximum(clear, 1) / 2**24 * 1e4), -32760, 32760)
        np.testing.assert_array_equal(level.ndvi_mean, np.where(clear > 0, expected, NEVER_CLEAR))
        counts = np.nansum(cells(count.astype(float), number), -1)
        expected = np.minimum(np.rint(counts / pixels * 10), 32760)
        np.testing.assert_array_equal(level.clear_count, np.where(counts > 0, expected, NEVER_CLEAR))
        np.testing.assert_allclose(level.clear_share / 255, clear / pixels, atol=1 / 255)
        np.testing.assert_array_equal(level.clear_share == 0, clear == 0)
        np.testing.assert_array_equal(level.clear_share == 255, clear == pixels)


def test_a_level_does_not_weigh_by_clear_count() -> None:
    mean = np.array([[0.2, 0.4], [0.9, np.nan]], np.float32)
    (level,) = build_levels(mean, np.array([[1000, 1], [2, 0]], np.uint16), 1)
    assert LAYER_ENCODING["ndvi_mean"].decode(level.ndvi_mean)[0, 0] == pytest.approx(0.5)
    assert LAYER_ENCODING["clear_count"].decode(level.clear_count)[0, 0] == pytest.approx(1003 / 4, abs=0.051)
    assert level.clear_share[0, 0] == round(0.75 * 255)


@pytest.mark.parametrize("chunk_px", [64, 200, 512])
def test_chunks_never_change_a_level(chunk_px: int) -> None:
    grid = grid_at("EPSG:3577", (1101, 769))
    pixels = noise(grid.shape)
    cut, whole = stack_of(grid, pixels, chunk_px), stack_of(grid, pixels, 4096)
    assert cut.levels == 2
    assert len(cut.graph) > len(whole.graph) == 1
    for level in range(3):
        for layer in ("ndvi_mean", "clear_count"):
            np.testing.assert_array_equal(assembled(cut, 0, level, layer), assembled(whole, 0, level, layer))


@pytest.mark.parametrize("shape", [(2048, 2048), (1040, 600), (33, 4096)])
def test_all_levels_take_at_most_0_35_of_the_block(shape: tuple[int, int]) -> None:
    count = np.ones(shape, np.uint16)
    mean = count.astype(np.float32)
    levels = build_levels(mean, count, level_count(shape))
    assert 0 < sum(level.nbytes for level in levels) <= 0.35 * (mean.nbytes + count.nbytes)
    # What Dask believes a block to weigh, when it spills and moves.
    held = Block(ndvi_mean=mean, clear_count=count, levels=levels)
    assert sys.getsizeof(held) == pytest.approx(1.3 * (mean.nbytes + count.nbytes), rel=0.05)


def test_a_plans_blocks_have_the_levels_of_its_grid() -> None:
    plan = make_plan(
        request_of("146.8,-42.2,147.2,-41.8", crs="native"), [scene_of("a")], {"landsat": roles_of()}, Settings()
    )
    unread = replace(plan, blocks=tuple(replace(block, groups=()) for block in plan.blocks))
    with dask.config.set(scheduler="synchronous"):
        (computed,) = dask.compute(build_stack(unread, "levels"))
    assert computed.levels == level_count(plan.grid.shape) > 0
    assert {len(block.levels) for block in computed.graph.values()} == {computed.levels}


def test_a_level_pixel_lies_in_one_chunk() -> None:
    stack = empty_stack(grid_at("EPSG:4326", (3000, 5000)), 1, 700)
    for sizes in stack.chunks:
        assert all(start % 2**stack.levels == 0 for start in np.cumsum(sizes)[:-1])
