"""Tile queue: each tile is made once for all that wait for it, cached when finished, refused when too many wait."""

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
"""Makes a tile as it stands now; None outside of the result."""

_AT_ONCE = 24
"""Tiles in the making: a screenful, which keeps every worker of a small cluster busy."""

_ENTRY_BYTES = 1024
"""About what an entry of the cache takes beside the values of its tile."""


def _bytes_of(tile: Tile | None) -> int:
    return _ENTRY_BYTES + (tile.values.nbytes if tile else 0)


@dataclass(kw_only=True, eq=False, slots=True)
class _PendingTile:
    """One tile in the making, or waiting for it, whoever and however many want it."""

    key: Hashable
    state: Hashable
    requester: Hashable
    make: Make
    result: asyncio.Future[Tile | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    waiters: int = 0
    task: asyncio.Task[None] | None = None


class TileQueue:
    """Hands out the tiles of all results of a server.

    Of those that wait the newest is made first: it is what somebody looks at now. When too many wait the oldest is
    refused, and a tile that nobody waits for any more is not made to its end.

    Parameters
    ----------
    cache_mib : float
        Memory for finished tiles, in MiB.
    queue : int
        Most tiles that may wait; half of them those of one requester.

    Attributes
    ----------
    outcomes : collections.Counter
        How many questions ended in which way: ``cached``, ``joined`` (somebody else had asked already), ``made``,
        ``failed``, ``dropped`` (nobody waited any more), ``too_many``, ``overload``.
    kept : cachetools.LRUCache
        Finished tiles by key, None for one outside its result; ``currsize`` is the number of bytes that they take. A
        tile that is larger than the whole cache is not kept.
    """

    def __init__(self, *, cache_mib: float, queue: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.kept: LRUCache[Hashable, Tile | None] = LRUCache(int(cache_mib * MIB), getsizeof=_bytes_of)
        self._most = queue
        self._pending: dict[tuple[Hashable, Hashable], _PendingTile] = {}
        self._queue: dict[_PendingTile, None] = {}

    @property
    def waiting(self) -> int:
        """Tiles that wait until others are made."""
        return len(self._queue)

    @property
    def making(self) -> int:
        """Tiles in the making."""
        return len(self._pending) - len(self._queue)

    async def tile(self, key: Hashable, make: Make, *, requester: Hashable, state: Hashable = None) -> Tile | None:
        """Return a tile: one that is kept, one that is on its way already, or a new one.

        Parameters
        ----------
        key : hashable
            Names the tile; what is finished is kept under it.
        make : callable
            Makes it.
        requester : hashable
            Who asks: none of them takes all places in the queue.
        state : hashable
            How far its result is: what began before more of it was there is not good enough for who asks now.

        Raises
        ------
        TooManyRequestsError
            This requester has too many waiting, and this was the oldest.
        OverloadError
            Everybody together has.
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
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self.outcomes["failed"] += 1
            self._refuse(pending, error)
        else:
            self.outcomes["made"] += 1
            if tile is None or tile.complete:
                with suppress(ValueError):  # larger than the cache
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
