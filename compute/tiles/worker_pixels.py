"""Pixels from the workers that hold the blocks, requested with `compute.tiles.worker_requests`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from distributed import Future

from compute.result.stack import SeasonStack
from compute.result.stack_tasks import Key
from compute.scenes.pixel_frames import BlockPixel
from compute.tiles.pixel_plugin import cut_patches_on_worker, read_pixels_on_worker
from compute.tiles.pixel_sources import BlockPixels
from compute.tiles.tile_patches import Patch, PatchRequest, PixelReadings
from compute.tiles.worker_requests import WorkerRequests

_ROUNDS = 2
"""Number of attempts to find a block: first on its last known worker, then on the worker that the scheduler names."""

Question = Callable[[Collection[Key]], tuple[Callable[..., Awaitable[Any]], Any]]


class WorkerPixels(BlockPixels):
    """Pixels of a persisted stack, cut on the workers that hold its blocks.

    A block is treated as not computed yet while it is being transferred, and after its worker died until it is
    available again.

    Parameters
    ----------
    stack : SeasonStack
        Persisted stack whose `graph` contains futures. Blocks that are missing in it are not computed yet.
    client : distributed.Client
        Asynchronous client of the event loop in which the methods are awaited.
    """

    def __init__(self, stack: SeasonStack, client: Any) -> None:
        super().__init__(stack)
        self._client = client
        self._holders: dict[Key, str] = {}

    async def patches(self, request: PatchRequest) -> dict[Key, Patch]:
        """Return the patches of a tile, with one request to each worker that holds blocks of it; see `BlockPixels`."""
        return await self._ask(
            request.windows,
            lambda keys: (cut_patches_on_worker, replace(request, windows={key: request.windows[key] for key in keys})),
        )

    async def readings(self, places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
        """Return the values of one pixel of each block; see `BlockPixels`."""
        return await self._ask(places, lambda keys: (read_pixels_on_worker, {key: places[key] for key in keys}))

    async def _ask(
        self, keys: Collection[Key], question: Callable[[Collection[Key]], tuple[Any, Any]]
    ) -> dict[Key, Any]:
        """Run a function on the last known workers of blocks, then on other workers for blocks that were not found.

        Parameters
        ----------
        keys : collection of Key
            Keys of the blocks, finished or not.
        question : callable
            Function that returns the function to run on a worker and its argument, given the keys that the worker is
            expected to hold. The function on the worker returns a dict with the keys that the worker holds.

        Returns
        -------
        dict
            Values by key, for the blocks that were found.
        """
        answers: dict[Key, Any] = {}
        for _ in range(_ROUNDS):
            missing = [key for key in keys if key not in answers and self._finished(key)]
            if not missing:
                break
            by_holder = await self._by_holder(missing)
            calls = [self._call(holder, *question(held)) for holder, held in by_holder.items()]
            for answer in await asyncio.gather(*calls):
                answers.update(answer)
            self._forget(key for key in missing if key not in answers)
        return answers

    def _finished(self, key: Key) -> bool:
        """Return whether a block is finished and not lost, according to the client."""
        future = self._stack.graph.get(key)
        if isinstance(future, Future) and future.status == "finished":
            return True
        self._holders.pop(key, None)
        return False

    async def _by_holder(self, keys: Collection[Key]) -> Mapping[str, list[Key]]:
        """Return the keys of blocks by address of the worker that holds them; blocks on no worker are left out."""
        unknown = [self._stack.graph[key] for key in keys if key not in self._holders]
        if unknown:
            holders: Mapping[Key, Any] = {}
            with suppress(OSError):  # the scheduler and all blocks are lost
                holders = await self._client.who_has(unknown)
            self._holders |= {key: addresses[0] for key, addresses in holders.items() if addresses}
        by_holder: dict[str, list[Key]] = defaultdict(list)
        for key in keys:
            if key in self._holders:
                by_holder[self._holders[key]].append(key)
        return by_holder

    async def _call(self, holder: str, function: Callable[..., Awaitable[Any]], argument: Any) -> Any:
        """Run a function on a worker; return {} if the worker is lost or does not respond in time."""
        try:
            return await WorkerRequests.for_client(self._client).ask(holder, function, argument)
        except OSError:
            return {}

    def _forget(self, keys: Iterable[Key]) -> None:
        """Discard the known positions of all blocks on those workers that did not hold one of these."""
        if doubted := {self._holders.get(key) for key in keys}:
            self._holders = {key: holder for key, holder in self._holders.items() if holder not in doubted}
