"""Pixels from the workers that hold them, by `compute.tiles.worker_requests`."""

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
from compute.tiles.pixel_sources import BlockPixels
from compute.tiles.tile_patches import Patch, PatchRequest, PixelReadings, cut_patches_on_worker, read_pixels_on_worker
from compute.tiles.worker_requests import WorkerRequests

_ROUNDS = 2
"""Times that blocks are looked for: where they are remembered to be, then where the scheduler says that they are."""

Question = Callable[[Collection[Key]], tuple[Callable[..., Awaitable[Any]], Any]]


class WorkerPixels(BlockPixels):
    """Pixels of a persisted stack, each gathered by the worker that holds it.

    A block whose worker died, or that is on its way to another, counts as not computed yet until it is back.

    Parameters
    ----------
    stack : SeasonStack
        Persisted, so that values of `graph` are futures; blocks that it lacks are not computed yet.
    client : distributed.Client
        Asynchronous client, of the event loop in which the methods are awaited.
    """

    def __init__(self, stack: SeasonStack, client: Any) -> None:
        super().__init__(stack)
        self._client = client
        self._holders: dict[Key, str] = {}

    async def patches(self, request: PatchRequest) -> dict[Key, Patch]:
        """Return the patches of a tile; see `BlockPixels`. One call goes to each worker that it touches."""
        return await self._ask(
            request.windows,
            lambda keys: (cut_patches_on_worker, replace(request, windows={key: request.windows[key] for key in keys})),
        )

    async def readings(self, places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
        """Return what one pixel of each block holds; see `BlockPixels`."""
        return await self._ask(places, lambda keys: (read_pixels_on_worker, {key: places[key] for key in keys}))

    async def _ask(
        self, keys: Collection[Key], question: Callable[[Collection[Key]], tuple[Any, Any]]
    ) -> dict[Key, Any]:
        """Ask the holders of some blocks, and again elsewhere for what they turn out not to hold.

        Parameters
        ----------
        keys : collection of Key
            Keys of blocks, finished or not.
        question : callable
            Given the keys that one worker is thought to hold, the function to run there and its argument; it answers
            with a dict of those keys that it holds indeed.

        Returns
        -------
        dict
            By key, the answers that were to be had.
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
        """Tell whether a block is computed and was not lost since, as far as the scheduler has told the client."""
        future = self._stack.graph.get(key)
        if isinstance(future, Future) and future.status == "finished":
            return True
        self._holders.pop(key, None)
        return False

    async def _by_holder(self, keys: Collection[Key]) -> Mapping[str, list[Key]]:
        """Return which worker is to be asked for which blocks; those that nobody holds are left out."""
        unknown = [self._stack.graph[key] for key in keys if key not in self._holders]
        if unknown:
            holders: Mapping[Key, Any] = {}
            with suppress(OSError):  # the scheduler is gone, and all blocks with it
                holders = await self._client.who_has(unknown)
            self._holders |= {key: addresses[0] for key, addresses in holders.items() if addresses}
        by_holder: dict[str, list[Key]] = defaultdict(list)
        for key in keys:
            if key in self._holders:
                by_holder[self._holders[key]].append(key)
        return by_holder

    async def _call(self, holder: str, function: Callable[..., Awaitable[Any]], argument: Any) -> Any:
        """Run a function on a worker; one that is gone or does not answer in time holds nothing."""
        try:
            return await WorkerRequests.of(self._client).ask(holder, function, argument)
        except OSError:
            return {}

    def _forget(self, keys: Iterable[Key]) -> None:
        """Forget where blocks were, and everything about the workers that were thought to hold them."""
        if doubted := {self._holders.get(key) for key in keys}:
            self._holders = {key: holder for key, holder in self._holders.items() if holder not in doubted}
