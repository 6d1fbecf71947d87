"""Tiles one bit of which flipped: what GDAL 3.10 notices of it, and what it does not."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from compute.engine.raster_windows import ReadError, read_window
from compute.files.access import Access, Permit
from compute.scenes import Band, Grid
from tests.fixtures.flips import classify_flip, find_tile_bytes, flip_bit

pytestmark = pytest.mark.unit

GRID = Grid(crs="EPSG:32655", shape=(128, 128), transform=(30.0, 0.0, 5e5, 0.0, -30.0, 5e6))


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A file of one tile, as it was written, and its pixels."""

    path: Path
    pixels: np.ndarray[Any, Any]
    content: bytes

    @classmethod
    def write(cls, path: Path, pixels: np.ndarray[Any, Any], edge: int) -> Tile:
        rows, columns = pixels.shape
        where = {"crs": GRID.crs, "transform": Affine(*GRID.transform), "height": rows, "width": columns}
        options = {"tiled": True, "blockxsize": edge, "blockysize": edge, "compress": "DEFLATE"}
        with rasterio.open(path, "w", driver="GTiff", count=1, dtype=pixels.dtype, **where, **options) as file:
            file.write(pixels, 1)
        return cls(path=path, pixels=pixels, content=path.read_bytes())

    def read(self) -> np.ndarray[Any, Any]:
        rows, columns = self.pixels.shape
        band = Band(uri=self.path.as_uri(), index=1, grid=replace(GRID, shape=(rows, columns)))
        permit = Permit(access=Access(), home=str(self.path.parent))
        return read_window(band, (0, 0, rows, columns), permit).values

    def flips(self, fate: str, number: int) -> Iterator[None]:
        """Flip one bit of the tile as it was written, so many times, and stop where that has a fate."""
        first, size = find_tile_bytes(self.path, 0, 0)
        unpacked, chance = zlib.decompress(self.content[first : first + size]), random.Random(0)
        while number:
            harmed = flip_bit(self.content, first, size, chance)
            if classify_flip(harmed[first : first + size], unpacked) == fate:
                number -= 1
                self.path.write_bytes(harmed)
                yield


def pixels_of(rows: int) -> dict[str, np.ndarray[Any, Any]]:
    """Pixels as reflectance and masks have them, by name."""
    y, x = np.mgrid[:rows, :128]
    noise = np.random.default_rng(0).normal(0, 60, y.shape)
    return {
        "reflectance": (1500 + 800 * np.sin(x / 40) + 600 * np.cos(y / 55) + noise).astype(np.int16),
        "mask": (2.5 + np.sin(x / 30) + np.cos(y / 22)).astype(np.uint8),
    }


@pytest.fixture(params=["reflectance", "mask"])
def tile(request: pytest.FixtureRequest, tmp_path: Path) -> Tile:
    return Tile.write(tmp_path / "tile.tif", pixels_of(128)[request.param], 128)


def test_a_tile_that_a_flipped_bit_has_broken_is_noticed(tile: Tile) -> None:
    for _ in tile.flips("broken", 15):
        with pytest.raises(ReadError):
            tile.read()


def test_a_flipped_bit_that_changes_no_pixel_is_no_damage(tmp_path: Path) -> None:
    tile = Tile.write(tmp_path / "tile.tif", pixels_of(128)["mask"], 128)
    for _ in tile.flips("same", 5):
        np.testing.assert_array_equal(tile.read(), tile.pixels)


@pytest.mark.xfail(strict=True, reason="libtiff stops at the last pixel of a tile, and does not mind that more follow")
def test_a_tile_that_became_longer(tile: Tile) -> None:
    """What GDAL does not notice: one of eight flips in reflectance and one of four in masks, which compress well.

    To notice it, every tile would have to be unpacked a second time, which costs more than the first. Pixels packed by
    LZW or zstd, or not at all, have no checksum; a tag that is lost is noticed but for sample format, nodata (which
    says what tiles that were left out hold) and predictor.
    """
    for _ in tile.flips("longer", 5):
        with pytest.raises(ReadError):
            tile.read()


@pytest.mark.xfail(
    strict=True, reason="GDAL unpacks a tile no further than the image goes: the checksum lies behind it"
)
def test_a_tile_across_the_lower_edge(tmp_path: Path) -> None:
    tile = Tile.write(tmp_path / "tile.tif", pixels_of(100)["reflectance"], 128)
    for _ in tile.flips("broken", 5):
        with pytest.raises(ReadError):
            tile.read()
