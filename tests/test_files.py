"""Windows of the files of scenes: stored types, tags, names, formats and addresses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from compute.blocks.files import read_window
from compute.scenes import Band, Grid

SHAPE = (2, 3)
WINDOW = (0, 0, *SHAPE)


GRID = Grid(crs="EPSG:32655", shape=SHAPE, transform=(30.0, 0.0, 600_000.0, 0.0, -30.0, 6_000_000.0))


def band_of(uri: str | Path, **changes: Any) -> Band:
    return Band(**{"uri": str(uri), "index": 1, "grid": GRID, **changes})


def write(path: Path, dtype: str, *, driver: str = "GTiff", count: int = 1, **profile: Any) -> np.ndarray[Any, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (np.arange(6).reshape(SHAPE) * 10).astype(dtype)
    rows, columns = SHAPE
    profile |= {"driver": driver, "width": columns, "height": rows, "count": count, "dtype": dtype}
    profile |= {"crs": GRID.crs, "transform": Affine(*GRID.transform)}
    with rasterio.open(path, "w", **profile) as file:
        for index in range(1, count + 1):
            file.write(values + index - 1, index)
    return values


class TestStoredValues:
    @pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
    def test_values_keep_the_type_of_their_file(self, tmp_path: Path, dtype: str) -> None:
        values = write(tmp_path / "red.tif", dtype)
        read = read_window(band_of(tmp_path / "red.tif"), WINDOW).values
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, values)

    def test_a_file_that_states_nothing(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "int16")
        stored = read_window(band_of(tmp_path / "red.tif"), WINDOW)
        assert (stored.nodata, stored.scale, stored.offset) == (None, None, None)

    def test_tags_of_the_band_that_is_read(self, tmp_path: Path) -> None:
        write(tmp_path / "all.tif", "uint16", count=2, nodata=0)
        with rasterio.open(tmp_path / "all.tif", "r+") as file:
            file.scales, file.offsets = (1.0, 0.0001), (0.0, -0.1)
        first, second = (read_window(band_of(tmp_path / "all.tif", index=index), WINDOW) for index in (1, 2))
        assert (first.nodata, first.scale, first.offset) == (0, None, None)
        assert (second.nodata, second.scale, second.offset) == (0, 0.0001, -0.1)

    def test_nan_as_nodata(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "float32", nodata=float("nan"))
        assert np.isnan(read_window(band_of(tmp_path / "red.tif"), WINDOW).nodata)
