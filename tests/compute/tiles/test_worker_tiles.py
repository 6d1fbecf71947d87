"""Tiles of a result on real workers: while it is computed, spilled, moved, and after a worker was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, as_completed
from distributed.protocol import to_serialize
from distributed.protocol.core import dumps
from distributed.worker_state_machine import RemoveReplicasEvent
from numba.core.dispatcher import Dispatcher
from numpy.typing import NDArray

from compute.cluster import open_cluster, parse_cluster
from compute.kernels import NOT_COMPUTED, OUTSIDE, picture_warp
from compute.result.stack import SeasonStack
from compute.settings import Settings
from compute.tiles.pixel_plugin import PIXELS, WorkerReplies, cut_patches_on_worker
from compute.tiles.pixel_sources import LocalPixels, View, patch_request
from compute.tiles.tile_chunks import blank_tile
from compute.tiles.tile_geometry import result_geometry
from compute.tiles.tile_patches import PatchRequest, warm_up, warm_up_cutting
from compute.tiles.tile_service import ResultTiles, Tile
from compute.tiles.web_mercator import TileAddress
from compute.tiles.worker_requests import WorkerRequests
from tests.compute.tiles.test_tiles import centre_of, tile_at
from tests.fixtures.stacks import empty_stack, grid_at, lazy_stack

GRID = grid_at("EPSG:3577", (1100, 1500))
SEASONS = 2
WALK = [
    tile_at(GRID, result_geometry(GRID).native_zoom - higher, down, along)
    for higher in range(4)
    for down, along in ((0.2, 0.3), (0.5, 0.5), (0.9, 0.6))
]

Values = dict[TileAddress, NDArray[np.int16]]


async def walk(tiles: ResultTiles) -> tuple[Values, bool]:
    """The values of all tiles of the walk, and whether all are complete."""
    found = await asyncio.gather(*(tiles.tile("ndvi_mean", 1, address) for address in WALK))
    assert all(isinstance(tile, Tile) for tile in found)
    values = {address: tile.values for address, tile in zip(WALK, found, strict=True) if tile}
    return values, all(tile.complete for tile in found if tile)


@pytest.fixture(scope="module")
def whole() -> tuple[ResultTiles, Values]:
    """The result computed here, and its tiles."""
    with dask.config.set(scheduler="synchronous"):
        (computed,) = dask.compute(lazy_stack(GRID, seasons=SEASONS, chunk_px=256, seconds=0.0))
    tiles = ResultTiles(computed, LocalPixels(computed))
    return tiles, asyncio.run(walk(tiles))[0]


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What was seen of the same result in one session on two workers."""

    async def run() -> dict[str, Any]:
        async with open_cluster(parse_cluster("local", workers=2), Settings(), warm_up=warm_up) as connection:
            return await session(connection.client)

    return asyncio.run(run())


async def session(client: Client) -> dict[str, Any]:
    await client.run(warm_up)  # a cluster that opens does not wait long for it
    warm = await client.run(compiled)
    stack = client.persist(lazy_stack(GRID, seasons=SEASONS, chunk_px=256, seconds=0.1))
    seen: dict[str, Any] = {"blocks": len(stack.graph)}
    tiles = ResultTiles.on_workers(stack, client)
    seen["running"] = await while_running(stack, tiles)
    async for _ in as_completed(stack.graph.values(), loop=client.loop):
        pass
    seen["finished"] = await walk(tiles)
    seen["direct"] = WorkerRequests.for_client(client).direct
    client.extensions[PIXELS] = WorkerRequests(client, direct=False)
    seen["proxied"] = await walk(tiles)
    del client.extensions[PIXELS]
    seen["point"] = await tiles.point(*centre_of(GRID, 700, 900))
    seen["bytes"] = await bytes_to_client(stack, client)
    seen["evicted"] = await client.run(spill)
    seen["spilled"] = await walk(tiles)
    await move(stack, client)
    seen["moved"] = await walk(tiles)
    seen["compiled"] = warm, await client.run(compiled)
    await kill_one(client)
    seen["killed"] = await walk(tiles)
    seen["recovered"] = await until_complete(tiles)
    return seen


async def while_running(stack: SeasonStack, tiles: ResultTiles) -> list[tuple[Values, bool]]:
    """Walk again and again until the first blocks of the season are there."""
    season = [future for key, future in stack.graph.items() if key[1] == 1]
    walks = [await walk(tiles)]
    while sum(future.status == "finished" for future in season) < len(season) / 6:  # noqa: ASYNC110  # futures of several
        await asyncio.sleep(0.02)
    walks.append(await walk(tiles))
    return walks


async def bytes_of_answer(order: PatchRequest, dask_worker: Any) -> int:
    answers = WorkerReplies(each=[await cut_patches_on_worker(order, dask_worker)])
    return sum(memoryview(frame).nbytes for frame in dumps(to_serialize(answers)))


async def bytes_to_client(stack: SeasonStack, client: Client) -> list[int]:
    """Bytes of the workers' answers, as they travel, for every tile of the walk."""
    sizes = []
    geometry = result_geometry(GRID)
    for address in WALK:
        control = geometry.control(address)
        order = patch_request(
            stack, View(layer="ndvi_mean", season=1, level=geometry.level(address.z), control=control)
        )
        sizes.append(sum((await client.run(bytes_of_answer, order)).values()))
    return sizes


def compiled() -> set[str]:
    """Which forms of the kernels of tiles there are in this process."""
    kernels = (each for each in vars(picture_warp).values() if isinstance(each, Dispatcher))
    return {f"{each.__name__} {form}" for each in kernels for form in each.signatures}


def spill(dask_worker: Any) -> int:
    """Send a worker's data to its disk; how many blocks went."""
    went = 0
    while dask_worker.data.fast and dask_worker.data.evict() != -1:
        went += 1
    return went


async def move(stack: SeasonStack, client: Client) -> None:
    """Have the workers exchange their blocks, unknown to those who remember where they were."""
    futures = list(stack.graph.values())
    before = await client.who_has(futures)
    workers = list(await client.run(os.getpid))
    await client.replicate(futures, n=2)
    for worker in workers:
        held = [key for key, holders in before.items() if tuple(holders) == (worker,)]
        await client.run(drop, held, workers=[worker])
    after = await client.who_has(futures)
    while any(len(holders) > 1 for holders in after.values()):
        await asyncio.sleep(0.05)
        after = await client.who_has(futures)
    assert not any(set(after[key]) & set(holders) for key, holders in before.items())


def drop(keys: list[Any], dask_worker: Any) -> None:
    """Let go of replicas on a worker, as Dask's memory manager has it done."""
    dask_worker.handle_stimulus(RemoveReplicasEvent(keys=keys, stimulus_id="test"))


async def kill_one(client: Client) -> None:
    pid = next(iter((await client.run(os.getpid)).values()))
    os.kill(pid, signal.SIGKILL)


async def until_complete(tiles: ResultTiles) -> tuple[Values, bool]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        values, complete = await walk(tiles)
        if complete:
            break
        await asyncio.sleep(0.2)
    return values, complete


def test_tiles_come_in_while_the_rest_is_computed(seen: dict[str, Any], whole: tuple[ResultTiles, Values]) -> None:
    first, last = seen["running"][0][0], seen["running"][-1][0]
    assert not seen["running"][0][1]
    for address, values in whole[1].items():
        for tile in (first[address], last[address]):
            there = tile != NOT_COMPUTED
            np.testing.assert_array_equal(tile[there], values[there])
    assert pending(last) < pending(first)


def test_a_tile_waits_for_no_compiler(seen: dict[str, Any]) -> None:
    warm, after = seen["compiled"]
    assert after == warm
    assert all(any(form.startswith("_gather_pixels ") for form in forms) for forms in warm.values())


def test_what_the_server_does_to_a_tile_is_compiled_before_the_first() -> None:
    warm_up_cutting()
    warm = compiled()
    tile = tile_at(GRID, result_geometry(GRID).native_zoom, 0.0, 0.0)
    assert (blank_tile(GRID.shape, result_geometry(GRID).control(tile)) == OUTSIDE).any()
    assert compiled() == warm


def pending(tiles: Values) -> int:
    return sum(int((tile == NOT_COMPUTED).sum()) for tile in tiles.values())


@pytest.mark.parametrize("state", ["finished", "proxied", "spilled", "moved", "recovered"])
def test_workers_give_the_tiles_that_are_made_here(
    seen: dict[str, Any], whole: tuple[ResultTiles, Values], state: str
) -> None:
    tiles, complete = seen[state]
    assert complete
    assert seen["direct"]
    assert sum(seen["evicted"].values()) == seen["blocks"]
    for address, values in whole[1].items():
        np.testing.assert_array_equal(tiles[address], values)


def test_what_a_killed_worker_held_is_not_computed_until_it_is_back(
    seen: dict[str, Any], whole: tuple[ResultTiles, Values]
) -> None:
    tiles, _ = seen["killed"]
    for address, values in whole[1].items():
        there = tiles[address] != NOT_COMPUTED
        np.testing.assert_array_equal(tiles[address][there], values[there])
        np.testing.assert_array_equal(tiles[address] == OUTSIDE, values == OUTSIDE)


def test_a_place_has_its_values_in_every_season(seen: dict[str, Any], whole: tuple[ResultTiles, Values]) -> None:
    assert seen["point"] == asyncio.run(whole[0].point(*centre_of(GRID, 700, 900)))
    assert [each.label for each in seen["point"]] == ["DJF", "MAM"]


def test_a_tile_moves_its_own_pixels_and_no_others(seen: dict[str, Any]) -> None:
    assert max(seen["bytes"]) <= 0.15e6


def test_a_block_that_nobody_has_submitted_is_not_computed() -> None:
    stack = empty_stack(GRID, SEASONS, 256)
    found = asyncio.run(ResultTiles.on_workers(stack, client=None).tile("ndvi_mean", 0, WALK[1]))
    assert isinstance(found, Tile)
    assert not found.complete
    assert set(np.unique(found.values)) == {NOT_COMPUTED}


def test_what_is_asked_while_the_cluster_goes_is_not_computed() -> None:
    """The error of a broken connection would name the cluster in full, and a Gateway's name opens every door."""

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"

    async def go(scheduler: subprocess.Popen[bytes], worker: subprocess.Popen[bytes]) -> set[str]:
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            stack = client.persist(lazy_stack(GRID, seasons=SEASONS, chunk_px=256, seconds=0.0))
            async for _ in as_completed(stack.graph.values(), loop=client.loop):
                pass
            tiles = ResultTiles.on_workers(stack, client)
            worker.send_signal(signal.SIGSTOP)
            asked = asyncio.create_task(tiles.point(*centre_of(GRID, 700, 900)))
            await asyncio.sleep(0.3)
            assert not asked.done()
            scheduler.kill()
            async with asyncio.timeout(10):
                return {value.state for value in await asked}

    with (
        dask_process(
            "scheduler", "--host", "127.0.0.1", "--port", port, "--dashboard-address", "127.0.0.1:0"
        ) as scheduler,
        dask_process("worker", address, "--no-nanny", "--no-dashboard") as worker,
    ):
        assert asyncio.run(go(scheduler, worker)) == {"not computed yet"}


@contextmanager
def dask_process(kind: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A scheduler or a worker in a process of its own, killed at the end."""
    command = (sys.executable, "-m", f"distributed.cli.dask_{kind}", *options)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()
