"""Statistics of a region: against NumPy by hand at level 0, and within the error that is told above it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod, Transformer

from compute.errors import InputError
from compute.result.chunk_windows import chunk_window
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import block_key
from compute.statistics.distributions import PERCENTILES, AreaDistribution, compare, describe
from compute.statistics.pixel_areas import pixel_areas
from compute.statistics.region_placement import RegionOnGrid, _level_for, _window_of
from compute.statistics.region_reduction import RegionSums, join_sums, sum_block
from tests.fixtures.stacks import PLACES, assembled, grid_at, noise, stack_of

GEOD = Geod(ellps="WGS84")


def corners_on_the_ground(grid: Any, row: float, column: float) -> tuple[Any, Any]:
    """Longitudes and latitudes around a pixel, its edges in small steps."""
    steps = np.linspace(0, 1, 20)
    around = np.concatenate([steps, np.ones(20), steps[::-1], np.zeros(20)])
    down = np.concatenate([np.zeros(20), steps, np.ones(20), steps[::-1]])
    x, y = Affine(*grid.transform) * (column + around, row + down)
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    return lon, lat


@pytest.mark.parametrize("crs", PLACES)
def test_pixels_are_as_large_as_geodesics_say(crs: str) -> None:
    grid = grid_at(crs, (700, 900))
    areas = pixel_areas(grid, (0, 0, 700, 900), np.arange(700) + 0.5, np.arange(900) + 0.5)
    assert areas.shape == (700, 900)
    for row, column in ((0, 0), (333, 450), (699, 899)):
        true = abs(GEOD.polygon_area_perimeter(*corners_on_the_ground(grid, row, column))[0])
        assert areas[row, column] == pytest.approx(true, rel=2e-5)
    part = pixel_areas(grid, (300, 200, 500, 400), np.arange(300, 500) + 0.5, np.arange(200, 400) + 0.5)
    np.testing.assert_allclose(part, areas[300:500, 200:400], rtol=1e-7)


def test_pixels_across_180_degrees_are_no_larger() -> None:
    grid = grid_at("EPSG:32655", (2, 2))
    (x,), (y,) = Transformer.from_crs("EPSG:4326", "EPSG:32660", always_xy=True).transform([180.0], [-17.0])
    across = type(grid)(crs="EPSG:32660", shape=(2, 2), transform=(30.0, 0.0, x - 30.0, 0.0, -30.0, y))
    areas = pixel_areas(across, (0, 0, 2, 2), np.array([0.5, 1.5]), np.array([0.5, 1.5]))
    np.testing.assert_allclose(areas, 900, rtol=2e-3)


ndvi_values = st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=60)


@given(values=ndvi_values, cuts=st.sets(st.integers(0, 60), max_size=4), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_a_spread_is_what_numpy_says(values: list[int], cuts: set[int], seed: int) -> None:
    ndvi = np.array(values, np.float32) * np.float32(1e-4)
    areas = np.random.default_rng(seed).integers(1, 9, ndvi.size).astype(float)
    parts = [np.s_[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True)]
    numbers = describe(
        AreaDistribution.merge(
            [AreaDistribution.from_pixels(ndvi[part], areas[part], float(ndvi[part].size)) for part in parts]
        )
    )
    assert numbers["clear_pixels"] == ndvi.size
    assert numbers["clear_area_ha"] == pytest.approx(areas.sum() / 1e4)
    assert numbers["ndvi_mean"] == pytest.approx(np.average(ndvi, weights=areas), abs=1e-7)
    exact = np.array(values) / 1e4
    wanted = np.quantile(exact, np.array(PERCENTILES) / 100, weights=areas, method="inverted_cdf")
    np.testing.assert_allclose(list(numbers["percentiles"].values()), wanted, atol=1e-9)
    for each in numbers["classes"]:
        low, high = each["from"], each["below"]
        held = (exact >= (-9 if low is None else low)) & (exact < (9 if high is None else high))
        assert each["area_ha"] == pytest.approx(areas[held].sum() / 1e4)
    assert len(numbers["classes"]) == 6
    assert sum(numbers["histogram"]["area_ha"]) == pytest.approx(areas.sum() / 1e4)
    bars, _ = np.histogram(np.array(values), np.arange(-10_000, 10_001, 500), weights=areas)
    np.testing.assert_allclose(numbers["histogram"]["area_ha"], bars / 1e4)


def test_nothing_has_no_mean() -> None:
    nothing = AreaDistribution.from_pixels(np.empty(0, np.float32), np.empty(0), 0.0)
    assert describe(nothing)["ndvi_mean"] is None
    assert set(describe(nothing)["percentiles"].values()) == {None}
    assert compare(nothing, nothing) is None


# Regions of a result


def region_in(stack: SeasonStack) -> shapely.Polygon:
    """A triangle across several chunks, in the CRS of the result."""
    rows, columns = stack.grid.shape
    at = [(0.1, 0.2), (0.95, 0.35), (0.4, 0.9)]
    return shapely.Polygon([Affine(*stack.grid.transform) * (x * columns, y * rows) for x, y in at])


def reduced(
    stack: SeasonStack, polygon: shapely.Polygon, level: int, missing: tuple[int, int] | None = None
) -> RegionSums:
    cut = RegionOnGrid(grid=stack.grid, polygon=shapely.to_wkb(polygon), level=level)
    places = [(r, c) for r in range(len(stack.chunks[0])) for c in range(len(stack.chunks[1]))]
    return join_sums(
        [
            sum_block(
                None if place == missing else stack.graph[block_key(stack.token, 0, *place)],
                chunk_window(stack.chunks, *place),
                cut,
            )
            for place in places
        ]
    )


def by_hand(stack: SeasonStack, polygon: shapely.Polygon) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    inside = rasterio.features.geometry_mask([polygon], stack.grid.shape, Affine(*stack.grid.transform), invert=True)
    rows, columns = stack.grid.shape
    areas = pixel_areas(stack.grid, (0, 0, rows, columns), np.arange(rows) + 0.5, np.arange(columns) + 0.5)
    return assembled(stack, 0, 0, "ndvi_mean"), areas, inside


@pytest.mark.parametrize("crs", ["EPSG:3577", "EPSG:4326"])
def test_a_region_is_what_numpy_says_whatever_the_chunks(crs: str) -> None:
    grid = grid_at(crs, (600, 700))
    stack = stack_of(grid, noise(grid.shape), 256)
    polygon = region_in(stack)
    ndvi, areas, inside = by_hand(stack, polygon)
    held = inside & ~np.isnan(ndvi)
    part = reduced(stack, polygon, 0)
    numbers = describe(part.spread)
    assert len(stack.graph) > 4
    assert part.inside == pytest.approx(areas[inside].sum())
    assert part.pending == 0.0
    assert numbers["clear_pixels"] == held.sum()
    assert numbers["ndvi_mean"] == pytest.approx(np.average(ndvi[held].astype(float), weights=areas[held]), abs=1e-9)
    wanted = np.quantile(ndvi[held], np.array(PERCENTILES) / 100, weights=areas[held], method="inverted_cdf")
    np.testing.assert_allclose(list(numbers["percentiles"].values()), wanted, atol=1e-4)


def test_what_is_not_computed_is_told_as_a_share(tmp_path: Any) -> None:
    grid = grid_at("EPSG:3577", (600, 700))
    stack = stack_of(grid, noise(grid.shape), 256)
    polygon = region_in(stack)
    _, areas, inside = by_hand(stack, polygon)
    top, left, bottom, right = chunk_window(stack.chunks, 1, 1)
    part = reduced(stack, polygon, 0, missing=(1, 1))
    lost = areas[top:bottom, left:right][inside[top:bottom, left:right]].sum()
    assert part.pending == pytest.approx(lost)
    assert part.inside == pytest.approx(areas[inside].sum())


def test_a_level_is_off_by_about_what_it_says() -> None:
    grid = grid_at("EPSG:3577", (1200, 1500))
    pixels = noise(grid.shape, gaps=0.3)
    # A slope, with noise on it: the mean is kept by a level, the extremes are not.
    mean = np.where(pixels.count > 0, np.linspace(0, 0.8, 1500) + pixels.mean * 0.1, np.nan).astype(np.float32)
    stack = stack_of(grid, type(pixels)(mean=mean, count=pixels.count), 512)
    polygon = region_in(stack)
    ndvi, areas, inside = by_hand(stack, polygon)
    held = inside & ~np.isnan(ndvi)
    part = reduced(stack, polygon, 2)
    error = compare(part.fine, part.coarse)
    assert error is not None
    assert 0.05 < part.fine.area / part.spread.area < 1.0
    numbers = describe(part.spread)
    assert numbers["clear_pixels"] == pytest.approx(held.sum(), rel=0.01)
    assert numbers["ndvi_mean"] == pytest.approx(np.average(ndvi[held], weights=areas[held]), abs=2e-3)
    wanted = np.quantile(ndvi[held], np.array(PERCENTILES) / 100, weights=areas[held], method="inverted_cdf")
    off = np.abs(np.array(list(numbers["percentiles"].values())) - wanted).max()
    assert 0.0 < off < 2 * error["percentile"] + 2e-3


def test_the_level_bounds_the_work() -> None:
    assert _level_for((0, 0, 4096, 4096), 6) == 0
    assert _level_for((0, 0, 4097, 4096), 6) == 1
    assert _level_for((0, 0, 16_000, 16_000), 6) == 2
    assert _level_for((0, 0, 200_000, 200_000), 4) == 4


def test_a_region_elsewhere_is_refused() -> None:
    grid = grid_at("EPSG:3577", (600, 700))
    with pytest.raises(InputError, match="does not meet the result"):
        _window_of(shapely.box(0, 0, 10, 10), grid)
    with pytest.raises(InputError, match="does not fit the CRS"):
        _window_of(shapely.box(0, 0, np.inf, 10), grid)
