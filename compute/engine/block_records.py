"""Records of block tasks: input, sums and counts, and finished blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compute.engine.block_totals import Tally
from compute.engine.overview_levels import Level
from compute.files.access import GEOTIFF_ALONE, Access
from compute.kernels import EVERY_INDEX, IndexRange
from compute.products import Roles
from compute.scenes import Grid, UnreadScene


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockTask:
    """Input, except the scenes, of a task that computes a block or some of its dates.

    Attributes
    ----------
    run : str
        Name of the run, by which its tasks are cancelled.
    grid : Grid
        Pixel grid of the block.
    groups : tuple of tuple of int
        Indices of scenes among the task's sources, for each group of one product, platform and solar day. If several
        scenes of a group are clear at a pixel, the first in this order is taken.
    roles : mapping of str to Roles
        Roles of measurements by product.
    reader : str
        Reader: ``exact`` or ``odc``.
    resampling : str
        Resampling method of red and nir; for the exact reader ``average``, ``bilinear`` or ``nearest``.
    average : str
        Source pixels that enter a mean (``average`` or ``bilinear``). ``clear``: valid pixels that are clear by their
        own mask pixel. ``all``: all valid pixels, if the mask is clear at the centre of the output pixel.
    min_area : float
        Minimum usable share, from 0 to 1, of an output pixel's area for a mean, or of the weights for ``bilinear``.
    index_range : (float, float)
        Minimum and maximum index value of an observation.
    access : Access
        Access rules for files.
    polygon : bytes or None
        Region as WKB in the grid's CRS. Pixels with their centre outside have no observations. None for no region.
    strata : tuple of int
        Stratum of each group. Each stratum has weight 1 in the mean, and is never split between tasks. Empty if each
        observation has weight 1.
    months : tuple of int or None
        Calendar month of each group, 1 to 12; None if months are not counted.
    std : bool
        Keep sums of squares for the standard deviation.
    reasons : tuple of str
        Exclusion reasons to count, from `compute.products.exclusion_reasons`; empty to count none.
    """

    run: str
    grid: Grid
    groups: tuple[tuple[int, ...], ...]
    roles: Mapping[str, Roles]
    reader: str
    resampling: str
    polygon: bytes | None = None
    strata: tuple[int, ...] = ()
    months: tuple[int, ...] | None = None
    std: bool = False
    reasons: tuple[str, ...] = ()
    average: str = "clear"
    min_area: float = 0.5
    index_range: IndexRange = EVERY_INDEX
    access: Access = GEOTIFF_ALONE


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """Sums and counts of a block over some or all of its dates.

    A *look* is a group of scenes whose mask is not nodata at a pixel, whether or not it is an observation.

    Attributes
    ----------
    total : numpy.ndarray
        (y, x) int64 sums of NDVI, in units of 2**-32.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    means, strata : numpy.ndarray or None
        (y, x) int64 sums of the means of strata, in units of 2**-32 NDVI, and (y, x) uint16 numbers of strata.
    months : numpy.ndarray or None
        (y, x) uint16 bit sets: bit m - 1 is set if calendar month m has an observation.
    squares : numpy.ndarray or None
        (2, y, x) int64 sums of squares, in the two limbs of `compute.kernels.weighted_means.add_squares`.
    reasons : numpy.ndarray or None
        (reason, y, x) uint16 numbers of looks that are not observations, by exclusion reason.
    failed : frozenset of UnreadScene
        Scenes that could not be read and are missing from the sums.
    beyond : numpy.ndarray
        (2,) int64: number of observations outside -1 to 1, and number of pixels excluded by the index range.
    remarks : frozenset of str
        Sentences about files that contradict their scene's document, the product definition or the products file.
    """

    total: NDArray[np.int64]
    count: NDArray[np.uint16]
    beyond: NDArray[np.int64]
    means: NDArray[np.int64] | None = None
    strata: NDArray[np.uint16] | None = None
    months: NDArray[np.uint16] | None = None
    squares: NDArray[np.int64] | None = None
    reasons: NDArray[np.uint16] | None = None
    failed: frozenset[UnreadScene] = frozenset()
    remarks: frozenset[str] = frozenset()

    @classmethod
    def zeros(cls, shape: tuple[int, int]) -> Sums:
        """Return zero sums of the given shape (rows, columns), without the optional arrays."""
        return cls(total=np.zeros(shape, np.int64), count=np.zeros(shape, np.uint16), beyond=np.zeros(2, np.int64))

    @classmethod
    def zeros_for(cls, task: BlockTask) -> Sums:
        """Return zero sums for a task, with the optional arrays that the task needs."""
        shape = task.grid.shape
        return replace(
            cls.zeros(shape),
            means=np.zeros(shape, np.int64) if task.strata else None,
            strata=np.zeros(shape, np.uint16) if task.strata else None,
            months=None if task.months is None else np.zeros(shape, np.uint16),
            squares=np.zeros((2, *shape), np.int64) if task.std else None,
            reasons=np.zeros((len(task.reasons), *shape), np.uint16) if task.reasons else None,
        )

    def __sizeof__(self) -> int:
        """Return the size of the arrays in bytes, which Dask uses for spilling and scheduling."""
        return _bytes(self.total, self.count, self.means, self.strata, self.months, self.squares, self.reasons)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Finished block: the values of one season of one spatial chunk.

    Attributes
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) float32 mean NDVI; NaN for pixels with fewer observations than the minimum.
    clear_count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    levels : tuple of Level
        Overview levels. Level k has index k - 1.
    clear_months : numpy.ndarray or None
        (y, x) uint8 numbers of distinct calendar months with an observation; None if not requested.
    ndvi_std : numpy.ndarray or None
        (y, x) float32 standard deviation of the observations, NaN for pixels without a mean; None if not requested.
    unclear_count : numpy.ndarray or None
        (reason, y, x) uint16 numbers of looks that are not observations, as in `Sums`; None if not requested.
    failed : frozenset of UnreadScene
        Scenes that could not be read and are missing from the block.
    beyond : (int, int)
        Number of observations outside -1 to 1, and number of pixels excluded by the index range.
    remarks : frozenset of str
        Sentences about files that contradict their scene's document, the product definition or the products file.
    """

    ndvi_mean: NDArray[np.float32]
    clear_count: NDArray[np.uint16]
    levels: tuple[Level, ...]
    clear_months: NDArray[np.uint8] | None = None
    ndvi_std: NDArray[np.float32] | None = None
    unclear_count: NDArray[np.uint16] | None = None
    failed: frozenset[UnreadScene] = frozenset()
    beyond: tuple[int, int] = (0, 0)
    remarks: frozenset[str] = frozenset()

    def __sizeof__(self) -> int:
        """Return the size of the arrays in bytes, which Dask uses for spilling and scheduling."""
        arrays = _bytes(self.ndvi_mean, self.clear_count, self.clear_months, self.ndvi_std, self.unclear_count)
        return arrays + sum(level.nbytes for level in self.levels)

    @property
    def tally(self) -> Tally:
        """Totals over the pixels of the block."""
        return replace(
            Tally.from_arrays(self.ndvi_mean, self.clear_count, self.unclear_count, self.failed),
            beyond=self.beyond,
            remarks=self.remarks,
        )

    def level(self, number: int) -> Level:
        """Return an overview level by its number; the first is 1."""
        return self.levels[number - 1]


class HeldBlock(Protocol):
    """Interface of finished blocks: a `Block` in memory, or a stored block whose arrays are read on access."""

    @property
    def ndvi_mean(self) -> NDArray[np.float32]:
        """Mean NDVI, as in `Block`."""

    @property
    def clear_count(self) -> NDArray[np.uint16]:
        """Numbers of observations, as in `Block`."""

    @property
    def clear_months(self) -> NDArray[np.uint8] | None:
        """Numbers of calendar months with an observation, as in `Block`."""

    @property
    def ndvi_std(self) -> NDArray[np.float32] | None:
        """Standard deviation of the observations, as in `Block`."""

    @property
    def unclear_count(self) -> NDArray[np.uint16] | None:
        """Numbers of looks that are not observations, as in `Block`."""

    @property
    def tally(self) -> Tally:
        """Totals over the pixels of the block."""

    def level(self, number: int) -> Level:
        """Return an overview level by its number; the first is 1."""


def _bytes(*arrays: NDArray[np.generic] | None) -> int:
    return sum(each.nbytes for each in arrays if each is not None)
