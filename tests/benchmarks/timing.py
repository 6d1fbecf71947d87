"""Time of tiles over HTTP, and memory and traffic of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tests.benchmarks.serving import MeasuredServer

VIEW_CONNECTIONS = 6
"""Connections of a browser to one host."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TileTimes:
    """Times of several tiles.

    Attributes
    ----------
    ms : list of float
        Time of each tile from the request to its last byte, in milliseconds.
    wall_s : float
        Time of all tiles together, in seconds.
    mb_per_tile : float or None
        Bytes that the server process received for each tile, in units of 10**6; None if the system does not report
        them.
    """

    ms: list[float]
    wall_s: float
    mb_per_tile: float | None

    @property
    def tiles_per_s(self) -> float:
        """Tiles per second."""
        return len(self.ms) / self.wall_s


def compute_percentile(ms: Sequence[float], share: float) -> float:
    """Return a percentile of times.

    Parameters
    ----------
    ms : sequence of float
        Times in milliseconds.
    share : float
        Percentile, 0 to 100.
    """
    return float(np.percentile(ms, share))


async def fetch_all(served: MeasuredServer, paths: Iterator[str], count: int, connections: int) -> TileTimes:
    """Fetch tiles over several connections, and measure the times.

    Parameters
    ----------
    served : MeasuredServer
        Server.
    paths : iterator of str
        Paths of tiles, of which `count` are consumed.
    count, connections : int
        Number of tiles, and of concurrent requests.
    """
    chosen, ms = list(islice(paths, count)), list[float]()
    before, began = await served.read_cost(), time.perf_counter()
    queue = iter(chosen)
    await asyncio.gather(*(_fetch_from_queue(served, queue, ms) for _ in range(connections)))
    wall_s, after = time.perf_counter() - began, await served.read_cost()
    if before.received is None or after.received is None:
        return TileTimes(ms=ms, wall_s=wall_s, mb_per_tile=None)
    return TileTimes(ms=ms, wall_s=wall_s, mb_per_tile=(after.received - before.received) / len(chosen) / 1e6)


async def _fetch_from_queue(served: MeasuredServer, queue: Iterator[str], ms: list[float]) -> None:
    for path in queue:
        began = time.perf_counter()
        await served.fetch_tile(path)
        ms.append((time.perf_counter() - began) * 1000)


async def measure_view(served: MeasuredServer, paths: Sequence[str]) -> float:
    """Fetch all tiles of a view as a browser does, and return the time in milliseconds."""
    began, queue = time.perf_counter(), iter(paths)
    await asyncio.gather(*(_fetch_from_queue(served, queue, []) for _ in range(VIEW_CONNECTIONS)))
    return (time.perf_counter() - began) * 1000


async def measure_growth(served: MeasuredServer, paths: Iterator[str], tiles: int, connections: int) -> float:
    """Return the relative growth of the server's memory over the second half of some tiles.

    Parameters
    ----------
    served : MeasuredServer
        Server.
    paths : iterator of str
        Paths of tiles.
    tiles, connections : int
        Number of tiles, and of concurrent requests.
    """
    await fetch_all(served, paths, tiles // 2, connections)
    before = await served.read_cost()
    await fetch_all(served, paths, tiles // 2, connections)
    return (await served.read_cost()).rss / before.rss - 1
