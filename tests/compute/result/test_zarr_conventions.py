"""A stored result as readers of Zarr, CF and CRS take it, its levels included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401  # gives datasets their `odc`
import pytest
import xarray as xr
import zarr
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pyproj import CRS

from compute.engine.overview_levels import LAYER_ENCODING
from compute.kernels import LARGEST, NEVER_CLEAR
from compute.result.layers import ARRAYS, BY_REASON
from compute.result.stack import grid_coords
from compute.result.store import create_store, finish_store, slots_of
from compute.result.store.stored_blocks import counts_of, stored_counts
from compute.result.store.zarr_layout import level_grid
from compute.scenes import Grid
from tests.fixtures.stacks import assembled, grid_at, layered_stack, layers_of

SHAPE = (1101, 203)
REASONS = ("cloud", "shadow", "invalid")
GROUPS = (None, "levels/1", "levels/2")
STANDARD_NAMES = {
    True: {"y": ("latitude", "degrees_north"), "x": ("longitude", "degrees_east")},
    False: {"y": ("projection_y_coordinate", "metre"), "x": ("projection_x_coordinate", "metre")},
}


@pytest.fixture(scope="module", params=["EPSG:3577", "EPSG:4326"])
def crs(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def arrays() -> dict[str, NDArray[Any]]:
    return layers_of(SHAPE, len(REASONS))


@pytest.fixture(scope="module")
def url(crs: str, arrays: dict[str, NDArray[Any]], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store in several chunks, with a ragged last pixel in every level."""
    path = str(tmp_path_factory.mktemp("zarr") / "result.zarr")
    stack = layered_stack(grid_at(crs, SHAPE), arrays, REASONS, 128)
    create_store(path, stack)
    for key, slot in slots_of(stack, path).items():
        slot.write(stack.graph[key])
    finish_store(path, len(stack.keys), {"title": "Seasonal mean NDVI"})
    return path


def opened(url: str, group: str | None, **options: Any) -> xr.Dataset:
    return xr.open_zarr(url, group=group, chunks=None, **options)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("decode_coords", [True, "all"])
def test_every_group_has_its_grid(url: str, crs: str, group: str | None, decode_coords: Any) -> None:
    grid, size = grid_at(crs, SHAPE), 2 ** GROUPS.index(group)
    with opened(url, group, decode_coords=decode_coords) as result:
        assert result.odc.crs == crs
        assert {"season", "y", "x", "spatial_ref"} <= set(result.coords)
        assert CRS(result.spatial_ref.attrs["crs_wkt"]) == CRS(crs)
        for layer in result.data_vars.values():
            geobox = layer.odc.geobox
            assert geobox.crs == crs
            assert geobox.transform.almost_equals(Affine(*grid.transform) @ Affine.scale(size), 1e-9)
            assert geobox.shape == tuple(-(-length // size) for length in SHAPE)


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_follows_the_conventions_that_it_declares(url: str, crs: str, group: str | None) -> None:
    with opened(url, group, decode_cf=False) as result:
        assert result.attrs["Conventions"] == "CF-1.11"
        assert result.attrs["title"]
        for axis, (name, units) in STANDARD_NAMES[CRS(crs).is_geographic].items():
            attributes = result[axis].attrs
            assert (attributes["standard_name"], attributes["units"], attributes["axis"]) == (name, units, axis.upper())
            assert "_FillValue" not in attributes
            assert np.isfinite(result[axis]).all()
            assert (np.diff(result[axis]) != 0).all()
        for name in set(result.variables) - {"x", "y", "season", "reason", "spatial_ref"}:
            attributes, dims = result[name].attrs, result[name].dims
            assert attributes["units"] == "1"
            assert attributes["long_name"]
            assert attributes["grid_mapping"] == "spatial_ref"
            assert attributes["coordinates"].split() == list(dims[:-2])
            assert dims[-2:] == ("y", "x")
        assert all("_FillValue" not in result[name].attrs for name in result.variables if "count" in str(name))


def test_units_are_what_udunits_reads() -> None:
    coords = grid_coords(grid_at("EPSG:3577", (2, 2)))
    assert coords["x"].attrs["units"] == "metre"
    feet = Grid(crs="EPSG:2263", shape=(2, 2), transform=(100.0, 0.0, 9e5, 0.0, -100.0, 2e5))
    assert grid_coords(feet)["x"].attrs["units"] == "US_survey_foot"


def test_no_reader_takes_a_count_of_0_for_missing(url: str, arrays: dict[str, NDArray[Any]]) -> None:
    with opened(url, None, mask_and_scale=True) as result:
        for name in ("clear_count", "clear_months", BY_REASON):
            assert result[name].dtype == ARRAYS[name]
            np.testing.assert_array_equal(result[name].values[0], arrays[name])
        assert (result.clear_count == 0).any()
    # GDAL takes the fill value for nodata, and so does xarray where it is told to.
    group = zarr.open_group(url, mode="r")
    for name in ("clear_count", "clear_months", BY_REASON, "levels/1/clear_count", "levels/2/clear_count"):
        array = group[name]
        assert isinstance(array, zarr.Array)
        assert not (np.asarray(array[...]) == array.fill_value).any()


@pytest.mark.parametrize("level", [1, 2])
def test_a_stored_level_is_the_mean_of_level_0(url: str, arrays: dict[str, NDArray[Any]], level: int) -> None:
    size = 2**level
    with opened(url, f"levels/{level}") as result:
        mean, count, share = (result[name].values[0] for name in ("ndvi_mean", "clear_count", "clear_share"))
    for y, x in np.ndindex(*mean.shape):
        cell = np.s_[y * size : (y + 1) * size, x * size : (x + 1) * size]
        means, counts = arrays["ndvi_mean"][cell].astype(float), arrays["clear_count"][cell]
        clear = means[~np.isnan(means)]
        assert (np.isnan(mean[y, x]) and not clear.size) or abs(mean[y, x] - clear.mean()) < 0.6e-4
        assert abs(count[y, x] - counts.mean()) < 0.0501
        assert (count[y, x] == 0) == (counts.max() == 0)
        assert abs(share[y, x] - clear.size / means.size) < 1 / 255


def test_a_block_is_read_back_as_it_was_written(url: str, crs: str, arrays: dict[str, NDArray[Any]]) -> None:
    stack = layered_stack(grid_at(crs, SHAPE), arrays, REASONS, 128)
    for key, slot in slots_of(stack, url).items():
        for number in slot.levels:
            level = slot.read_level(number)
            for name in ("ndvi_mean", "clear_share", "clear_count"):
                wanted = getattr(stack.graph[key].levels[number - 1], name)
                assert getattr(level, name).dtype == wanted.dtype
                np.testing.assert_array_equal(getattr(level, name), wanted)
    assert (assembled(stack, 0, 1, "clear_count") == NEVER_CLEAR).any()


def test_a_store_of_an_earlier_version_is_read_and_written_as_it_is(tmp_path: Path) -> None:
    grid = grid_at("EPSG:3577", (600, 33))
    url, stack = str(tmp_path / "result.zarr"), layered_stack(grid, layers_of(grid.shape, 1), ("cloud",), 600)
    create_store(url, stack)
    shape = 1, *level_grid(grid, 1).shape
    zarr.open_group(url, path="levels/1", mode="r+").create_array(
        "clear_count", shape=shape, chunks=shape, dtype="int16", fill_value=NEVER_CLEAR, overwrite=True
    )
    zarr.consolidate_metadata(url)
    ((key, slot),) = slots_of(stack, url).items()
    slot.write(stack.graph[key])
    np.testing.assert_array_equal(slot.read_level(1).clear_count, stack.graph[key].levels[0].clear_count)
    assert (zarr.open_array(url, path="levels/1/clear_count", mode="r")[...] == NEVER_CLEAR).any()


@given(hnp.arrays(np.int16, st.integers(1, 50), elements=st.just(NEVER_CLEAR) | st.integers(0, LARGEST)))
def test_counts_of_levels_come_back_from_a_store(counts: NDArray[np.int16]) -> None:
    stored = stored_counts(counts)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(counts_of(stored), counts)
    never = counts == NEVER_CLEAR
    np.testing.assert_array_equal(stored == 0, never)
    assert stored.max() < 65_535
    scale = LAYER_ENCODING["clear_count"].scale
    # Half a step where a mean was rounded to 0, and nothing elsewhere.
    np.testing.assert_allclose(stored[~never] * scale / 2, counts[~never] * scale, atol=scale / 2 + 1e-9)
    np.testing.assert_allclose(stored[counts > 0] * scale / 2, counts[counts > 0] * scale)
