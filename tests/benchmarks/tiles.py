"""Benchmark `tiles`: tiles of finished results over HTTP, compared with alternatives in the same run."""

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
from tests.benchmarks.busy import keep_workers_busy, run_arithmetic
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.overviews import measure_overview_shares
from tests.benchmarks.results import SyntheticResult
from tests.benchmarks.rivals import Alternatives
from tests.benchmarks.serving import HeldResult, MeasuredServer
from tests.benchmarks.timing import TileTimes, compute_percentile, fetch_all, measure_growth, measure_view
from tests.benchmarks.walks import WalkZoom, draw_tile_boxes, draw_views, draw_walk, find_walk_zooms

SIZES = (4096, 8192, 16384)
"""Edges of the results in pixels."""

MANY = 8
"""Connections of the walk under load."""

ShowStatus = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """Number of measurements.

    Attributes
    ----------
    tiles : int
        Tiles of a walk, for each zoom and number of connections.
    pans : int
        Views of each zoom.
    naive : int
        Tiles of each zoom that are selected by label.
    endurance : int
        Tiles over which the memory of the server is observed.
    scenes_px : int
        Edge of the scenes for the cost of overviews, in pixels.
    """

    tiles: int
    pans: int
    naive: int
    endurance: int
    scenes_px: int


THOROUGH = Effort(tiles=200, pans=10, naive=5, endurance=2000, scenes_px=2000)
QUICK = Effort(tiles=10, pans=1, naive=1, endurance=40, scenes_px=512)


@dataclass(frozen=True, kw_only=True, slots=True)
class ZoomFigures:
    """Measurements at one zoom of one result, in milliseconds unless stated otherwise.

    Attributes
    ----------
    one, many : TileTimes
        Tiles fetched one and eight at a time.
    views, pans, naive : list of float
        Views over HTTP, the same views by hvPlot, and tiles selected by label.
    """

    one: TileTimes
    many: TileTimes
    views: Sequence[float]
    pans: Sequence[float]
    naive: Sequence[float]

    def summarise(self) -> dict[str, float | None]:
        """Return medians and percentiles, ready for JSON."""
        received = self.one.mb_per_tile
        return {
            "p50_c1_ms": round(compute_percentile(self.one.ms, 50), 3),
            "p95_c1_ms": round(compute_percentile(self.one.ms, 95), 3),
            "p50_c8_ms": round(compute_percentile(self.many.ms, 50), 3),
            "p95_c8_ms": round(compute_percentile(self.many.ms, 95), 3),
            "tiles_per_s": round(self.many.tiles_per_s, 1),
            "mb_per_tile": None if received is None else round(received, 4),
            "viewport_ms": round(median(self.views), 2),
            "hvplot_ms": round(median(self.pans), 2),
            "naive_tile_ms": round(median(self.naive), 2),
        }


FiguresByZoom = dict[tuple[int, str], ZoomFigures]
"""Measurements by size of the result and name of the zoom."""


def bench_tiles(sizes: Sequence[int] = SIZES, *, quick: bool = False, show_status: ShowStatus) -> dict[str, Any]:
    """Measure tiles of several results, and compare them with the alternatives.

    Parameters
    ----------
    sizes : sequence of int
        Pixels along each edge.
    quick : bool
        Whether to fetch a twentieth of the tiles, which checks that the benchmark runs.
    show_status : callable
        Called with a short description of each step.

    Returns
    -------
    dict
        Ready for JSON, times in milliseconds and memory in units of 10**6 bytes:

        - ``ratios``: of the largest size, ``viewport_full`` and ``viewport_native``, the time of all tiles of a view
        over
          six connections / the time of hvPlot's pan to it; ``flatness``, the largest / the smallest median of a walk
          with one connection, over sizes and zooms
        - ``tile_ms``: ``p50_c1`` and ``p95_c8`` over all sizes and zooms; ``gateway_p50_c1`` of the smallest size on a
          Gateway, None if none is installed, with the reason in ``reasons``; ``kept_p50_c1`` of the smallest size from
          its checkpoint
        - ``tiles_per_s``: with eight connections, over all walks; ``mb_per_tile``: received by the server process, in
        the
          walk with the most
        - ``busy_p50_ms``: with one connection on the largest size, while every thread of the workers is busy -
        ``overview_time_share``, ``overview_memory_share``: see `measure_overview_shares` - ``rss_mb``, ``rss_growth``:
        of the server process with its scheduler, over the second half of the endurance tiles - ``walks`` by size and
        zoom, and ``machine``

    Raises
    ------
    InputError
        A size is out of bounds, or the result exceeds the memory of this machine.
    GreenupError
        A server, a cluster or the index failed.
    """
    results = [SyntheticResult(shape=(size, size)) for size in sorted(set(sizes))]
    if not results:
        raise InputError("size", "Give at least one --size.")
    results[-1].refuse_if_over_memory()
    effort = QUICK if quick else THOROUGH
    shares = measure_overview_shares(effort.scenes_px, show_status)
    return asyncio.run(_run(results, effort, show_status)) | {name: round(share, 4) for name, share in shares.items()}


async def _run(results: Sequence[SyntheticResult], effort: Effort, show_status: ShowStatus) -> dict[str, Any]:
    random, seen = np.random.default_rng(1), FiguresByZoom()
    show_status("The server is started")
    async with MeasuredServer.run_server("local") as served:
        for result in results:
            show_status(f"{result.shape[0]} px: the result is made")
            holder = await served.hold_result(result)
            seen |= await _measure_result(served, result, holder, effort, random, show_status)
        show_status("Workers are kept busy")
        native = draw_walk(find_walk_zooms(results[-1].grid)[0], random)
        async with keep_workers_busy(holder, run_arithmetic):
            busy = await fetch_all(served, native, effort.tiles // 2, 1)
        show_status(f"{effort.endurance} tiles are fetched")
        grown = await measure_growth(served, native, effort.endurance, MANY)
        cost = await served.read_cost()
        show_status("Tiles are fetched from a checkpoint")
        await served.hold_result(results[0], kept=True)
        from_store = await _measure_median(served, results[0], effort, random)
    on_gateway, reasons = await _measure_on_gateway(results[0], effort, random, show_status)
    return {
        "machine": describe_machine(holder.workers, holder.threads, holder.memory_bytes),
        **_summarise_zooms(seen, results[-1].shape[0]),
        "tile_ms": _summarise_tile_times(seen) | {"gateway_p50_c1": on_gateway, "kept_p50_c1": from_store},
        "busy_p50_ms": round(compute_percentile(busy.ms, 50), 3),
        "rss_mb": round(cost.rss / 1e6, 1),
        "rss_growth": round(grown, 4),
        "reasons": reasons,
    }


async def _measure_result(
    served: MeasuredServer,
    result: SyntheticResult,
    holder: HeldResult,
    effort: Effort,
    random: np.random.Generator,
    show_status: ShowStatus,
) -> FiguresByZoom:
    size, found = result.shape[0], FiguresByZoom()
    rivals = await asyncio.to_thread(Alternatives.open, result, holder)
    try:
        for look in find_walk_zooms(result.grid):
            show_status(f"{size} px: tiles at zoom {look.zoom} ({look.name})")
            found[size, look.name] = await _measure_zoom(served, rivals, look, effort, random)
    finally:
        await asyncio.to_thread(rivals.close)
    return found


async def _measure_zoom(
    served: MeasuredServer, rivals: Alternatives, look: WalkZoom, effort: Effort, random: np.random.Generator
) -> ZoomFigures:
    paths = draw_walk(look, random)
    # Warm up: open the connections, and look up the positions of the blocks.
    await fetch_all(served, paths, effort.tiles, MANY)
    one, many = [await fetch_all(served, paths, effort.tiles, connections) for connections in (1, MANY)]
    views, pans = list[float](), list[float]()
    for sight in islice(draw_views(look, random), effort.pans + 1):
        views.append(await measure_view(served, sight.paths))
        pans.append(await asyncio.to_thread(rivals.measure_pan, sight.box))
    boxes = islice(draw_tile_boxes(look, random), effort.naive + 1)
    naive = [await asyncio.to_thread(rivals.measure_tile, box) for box in boxes]
    # The first measurement of each includes imports, so it is dropped.
    return ZoomFigures(one=one, many=many, views=views[1:], pans=pans[1:], naive=naive[1:])


async def _measure_on_gateway(
    result: SyntheticResult, effort: Effort, random: np.random.Generator, show_status: ShowStatus
) -> tuple[float | None, dict[str, str]]:
    """Return the median of walks through a Gateway, or None with the reason."""
    if not gateway.is_installed():
        return None, {"gateway_p50_c1": gateway.NOT_INSTALLED}
    show_status("A Gateway is started")
    async with gateway.run_gateway() as environment, MeasuredServer.run_server("gateway", environment) as served:
        await served.hold_result(result)
        return await _measure_median(served, result, effort, random), {}


async def _measure_median(
    served: MeasuredServer, result: SyntheticResult, effort: Effort, random: np.random.Generator
) -> float:
    """Return the median time of walks at all zooms, in milliseconds."""
    ms = list[float]()
    for look in find_walk_zooms(result.grid):
        paths = draw_walk(look, random)
        await fetch_all(served, paths, effort.tiles, 1)
        ms += (await fetch_all(served, paths, effort.tiles, 1)).ms
    return round(compute_percentile(ms, 50), 3)


def _summarise_tile_times(seen: FiguresByZoom) -> dict[str, float | None]:
    return {
        "p50_c1": round(compute_percentile([ms for each in seen.values() for ms in each.one.ms], 50), 3),
        "p95_c8": round(compute_percentile([ms for each in seen.values() for ms in each.many.ms], 95), 3),
    }


def _summarise_zooms(seen: FiguresByZoom, largest: int) -> dict[str, Any]:
    medians = [compute_percentile(each.one.ms, 50) for each in seen.values()]
    received = [each.one.mb_per_tile for each in seen.values() if each.one.mb_per_tile is not None]
    many = [each.many for each in seen.values()]
    walks: dict[str, dict[str, Any]] = {}
    for (size, name), each in seen.items():
        walks.setdefault(str(size), {})[name] = each.summarise()
    return {
        "walks": walks,
        "ratios": {
            "viewport_full": _compute_view_ratio(seen[largest, "full"]),
            "viewport_native": _compute_view_ratio(seen[largest, "native"]),
            "flatness": round(max(medians) / min(medians), 4),
        },
        "tiles_per_s": round(sum(len(each.ms) for each in many) / sum(each.wall_s for each in many), 1),
        "mb_per_tile": round(max(received), 4) if received else None,
    }


def _compute_view_ratio(seen: ZoomFigures) -> float:
    return round(median(seen.views) / median(seen.pans), 4)
