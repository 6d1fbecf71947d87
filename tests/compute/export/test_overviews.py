"""Overviews of exported files against a slow reduction of level 0 that knows nothing of how they are built."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from compute.export import write_cogs
from compute.export.cog_overviews import build_overviews
from compute.result.layers import ARRAYS, BY_REASON, NAMES
from compute.result.stack import SeasonStack
from tests.fixtures.stacks import grid_at, layered_stack, layers_of

SHAPES = st.tuples(st.integers(1, 41), st.integers(1, 41))
MEANS = st.floats(-1, 1, width=32) | st.sampled_from([np.nan, np.nan, 0.0, 7.5])
SHAPE = (1101, 203)
REASONS = ("cloud", "shadow", "invalid")


@st.composite
def rasters(draw: st.DrawFn) -> NDArray[Any]:
    """Means with gaps, or counts of each type, of odd sizes."""
    kind = draw(st.sampled_from(["float32", "uint16", "uint8"]))
    most = 255 if kind == "uint8" else 65_535
    elements = MEANS if kind == "float32" else st.integers(0, 4) | st.integers(0, most)
    values: NDArray[Any] = draw(hnp.arrays(kind, draw(SHAPES), elements=elements))
    return values


def oracle(values: NDArray[Any], level: int) -> NDArray[Any]:
    """Reduce every cell of a level on its own."""
    size = 2**level
    shape = tuple(-(-length // size) for length in values.shape)
    means = np.full(shape, np.nan)
    for y, x in np.ndindex(*shape):
        cell = values[y * size : (y + 1) * size, x * size : (x + 1) * size].astype(np.float64)
        clear = cell[~np.isnan(cell)]
        means[y, x] = clear.sum() / clear.size if clear.size else np.nan
    return means if values.dtype.kind == "f" else np.rint(means)


@given(rasters(), st.integers(0, 6))
def test_an_overview_pixel_is_the_mean_of_its_level_0_pixels(values: NDArray[Any], levels: int) -> None:
    built = list(build_overviews(values, levels))
    assert len(built) == levels
    for level, overview in enumerate(built, 1):
        assert overview.dtype == values.dtype
        expected = oracle(values, level)
        if values.dtype.kind == "f":
            np.testing.assert_allclose(overview, expected, rtol=1e-7, atol=1e-9)
        else:
            np.testing.assert_array_equal(overview, expected)


def test_halves_are_rounded_to_even() -> None:
    values = np.array([[0, 1, 1, 2, 2, 3]], np.uint16)
    (overview,) = build_overviews(values, 1)
    assert overview.tolist() == [[0, 2, 2]]


@given(rasters(), st.integers(1, 3), st.integers(1, 4))
def test_cutting_into_blocks_changes_no_bit(values: NDArray[Any], levels: int, multiple: int) -> None:
    edge = multiple * 2**levels
    for level, whole in enumerate(build_overviews(values, levels), 1):
        for y, x in np.ndindex(*(-(-length // edge) for length in values.shape)):
            part = values[y * edge : (y + 1) * edge, x * edge : (x + 1) * edge]
            *_, overview = build_overviews(part, level)
            size = edge >> level
            expected = whole[y * size : (y + 1) * size, x * size : (x + 1) * size]
            np.testing.assert_array_equal(overview, expected)


@pytest.fixture(scope="module")
def arrays() -> dict[str, NDArray[Any]]:
    """Every layer of one season, of a size that no power of two divides."""
    return layers_of(SHAPE, len(REASONS))


@pytest.fixture(scope="module")
def folder(arrays: dict[str, NDArray[Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COGs of these, written in blocks of several sizes."""
    out = tmp_path_factory.mktemp("cogs")
    stack = layered_stack(grid_at("EPSG:3577", SHAPE), arrays, REASONS, 128)
    assert len(stack.keys) > 4
    _write(stack, out, {"source": "test", "title": "Seasonal mean NDVI"})
    return out


def _write(stack: SeasonStack, out: Path, provenance: Mapping[str, str]) -> None:
    async def write() -> None:
        async with Client(processes=False, asynchronous=True, n_workers=1, dashboard_address=None) as client:
            await write_cogs(stack, out, client, provenance)

    asyncio.run(write())


def test_nothing_unfinished_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{layer}_DJF.tif" for layer in ARRAYS)


@pytest.mark.parametrize("layer", ARRAYS)
def test_every_overview_of_a_cog_is_made_of_level_0(folder: Path, arrays: dict[str, NDArray[Any]], layer: str) -> None:
    path, values = folder / f"{layer}_DJF.tif", arrays[layer]
    bands = values.reshape(-1, *values.shape[-2:])
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(), bands)
        assert {tuple(file.overviews(band)) for band in file.indexes} == {(2, 4)}
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    for number in range(2):
        with rasterio.open(path, overview_level=number) as file:
            for read, band in zip(file.read(), bands, strict=True):
                np.testing.assert_allclose(read, oracle(band, number + 1), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layer", ARRAYS)
def test_a_cog_says_what_it_holds(folder: Path, arrays: dict[str, NDArray[Any]], layer: str) -> None:
    values = arrays[layer]
    bands = values.reshape(-1, *values.shape[-2:])
    with rasterio.open(folder / f"{layer}_DJF.tif") as file:
        assert file.descriptions == (REASONS if layer == BY_REASON else (f"{NAMES[layer]}, DJF",))
        assert set(file.units) == {"1"}
        assert file.tags()["title"].endswith(", DJF")
        assert file.tags()["title"] != "Seasonal mean NDVI"
        assert file.tags()["source"] == "test"
        # A clear count of 0 is a number; only means have gaps.
        assert file.nodata is None or (np.isnan(file.nodata) and values.dtype.kind == "f")
        for number, band in zip(file.indexes, bands, strict=True):
            tags = file.tags(number)
            assert float(tags["STATISTICS_MINIMUM"]) == pytest.approx(float(np.nanmin(band)), abs=1e-6)
            assert float(tags["STATISTICS_MAXIMUM"]) == pytest.approx(float(np.nanmax(band)), abs=1e-6)
            assert float(tags["STATISTICS_MEAN"]) == pytest.approx(np.nanmean(band, dtype=float), abs=1e-6)
            assert float(tags["STATISTICS_STDDEV"]) == pytest.approx(np.nanstd(band, dtype=float), abs=1e-6)


def test_a_season_that_was_never_clear_is_a_cog_too(tmp_path: Path) -> None:
    grid = grid_at("EPSG:4326", (600, 30))
    arrays = {name: np.zeros_like(each) for name, each in layers_of(grid.shape, len(REASONS)).items()}
    arrays |= {name: np.full_like(arrays[name], np.nan) for name in ("ndvi_mean", "ndvi_std")}
    _write(layered_stack(grid, arrays, REASONS, 512), tmp_path, {})
    with rasterio.open(tmp_path / "ndvi_mean_DJF.tif") as file:
        assert np.isnan(file.read()).all()
        assert file.overviews(1) == [2]
    with rasterio.open(tmp_path / "clear_count_DJF.tif") as file:
        assert file.nodata is None
        assert not file.read(masked=True).mask.any()
        assert file.tags(1)["STATISTICS_MAXIMUM"] == "0"
