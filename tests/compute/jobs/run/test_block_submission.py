"""Blocks on their way to a real scheduler: what is looked at comes first, a few at a time, and no bit depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import dask
import numpy as np
from distributed import Client, LocalCluster

from compute.jobs import BlockOrder, Viewpoint
from compute.jobs.run.block_order import Index
from compute.jobs.run.block_submission import BlockSubmission
from compute.result.stack import SeasonStack
from tests.fixtures.stacks import grid_at, lazy_stack

EDGE, CHUNK = 8, 16
ENOUGH = 6
"""Most blocks that two threads have with the scheduler at once."""


def lazy() -> SeasonStack:
    """128 blocks of two seasons, some milliseconds each."""
    stack = lazy_stack(grid_at("EPSG:3577", (EDGE * CHUNK,) * 2), seasons=2, chunk_px=CHUNK, seconds=0.01)
    assert len(stack.graph) == 2 * EDGE * EDGE
    return stack


def order_of(stack: SeasonStack) -> BlockOrder:
    return BlockOrder([key[1:] for key in stack.graph], stack.chunks)


def at(row: int, column: int, season: int = 0) -> Viewpoint:
    """Look at the centre of a block."""
    return Viewpoint(season=season, row=(row + 0.5) * CHUNK, column=(column + 0.5) * CHUNK)


def with_threads(act: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            LocalCluster(
                n_workers=1, threads_per_worker=2, processes=False, asynchronous=True, dashboard_address=":0"
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            await act(client)

    asyncio.run(run())


def quarter(index: tuple[int, int, int]) -> tuple[int, bool, bool]:
    season, row, column = index
    return season, row >= EDGE // 2, column >= EDGE // 2


def test_what_is_looked_at_comes_first_and_after_a_pan_what_is_looked_at_then() -> None:
    async def watch(client: Client) -> None:
        stack = lazy()
        order = order_of(stack)
        order.set_viewpoint("a", at(7, 7, season=1))
        feeding = BlockSubmission(stack, client, order, retries=0)
        graph = feeding.stack.graph
        assert len(graph) == ENOUGH
        ended, panned = [], 0
        async for index, _ in feeding.ended_blocks():
            ended.append(index)
            if len(ended) == 10:
                panned = len(graph)
                order.set_viewpoint("a", at(0, 0))
        handed = [key[1:] for key in graph]
        assert {quarter(index) for index in handed[:10]} == {(1, True, True)}
        assert {quarter(index) for index in handed[panned : panned + 10]} == {(0, False, False)}
        # They end as they were handed over, but for those that are with the scheduler together.
        assert sorted(ended) == sorted(handed) == sorted(key[1:] for key in stack.graph)
        assert all(handed.index(index) - place < ENOUGH for place, index in enumerate(ended))

    with_threads(watch)


def test_the_order_changes_no_bit() -> None:
    async def compare(client: Client) -> None:
        stack = lazy()
        order = order_of(stack)
        order.set_viewpoint("a", at(5, 2))
        feeding = BlockSubmission(stack, client, order, retries=0)
        number = 0
        async for _ in feeding.ended_blocks():
            number += 1
            order.set_viewpoint("a", at(number % EDGE, -number % EDGE, season=number % 2))
        found: Any = await client.compute(feeding.stack.dataset())
        with dask.config.set(scheduler="synchronous"):
            expected = stack.dataset().compute()
        for layer in expected:
            np.testing.assert_array_equal(found[layer].values, expected[layer].values)

    with_threads(compare)


def test_several_followers_are_told_of_every_block_and_whoever_comes_late_too() -> None:
    async def follow(client: Client) -> None:
        feeding = BlockSubmission(stack := lazy(), client, order_of(stack), retries=0)

        async def told() -> list[Index]:
            return [index async for index, _ in feeding.ended_blocks()]

        one, other = await asyncio.gather(told(), told())
        assert one == other == await told()
        assert len(one) == len(stack.graph)

    with_threads(follow)


def test_nothing_follows_once_it_is_stopped() -> None:
    async def stop(client: Client) -> None:
        feeding = BlockSubmission(stack := lazy(), client, order_of(stack), retries=0)
        handed = 0
        async for index, _ in feeding.ended_blocks():
            if index == (0, 0, 2):
                feeding.stop()
                handed = len(feeding.stack.graph)
        assert len(feeding.stack.graph) == handed < len(stack.graph)

    with_threads(stop)
