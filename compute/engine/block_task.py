"""Block tasks: read the scenes of one season of one spatial chunk, and compute their mean and count.

A task never holds a time stack in memory, only the sums of its block and the windows of a few scenes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray

from compute import kernels
from compute.engine.accumulation import LookAccumulator
from compute.engine.block_records import Block, BlockTask, Sums
from compute.engine.cancellation import CancelWatch
from compute.engine.exact_reader import ExactReader
from compute.engine.memory_allocator import keep_freed_memory
from compute.engine.overview_levels import build_levels
from compute.engine.pixel_placement import Placement, Placements
from compute.kernels import weighted_means
from compute.kernels.resample import Accumulators, BandWindows, untaken_pixels, usable_pixels
from compute.request import EXACT_RESAMPLINGS
from compute.scenes import Grid, Source, UnreadScene
from compute.scenes.pixel_frames import SourcePixel

if TYPE_CHECKING:
    from compute.engine.datacube_reader import OdcReader


def compute_block(task: BlockTask, sources: Sequence[Source], min_clear: int, levels: int) -> Block:
    """Compute a block in a single task.

    Parameters
    ----------
    task : BlockTask
        Grid, groups and roles.
    sources : sequence of Source
        Scenes, to which the groups of the task refer by index.
    min_clear : int
        Minimum number of observations for a mean.
    levels : int
        Number of overview levels to build.

    Returns
    -------
    Block
        The finished block.

    Raises
    ------
    JobCancelledError, JobError
        As in `sum_part`.
    """
    return finish_block(sum_part(task, sources), min_clear, levels)


def sum_part(task: BlockTask, sources: Sequence[Source]) -> Sums:
    """Sum the observations of all groups of a task.

    Parameters
    ----------
    task : BlockTask
        Grid, groups and roles.
    sources : sequence of Source
        Scenes, to which the groups of the task refer by index.

    Returns
    -------
    Sums
        Sums on the block's grid, with the scenes that could not be read.

    Raises
    ------
    JobCancelledError
        The run was cancelled; checked before every read.
    JobError
        The reader is ``odc`` and a scene cannot be read.
    """
    sums = Sums.zeros_for(task)
    reader = _reader(task.reader)(task, polygon_mask(task.polygon, task.grid), CancelWatch(task.run))
    adder = LookAccumulator(task, sums)
    failed = reader.add_groups([[sources[index] for index in group] for group in task.groups], adder)
    return replace(sums, failed=failed, remarks=frozenset(adder.remarks))


def _reader(name: str) -> type[ExactReader] | type[OdcReader]:
    """Return the class of a reader. datacube is imported only for ``odc``, because the import takes a second."""
    if name == "exact":
        return ExactReader
    from compute.engine.datacube_reader import OdcReader  # noqa: PLC0415  # loads datacube

    return OdcReader


def add_parts(parts: Sequence[Sums]) -> Sums:
    """Add the sums of several parts of a block. The order does not matter, since the sums are integers.

    Parameters
    ----------
    parts : sequence of Sums
        Sums of the same shape, at least one; unchanged.

    Returns
    -------
    Sums
        New arrays with the sums over all parts.
    """
    failed = frozenset[UnreadScene]().union(*(part.failed for part in parts))
    remarks = frozenset[str]().union(*(part.remarks for part in parts))
    joined: dict[str, Any] = {
        name: _joined([getattr(part, name) for part in parts], how) for name, how in _JOINED.items()
    }
    return Sums(**joined, failed=failed, remarks=remarks)


def join_parts(parts: Sequence[Sums], min_clear: int, levels: int) -> Block:
    """Add the remaining parts of a block, and finish the block.

    Parameters
    ----------
    parts : sequence of Sums
        Sums that together cover all dates of the block.
    min_clear : int
        Minimum number of observations for a mean.
    levels : int
        Number of overview levels to build.

    Returns
    -------
    Block
        The finished block.
    """
    return finish_block(add_parts(parts), min_clear, levels)


_JOINED: Mapping[str, np.ufunc] = {
    **dict.fromkeys(("total", "count", "beyond", "means", "strata", "squares", "reasons"), np.add),
    "months": np.bitwise_or,
}
"""Ufunc that combines the arrays of two parts of a block, by field of `Sums`."""


def _joined(arrays: Sequence[NDArray[Any] | None], how: np.ufunc) -> NDArray[Any] | None:
    kept = [each for each in arrays if each is not None]
    if not kept:
        return None
    joined = kept[0].copy()
    for each in kept[1:]:
        how(joined, each, out=joined)
    return joined


def finish_block(sums: Sums, min_clear: int, levels: int) -> Block:
    """Divide the sums of a block by its counts, and build its overview levels.

    Levels are not built in separate tasks, because these would be delayed in the scheduler's queue.

    Parameters
    ----------
    sums : Sums
        Sums over all dates of the block.
    min_clear : int
        Minimum number of observations for a mean.
    levels : int
        Number of overview levels to build.

    Returns
    -------
    Block
        The finished block.
    """
    ndvi_mean = _mean(sums, min_clear)
    return Block(
        ndvi_mean=ndvi_mean,
        clear_count=sums.count,
        levels=build_levels(ndvi_mean, sums.count, levels),
        clear_months=None if sums.months is None else weighted_means.count_months(sums.months),
        ndvi_std=None
        if sums.squares is None
        else weighted_means.standard_deviation(sums.total, sums.count, sums.squares, min_clear=min_clear),
        unclear_count=sums.reasons,
        failed=sums.failed,
        beyond=(int(sums.beyond[0]), int(sums.beyond[1])),
        remarks=sums.remarks,
    )


def _mean(sums: Sums, min_clear: int) -> NDArray[np.float32]:
    """Return the mean over observations or over strata. In both cases `min_clear` is a number of observations."""
    if sums.means is None or sums.strata is None:
        return kernels.divide_sums(sums.total, sums.count, min_clear=min_clear)
    mean = kernels.divide_sums(sums.means, sums.strata)
    mean[sums.count < min_clear] = np.nan
    return mean


def polygon_mask(polygon: bytes | None, grid: Grid) -> NDArray[np.bool_]:
    """Return whether the pixel centres of a grid lie inside a polygon.

    Parameters
    ----------
    polygon : bytes or None
        Polygon as WKB in the grid's CRS; None if the region is not limited.
    grid : Grid
        Pixel grid of the block.

    Returns
    -------
    numpy.ndarray
        (y, x) bool; or (1, 1) for all pixels alike: True without a polygon, False for an empty polygon.
    """
    if polygon is None:
        return np.ones((1, 1), bool)
    geometry = shapely.from_wkb(polygon)
    if geometry.is_empty:
        return np.zeros((1, 1), bool)
    inside: NDArray[np.bool_] = rasterio.features.geometry_mask(
        [geometry], grid.shape, Affine(*grid.transform), invert=True
    )
    return inside


def warm_up() -> None:
    """Load libraries and compile kernels before the first block is computed; run once on each worker."""
    keep_freed_memory()
    block, elsewhere = _grid("EPSG:3577", 1_200_000.0, -4_500_000.0), _grid("EPSG:32655", 450_000.0, -4_600_000.0)
    for source in (block, elsewhere):
        for resampling in EXACT_RESAMPLINGS:
            _look_once(Placements(block, resampling).find(source), block.shape)
    count = np.zeros(block.shape, np.uint16)
    build_levels(kernels.divide_sums(np.zeros(block.shape, np.int64), count), count, 2)


def _grid(crs: str, left: float, top: float) -> Grid:
    return Grid(crs=crs, shape=(2, 2), transform=(30.0, 0.0, left, 0.0, -30.0, top))


def _look_once(placement: Placement, shape: tuple[int, int]) -> None:
    """Accumulate a tiny scene with the dtypes of Landsat, so that numba compiles the kernels for them."""
    top, left, bottom, right = placement.window or (0, 0, 1, 1)
    at, size = SourcePixel((top, left)), (bottom - top, right - left)
    mask, red, nir = (np.ones(size, kind) for kind in (np.uint8, np.int16, np.int16))
    sums, taken = Sums.zeros(shape), np.zeros(shape, bool)
    numbers = np.array([[-999.0, 1.0, 10_000.0, 1e-4, 0.0]] * 2)
    clear = placement.find_clear(mask, at, np.ones(256, bool), taken)
    usable = None
    if placement.takes_means:
        clear, usable = untaken_pixels(taken), usable_pixels(red, nir, np.ones(size, bool), numbers)
    bands = BandWindows(red=red, nir=nir, at=at, numbers=numbers, usable=usable)
    added = Accumulators(total=sums.total, count=sums.count, taken=taken, beyond=sums.beyond)
    placement.add_observations(bands, clear, added)
