"""The span of the colours that suits a result: percentiles of its coarsest level, whatever of it is there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.engine.overview_levels import LAYER_ENCODING
from compute.kernels import NEVER_CLEAR, NOT_COMPUTED, OUTSIDE
from compute.tiles.colour_range import stretched
from compute.tiles.pixel_sources import LocalPixels
from compute.tiles.tile_service import ResultTiles
from tests.fixtures.stacks import empty_stack, grid_at, noise, stack_of


@given(
    st.integers(20, 1400),
    st.integers(20, 1400),
    st.integers(1, 2),
    st.sampled_from(["ndvi_mean", "clear_count"]),
    st.integers(0, 2**31),
    st.data(),
)
@settings(max_examples=15, deadline=None)
def test_a_stretch_holds_all_but_a_twentieth_of_what_is_computed(
    rows: int, columns: int, seasons: int, layer: str, seed: int, data: st.DataObject
) -> None:
    grid = grid_at("EPSG:3577", (rows, columns))
    whole = stack_of(grid, noise((rows, columns), seasons=seasons, seed=seed), 400)
    kept = data.draw(st.sets(st.sampled_from(sorted(whole.graph)), min_size=1))
    stack = replace(whole, graph={key: whole.graph[key] for key in kept})
    span = asyncio.run(ResultTiles(stack, LocalPixels(stack)).stretch(layer))
    encoding, values = LAYER_ENCODING[layer], []
    for block in stack.graph.values():
        level = block if stack.levels == 0 else block.levels[-1]
        quantity = getattr(level, layer).astype(float)
        values.append((encoding.decode(quantity) if stack.levels else quantity).ravel())
    found = np.concatenate(values)
    low, high = np.nanpercentile(found, [2, 98])
    assert span is not None
    # At a ragged edge, the pixels of the level whose centre lies beyond the grid are left out.
    unit = 10.0 ** (1 - encoding.digits)
    assert abs(span[0] - low) <= 2 * unit
    assert abs(span[1] - high) <= 2 * unit
    assert span == tuple(round(value, encoding.digits - 1) for value in span)


def test_where_nothing_is_computed_or_clear_there_is_no_stretch() -> None:
    empty = empty_stack(grid_at("EPSG:3577", (90, 70)), 2, 64)
    assert asyncio.run(ResultTiles(empty, LocalPixels(empty)).stretch("ndvi_mean")) is None
    assert stretched("ndvi_mean", [np.array([NEVER_CLEAR, OUTSIDE, NOT_COMPUTED], np.int16)]) is None


def test_a_stretch_of_one_value_is_a_span_and_that_of_values_never_meets_codes() -> None:
    assert stretched("ndvi_mean", [np.full(9, 5000, np.int16)]) == (0.5, 0.51)
    spread = np.concatenate([np.arange(0, 10_001, dtype=np.int16), np.full(500, NEVER_CLEAR, np.int16)])
    assert stretched("ndvi_mean", [spread[:5000], spread[5000:]]) == (0.02, 0.98)
    assert stretched("clear_count", [np.arange(0, 300, dtype=np.int16)]) == (0.0, 30.0)
