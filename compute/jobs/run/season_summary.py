"""Season summary: statistics of each season from the tallies of its blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import prod
from typing import Any

import numpy as np

from compute.engine import Tally, polygon_mask
from compute.kernels import EVERY_INDEX
from compute.plan import BlockPlan, NdviPlan
from compute.result.store import Index
from compute.scenes import unique_unread


def season_tallies(tallies: Mapping[Index, Tally]) -> list[Tally]:
    """Merge the tallies of all blocks, given by (season, row, column), into one for each season."""
    seasons: dict[int, list[Tally]] = defaultdict(list)
    for (season, _, _), tally in sorted(tallies.items()):
        seasons[season].append(tally)
    return [Tally.merge(members) for members in seasons.values()]


def region_pixels(plan: NdviPlan) -> int:
    """Return the number of pixels of the output grid whose centres lie in the region.

    The outline is rasterised block by block, which takes about 20 ms for each block that it crosses.
    """
    return sum(_region_pixels(plan, block) for block in plan.blocks if block.season == plan.blocks[0].season)


def _region_pixels(plan: NdviPlan, block: BlockPlan) -> int:
    if block.polygon is None:
        return prod(plan.block_shape(block))
    return int(np.count_nonzero(polygon_mask(block.polygon, plan.block_grid(block))))


def season_numbers(plan: NdviPlan, tallies: Sequence[Tally]) -> list[dict[str, Any]]:
    """Return the statistics of each season, ready for JSON; see `compute.jobs.Computation.statistics`."""
    pixels = max(1, region_pixels(plan))
    return [
        {
            "label": label,
            "ndvi_mean": tally.total / tally.clear if tally.clear else None,
            "clear_share": tally.clear / pixels,
            "clear_count_max": tally.most,
            "scenes_failed": [asdict(each) for each in unique_unread(tally.failed)],
            "unphysical": tally.beyond[0],
            "out_of_range": tally.beyond[1],
            "remarks": sorted(tally.remarks),
            **_looks(plan, tally),
        }
        for label, tally in zip(plan.labels, tallies, strict=True)
    ]


def _looks(plan: NdviPlan, tally: Tally) -> dict[str, dict[str, int]]:
    names = ("clear", *plan.reasons)
    return {"looks": dict(zip(names, tally.looks, strict=True))} if tally.looks else {}


def result_remarks(plan: NdviPlan, statistics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return remarks for users on a finished result.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    statistics : sequence of mapping
        Statistics of each season, from `season_numbers`.
    """
    unphysical = sum(season["unphysical"] for season in statistics)
    out_of_range = sum(season["out_of_range"] for season in statistics)
    remarks = sorted({remark for season in statistics for remark in season["remarks"]})
    if unphysical:
        remarks.append(
            f"{unphysical:,} observations have an index outside -1 to 1; --index-range -1,1 leaves them out."
        )
    if out_of_range:
        limits = plan.request.index_range or EVERY_INDEX
        remarks.append(f"{out_of_range:,} observations outside {limits[0]:g} to {limits[1]:g} are left out.")
    return remarks
