"""Previews: the same request from overviews, against NumPy on those overviews, the full result, and the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling

from compute.catalog import OdcCatalog
from compute.demo import true_ndvi
from compute.plan import NdviPlan, make_plan, preview_plan
from compute.plan.output_grid import COARSEST_PX
from compute.plan.preview_planning import ENOUGH_LOOKS
from compute.products import Roles
from compute.request import NdviRequest
from compute.request.region import parse_geojson
from compute.result.stack import build_stack
from compute.scenes import Scene
from compute.settings import Settings
from tests.compute.engine.test_exact_reader import NODATA, Pixels, pixels_of
from tests.compute.engine.test_seasonal_means import TASMANIA, demo_request
from tests.fixtures.engine import DEMO_SPEC, compute_here, plan_of
from tests.fixtures.files import write_scene
from tests.strategies import request_of, roles_of, scene_of

YEAR = [scene_of(f"s{month:02}", f"2020-{month:02}-10T00:00:00") for month in range(1, 12)]


def planned(scenes: list[Scene], roles: Roles | None = None, **fields: Any) -> NdviPlan:
    return make_plan(request_of(**fields), scenes, {"landsat": roles or roles_of()}, Settings(chunk_px=256))


def preview_of(plan: NdviPlan, most_px: int = COARSEST_PX) -> NdviPlan:
    preview = preview_plan(plan, most_px)
    assert preview is not None
    return preview


# Its grid


@pytest.mark.parametrize("resolution", [None, 45.0])
def test_its_grid_is_the_results_coarsened_by_a_power_of_two(resolution: float | None) -> None:
    plan = planned(YEAR, resolution=resolution)
    for most in (1, 2, 63, 64, 65, 700, 1024, 3000):
        preview = preview_plan(plan, most) or plan
        (dx, _, left, _, dy, top), (rows, columns) = preview.grid.transform, preview.grid.shape
        factor = dx / plan.grid.transform[0]
        assert np.log2(factor) % 1 == 0
        assert (dy, left, top) == tuple(plan.grid.transform[n] * s for n, s in ((4, factor), (2, 1), (5, 1)))
        assert max(rows, columns) <= most
        assert factor == 1 or most < 2 * max(rows, columns)
        for length, full in zip((rows, columns), plan.grid.shape, strict=True):
            assert (length - 1) * factor < full <= length * factor


def test_a_result_as_coarse_as_its_scenes_and_small_has_no_preview() -> None:
    assert preview_plan(planned(YEAR, bbox="146.95,-42.05,147.05,-42.0")) is None


def test_a_coarse_result_has_a_preview_from_coarse_files() -> None:
    plan = planned(YEAR, resolution=480.0)
    preview = preview_of(plan)
    assert preview.grid == plan.grid
    for source in preview.sources:
        for band in source.bands.values():
            assert (band.stored, band.grid.shape) == ((3000, 3000), (188, 188))
            assert band.grid.transform[0] * 188 == pytest.approx(30.0 * 3000)


def test_it_asks_for_means_and_counts_alone() -> None:
    plan = planned(YEAR, resolution=480.0, weight="month", months=True, std=True, min_clear=3, reader="odc")
    stack = build_stack(preview_of(plan), "preview")
    assert stack.layers == ("ndvi_mean", "clear_count")
    assert preview_of(plan).request.min_clear == 3
    assert preview_of(plan).request.reader == "odc"


def test_mask_filters_keep_their_length_on_the_ground() -> None:
    mask = replace(roles_of().mask, filters=((255, 2, 20, 6), (255, 3, 0, 40)))
    plan = planned(YEAR, replace(roles_of(), mask=mask), resolution=480.0)
    assert preview_of(plan).roles["landsat"].mask.filters == ((255, 2, 1, 1), (255, 3, 0, 3))


def test_a_polygon_masks_it_by_pixel_centre() -> None:
    triangle = parse_geojson(
        '{"type":"Polygon","coordinates":[[[146.8,-42.2],[147.2,-42.2],[147.2,-41.8],[146.8,-42.2]]]}'
    )
    plan = planned(YEAR, region=triangle, resolution=60.0)
    (outline,) = {block.polygon for block in preview_of(plan).blocks}
    assert outline is not None
    pieces = [shapely.from_wkb(each.polygon) for each in plan.blocks if each.season == 0 and each.polygon]
    assert shapely.from_wkb(outline).area == pytest.approx(shapely.union_all(pieces).area, rel=1e-3)


# Its dates


def overpasses(days: int) -> Iterator[Scene]:
    """Four paths side by side, each seen every 16 days, all of them in one season."""
    for day in range(days):
        path = {0: 146.0, 5: 147.0, 9: 148.0, 12: 149.0}.get(day % 16)
        if path is not None:
            moment = datetime(2019, 12, 1, tzinfo=UTC) + timedelta(days=day)
            for row, lat in enumerate((-42.0, -42.7)):
                time = (moment + timedelta(seconds=24 * row)).isoformat()[:19]
                yield scene_of(f"{day}-{row}", time, lon=path, lat=lat)


@pytest.mark.parametrize("years", [1, 6])
def test_of_many_dates_every_place_keeps_enough_spread_evenly(years: int) -> None:
    plan = planned(
        list(overpasses(365 * years)),
        bbox="145.6,-43.0,149.3,-41.7",
        end=date(2019 + years, 11, 29),
        seasons=request_of().seasons,
        min_clear=9,
    )
    preview = preview_of(plan)
    for season, block in enumerate(preview.blocks):
        kept = {scene for group in block.groups for scene in group}
        assert list(block.groups) == sorted(block.groups)
        assert len(block.groups) <= 4 * ENOUGH_LOOKS
        for chunk in (each for each in plan.blocks if each.season == season and each.groups):
            numbers = [n for n, group in enumerate(chunk.groups) if set(group) <= kept]
            assert len(numbers) >= min(len(chunk.groups), ENOUGH_LOOKS)
            gaps = [after - before for before, after in pairwise([-1, *numbers, len(chunk.groups)])]
            assert max(gaps) <= 4 * len(chunk.groups) / len(numbers)
    thinned = years > 1
    assert preview.request.min_clear == (1 if thinned else 9)


def test_a_date_is_one_look_though_no_chunk_has_all_of_its_scenes() -> None:
    scenes = [scene_of(f"{n}", f"2020-01-05T00:00:{n:02}", lat=-41.8 - 0.1 * n, size=600, lon=147.0) for n in range(4)]
    plan = planned(scenes, bbox="146.9,-42.2,147.1,-41.7", resolution=30.0)
    assert max(len(group) for block in plan.blocks for group in block.groups) < 4
    (block,) = preview_of(plan, 128).blocks
    assert block.groups == ((0, 1, 2, 3),)


# Its pixels


def with_overviews(scene: Scene) -> Scene:
    for name, band in scene.source.bands.items():
        with rasterio.open(band.uri.removeprefix("file://"), "r+") as file:
            file.build_overviews([2, 4, 8], Resampling.nearest if name == "mask" else Resampling.average)
    return scene


def seen(scene: Scene, factor: int, crs: str, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """NDVI of the overview pixels of a scene that hold places in a CRS of their own, NaN where none is observed."""
    level = int(np.log2(factor)) - 1
    found = {}
    for name, band in scene.source.bands.items():
        with rasterio.open(band.uri.removeprefix("file://"), overview_level=level) as file:
            values, to_pixels = file.read(1), ~file.transform
        place_x, place_y = Transformer.from_crs(crs, scene.crs, always_xy=True).transform(x, y)
        column, row = (np.floor(each).astype(int) for each in to_pixels @ (place_x, place_y))
        rows, columns = values.shape
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        found[name] = np.where(inside, values[np.where(inside, row, 0), np.where(inside, column, 0)], NODATA)
    red, nir = (found[name].astype(float) for name in ("red", "nir"))
    usable = (found["mask"] == 1) & (red >= 1) & (nir >= 1)
    return np.where(usable, (nir - red) / np.where(usable, nir + red, 1.0), np.nan)


@pytest.mark.parametrize("crs", ["native", "EPSG:3577", "EPSG:32756"])
def test_every_pixel_is_the_overview_pixel_at_its_centre(tmp_path: Path, crs: str) -> None:
    # No edge is a multiple of 4: overview pixels are a little smaller than 4 pixels of the file.
    sizes, days = (301, 299, 302), ("2020-01-05", "2020-01-12", "2020-01-21")
    scenes = [
        with_overviews(
            write_scene(scene_of(day, f"{day}T00:00:00", lon=149.99, size=size), pixels_of(seed, size), tmp_path)
        )
        for seed, (day, size) in enumerate(zip(days, sizes, strict=True))
    ]
    plan = planned(scenes, bbox="149.94,-42.035,150.04,-41.965", crs=crs, resolution=None if crs == "native" else 30.0)
    preview = preview_of(plan, 100)
    assert preview.grid.resolution[0] == 120.0
    result = compute_here(preview)
    x, y = np.meshgrid(result.x, result.y)
    ndvi = np.stack([seen(scene, 4, plan.grid.crs, x, y) for scene in scenes])
    count = np.isfinite(ndvi).sum(0)
    assert (count > 1).sum() > 1_000
    np.testing.assert_array_equal(result.clear_count.values[0], count)
    mean = np.divide(np.nansum(ndvi, 0), count, out=np.full(count.shape, np.nan), where=count > 0)
    np.testing.assert_allclose(result.ndvi_mean.values[0], mean, atol=1e-6, rtol=0)


def test_files_without_overviews_have_a_preview_too(tmp_path: Path) -> None:
    pixels: Pixels = pixels_of(4, 320)
    scene = write_scene(scene_of("only", size=320), pixels, tmp_path)
    result = compute_here(preview_of(planned([scene], bbox="146.9,-42.1,147.1,-41.9", crs="native"), 100))
    usable = (pixels["mask"] == 1) & (pixels["red"] > 0) & (pixels["nir"] > 0)
    area = float(result.x[1] - result.x[0]) ** 2 / 30.0**2
    assert area >= 16
    assert int(result.clear_count.sum()) * area == pytest.approx(usable.sum(), rel=0.1)


# Against the result and the truth


@pytest.fixture(scope="module")
def full(synthetic: OdcCatalog) -> NdviPlan:
    return plan_of(demo_request(region=TASMANIA, crs="native"), synthetic)


@pytest.mark.index
@pytest.mark.parametrize("reader", ["exact", "odc"])
def test_it_is_hardly_biased_against_the_result_and_the_truth(full: NdviPlan, reader: str) -> None:
    plan = replace(full, request=_read_by(full.request, reader))
    result, preview = compute_here(full), compute_here(preview_of(plan, 128))
    x, y = (axis.ravel() for axis in np.meshgrid(result.x, result.y))
    for season, first in {"DJF": date(2020, 12, 1), "MAM": date(2021, 3, 1), "JJA": date(2021, 6, 1)}.items():
        noons = [datetime(first.year, first.month, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(0, 90, 3)]
        truth = true_ndvi(noons, x, y, DEMO_SPEC).mean(0).reshape(full.grid.shape)
        exact = result.ndvi_mean.sel(season=season).values
        coarse = np.kron(preview.ndvi_mean.sel(season=season).values, np.ones((2, 2)))
        coarse = coarse[: full.grid.shape[0], : full.grid.shape[1]]
        both = np.isfinite(exact) & np.isfinite(coarse)
        inland = both & _inland(truth > 0)
        assert inland.sum() > 5_000
        assert abs(float((coarse - exact)[inland].mean())) <= 0.01, season
        assert abs(float((coarse - truth)[inland].mean())) <= 0.015, season
        # Where land and water share a pixel of an overview, the brighter land weighs more.
        assert abs(float((coarse - exact)[both].mean())) <= 0.03, season


def _inland(land: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Places with land alone in the squares of 4 pixels around them."""
    return np.min([np.roll(land, (down, along), (0, 1)) for down in range(-4, 5) for along in range(-4, 5)], axis=0)


def _read_by(request: NdviRequest, reader: str) -> NdviRequest:
    return replace(request, reader=reader)  # type: ignore[arg-type]  # one of the readers
