"""Benchmark `scale`: the notebook's largest result, explored while the workers compute something else."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any

import numpy as np

from tests.benchmarks.busy import another_block, occupied
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.results import LABELS, Synthetic
from tests.benchmarks.serving import Served
from tests.benchmarks.tiles import MANY, QUICK, THOROUGH, Effort, Say
from tests.benchmarks.timing import Timed, fetch_all, growth, percentile
from tests.benchmarks.walks import Look, looks, walk

NOTEBOOK = (16_097, 13_672)
"""Rows and columns of the notebook's largest result: 3.3 GiB of means, and 6.8 GB with counts and levels."""

_QUICK_SHARE = 8
"""Part of either edge that is enough to see that it runs."""


def bench_scale(*, quick: bool = False, say: Say) -> dict[str, Any]:
    """Persist the result on two workers and walk over it.

    Parameters
    ----------
    quick : bool
        Whether an eighth of either edge is enough, and few tiles.
    say : callable
        Told in a few words what is done.

    Returns
    -------
    dict
        Ready for JSON. ``shape`` (season, y, x), ``held_mb`` (memory that it takes on the workers), ``tile_ms``
        (``p50_c1``, ``p95_c1``, ``p50_c8``, ``p95_c8`` over all zooms) and ``tiles_per_s`` while every thread computes
        blocks of something else, ``walks`` by zoom, ``rss_mb`` and ``rss_growth`` of the server process, its scheduler
        included (over the second half of the tiles), and ``machine``.

    Raises
    ------
    InputError
        The result does not fit the memory here.
    GreenupError
        The server or its cluster failed.
    """
    rows, columns = (length // (_QUICK_SHARE if quick else 1) for length in NOTEBOOK)
    result = Synthetic(shape=(rows, columns))
    result.refuse_if_too_large()
    return asyncio.run(_run(result, QUICK if quick else THOROUGH, say))


async def _run(result: Synthetic, effort: Effort, say: Say) -> dict[str, Any]:
    random = np.random.default_rng(1)
    say("The server is started")
    async with Served.start("local") as served:
        say("The result is made")
        holder = await served.hold(result)
        async with occupied(holder, another_block):
            walks = {}
            for look in looks(result.grid):
                say(f"Tiles at zoom {look.zoom} ({look.name}), while the workers compute")
                walks[look.name] = await _walk(served, look, effort, random)
            say(f"{effort.endurance} tiles are fetched, while the workers compute")
            grown = await growth(served, walk(looks(result.grid)[0], random), effort.endurance, MANY)
            cost = await served.cost()
    return {
        "machine": describe_machine(holder.workers, holder.threads, holder.memory_bytes),
        "shape": [len(LABELS), *result.shape],
        "held_mb": round(result.held_bytes / 1e6, 1),
        **_figures(list(walks.values())),
        "walks": {name: _figures([each]) for name, each in walks.items()},
        "rss_mb": round(cost.rss / 1e6, 1),
        "rss_growth": round(grown, 4),
    }


async def _walk(served: Served, look: Look, effort: Effort, random: np.random.Generator) -> tuple[Timed, Timed]:
    """Return what tiles took one and eight at a time."""
    paths = walk(look, random)
    await fetch_all(served, paths, effort.tiles, MANY)
    one, many = [await fetch_all(served, paths, effort.tiles, connections) for connections in (1, MANY)]
    return one, many


def _figures(walks: list[tuple[Timed, Timed]]) -> dict[str, Any]:
    one, many = ([each[which] for each in walks] for which in (0, 1))
    ms = {"c1": [*chain.from_iterable(each.ms for each in one)], "c8": [*chain.from_iterable(each.ms for each in many)]}
    names = [(share, connections) for connections in ms for share in (50, 95)]
    return {
        "tile_ms": {f"p{share}_{each}": round(percentile(ms[each], share), 3) for share, each in names},
        "tiles_per_s": round(len(ms["c8"]) / sum(each.wall_s for each in many), 1),
    }
