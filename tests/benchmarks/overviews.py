"""Cost of overviews: their share of the time and memory of a block."""

from __future__ import annotations

import time

from dask.local import get_sync

from compute.engine import Block
from compute.engine.overview_levels import build_levels
from compute.plan import NdviPlan, level_count
from compute.result.stack import build_stack
from tests.benchmarks.input import InputSpec
from tests.benchmarks.places import ShowStatus, open_input

_DATES = 12


def measure_overview_shares(size: int, show_status: ShowStatus) -> dict[str, float]:
    """Compute a small result from scenes in this thread, then build the levels of its blocks again on their own.

    Parameters
    ----------
    size : int
        Pixels along each edge of a date.
    show_status : callable
        Called with a short description of each step.

    Returns
    -------
    dict
        ``overview_time_share``: time to build levels / time of everything else that a block does, reading included.
        ``overview_memory_share``: bytes of levels / bytes of means and counts.

    Raises
    ------
    InputError
        A number is out of bounds, or there is too little disk space.
    GreenupError
        The index or the computation failed.
    """
    with open_input(InputSpec(dates=_DATES, size=size), None, show_status) as (bench, _, _):
        show_status("Blocks and their overviews are computed")
        _compute_blocks(bench.corner.albers)
        began = time.perf_counter()
        blocks = _compute_blocks(bench.whole.albers)
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


def _compute_blocks(plan: NdviPlan) -> list[Block]:
    stack = build_stack(plan, "bench")
    found: list[Block] = get_sync(stack.graph, stack.keys)
    return found
