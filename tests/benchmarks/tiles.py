"""Benchmark `tiles`: tiles of finished results over HTTP, beside what else shows them, in the same run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any

import numpy as np

from compute.errors import InputError
from tests.benchmarks import gateway
from tests.benchmarks.busy import arithmetic, occupied
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.overviews import overview_shares
from tests.benchmarks.results import Synthetic
from tests.benchmarks.rivals import Rivals
from tests.benchmarks.serving import Holder, Served
from tests.benchmarks.timing import Timed, fetch_all, growth, percentile, view_ms
from tests.benchmarks.walks import Look, looks, sights, tile_boxes, walk

SIZES = (4096, 8192, 16384)
"""Edges of the results, in pixels."""

MANY = 8
"""Connections of the walk under load."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How much is measured.

    Attributes
    ----------
    tiles : int
        Tiles of a walk, at each zoom and number of connections.
    pans : int
        Views of each zoom.
    naive : int
        Tiles taken by label of each zoom.
    endurance : int
        Tiles over which memory must not grow.
    scenes_px : int
        Edge of the scenes that tell what overviews cost, in pixels.
    """

    tiles: int
    pans: int
    naive: int
    endurance: int
    scenes_px: int


THOROUGH = Effort(tiles=200, pans=10, naive=5, endurance=2000, scenes_px=2000)
QUICK = Effort(tiles=10, pans=1, naive=1, endurance=40, scenes_px=512)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What one zoom of one result showed, in milliseconds where nothing else is said.

    Attributes
    ----------
    one, many : Timed
        Tiles, one and eight at a time.
    views, pans, naive : list of float
        Views over HTTP, the same by hvPlot, and tiles taken by label.
    """

    one: Timed
    many: Timed
    views: Sequence[float]
    pans: Sequence[float]
    naive: Sequence[float]

    def figures(self) -> dict[str, float | None]:
        """Return its figures, ready for JSON."""
        received = self.one.mb_per_tile
        return {
            "p50_c1_ms": round(percentile(self.one.ms, 50), 3),
            "p95_c1_ms": round(percentile(self.one.ms, 95), 3),
            "p50_c8_ms": round(percentile(self.many.ms, 50), 3),
            "p95_c8_ms": round(percentile(self.many.ms, 95), 3),
            "tiles_per_s": round(self.many.tiles_per_s, 1),
            "mb_per_tile": None if received is None else round(received, 4),
            "viewport_ms": round(median(self.views), 2),
            "hvplot_ms": round(median(self.pans), 2),
            "naive_tile_ms": round(median(self.naive), 2),
        }


Sights = dict[tuple[int, str], Seen]
"""By size and name of the zoom."""


def bench_tiles(sizes: Sequence[int] = SIZES, *, quick: bool = False, say: Say) -> dict[str, Any]:
    """Explore results of several sizes, and compare.

    Parameters
    ----------
    sizes : sequence of int
        Pixels along each edge.
    quick : bool
        Whether a twentieth of the tiles are enough: figures say little then.
    say : callable
        Told in a few words what is done.

    Returns
    -------
    dict
        Ready for JSON, times in milliseconds and memory in units of 10**6 bytes:

        - ``ratios``: of the largest size, ``viewport_full`` and ``viewport_native``, the time of all tiles of a view at
          six connections / that of hvPlot's pan to it; ``flatness``, the largest / the smallest median of a walk, over
          sizes and zooms, one tile at a time
        - ``tile_ms``: ``p50_c1`` and ``p95_c8`` over all sizes and zooms; ``gateway_p50_c1`` over the zooms of the
          smallest size on a Gateway, None where none is installed, which ``reasons`` say; ``kept_p50_c1`` likewise,
          read from its checkpoint
        - ``tiles_per_s`` eight at a time, over all; ``mb_per_tile`` that the server process received in the walk with
          most
        - ``busy_p50_ms`` one at a time on the largest size, every thread of the workers in tasks of a second
        - ``overview_time_share``, ``overview_memory_share``: see `overview_shares`
        - ``rss_mb`` and ``rss_growth`` of the server process, its scheduler included, over the second half of so many
          tiles
        - ``walks`` by size and zoom, and ``machine``

    Raises
    ------
    InputError
        A size is out of bounds, or the result does not fit the memory here.
    GreenupError
        A server, a cluster or the index failed.
    """
    results = [Synthetic(shape=(size, size)) for size in sorted(set(sizes))]
    if not results:
        raise InputError("size", "Give at least one --size.")
    results[-1].refuse_if_too_large()
    effort = QUICK if quick else THOROUGH
    shares = overview_shares(effort.scenes_px, say)
    return asyncio.run(_run(results, effort, say)) | {name: round(share, 4) for name, share in shares.items()}


async def _run(results: Sequence[Synthetic], effort: Effort, say: Say) -> dict[str, Any]:
    random, seen = np.random.default_rng(1), Sights()
    say("The server is started")
    async with Served.start("local") as served:
        for result in results:
            say(f"{result.shape[0]} px: the result is made")
            holder = await served.hold(result)
            seen |= await _explore(served, result, holder, effort, random, say)
        say("Workers are kept busy")
        native = walk(looks(results[-1].grid)[0], random)
        async with occupied(holder, arithmetic):
            busy = await fetch_all(served, native, effort.tiles // 2, 1)
        say(f"{effort.endurance} tiles are fetched")
        grown = await growth(served, native, effort.endurance, MANY)
        cost = await served.cost()
        say("Tiles are fetched from a checkpoint")
        await served.hold(results[0], kept=True)
        from_store = await _p50(served, results[0], effort, random)
    on_gateway, reasons = await _gateway_p50(results[0], effort, random, say)
    return {
        "machine": describe_machine(holder.workers, holder.threads, holder.memory_bytes),
        **_summary(seen, results[-1].shape[0]),
        "tile_ms": _tile_ms(seen) | {"gateway_p50_c1": on_gateway, "kept_p50_c1": from_store},
        "busy_p50_ms": round(percentile(busy.ms, 50), 3),
        "rss_mb": round(cost.rss / 1e6, 1),
        "rss_growth": round(grown, 4),
        "reasons": reasons,
    }


async def _explore(
    served: Served, result: Synthetic, holder: Holder, effort: Effort, random: np.random.Generator, say: Say
) -> Sights:
    size, found = result.shape[0], Sights()
    rivals = await asyncio.to_thread(Rivals.open, result, holder)
    try:
        for look in looks(result.grid):
            say(f"{size} px: tiles at zoom {look.zoom} ({look.name})")
            found[size, look.name] = await _see(served, rivals, look, effort, random)
    finally:
        await asyncio.to_thread(rivals.close)
    return found


async def _see(served: Served, rivals: Rivals, look: Look, effort: Effort, random: np.random.Generator) -> Seen:
    paths = walk(look, random)
    # Connections are opened, and where blocks lie is asked.
    await fetch_all(served, paths, effort.tiles, MANY)
    one, many = [await fetch_all(served, paths, effort.tiles, connections) for connections in (1, MANY)]
    views, pans = list[float](), list[float]()
    for sight in islice(sights(look, random), effort.pans + 1):
        views.append(await view_ms(served, sight.paths))
        pans.append(await asyncio.to_thread(rivals.pan_ms, sight.box))
    boxes = islice(tile_boxes(look, random), effort.naive + 1)
    naive = [await asyncio.to_thread(rivals.tile_ms, box) for box in boxes]
    # The first of each warms up whatever is to be loaded.
    return Seen(one=one, many=many, views=views[1:], pans=pans[1:], naive=naive[1:])


async def _gateway_p50(
    result: Synthetic, effort: Effort, random: np.random.Generator, say: Say
) -> tuple[float | None, dict[str, str]]:
    """Return the median of a walk through a Gateway, and why there is none."""
    if not gateway.is_installed():
        return None, {"gateway_p50_c1": gateway.NOT_INSTALLED}
    say("A Gateway is started")
    async with gateway.running_gateway() as environment, Served.start("gateway", environment) as served:
        await served.hold(result)
        return await _p50(served, result, effort, random), {}


async def _p50(served: Served, result: Synthetic, effort: Effort, random: np.random.Generator) -> float:
    """Return the median of walks at all zooms."""
    ms = list[float]()
    for look in looks(result.grid):
        paths = walk(look, random)
        await fetch_all(served, paths, effort.tiles, 1)
        ms += (await fetch_all(served, paths, effort.tiles, 1)).ms
    return round(percentile(ms, 50), 3)


def _tile_ms(seen: Sights) -> dict[str, float | None]:
    return {
        "p50_c1": round(percentile([ms for each in seen.values() for ms in each.one.ms], 50), 3),
        "p95_c8": round(percentile([ms for each in seen.values() for ms in each.many.ms], 95), 3),
    }


def _summary(seen: Sights, largest: int) -> dict[str, Any]:
    medians = [percentile(each.one.ms, 50) for each in seen.values()]
    received = [each.one.mb_per_tile for each in seen.values() if each.one.mb_per_tile is not None]
    many = [each.many for each in seen.values()]
    walks: dict[str, dict[str, Any]] = {}
    for (size, name), each in seen.items():
        walks.setdefault(str(size), {})[name] = each.figures()
    return {
        "walks": walks,
        "ratios": {
            "viewport_full": _viewport(seen[largest, "full"]),
            "viewport_native": _viewport(seen[largest, "native"]),
            "flatness": round(max(medians) / min(medians), 4),
        },
        "tiles_per_s": round(sum(len(each.ms) for each in many) / sum(each.wall_s for each in many), 1),
        "mb_per_tile": round(max(received), 4) if received else None,
    }


def _viewport(seen: Seen) -> float:
    return round(median(seen.views) / median(seen.pans), 4)
