"""Which block comes next: every one once, and always the nearest to what somebody looks at."""

from __future__ import annotations

from math import hypot

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.jobs import BlockOrder, Viewpoint
from compute.jobs.run.block_order import Index
from compute.result.chunk_windows import Chunks

pytestmark = pytest.mark.unit

chunks = st.tuples(*[st.lists(st.integers(1, 60), min_size=1, max_size=5).map(tuple)] * 2)
viewpoints = st.builds(
    Viewpoint, season=st.integers(0, 2), row=st.floats(-500, 500) | st.just(float("inf")), column=st.floats(-500, 500)
)


def blocks_of(chunks: Chunks, seasons: int = 3) -> list[Index]:
    return [(s, r, c) for s in range(seasons) for r in range(len(chunks[0])) for c in range(len(chunks[1]))]


def wish(at: Viewpoint, chunks: Chunks, block: Index) -> tuple[bool, int, float]:
    """What a viewer looks at first: the season shown, then the other ones; in each what is nearest to the centre."""
    season, row, column = block
    down = sum(chunks[0][:row]) + chunks[0][row] / 2 - at.row
    along = sum(chunks[1][:column]) + chunks[1][column] / 2 - at.column
    return season != at.season, season, hypot(down, along)


def taken(order: BlockOrder, most: int = 1000) -> list[Index]:
    found: list[Index] = []
    while len(found) < most and (block := order.pop_next()) is not None:
        found.append(block)
    return found


@given(chunks)
def test_while_nobody_looks_blocks_come_as_planned(chunks: Chunks) -> None:
    assert taken(BlockOrder(blocks_of(chunks), chunks)) == blocks_of(chunks)


@given(chunks, st.lists(st.tuples(st.sampled_from("ab"), viewpoints | st.none(), st.integers(0, 9)), max_size=8))
def test_every_block_comes_once_however_viewers_move(
    chunks: Chunks, moves: list[tuple[str, Viewpoint | None, int]]
) -> None:
    order, found = BlockOrder(blocks_of(chunks), chunks), []
    for viewer, viewpoint, count in moves:
        order.set_viewpoint(viewer, viewpoint)
        found += taken(order, count)
    found += taken(order)
    assert sorted(found) == blocks_of(chunks)
    assert order.pop_next() is None


@given(chunks, viewpoints, st.integers(0, 9), viewpoints)
def test_the_next_block_is_the_nearest_of_those_that_wait_also_after_a_pan(
    chunks: Chunks, first: Viewpoint, count: int, second: Viewpoint
) -> None:
    order, waiting = BlockOrder(blocks_of(chunks), chunks), set(blocks_of(chunks))
    for viewpoint, most in ((first, count), (second, 1000)):
        order.set_viewpoint("a", viewpoint)
        for block in taken(order, most):
            assert wish(viewpoint, chunks, block) == min(wish(viewpoint, chunks, each) for each in waiting)
            waiting.remove(block)


@given(viewpoints, viewpoints)
def test_viewers_take_turns_and_one_who_leaves_has_none(one: Viewpoint, other: Viewpoint) -> None:
    chunks: Chunks = ((10,) * 4, (10,) * 4)
    order, waiting = BlockOrder(blocks_of(chunks), chunks), set(blocks_of(chunks))
    order.set_viewpoint("one", one)
    order.set_viewpoint("other", other)
    turns = [one, other] * 3
    for number, viewpoint in enumerate([*turns, other, other]):
        if number == len(turns):
            order.set_viewpoint("one", None)
        block = order.pop_next()
        assert block is not None
        assert wish(viewpoint, chunks, block) == min(wish(viewpoint, chunks, each) for each in waiting)
        waiting.remove(block)


def test_who_only_moves_keeps_the_turn() -> None:
    chunks: Chunks = ((10,) * 9, (10,))
    order = BlockOrder(blocks_of(chunks, 1), chunks)
    order.set_viewpoint("low", Viewpoint(season=0, row=90, column=5))
    order.set_viewpoint("high", Viewpoint(season=0, row=0, column=5))
    found = []
    for _ in range(6):
        order.set_viewpoint("high", Viewpoint(season=0, row=0, column=5))
        found.append(order.pop_next())
    assert found == [(0, row, 0) for row in (8, 0, 7, 1, 6, 2)]
