"""Zarr layout of a store: creation of arrays with shards and chunks, and completion of the group for any reader."""

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
"""Longest edge of an inner chunk in pixels, so that a few hundred kilobytes are read for a tile."""

_COMPRESSORS = (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), Crc32cCodec())
"""Compression and checksum. zstd reduces seasonal means to four fifths of their size. Slower codecs do not reduce them
further, since the last digits are noise. Because of the checksum, readers raise an error for damaged chunks."""


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
"""Data type, fill value and attributes of the arrays of a level. Mean counts have half the step of those of tiles, so
that 0 differs from means that round to 0."""


def create_store(url: str, stack: SeasonStack) -> None:
    """Create a store for the blocks of a stack, replacing an earlier store.

    Parameters
    ----------
    url : str
        Local folder or fsspec URL, such as ``s3://bucket/result.zarr``.
    stack : SeasonStack
        Lazy or persisted stack, which is not computed.
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
    """Return the pixel grid of a level; its last row and column may extend beyond the result.

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
    """Return the path of the group of a level, given its number from 1."""
    return f"levels/{level}"


def pixels_of(length: int, level: int) -> int:
    """Return the number of level pixels that cover the first `length` level-0 pixels of the grid.

    Parameters
    ----------
    length : int
        Number of level-0 pixels.
    level : int
        Number of the level.
    """
    return -(-length >> level)


def _chunks(stack: SeasonStack, level: int, between: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return the shards, chunks and codecs of an array.

    Each shard is one block; all blocks but the last along an axis have the same size. `between` contains the lengths of
    the axes between season and y.
    """
    (height, inner_height), (width, inner_width) = (edge_chunks(sizes, level) for sizes in stack.chunks)
    return {
        "shards": (1, *between, height, width),
        "chunks": (1, *(1 for _ in between), inner_height, inner_width),
        "compressors": _COMPRESSORS,
    }


def edge_chunks(sizes: Sequence[int], level: int) -> tuple[int, int]:
    """Return the edge lengths of a shard and of its inner chunks in pixels; the second divides the first.

    Borders of blocks are multiples of the coarsest level's factor, and that level has at most `MOST_INNER_PX` pixels
    along an edge. The edge of an inner chunk is therefore longer than half of `MOST_INNER_PX`, or equal to the edge of
    a smaller shard. A longer shard is rounded up to a multiple of `MOST_INNER_PX` if it is the only one along an axis.

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
    """Convert a store with all blocks to a Zarr group that any reader can open.

    Parameters
    ----------
    url : str
        URL of the store.
    blocks : int
        Number of blocks of the result.
    attributes : mapping
        Attributes of the group, with values that can be encoded as JSON.

    Raises
    ------
    JobError
        Blocks are missing, because a worker wrote them to other storage.
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
    """Consolidate the metadata, which xarray reads first, so that the group is opened with one request."""
    # zarr 3 warns, since its specification does not include consolidated metadata yet:
    # https://github.com/zarr-developers/zarr-specs/pull/309
    # Filtered for the whole process, because `warnings.catch_warnings` is not thread-safe before Python 3.14.
    warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", ZarrUserWarning)
    zarr.consolidate_metadata(url)
