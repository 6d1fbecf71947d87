"""Block task: read the scenes of one season of one spatial chunk, and return sum and count.

A task never holds a time stack: it needs memory for the sums of its block and the windows of a few scenes.
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
    """Compute a block whose dates fit into one task.

    Parameters
    ----------
    task : BlockTask
        Grid, groups and roles.
    sources : sequence of Source
        Scenes to which the task's groups refer by position.
    min_clear : int
        Smallest number of observations for a mean.
    levels : int
        Number of overview levels of the result.

    Raises
    ------
    JobCancelledError, JobError
        As in `sum_part`.
    """
    return finish_block(sum_part(task, sources), min_clear, levels)


def sum_part(task: BlockTask, sources: Sequence[Source]) -> Sums:
    """Sum the observations of the groups of a task, one group after another.

    Parameters
    ----------
    task : BlockTask
        Grid, groups and roles.
    sources : sequence of Source
        Scenes to which the task's groups refer by position.

    Returns
    -------
    Sums
        On the block's grid.

    Raises
    ------
    JobCancelledError
        The run was cancelled; checked before every read.
    JobError
        A scene cannot be read, and the reader tolerates no missing scene.
    """
    sums = Sums.zeros_for(task)
    reader = _reader(task.reader)(task, polygon_mask(task.polygon, task.grid), CancelWatch(task.run))
    adder = LookAccumulator(task, sums)
    failed = reader.add_groups([[sources[index] for index in group] for group in task.groups], adder)
    return replace(sums, failed=failed, remarks=frozenset(adder.remarks))


def _reader(name: str) -> type[ExactReader] | type[OdcReader]:
    """Return the class of a reader. datacube is imported for ``odc`` only, since importing it takes a second."""
    if name == "exact":
        return ExactReader
    from compute.engine.datacube_reader import OdcReader  # noqa: PLC0415  # loads datacube

    return OdcReader


def add_parts(parts: Sequence[Sums]) -> Sums:
    """Add the sums of several parts of a block. Integer sums make the order of parts irrelevant.

    Parameters
    ----------
    parts : sequence of Sums
        At least one, all of one shape; unchanged.
    """
    failed = frozenset[UnreadScene]().union(*(part.failed for part in parts))
    remarks = frozenset[str]().union(*(part.remarks for part in parts))
    joined: dict[str, Any] = {
        name: _joined([getattr(part, name) for part in parts], how) for name, how in _JOINED.items()
    }
    return Sums(**joined, failed=failed, remarks=remarks)


def join_parts(parts: Sequence[Sums], min_clear: int, levels: int) -> Block:
    """Add the last parts of a block and finish it.

    Parameters
    ----------
    parts : sequence of Sums
        Last parts of the block.
    min_clear : int
        Smallest number of observations for a mean.
    levels : int
        Number of overview levels of the result.
    """
    return finish_block(add_parts(parts), min_clear, levels)


_JOINED: Mapping[str, np.ufunc] = {
    **dict.fromkeys(("total", "count", "beyond", "means", "strata", "squares", "reasons"), np.add),
    "months": np.bitwise_or,
}
"""Function that joins each array of the parts of a block."""


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

    Levels have no tasks of their own, which would only wait in the scheduler's queue.

    Parameters
    ----------
    sums : Sums
        Sums over all dates of the block.
    min_clear : int
        Smallest number of observations for a mean.
    levels : int
        Number of overview levels of the result.
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
    """Return the mean over observations, or over strata; `min_clear` counts observations in both cases."""
    if sums.means is None or sums.strata is None:
        return kernels.divide_sums(sums.total, sums.count, min_clear=min_clear)
    mean = kernels.divide_sums(sums.means, sums.strata)
    mean[sums.count < min_clear] = np.nan
    return mean


def polygon_mask(polygon: bytes | None, grid: Grid) -> NDArray[np.bool_]:
    """Return which pixel centres of a grid lie inside a polygon.

    Parameters
    ----------
    polygon : bytes or None
        WKB in the grid's CRS; None for no limit.
    grid : Grid
        Pixel grid of the block.

    Returns
    -------
    numpy.ndarray
        (y, x) bool; (1, 1) where all pixels are alike, since there is no polygon or it is empty.
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
    """Load libraries and compile kernels before the first block needs them; run once on each worker."""
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
    """Accumulate a tiny Landsat scene as a task does, so that numba compiles every kernel for its data types."""
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
