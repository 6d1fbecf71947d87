"""Pictures of whole seasons, drawn block by block on the workers from an overview level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import floor, log2

import numpy as np
from distributed import Client
from numpy.typing import NDArray

from compute import kernels
from compute.engine import HeldBlock
from compute.engine.overview_levels import LAYER_ENCODING
from compute.result.stack import SeasonStack
from compute.scenes.pixel_frames import ResultWindow
from compute.statistics.season_totals import reduce_seasons


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureGrid:
    """Pixel grid of a picture of a whole result.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the picture.
    cell : (float, float)
        Height and width of a pixel of the picture, in level-0 pixels of the result; at least 1.
    level : int
        Level to draw from: the coarsest level whose pixels are no larger than those of the picture.
    """

    shape: tuple[int, int]
    cell: tuple[float, float]
    level: int


def picture_grid(stack: SeasonStack, longest: int) -> PictureGrid:
    """Return the grid of a picture of a result.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    longest : int
        Pixels along the longer edge of the picture, or fewer if the result has fewer.
    """
    rows, columns = stack.grid.shape
    scale = min(1.0, longest / max(rows, columns))
    shape = max(1, round(rows * scale)), max(1, round(columns * scale))
    cell = rows / shape[0], columns / shape[1]
    return PictureGrid(shape=shape, cell=cell, level=min(floor(log2(max(min(cell), 1.0))), stack.levels))


async def draw_seasons(stack: SeasonStack, client: Client, raster: PictureGrid) -> list[NDArray[np.float64]]:
    """Draw every season of a persisted stack on the workers; only the pixels of the pictures are transferred.

    Parameters
    ----------
    stack : SeasonStack
        Stack persisted on the cluster of `client`.
    client : distributed.Client
        Asynchronous client.
    raster : PictureGrid
        Grid of the pictures, from `picture_grid`.

    Returns
    -------
    list of numpy.ndarray
        For each season, (y, x) float64 mean NDVI of the level pixels whose centres lie in a pixel of the picture,
        weighted by their clear share; NaN where none is clear. Rows are in the order of the result's grid.
    """
    sheets = await reduce_seasons(stack, client, partial(_draw, raster=raster), _lay)
    scale = LAYER_ENCODING["ndvi_mean"].scale
    return [np.where(each.weight > 0, each.total * scale / np.maximum(each.weight, 1), np.nan) for each in sheets]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sheet:
    """Part of a picture.

    Attributes
    ----------
    row, column : int
        Row and column of the first pixel of the part in the picture.
    total : numpy.ndarray
        (y, x) int64 sums of weighted level values. With integers, sums do not depend on the order of blocks.
    weight : numpy.ndarray
        (y, x) int64 sums of the weights.
    """

    row: int
    column: int
    total: NDArray[np.int64]
    weight: NDArray[np.int64]


def _draw(block: HeldBlock, window: ResultWindow, raster: PictureGrid) -> _Sheet:
    values, weight = _level_of(block, raster.level)
    rows, columns = (
        _cells(window[axis], values.shape[axis], raster.level, raster.cell[axis], raster.shape[axis]) for axis in (0, 1)
    )
    total, weight = (_add_up(each, rows, columns) for each in (values * weight, weight))
    return _Sheet(row=int(rows[0]), column=int(columns[0]), total=total, weight=weight)


def _level_of(block: HeldBlock, level: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (y, x) int64 values of a level and their (y, x) int64 weights; the weight of a missing value is 0."""
    if level:
        held = block.level(level)
        return held.ndvi_mean.astype(np.int64), held.clear_share.astype(np.int64)
    mean = block.ndvi_mean
    values = kernels.encode_values(mean.ravel(), 1.0 / LAYER_ENCODING["ndvi_mean"].scale).reshape(mean.shape)
    return values.astype(np.int64), (values != kernels.NEVER_CLEAR).astype(np.int64)


def _cells(first: int, count: int, level: int, cell: float, cells: int) -> NDArray[np.int64]:
    """Return the (count,) int64 picture pixels that contain the centres of a block's level pixels along an axis."""
    centres = first + (np.arange(count) + 0.5) * 2.0**level
    return np.minimum((centres / cell).astype(np.int64), cells - 1)


def _add_up(values: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum values by picture pixel. No picture pixel is empty, since level pixels are no larger."""
    starts = (np.flatnonzero(np.diff(cells, prepend=-1)) for cells in (rows, columns))
    added: NDArray[np.int64] = np.add.reduceat(np.add.reduceat(values, next(starts), axis=0), next(starts), axis=1)
    return added


def _lay(sheets: list[_Sheet]) -> _Sheet:
    """Add parts of a picture. A pixel across a chunk border is the sum of the blocks on both sides."""
    top, left = min(each.row for each in sheets), min(each.column for each in sheets)
    bottom = max(each.row + each.total.shape[0] for each in sheets)
    right = max(each.column + each.total.shape[1] for each in sheets)
    total, weight = np.zeros((2, bottom - top, right - left), np.int64)
    for each in sheets:
        rows, columns = each.total.shape
        part = np.s_[each.row - top : each.row - top + rows, each.column - left : each.column - left + columns]
        total[part] += each.total
        weight[part] += each.weight
    return _Sheet(row=top, column=left, total=total, weight=weight)
