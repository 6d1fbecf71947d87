"""A result as cloud-optimised GeoTIFFs, one file for each season and layer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from distributed import Client, Future
from rasterio.windows import Window

from compute.blocks import HeldBlock
from compute.layers import ARRAYS, BY_REASON
from compute.stack import SeasonStack, block_key

_NODATA = {"f": np.nan, "u": None}
_GDAL_OPTIONS = {"GDAL_CACHEMAX": 2**20}
"""GDAL would take a twentieth of the machine for its cache, whatever a worker may have; it is as fast with 1 MB."""

_PREDICTOR = {"f": 3, "u": 2}
"""By kind of type."""


async def write_cogs(stack: SeasonStack, folder: Path, client: Client, provenance: Mapping[str, Any]) -> list[Path]:
    """Have the workers write a persisted stack as COGs with overviews.

    Blocks are written one after another into a tiled file, which is then rearranged: no task ever holds more than
    one block, and seasons are written side by side.

    Parameters
    ----------
    stack : SeasonStack
        Persisted on the cluster of `client`.
    folder : pathlib.Path
        Existing folder on storage that this process and the workers share.
    client : distributed.Client
        Asynchronous client.
    provenance : mapping
        GDAL metadata items; values that are not text are written as JSON.

    Returns
    -------
    list of pathlib.Path
        ``<layer>_<label>.tif`` of every layer and season, such as ``ndvi_mean_DJF.tif``; where looks are counted by
        their reason, with a band for each, which it describes.
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
    scratch = path.with_name(f".{path.name}.unfinished")
    bands = stack.reasons if layer == BY_REASON else ("",)
    last = client.submit(_create, scratch, _profile(stack, layer), bands, tags, pure=False)
    for row, column, window in _windows(stack):
        block = stack.graph[block_key(stack.token, season, row, column)]
        last = client.submit(_write_window, last, block, layer, window, pure=False)
    return client.submit(_rearrange, last, path, layer, pure=False)


def _windows(stack: SeasonStack) -> Iterator[tuple[int, int, tuple[int, int, int, int]]]:
    """Yield row, column and pixel window (x, y, width, height) of every spatial chunk."""
    rows, columns = (list(pairwise(accumulate(sizes, initial=0))) for sizes in stack.chunks)
    for (row, (y0, y1)), (column, (x0, x1)) in product(enumerate(rows), enumerate(columns)):
        yield row, column, (x0, y0, x1 - x0, y1 - y0)


def _profile(stack: SeasonStack, layer: str) -> dict[str, Any]:
    height, width = stack.grid.shape
    return {
        "driver": "GTiff",
        "dtype": ARRAYS[layer].name,
        "height": height,
        "width": width,
        "crs": stack.grid.crs,
        "transform": Affine(*stack.grid.transform),
        "nodata": _NODATA[ARRAYS[layer].kind],
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "bigtiff": "if_safer",
    }


def _create(path: Path, profile: dict[str, Any], bands: Sequence[str], tags: Mapping[str, str]) -> Path:
    with rasterio.Env(**_GDAL_OPTIONS), rasterio.open(path, "w", count=len(bands), **profile) as file:
        file.descriptions = bands
        file.update_tags(**tags)
    return path


def _write_window(path: Path, block: HeldBlock, layer: str, window: tuple[int, int, int, int]) -> Path:
    with rasterio.Env(**_GDAL_OPTIONS), rasterio.open(path, "r+") as file:
        values = getattr(block, layer)
        file.write(values.reshape(-1, *values.shape[-2:]), window=Window(*window))
    return path


def _rearrange(scratch: Path, path: Path, layer: str) -> Path:
    finished = scratch.with_suffix(".cog")
    with rasterio.Env(**_GDAL_OPTIONS):
        rasterio.shutil.copy(
            scratch,
            finished,
            driver="COG",
            compress="deflate",
            level=6,
            predictor=_PREDICTOR[ARRAYS[layer].kind],
            blocksize=512,
            overview_resampling="average",
            bigtiff="if_safer",
        )
    scratch.unlink()
    finished.rename(path)
    return path
