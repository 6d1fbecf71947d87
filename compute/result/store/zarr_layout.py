"""Zarr layout of a store: arrays, shards and chunks, and the finished group for other software."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.errors import ZarrUserWarning

from compute.engine.overview_levels import LAYER_ENCODING
from compute.errors import JobError
from compute.kernels import NEVER_CLEAR
from compute.result.layers import ATTRIBUTES, CONVENTIONS, unused_value
from compute.result.stack import GRID_MAPPING, SeasonStack, grid_coords
from compute.result.store.completion_marks import MARKS, remove_marks, written_blocks
from compute.scenes import Grid

MOST_INNER_PX = 512
"""Largest edge of an inner chunk in pixels, so that a tile reads a few hundred kilobytes."""

_COMPRESSORS = (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), Crc32cCodec())
"""Compression and checksum. zstd reduces seasonal means to four fifths; slower codecs gain nothing, since the last
digits are noise. The checksum makes readers reject damaged chunks."""


LEVEL_ARRAYS: Mapping[str, tuple[str, int, Mapping[str, Any]]] = {
    "ndvi_mean": (
        "int16",
        NEVER_CLEAR,
        {
            **ATTRIBUTES["ndvi_mean"],
            "long_name": "mean NDVI of the level-0 pixels that have one, each weighing 1",
            "scale_factor": LAYER_ENCODING["ndvi_mean"].scale,
            "add_offset": 0.0,
            "_FillValue": NEVER_CLEAR,
        },
    ),
    "clear_share": (
        "uint8",
        0,
        {
            "long_name": "share of level-0 pixels that have a mean",
            "units": "1",
            "scale_factor": 1 / 255,
            "add_offset": 0.0,
        },
    ),
    "clear_count": (
        "uint16",
        65_535,
        {
            "long_name": "mean number of clear observations of all level-0 pixels",
            "units": "1",
            "scale_factor": LAYER_ENCODING["clear_count"].scale / 2,
            "add_offset": 0.0,
        },
    ),
}
"""Data type, fill value and attributes of the arrays of a level. Mean counts have half the step of a tile's, to tell 0
from means that round to 0."""


def create_store(url: str, stack: SeasonStack) -> None:
    """Create a store for the blocks of a stack, replacing an earlier one.

    Parameters
    ----------
    url : str
        Local folder or fsspec URL, such as ``s3://bucket/result.zarr``.
    stack : SeasonStack
        Lazy or persisted stack; it is not computed.
    """
    dataset = stack.dataset().assign_attrs(Conventions=CONVENTIONS)
    for array in dataset.data_vars.values():
        array.encoding |= _chunks(stack, 0, array.shape[1:-2]) | {"fill_value": unused_value(array.dtype)}
    dataset.to_zarr(url, mode="w", compute=False, consolidated=False, safe_chunks=False)
    for level in range(1, stack.levels + 1):
        _create_level(url, stack, level, dataset.season)
    zarr.create_group(url, path=MARKS)
    _consolidate(url)


def _create_level(url: str, stack: SeasonStack, level: int, season: xr.DataArray) -> None:
    grid = level_grid(stack.grid, level)
    title = f"Level {level}: means of {2**level} by {2**level} pixels"
    coords = xr.Dataset(coords=grid_coords(grid) | {"season": season})
    coords.assign_attrs(Conventions=CONVENTIONS, title=title).to_zarr(
        url, group=level_path(level), mode="w", consolidated=False
    )
    group, shape = zarr.open_group(url, path=level_path(level), mode="r+"), (len(stack.labels), *grid.shape)
    for name, (dtype, fill_value, attributes) in LEVEL_ARRAYS.items():
        group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            fill_value=fill_value,
            attributes={**attributes, **GRID_MAPPING, "coordinates": "season"},
            dimension_names=("season", "y", "x"),
            **_chunks(stack, level),
        )


def level_grid(grid: Grid, level: int) -> Grid:
    """Return the pixel grid of a level; its last row and column may reach beyond the result.

    Parameters
    ----------
    grid : Grid
        Pixel grid of the result.
    level : int
        Number of the level.
    """
    dx, _, left, _, dy, top = grid.transform
    rows, columns = (pixels_of(length, level) for length in grid.shape)
    return Grid(crs=grid.crs, shape=(rows, columns), transform=(dx * 2**level, 0.0, left, 0.0, dy * 2**level, top))


def level_path(level: int) -> str:
    """Return the path of the group of a level, from 1."""
    return f"levels/{level}"


def pixels_of(length: int, level: int) -> int:
    """Return the number of level pixels that cover `length` level-0 pixels from the first of the grid.

    Parameters
    ----------
    length : int
        Number of level-0 pixels.
    level : int
        Number of the level.
    """
    return -(-length >> level)


def _chunks(stack: SeasonStack, level: int, between: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return shards, chunks and codecs of an array; a shard is a block, and all blocks but the last have one size.

    `between` are the lengths of the axes between season and y.
    """
    (height, inner_height), (width, inner_width) = (edge_chunks(sizes, level) for sizes in stack.chunks)
    return {
        "shards": (1, *between, height, width),
        "chunks": (1, *(1 for _ in between), inner_height, inner_width),
        "compressors": _COMPRESSORS,
    }


def edge_chunks(sizes: Sequence[int], level: int) -> tuple[int, int]:
    """Return the edges of a shard and of an inner chunk, which divides the shard, in pixels.

    Borders of blocks lie on multiples of the coarsest level's factor, and that level has at most `MOST_INNER_PX`
    pixels along an edge, so that inner chunks have over half of `MOST_INNER_PX` where blocks are that large. A single
    block along an axis has no neighbours, so its shard may be rounded up.

    Parameters
    ----------
    sizes : sequence of int
        Sizes of the spatial chunks along the axis.
    level : int
        Number of the level.
    """
    size = pixels_of(sizes[0], level)
    if len(sizes) == 1 and size > MOST_INNER_PX:
        size = -(-size // MOST_INNER_PX) * MOST_INNER_PX
    return size, next(inner for inner in range(min(size, MOST_INNER_PX), 0, -1) if size % inner == 0)


def finish_store(url: str, blocks: int, attributes: Mapping[str, Any]) -> None:
    """Turn a store with all blocks into a Zarr group that any reader opens.

    Parameters
    ----------
    url : str
        URL of the store.
    blocks : int
        Number of blocks of the result.
    attributes : mapping
        Attributes of the group, with values for JSON.

    Raises
    ------
    JobError
        Blocks are missing, since a worker wrote them elsewhere.
    """
    missing = blocks - len(written_blocks(url))
    if missing:
        raise JobError(
            f"{missing:,} of {blocks:,} blocks are not in the folder; have all workers share it, and compute again."
        )
    group = zarr.open_group(url, mode="r+", use_consolidated=False)
    group.update_attributes(dict(attributes))
    remove_marks(url)
    _consolidate(url)


def _consolidate(url: str) -> None:
    """Consolidate the metadata, so that one request opens the group; xarray looks for it first."""
    # zarr 3 warns as the specification lacks it yet: https://github.com/zarr-developers/zarr-specs/pull/309
    # Filtered for the whole process, since `warnings.catch_warnings` is not thread-safe before Python 3.14.
    warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", ZarrUserWarning)
    zarr.consolidate_metadata(url)
