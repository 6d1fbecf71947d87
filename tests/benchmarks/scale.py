"""Benchmark `scale`: tiles of the original notebook's largest result while the workers compute something else."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any

import numpy as np

from tests.benchmarks.busy import compute_another_block, keep_workers_busy
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.results import LABELS, SyntheticResult
from tests.benchmarks.serving import MeasuredServer
from tests.benchmarks.tiles import MANY, QUICK, THOROUGH, Effort, ShowStatus
from tests.benchmarks.timing import TileTimes, compute_percentile, fetch_all, measure_growth
from tests.benchmarks.walks import WalkZoom, draw_walk, find_walk_zooms

NOTEBOOK = (16_097, 13_672)
"""Rows and columns of the notebook's largest result: 3.3 GiB of means, and 6.8 GB with counts and levels."""

_QUICK_SHARE = 8
"""Divisor of each edge in a quick run."""


def bench_scale(*, quick: bool = False, show_status: ShowStatus) -> dict[str, Any]:
    """Persist the result on two workers, and fetch tiles along random walks.

    Parameters
    ----------
    quick : bool
        Whether to use an eighth of each edge and few tiles.
    show_status : callable
        Called with a short description of each step.

    Returns
    -------
    dict
        Ready for JSON. ``shape`` (season, y, x); ``held_mb``, its memory on the workers; ``tile_ms`` (``p50_c1``,
        ``p95_c1``, ``p50_c8``, ``p95_c8`` over all zooms) and ``tiles_per_s``, while every thread computes blocks of
        something else; ``walks`` by zoom; ``rss_mb`` and ``rss_growth`` (over the second half of the tiles) of the
        server process with its scheduler; and ``machine``.

    Raises
    ------
    InputError
        The result exceeds the memory of this machine.
    GreenupError
        The server or its cluster failed.
    """
    rows, columns = (length // (_QUICK_SHARE if quick else 1) for length in NOTEBOOK)
    result = SyntheticResult(shape=(rows, columns))
    result.refuse_if_over_memory()
    return asyncio.run(_run(result, QUICK if quick else THOROUGH, show_status))


async def _run(result: SyntheticResult, effort: Effort, show_status: ShowStatus) -> dict[str, Any]:
    random = np.random.default_rng(1)
    show_status("The server is started")
    async with MeasuredServer.run_server("local") as served:
        show_status("The result is made")
        holder = await served.hold_result(result)
        async with keep_workers_busy(holder, compute_another_block):
            walks = {}
            for look in find_walk_zooms(result.grid):
                show_status(f"Tiles at zoom {look.zoom} ({look.name}), while the workers compute")
                walks[look.name] = await _measure_walk(served, look, effort, random)
            show_status(f"{effort.endurance} tiles are fetched, while the workers compute")
            grown = await measure_growth(
                served, draw_walk(find_walk_zooms(result.grid)[0], random), effort.endurance, MANY
            )
            cost = await served.read_cost()
    return {
        "machine": describe_machine(holder.workers, holder.threads, holder.memory_bytes),
        "shape": [len(LABELS), *result.shape],
        "held_mb": round(result.held_bytes / 1e6, 1),
        **_summarise_walks(list(walks.values())),
        "walks": {name: _summarise_walks([each]) for name, each in walks.items()},
        "rss_mb": round(cost.rss / 1e6, 1),
        "rss_growth": round(grown, 4),
    }


async def _measure_walk(
    served: MeasuredServer, look: WalkZoom, effort: Effort, random: np.random.Generator
) -> tuple[TileTimes, TileTimes]:
    """Return the times of tiles fetched one and eight at a time."""
    paths = draw_walk(look, random)
    await fetch_all(served, paths, effort.tiles, MANY)
    one, many = [await fetch_all(served, paths, effort.tiles, connections) for connections in (1, MANY)]
    return one, many


def _summarise_walks(walks: list[tuple[TileTimes, TileTimes]]) -> dict[str, Any]:
    one, many = ([each[which] for each in walks] for which in (0, 1))
    ms = {"c1": [*chain.from_iterable(each.ms for each in one)], "c8": [*chain.from_iterable(each.ms for each in many)]}
    names = [(share, connections) for connections in ms for share in (50, 95)]
    return {
        "tile_ms": {f"p{share}_{each}": round(compute_percentile(ms[each], share), 3) for share, each in names},
        "tiles_per_s": round(len(ms["c8"]) / sum(each.wall_s for each in many), 1),
    }
