"""Regional statistics of a stored result, without a cluster."""

from __future__ import annotations

import asyncio
from typing import Any

from compute.errors import JobError
from compute.request.region import Region
from compute.result.chunk_windows import chunk_window
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import block_key
from compute.result.store import StoredBlock
from compute.scenes.pixel_frames import ResultWindow
from compute.statistics import region_reduction
from compute.statistics.region_placement import RegionOnGrid, place_region
from compute.tiles.reader_processes import StoreReaders


async def stored_region_statistics(stack: SeasonStack, readers: StoreReaders, region: Region) -> dict[str, Any]:
    """Compute the dict of `compute.statistics.region_reduction.region_statistics` for a stored result.

    Parameters
    ----------
    stack : SeasonStack
        Result in which each finished block is a `StoredBlock`.
    readers : StoreReaders
        Processes that read and reduce the blocks.
    region : Region
        Region in degrees. A pixel belongs to the region if its centre lies inside.

    Raises
    ------
    InputError
        The region does not meet the result, or does not fit the CRS of the result.
    """
    cut, places = place_region(stack, region)

    async def season_part(season: int) -> region_reduction.RegionSums:
        blocks = [stack.graph.get(block_key(stack.token, season, *place)) for place in places]
        windows = [chunk_window(stack.chunks, *place) for place in places]
        parts = [readers.reduce(_part_of, *each, cut) for each in zip(blocks, windows, strict=True)]
        return region_reduction.join_sums(await asyncio.gather(*parts))

    return region_reduction.region_report(
        stack, cut, [await season_part(season) for season in range(len(stack.labels))]
    )


def _part_of(block: StoredBlock | None, window: ResultWindow, cut: RegionOnGrid) -> region_reduction.RegionSums:
    try:
        return region_reduction.sum_block(block, window, cut)
    except JobError:
        # A damaged block is treated as not computed, as for tiles.
        return region_reduction.sum_block(None, window, cut)
