"""Tile queue: shared computation of tiles, newest request first, with a cache and limits per client."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field

from cachetools import LRUCache

from compute.errors import OverloadError, TooManyRequestsError
from compute.settings import MIB
from compute.tiles.tile_service import Tile

Make = Callable[[], Awaitable[Tile | None]]
"""Function that computes a tile in its current state, or returns None for a tile outside the result."""

_AT_ONCE = 24
"""Number of tiles that are computed at the same time: those of a screen, which use all workers of a small cluster."""

_ENTRY_BYTES = 1024
"""Approximate size of a cache entry without the values of its tile, in bytes."""


def _bytes_of(tile: Tile | None) -> int:
    return _ENTRY_BYTES + (tile.values.nbytes if tile else 0)


@dataclass(kw_only=True, eq=False, slots=True)
class _PendingTile:
    """Tile that is queued or being computed, with any number of waiters."""

    key: Hashable
    state: Hashable
    requester: Hashable
    make: Make
    result: asyncio.Future[Tile | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    waiters: int = 0
    task: asyncio.Task[None] | None = None


class TileQueue:
    """Queue and cache of the tiles of all results of a server.

    The newest tile is computed first, because it is most likely still on the user's screen. If the queue is full, the
    request for the oldest tile fails. Tiles without waiters are cancelled.

    Parameters
    ----------
    cache_mib : float
        Memory for finished tiles, in MiB.
    queue : int
        Largest number of queued tiles. A single requester may have at most half of this number.

    Attributes
    ----------
    outcomes : collections.Counter
        Number of requests answered from the cache (``cached``) or by a pending computation (``joined``), and number of
        other tiles by outcome: ``made``, ``failed``, ``dropped`` (no waiter left), ``too_many``, ``overload``.
    kept : cachetools.LRUCache
        Complete tiles by key, with None for tiles outside their result. ``currsize`` is their size in bytes. Tiles
        larger than the whole cache are not kept.
    """

    def __init__(self, *, cache_mib: float, queue: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.kept: LRUCache[Hashable, Tile | None] = LRUCache(int(cache_mib * MIB), getsizeof=_bytes_of)
        self._most = queue
        self._pending: dict[tuple[Hashable, Hashable], _PendingTile] = {}
        self._queue: dict[_PendingTile, None] = {}

    @property
    def waiting(self) -> int:
        """Number of queued tiles."""
        return len(self._queue)

    @property
    def making(self) -> int:
        """Number of tiles that are being computed."""
        return len(self._pending) - len(self._queue)

    async def tile(self, key: Hashable, make: Make, *, requester: Hashable, state: Hashable = None) -> Tile | None:
        """Return a tile from the cache, from a pending computation or from a new computation.

        Parameters
        ----------
        key : hashable
            Identity of the tile in the cache.
        make : callable
            Function that computes the tile.
        requester : hashable
            Identity of the client, for the limit per client.
        state : hashable
            Progress of the result. Pending computations are shared only between requests with the same state.

        Raises
        ------
        TooManyRequestsError
            The requester has too many queued tiles, and this tile is its oldest.
        OverloadError
            The queue is full, and this tile is the oldest.
        """
        if key in self.kept:
            self.outcomes["cached"] += 1
            return self.kept[key]
        pending = self._pending.get((key, state))
        if pending is None:
            pending = self._enqueue(_PendingTile(key=key, state=state, requester=requester, make=make))
        else:
            self.outcomes["joined"] += 1
        pending.waiters += 1
        try:
            return await asyncio.shield(pending.result)
        finally:
            pending.waiters -= 1
            if not (pending.waiters or pending.result.done()):
                self._abandon(pending)

    def _enqueue(self, pending: _PendingTile) -> _PendingTile:
        self._pending[pending.key, pending.state] = pending
        self._queue[pending] = None
        self._start()
        own = [each for each in self._queue if each.requester == pending.requester]
        if len(own) > self._most // 2:
            self.outcomes["too_many"] += 1
            self._refuse(own[0], TooManyRequestsError("Too many tiles were asked for at once; ask for fewer."))
        elif len(self._queue) > self._most:
            self.outcomes["overload"] += 1
            self._refuse(next(iter(self._queue)), OverloadError("The server is busy; ask again in a moment."))
        return pending

    def _start(self) -> None:
        while self._queue and self.making < _AT_ONCE:
            pending, _ = self._queue.popitem()
            pending.task = asyncio.create_task(self._make_tile(pending))

    async def _make_tile(self, pending: _PendingTile) -> None:
        try:
            tile = await pending.make()
        except Exception as error:  # noqa: BLE001  # waiters receive every error
            self.outcomes["failed"] += 1
            self._refuse(pending, error)
        else:
            self.outcomes["made"] += 1
            if tile is None or tile.complete:
                with suppress(ValueError):  # raised if the tile is larger than the cache
                    self.kept[pending.key] = tile
            self._remove(pending)
            pending.result.set_result(tile)

    def _refuse(self, pending: _PendingTile, error: Exception) -> None:
        self._remove(pending)
        pending.result.set_exception(error)

    def _abandon(self, pending: _PendingTile) -> None:
        self.outcomes["dropped"] += 1
        self._remove(pending)
        if pending.task is not None:
            pending.task.cancel()

    def _remove(self, pending: _PendingTile) -> None:
        del self._pending[pending.key, pending.state]
        self._queue.pop(pending, None)
        self._start()
