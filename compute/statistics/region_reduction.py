"""Statistics of a region of a result, reduced on the workers from an overview level that limits the work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from distributed import Client, Future
from numpy.typing import NDArray

from compute.cluster.bounded_waits import cancel_unfinished, limit_wait
from compute.engine import HeldBlock
from compute.engine.overview_levels import LAYER_ENCODING
from compute.request.region import Region
from compute.result.chunk_windows import chunk_window
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import block_key
from compute.scenes.pixel_frames import ResultWindow
from compute.statistics.distributions import M2_PER_HA, AreaDistribution, compare, describe
from compute.statistics.pixel_areas import pixel_areas
from compute.statistics.region_placement import RegionOnGrid, place_region
from compute.statistics.season_totals import BATCH_BLOCKS, RETRIES

SAMPLE_PX = 256
"""Edge in pixels of the sample of each block that is also reduced at level 0, to measure the error of the level."""

_PATIENCE_S, _AHEAD = 60.0, 1_000
"""Seconds until a request fails; and Dask priority, above that of the blocks of any computation because the tasks are
short."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegionSums:
    """Sums of a part of one season in a region.

    Attributes
    ----------
    inside : float
        Area inside the region, in square metres.
    pending : float
        Area inside the region that is not computed yet, in square metres.
    spread : AreaDistribution
        Distribution of the clear area, from the reduced level.
    fine, coarse : AreaDistribution
        Distributions of the samples, from level 0 and from the reduced level.
    """

    inside: float
    pending: float
    spread: AreaDistribution
    fine: AreaDistribution
    coarse: AreaDistribution


async def region_statistics(stack: SeasonStack, client: Client, region: Region) -> dict[str, Any]:
    """Compute statistics of a region on the workers; only distributions of area are transferred.

    Parameters
    ----------
    stack : SeasonStack
        Stack persisted on the cluster of `client`, complete or not.
    client : distributed.Client
        Asynchronous client of this event loop.
    region : Region
        Region in degrees. A pixel belongs to the region if its centre lies inside.

    Returns
    -------
    dict
        Values for JSON: ``level`` (a pixel of the level covers 2**level by 2**level pixels of the result) and
        ``seasons``, a list of dicts with ``label``, ``area_ha`` (area inside region and result),
        ``not_computed_share`` (share of that area), ``error`` and the items of
        `compute.statistics.distributions.describe`. ``error`` has the differences between the level and level 0 in a
        sample of every block (`compute.statistics.distributions.compare`; zeros at level 0) and ``measured_share``
        (share of the clear area in the samples), or is None if no sample has clear pixels.

    Raises
    ------
    InputError
        The region does not meet the result, or does not fit the CRS of the result.
    ClusterError
        The cluster is lost, or does not respond within a minute.
    """
    cut, places = place_region(stack, region)
    seasons: list[Future[RegionSums]] = []
    try:
        async with limit_wait(_PATIENCE_S, "a region was reduced"):
            workers = list(await client.nthreads())
            for season in range(len(stack.labels)):
                seasons += [await _submit_season(stack, client, season, places, cut, workers)]
            return region_report(stack, cut, await client.gather(seasons))
    finally:
        await cancel_unfinished(client, seasons)


def region_report(stack: SeasonStack, cut: RegionOnGrid, parts: Sequence[RegionSums]) -> dict[str, Any]:
    """Return the dict of `region_statistics` from the sums of each season.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    cut : RegionOnGrid
        Region and reduced level.
    parts : sequence of RegionSums
        Sums of each season, in the order of the labels.
    """
    return {
        "level": cut.level,
        "seasons": [_season_report(label, part, cut.level) for label, part in zip(stack.labels, parts, strict=True)],
    }


def _season_report(label: str, part: RegionSums, level: int) -> dict[str, Any]:
    exact = {"ndvi_mean": 0.0, "percentile": 0.0, "class_share": 0.0, "measured_share": 1.0}
    measured = compare(part.fine, part.coarse)
    if measured is not None:
        measured["measured_share"] = part.fine.area / part.spread.area
    return {
        "label": label,
        "area_ha": part.inside / M2_PER_HA,
        "not_computed_share": part.pending / part.inside if part.inside else 0.0,
        "error": measured if level else exact,
        **describe(part.spread),
    }


def sum_block(block: HeldBlock | None, window: ResultWindow, cut: RegionOnGrid) -> RegionSums:
    """Compute the sums of the part of a block in a region.

    Parameters
    ----------
    block : HeldBlock or None
        Finished block; None if it is not computed yet.
    window : ResultWindow
        Window of the block.
    cut : RegionOnGrid
        Region and level to reduce.
    """
    areas = _areas_inside(window, cut, cut.level)
    inside = float(areas.sum())
    if block is None or not inside:
        return RegionSums(inside=inside, pending=inside, spread=_NONE, fine=_NONE, coarse=_NONE)
    spread = _spread_of(block, areas, cut.level)
    if not cut.level:
        return RegionSums(inside=inside, pending=0.0, spread=spread, fine=_NONE, coarse=_NONE)
    fine, coarse = _samples(block, window, cut, areas)
    return RegionSums(inside=inside, pending=0.0, spread=spread, fine=fine, coarse=coarse)


def join_sums(parts: Sequence[RegionSums]) -> RegionSums:
    """Merge the sums of one or more parts of a season."""
    spreads = {
        name: AreaDistribution.merge([getattr(each, name) for each in parts]) for name in ("spread", "fine", "coarse")
    }
    return RegionSums(inside=sum(each.inside for each in parts), pending=sum(each.pending for each in parts), **spreads)


_NONE = AreaDistribution.from_pixels(np.empty(0, np.float32), np.empty(0), 0.0)


async def _submit_season(
    stack: SeasonStack,
    client: Client,
    season: int,
    places: Sequence[tuple[int, int]],
    cut: RegionOnGrid,
    workers: Sequence[str],
) -> Future[RegionSums]:
    # Tasks without `workers` are queued on the scheduler, and other tasks are then started first whatever the priority.
    ahead = {"priority": _AHEAD, "retries": RETRIES, "pure": False, "workers": workers, "allow_other_workers": True}
    joined = []
    for start in range(0, len(places), BATCH_BLOCKS):
        batch = places[start : start + BATCH_BLOCKS]
        blocks = [_finished(stack.graph, block_key(stack.token, season, *place)) for place in batch]
        windows = [chunk_window(stack.chunks, *place) for place in batch]
        parts = [
            client.submit(sum_block, block, window, cut, **ahead) for block, window in zip(blocks, windows, strict=True)
        ]
        joined.append(client.submit(join_sums, parts, **ahead))
        await asyncio.sleep(0)
    return client.submit(join_sums, joined, **ahead)


def _finished(graph: Mapping[Any, Any], key: Any) -> Future[HeldBlock] | HeldBlock | None:
    """Return a finished block, which is on the workers or in a store, or None if it is not computed yet."""
    held: Future[HeldBlock] | HeldBlock | None = graph.get(key)
    return None if isinstance(held, Future) and held.status != "finished" else held


# Functions that run on a worker


def _areas_inside(window: ResultWindow, cut: RegionOnGrid, level: int) -> NDArray[np.float64]:
    """Return the (y, x) areas of the pixels of a level in a window, in square metres; 0 outside the region.

    The window must begin at the border of a level pixel. In the last row and column, only the parts of pixels inside
    the window are counted.
    """
    top, left, bottom, right = window
    size = 1 << level
    rows, columns = (_edges(*span, size) for span in ((top, bottom), (left, right)))
    centres = [(each[:-1] + each[1:]) / 2 for each in (rows, columns)]
    to_crs = Affine(*cut.grid.transform) * Affine.translation(left, top) * Affine.scale(size)
    shape = centres[0].size, centres[1].size
    inside = rasterio.features.geometry_mask([shapely.from_wkb(cut.polygon)], shape, to_crs, invert=True)
    if not inside.any():
        return np.zeros(shape)
    covered = np.diff(rows)[:, np.newaxis] * np.diff(columns)
    areas: NDArray[np.float64] = pixel_areas(cut.grid, window, *centres) * covered * inside
    return areas


def _edges(first: int, last: int, size: int) -> NDArray[np.float64]:
    return np.minimum(np.arange(first, last + size, size), last).astype(np.float64)


def _spread_of(block: HeldBlock, areas: NDArray[np.float64], level: int, part: Any = ...) -> AreaDistribution:
    """Return the distribution of the clear pixels of a level inside the region, from a whole block or a part of it."""
    ndvi, share, covered = _values(block, level)
    ndvi, share, areas = ndvi[part], share[part], areas[part]
    held = (share > 0) & (areas > 0)
    return AreaDistribution.from_pixels(ndvi[held], areas[held] * share[held], float(share[held].sum() * covered))


def _values(block: HeldBlock, level: int) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Return (y, x) NDVI of a level, (y, x) share of clear level-0 pixels, and level-0 pixels per level pixel."""
    if not level:
        return block.ndvi_mean, ~np.isnan(block.ndvi_mean), 1
    held = block.level(level)
    return held.ndvi_mean * LAYER_ENCODING["ndvi_mean"].scale, held.clear_share / 255.0, 4**level


def _samples(
    block: HeldBlock, window: ResultWindow, cut: RegionOnGrid, areas: NDArray[np.float64]
) -> tuple[AreaDistribution, AreaDistribution]:
    """Return distributions of a sample in the middle of the region's part of a block, from level 0 and `cut.level`."""
    size = max(1, SAMPLE_PX >> cut.level)
    rows, columns = (_middle(np.flatnonzero((areas > 0).any(axis=axis)), size) for axis in (1, 0))
    coarse = _spread_of(block, areas, cut.level, np.s_[rows[0] : rows[1], columns[0] : columns[1]])
    top, left, bottom, right = window
    first = top + (rows[0] << cut.level), left + (columns[0] << cut.level)
    last = min(top + (rows[1] << cut.level), bottom), min(left + (columns[1] << cut.level), right)
    fine_areas = _areas_inside(ResultWindow((*first, *last)), cut, 0)
    ndvi = block.ndvi_mean[first[0] - top : last[0] - top, first[1] - left : last[1] - left]
    held = ~np.isnan(ndvi) & (fine_areas > 0)
    return AreaDistribution.from_pixels(ndvi[held], fine_areas[held], float(held.sum())), coarse


def _middle(places: NDArray[np.int64], size: int) -> tuple[int, int]:
    """Return a span of at most `size` positions around the median of sorted positions."""
    first = max(int(places[0]), int(places[places.size // 2]) - size // 2)
    return first, min(first + size, int(places[-1]) + 1)
