"""Tiles on their way to those who ask: one computation for all, newest first, a bounded wait; finished ones kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.errors import OverloadError, TooManyRequestsError
from compute.settings import MIB
from compute.tiles.tile_queue import TileQueue
from compute.tiles.tile_service import Tile

pytestmark = pytest.mark.unit


def tile_of(number: int, *, complete: bool = True, pixels: int = 4) -> Tile:
    return Tile(values=np.full((pixels, pixels), number, np.int16), complete=complete)


async def tile_later(number: int, pixels: int) -> Tile:
    return tile_of(number, pixels=pixels)


class Workshop:
    """Makes tiles when it is let, and notes which were begun, made and given up."""

    def __init__(self, *, complete: bool = True) -> None:
        self.begun: list[int] = []
        self.made: list[int] = []
        self.given_up: list[int] = []
        self.opened = asyncio.Event()
        self._complete = complete

    def order(self, number: int) -> Callable[[], Awaitable[Tile | None]]:
        async def make() -> Tile:
            self.begun.append(number)
            try:
                await self.opened.wait()
            except asyncio.CancelledError:
                self.given_up.append(number)
                raise
            self.made.append(number)
            return tile_of(number, complete=self._complete)

        return make


async def a_moment() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_a_tile_is_made_once_however_many_ask_and_then_kept() -> None:
    async def act() -> None:
        desk, shop = TileQueue(cache_mib=1, queue=8), Workshop()
        asked = [asyncio.create_task(desk.tile("a", shop.order(7), requester=n)) for n in range(50)]
        await a_moment()
        shop.opened.set()
        tiles = await asyncio.gather(*asked)
        assert {id(tile) for tile in tiles} == {id(tiles[0])}
        assert await desk.tile("a", shop.order(8), requester=0) is tiles[0]
        assert shop.begun == [7]
        assert desk.outcomes == {"joined": 49, "made": 1, "cached": 1}
        assert desk.making == desk.waiting == 0

    run(act())


def test_what_is_unfinished_or_failed_is_asked_again() -> None:
    async def act() -> None:
        desk, shop = TileQueue(cache_mib=1, queue=8), Workshop(complete=False)
        shop.opened.set()

        async def fail() -> Tile | None:
            raise OSError("gone")

        for number in (1, 2):
            tile = await desk.tile("a", shop.order(number), requester=0)
            assert tile is not None
            assert tile.values[0, 0] == number
            with pytest.raises(OSError, match="gone"):
                await desk.tile("b", fail, requester=0)
        assert desk.kept.currsize == 0

    run(act())


def test_who_asks_after_a_block_has_finished_does_not_get_what_was_begun_before() -> None:
    async def act() -> None:
        desk, shop = TileQueue(cache_mib=1, queue=8), Workshop(complete=False)
        early = asyncio.create_task(desk.tile("a", shop.order(1), requester=0, state=1))
        late = asyncio.create_task(desk.tile("a", shop.order(2), requester=0, state=2))
        await a_moment()
        shop.opened.set()
        values = [tile.values[0, 0] for tile in await asyncio.gather(early, late) if tile]
        assert values == [1, 2]

    run(act())


def test_a_tile_is_given_up_when_the_last_who_waits_goes_away() -> None:
    async def act() -> None:
        desk, shop = TileQueue(cache_mib=1, queue=80), Workshop()
        asked = [asyncio.create_task(desk.tile(n // 2, shop.order(n // 2), requester=0)) for n in range(80)]
        await a_moment()
        making, waiting = desk.making, desk.waiting
        assert making + waiting == 40
        for task in asked[::2]:
            task.cancel()
        await a_moment()
        assert (desk.making, desk.waiting, shop.given_up) == (making, waiting, [])
        first = shop.begun[0]
        asked[2 * first + 1].cancel()
        await a_moment()
        assert shop.given_up == [first]
        assert (desk.making, desk.waiting) == (making, waiting - 1)
        for task in asked:
            task.cancel()
        await a_moment()
        assert desk.making == desk.waiting == 0
        assert shop.made == []

    run(act())


def test_of_those_that_wait_the_newest_is_made_first() -> None:
    async def act() -> None:
        desk, shop = TileQueue(cache_mib=1, queue=200), Workshop()
        asked = [asyncio.create_task(desk.tile(n, shop.order(n), requester=n)) for n in range(60)]
        await a_moment()
        at_once = desk.making
        shop.opened.set()
        await asyncio.gather(*asked)
        assert shop.begun == [*range(at_once), *reversed(range(at_once, 60))]

    run(act())


def test_one_asker_does_not_take_the_places_of_the_others() -> None:
    async def act() -> None:
        desk, shop = TileQueue(cache_mib=1, queue=10), Workshop()
        full = [asyncio.create_task(desk.tile(("a", n), shop.order(n), requester="a")) for n in range(100)]
        await a_moment()
        assert desk.waiting == 5
        others = [asyncio.create_task(desk.tile(("b", n), shop.order(n), requester=n)) for n in range(7)]
        await a_moment()
        assert desk.waiting == 10
        shop.opened.set()
        ended = await asyncio.gather(*full, *others, return_exceptions=True)
        kinds = [type(each) for each in ended]
        # The oldest two waiting tiles are the first requester's, who is within bounds and told that the server is busy.
        assert kinds.count(TooManyRequestsError) == desk.outcomes["too_many"] == 100 - len(shop.made) + 7 - 2
        assert kinds.count(OverloadError) == desk.outcomes["overload"] == 2
        assert all(isinstance(each, Tile) for each in ended[100:])
        assert isinstance(ended[99], Tile)
        assert desk.making == desk.waiting == 0

    run(act())


@given(
    keys=st.lists(st.integers(0, 12), max_size=60),
    room=st.integers(0, 6),
    pixels=st.lists(st.integers(1, 40), min_size=13, max_size=13),
)
def test_kept_tiles_stay_within_their_memory_and_the_last_used_stay_longest(
    keys: list[int], room: int, pixels: list[int]
) -> None:
    limit = room * (1024 + 2 * 20 * 20)
    sizes = [1024 + 2 * edge**2 for edge in pixels]

    async def act() -> None:
        desk, order = TileQueue(cache_mib=limit / MIB, queue=8), list[int]()
        for key in keys:
            tile = await desk.tile(key, partial(tile_later, key, pixels[key]), requester=0)
            assert tile is not None
            assert tile.values[0, 0] == key
            if sizes[key] <= limit:
                order = [each for each in order if each != key] + [key]
            while sum(sizes[each] for each in order) > limit:
                order.pop(0)
            assert [each for each in range(13) if each in desk.kept] == sorted(order)
            assert desk.kept.currsize == sum(sizes[each] for each in order)

    run(act())


@given(moves=st.lists(st.tuples(st.sampled_from(["ask", "leave", "work"]), st.integers(0, 9)), max_size=80))
def test_whoever_comes_and_goes_everybody_hears_once_and_nothing_is_left_behind(moves: list[tuple[str, int]]) -> None:
    async def act() -> None:
        desk, shop = TileQueue(cache_mib=1000 / MIB, queue=6), Workshop()
        asked: list[asyncio.Task[Tile | None]] = []
        for move, number in moves:
            if move == "ask":
                for copy in range(5):
                    key = number, copy
                    asked.append(asyncio.create_task(desk.tile(key, shop.order(number), requester=number % 3)))
            elif move == "leave":
                for task in asked[number::7]:
                    task.cancel()
            else:
                shop.opened.set()
                await a_moment()
                shop.opened.clear()
            await asyncio.sleep(0)
            assert desk.waiting <= 6
        shop.opened.set()
        for ended in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(ended, Tile | OverloadError | asyncio.CancelledError)
        await a_moment()
        assert desk.making == desk.waiting == 0

    run(act())
