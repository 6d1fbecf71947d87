"""What overviews cost: their share of the time in which a block is computed, and of its memory."""

from __future__ import annotations

import time

from dask.local import get_sync

from compute.engine import Block
from compute.engine.overview_levels import build_levels
from compute.plan import NdviPlan, level_count
from compute.result.stack import build_stack
from tests.benchmarks.input import InputSpec
from tests.benchmarks.places import Say, open_input

_DATES = 12


def overview_shares(size: int, say: Say) -> dict[str, float]:
    """Compute a small result from scenes in this thread, and build the levels of its blocks once more by themselves.

    Parameters
    ----------
    size : int
        Pixels along each edge of a date.
    say : callable
        Told in a few words what is done.

    Returns
    -------
    dict
        ``overview_time_share``: the time in which levels are built / that of everything else that blocks do, reading
        included. ``overview_memory_share``: bytes of levels / bytes of means and counts.

    Raises
    ------
    InputError
        A number is out of bounds, or there is too little room.
    GreenupError
        The index or the computation failed.
    """
    with open_input(InputSpec(dates=_DATES, size=size), None, say) as (bench, _, _):
        say("Blocks and their overviews are computed")
        _compute(bench.corner.albers)
        began = time.perf_counter()
        blocks = _compute(bench.whole.albers)
        computing_s = time.perf_counter() - began
    levels = level_count(bench.whole.albers.grid.shape)
    began = time.perf_counter()
    for block in blocks:
        build_levels(block.ndvi_mean, block.clear_count, levels)
    building_s = time.perf_counter() - began
    base = sum(block.ndvi_mean.nbytes + block.clear_count.nbytes for block in blocks)
    above = sum(level.nbytes for block in blocks for level in block.levels)
    return {
        "overview_time_share": building_s / (computing_s - building_s),
        "overview_memory_share": above / base,
    }


def _compute(plan: NdviPlan) -> list[Block]:
    stack = build_stack(plan, "bench")
    found: list[Block] = get_sync(stack.graph, stack.keys)
    return found
