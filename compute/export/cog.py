"""Export as cloud-optimised GeoTIFFs, one file per season and layer.

Format: https://gdal.org/drivers/raster/cog.html (GDAL 3.1 or later).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from distributed import Client, Future
from numpy.typing import NDArray
from rasterio.windows import Window

from compute.engine import HeldBlock
from compute.export.cog_overviews import build_overviews
from compute.result.layers import ARRAYS, ATTRIBUTES, BY_REASON, NAMES
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import block_key
from compute.scenes import Grid

_NODATA = {"f": np.nan, "u": None}
_GDAL_OPTIONS = {"GDAL_CACHEMAX": 2**20}
"""GDAL options for writing. The default GDAL_CACHEMAX is 5 % of the machine's memory, regardless of the memory limit of
a worker; 1 MiB is as fast here."""

_PREDICTOR = {"f": 3, "u": 2}
"""DEFLATE predictor by NumPy kind: 3 for floating point, 2 (horizontal differencing) for integers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _CogFile:
    """File of one layer of one season.

    Attributes
    ----------
    path : pathlib.Path
        Path of the COG.
    layer : str
        Layer, a key of `ARRAYS`.
    grid : Grid
        Grid of the result.
    bands : tuple of str
        Description of each band.
    tags : mapping of str to str
        GDAL metadata items of the file.
    levels : int
        Number of overview levels.
    """

    path: Path
    layer: str
    grid: Grid
    bands: tuple[str, ...]
    tags: Mapping[str, str]
    levels: int

    def scratch(self, level: int = 0) -> Path:
        """Return the path of the scratch file of an overview level; level 0 is full resolution."""
        return self.path.with_name(f".{self.path.name}.{level}")

    def profile(self, level: int) -> dict[str, Any]:
        """Return the rasterio profile of the scratch file of an overview level."""
        height, width = (-(-length >> level) for length in self.grid.shape)
        dtype = ARRAYS[self.layer]
        return {
            "driver": "GTiff",
            "dtype": dtype.name,
            "count": len(self.bands),
            "height": height,
            "width": width,
            "crs": self.grid.crs,
            "transform": Affine(*self.grid.transform) @ Affine.scale(2**level),
            "nodata": _NODATA[dtype.kind],
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
            "bigtiff": "if_safer",
        }


async def write_cogs(stack: SeasonStack, folder: Path, client: Client, provenance: Mapping[str, Any]) -> list[Path]:
    """Write a persisted stack as COGs with overviews, on the workers.

    The blocks of a file and their overviews are written one after another to tiled GeoTIFFs, which are then combined
    into a COG. Each task holds at most one block in memory; files are written in parallel.

    Parameters
    ----------
    stack : SeasonStack
        Stack persisted on the cluster of `client`.
    folder : pathlib.Path
        Existing folder on storage that this process and the workers share.
    client : distributed.Client
        Asynchronous client.
    provenance : mapping
        GDAL metadata items of the files; values other than text are written as JSON.

    Returns
    -------
    list of pathlib.Path
        Files ``<layer>_<label>.tif`` for each layer and season, such as ``ndvi_mean_DJF.tif``. Counts by exclusion
        reason have one band per reason. An overview pixel is the unweighted mean of its valid full-resolution pixels;
        means of counts are rounded half to even, and a count of 0 is valid.
    """
    tags = {key: value if isinstance(value, str) else json.dumps(value) for key, value in provenance.items()}
    files = [
        _write_file(stack, season, layer, folder / f"{layer}_{label}.tif", client, tags)
        for layer, (season, label) in product(stack.layers, enumerate(stack.labels))
    ]
    written: list[Path] = await client.gather(files)
    return written


def _write_file(
    stack: SeasonStack, season: int, layer: str, path: Path, client: Client, tags: Mapping[str, str]
) -> Future[Path]:
    name, label = NAMES[layer], stack.labels[season]
    file = _CogFile(
        path=path,
        layer=layer,
        grid=stack.grid,
        bands=stack.reasons if layer == BY_REASON else (f"{name}, {label}",),
        tags={**tags, "title": f"{ATTRIBUTES[layer]['long_name']}, {label}"},
        levels=stack.levels,
    )
    last = client.submit(_create_scratch, file, pure=False)
    for row, column, window in _chunk_origins(stack):
        block = stack.graph[block_key(stack.token, season, row, column)]
        last = client.submit(_write_block, last, block, window, pure=False)
    return client.submit(_assemble_cog, last, pure=False)


def _chunk_origins(stack: SeasonStack) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield row and column of each spatial chunk, and the position (row, column) of its first pixel."""
    rows, columns = (list(pairwise(accumulate(sizes, initial=0))) for sizes in stack.chunks)
    for (row, (y0, _)), (column, (x0, _)) in product(enumerate(rows), enumerate(columns)):
        yield row, column, (y0, x0)


def _create_scratch(file: _CogFile) -> _CogFile:
    for level in range(file.levels + 1):
        with rasterio.Env(**_GDAL_OPTIONS), rasterio.open(file.scratch(level), "w", **file.profile(level)) as scratch:
            scratch.descriptions = file.bands
            scratch.units = [ATTRIBUTES[file.layer]["units"]] * len(file.bands)
            scratch.update_tags(**file.tags)
    return file


def _write_block(file: _CogFile, block: HeldBlock, first: tuple[int, int]) -> _CogFile:
    """Write a block and its overviews to the scratch files; `first` is (row, column) of the block's first pixel."""
    values: NDArray[Any] = getattr(block, file.layer)
    bands = values.reshape(-1, *values.shape[-2:])
    _write_window(file.scratch(), bands, first)
    overviews = zip(*(build_overviews(band, file.levels) for band in bands), strict=True)
    for level, overview in enumerate(overviews, 1):
        _write_window(file.scratch(level), np.stack(overview), (first[0] >> level, first[1] >> level))
    return file


def _write_window(path: Path, bands: NDArray[Any], first: tuple[int, int]) -> None:
    _, height, width = bands.shape
    with rasterio.Env(**_GDAL_OPTIONS), rasterio.open(path, "r+") as scratch:
        scratch.write(bands, window=Window(first[1], first[0], width, height))


def _assemble_cog(file: _CogFile) -> Path:
    """Convert the scratch files to a COG with band statistics."""
    joined, finished = (file.path.with_name(f".{file.path.name}.{suffix}") for suffix in ("vrt", "cog"))
    with rasterio.Env(**_GDAL_OPTIONS):
        rasterio.shutil.copy(file.scratch(), joined, driver="VRT")
        _add_overviews(joined, file)
        rasterio.shutil.copy(
            joined,
            finished,
            driver="COG",
            compress="deflate",
            level=6,
            predictor=_PREDICTOR[ARRAYS[file.layer].kind],
            blocksize=512,
            overviews="FORCE_USE_EXISTING",
            statistics="YES",
            bigtiff="if_safer",
        )
    for scratch in (joined, *map(file.scratch, range(file.levels + 1))):
        scratch.unlink()
    finished.rename(file.path)
    return file.path


def _add_overviews(joined: Path, file: _CogFile) -> None:
    """Add the overview files to a GDAL VRT; overviews computed by GDAL itself would be means of means."""
    document = ET.parse(joined)  # noqa: S314  # written by GDAL above
    for band in document.getroot().iter("VRTRasterBand"):
        for level in range(1, file.levels + 1):
            overview = ET.SubElement(band, "Overview")
            ET.SubElement(overview, "SourceFilename", relativeToVRT="1").text = file.scratch(level).name
            ET.SubElement(overview, "SourceBand").text = band.get("band")
    document.write(joined)
