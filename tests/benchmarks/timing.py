"""How long tiles take, and what they cost the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tests.benchmarks.serving import Served

VIEW_CONNECTIONS = 6
"""Connections that a browser has to one host."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """What a number of tiles took.

    Attributes
    ----------
    ms : list of float
        Each tile, from asking to its last byte, in milliseconds.
    wall_s : float
        All of them, in seconds.
    mb_per_tile : float or None
        Bytes that the server process received for each, in units of 10**6; None where that cannot be told.
    """

    ms: list[float]
    wall_s: float
    mb_per_tile: float | None

    @property
    def tiles_per_s(self) -> float:
        """Tiles for each second."""
        return len(self.ms) / self.wall_s


def percentile(ms: Sequence[float], share: float) -> float:
    """Return the time within which such a share, in percent, of the tiles came."""
    return float(np.percentile(ms, share))


async def fetch_all(served: Served, paths: Iterator[str], count: int, connections: int) -> Timed:
    """Fetch some tiles, so many at a time, and measure it.

    Parameters
    ----------
    served : Served
        The server.
    paths : iterator of str
        Paths of tiles; `count` of them are taken.
    count, connections : int
        Number of tiles, and how many are asked for at a time.
    """
    chosen, ms = list(islice(paths, count)), list[float]()
    before, began = await served.cost(), time.perf_counter()
    queue = iter(chosen)
    await asyncio.gather(*(_visit(served, queue, ms) for _ in range(connections)))
    wall_s, after = time.perf_counter() - began, await served.cost()
    if before.received is None or after.received is None:
        return Timed(ms=ms, wall_s=wall_s, mb_per_tile=None)
    return Timed(ms=ms, wall_s=wall_s, mb_per_tile=(after.received - before.received) / len(chosen) / 1e6)


async def _visit(served: Served, queue: Iterator[str], ms: list[float]) -> None:
    for path in queue:
        began = time.perf_counter()
        await served.fetch(path)
        ms.append((time.perf_counter() - began) * 1000)


async def view_ms(served: Served, paths: Sequence[str]) -> float:
    """Fetch all tiles of a view as a browser does, and return how long it took, in milliseconds."""
    began, queue = time.perf_counter(), iter(paths)
    await asyncio.gather(*(_visit(served, queue, []) for _ in range(VIEW_CONNECTIONS)))
    return (time.perf_counter() - began) * 1000


async def growth(served: Served, paths: Iterator[str], tiles: int, connections: int) -> float:
    """Return by which share the server's memory grows over the second half of so many tiles."""
    await fetch_all(served, paths, tiles // 2, connections)
    before = await served.cost()
    await fetch_all(served, paths, tiles // 2, connections)
    return (await served.cost()).rss / before.rss - 1
