"""Comparison of the contenders' results: means of a sample of pixels, computed outside of any measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.plan import NdviPlan
from compute.scenes import Grid
from tests.benchmarks.contenders import Contender
from tests.benchmarks.exact import compute_exact_means
from tests.benchmarks.places import BenchmarkInput
from tests.notebook_recipe import recipe

SAMPLE_PX = 512
"""Edge of the sample that is compared with the exact reference, in pixels of EPSG:3577."""

WITHIN = 1e-4
"""Difference in NDVI that counts as equal: the step of the stored values."""

Span = tuple[slice, slice]
Seasons = Mapping[str, NDArray[np.float64]]


class Agreement:
    """Collects the means of the contenders at the sampled pixels, and compares them at the end.

    Parameters
    ----------
    bench : BenchmarkInput
        Indexed input.
    """

    def __init__(self, bench: BenchmarkInput) -> None:
        self._bench = bench
        plan = bench.whole.albers
        self._sample = _find_central_window(plan.grid.shape, SAMPLE_PX)
        self._block = _find_central_block(plan)
        self._seen: dict[str, Seasons] = {}
        self.area_means: dict[str, float] = {}

    async def collect_means(self, contender: Contender, result: Any, client: Any) -> None:
        """Compute the mean over all pixels and the sampled pixels of a finished result.

        Parameters
        ----------
        contender : Contender
            Contender that computed the result.
        result : object
            Result of its `run`.
        client : distributed.Client
            Asynchronous client.
        """
        means = contender.select_means(result)
        if means is None:
            return
        self.area_means[contender.name] = float(await client.compute(means.mean()))
        span = {"greenup_albers": self._sample, "recipe_untuned": self._sample, "greenup_albers_odc": self._block}
        if contender.name in span:
            self._seen[contender.name] = await _compute_window(means, span[contender.name], client)

    async def compute_report(self, client: Any) -> dict[str, Any]:
        """Return the comparisons, ready for JSON, after computing the two references.

        Returns
        -------
        dict
            Shares refer to the pixels and seasons for which either side has a mean. `odc_reader_unmatched` counts those
            for which only one of reader and recipe has a mean.
        """
        exact = compute_exact_means(self._bench.scenes, _cut_grid(self._bench.whole.albers.grid, self._sample))
        difference = _compute_differences(self._seen["greenup_albers_odc"], await self._compute_recipe(client))
        either = difference[~np.isnan(difference)]
        return {
            "albers_share_within_1e-4": _compute_share_within(self._seen["greenup_albers"], exact),
            "recipe_share_within_1e-4": _compute_share_within(self._seen["recipe_untuned"], exact),
            "odc_reader_max_abs": float(either[np.isfinite(either)].max(initial=0.0)),
            "odc_reader_unmatched": int(np.isinf(either).sum()),
            "sample_px": [span.stop - span.start for span in self._sample],
            "odc_reader_px": [span.stop - span.start for span in self._block],
        }

    async def _compute_recipe(self, client: Any) -> Seasons:
        """Compute the recipe of the original notebook for the compared chunk, on the chunks of the plan."""
        plan = self._bench.plan_region(self._bench.whole.region, "EPSG:3577", reader="odc")
        chunk_shape = plan.chunks[0][0], plan.chunks[1][0]
        lazy = recipe(self._bench.datacube, plan.request, plan.roles, plan.grid, chunk_shape)
        return await _compute_window(lazy["ndvi_mean"], self._block, client)


def _find_central_window(shape: tuple[int, int], edge: int) -> Span:
    rows, columns = (slice(max(0, (size - edge) // 2), min(size, (size + edge) // 2)) for size in shape)
    return rows, columns


def _find_central_block(plan: NdviPlan) -> Span:
    rows, columns = (_find_middle_chunk(sizes) for sizes in plan.chunks)
    return rows, columns


def _find_middle_chunk(sizes: tuple[int, ...]) -> slice:
    number = len(sizes) // 2
    return slice(sum(sizes[:number]), sum(sizes[: number + 1]))


def _cut_grid(grid: Grid, span: Span) -> Grid:
    rows, columns = span
    dx, _, left, _, dy, top = grid.transform
    transform = (dx, 0.0, left + dx * columns.start, 0.0, dy, top + dy * rows.start)
    return replace(grid, shape=(rows.stop - rows.start, columns.stop - columns.start), transform=transform)


async def _compute_window(means: xr.DataArray, span: Span, client: Any) -> Seasons:
    part = await client.compute(means.isel(y=span[0], x=span[1]))
    return {str(label): part.sel(season=label).values.astype(np.float64) for label in part.season.values}


def _compute_share_within(ours: Seasons, exact: Seasons) -> float:
    differences = _compute_differences(ours, exact)
    either = differences[~np.isnan(differences)]
    return float(np.mean(either <= WITHIN)) if either.size else 0.0


def _compute_differences(one: Seasons, other: Seasons) -> NDArray[np.float64]:
    """Return the differences of all pixels and seasons: NaN if neither has a mean, infinite if only one has."""
    return np.concatenate([_compute_difference(one[label], other[label]).ravel() for label in sorted(one)])


def _compute_difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    distance = np.abs(one - other)
    return np.where(np.isnan(one) != np.isnan(other), np.inf, distance)
