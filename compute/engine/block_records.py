"""Records of a block task: its input, its sums, and the finished block."""

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
    """Input of the task of one block, or of a part of its dates, except the scenes themselves.

    Attributes
    ----------
    run : str
        Name under which the work can be cancelled.
    grid : Grid
        Pixel grid of the block.
    groups : tuple of tuple of int
        For each (product, platform, solar day) group the positions of its scenes among the task's sources. Where
        several scenes show a pixel, the first in this order is taken.
    roles : mapping of str to Roles
        Roles of measurements by product.
    reader : str
        Reader: ``exact`` or ``odc``.
    resampling : str
        Resampling of red and nir: ``average``, ``bilinear`` or ``nearest``.
    average : str
        Source pixels that enter an area-weighted mean: ``clear`` takes each that its own mask pixel declares clear,
        ``all`` takes every valid one where the mask is clear at the centre of the output pixel.
    min_area : float
        Smallest share of an output pixel, 0 to 1, that must be clear and valid in an area-weighted mean.
    index_range : (float, float)
        Smallest and largest index value that counts as an observation.
    access : Access
        Rules by which files may be read.
    polygon : bytes or None
        Region as WKB in the grid's CRS; pixels whose centre lies outside have no observations.
    strata : tuple of int
        Stratum of each group. Each stratum weighs 1 in the mean and lies in one task as a whole. Empty where each
        observation weighs 1.
    months : tuple of int or None
        Calendar month of each group, 1 to 12; None where months are not counted.
    std : bool
        Whether sums of squares are kept for the standard deviation.
    reasons : tuple of str
        Exclusion reasons that are counted, from `compute.products.exclusion_reasons`; empty where none are.
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

    Attributes
    ----------
    total : numpy.ndarray
        (y, x) int64 sums of NDVI, in units of 2**-32.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    means, strata : numpy.ndarray or None
        (y, x) int64 sums of the strata's means, in units of 2**-32 NDVI, and uint16 numbers of strata.
    months : numpy.ndarray or None
        (y, x) uint16 bit sets: bit m - 1 is calendar month m with an observation.
    squares : numpy.ndarray or None
        (2, y, x) int64 sums of squares, in the two limbs of `compute.kernels.weighted_means.add_squares`.
    reasons : numpy.ndarray or None
        (reason, y, x) uint16 numbers of looks that are no observations, by exclusion reason.
    failed : frozenset of UnreadScene
        Scenes that could not be read and are missing from the sums.
    beyond : numpy.ndarray
        (2,) int64: number of observations outside -1 to 1, and number of pixels excluded by the index range.
    remarks : frozenset of str
        Sentences on files that contradict the scenes' documents or the product definition.
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
        """Return sums without any observation for a block of (rows, columns)."""
        return cls(total=np.zeros(shape, np.int64), count=np.zeros(shape, np.uint16), beyond=np.zeros(2, np.int64))

    @classmethod
    def zeros_for(cls, task: BlockTask) -> Sums:
        """Return sums without any observation, with the arrays that a task needs."""
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
        """Return the bytes of the arrays, from which Dask decides on spilling and transfers."""
        return _bytes(self.total, self.count, self.means, self.strata, self.months, self.squares, self.reasons)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One finished season of one spatial chunk.

    Attributes
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) float32 NDVI, NaN where never clear.
    clear_count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    levels : tuple of Level
        Overview levels: level k at index k - 1.
    clear_months : numpy.ndarray or None
        (y, x) uint8 numbers of different calendar months with an observation, on request.
    ndvi_std : numpy.ndarray or None
        (y, x) float32 standard deviation of the observations, NaN where there is no mean, on request.
    unclear_count : numpy.ndarray or None
        (reason, y, x) uint16 numbers of looks that are no observations, on request.
    failed : frozenset of UnreadScene
        Scenes that could not be read and are missing from the block.
    beyond : (int, int)
        Number of observations outside -1 to 1, and number of pixels excluded by the index range.
    remarks : frozenset of str
        Sentences on files that contradict the scenes' documents or the product definition.
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
        """Return the bytes of the arrays, from which Dask decides on spilling and transfers."""
        arrays = _bytes(self.ndvi_mean, self.clear_count, self.clear_months, self.ndvi_std, self.unclear_count)
        return arrays + sum(level.nbytes for level in self.levels)

    @property
    def tally(self) -> Tally:
        """Totals of the block's pixels."""
        return replace(
            Tally.from_arrays(self.ndvi_mean, self.clear_count, self.unclear_count, self.failed),
            beyond=self.beyond,
            remarks=self.remarks,
        )

    def level(self, number: int) -> Level:
        """Return an overview level by its number, from 1."""
        return self.levels[number - 1]


class HeldBlock(Protocol):
    """A finished block: a `Block` in memory, or a stored one whose arrays are read on access."""

    @property
    def ndvi_mean(self) -> NDArray[np.float32]:
        """As in `Block`."""

    @property
    def clear_count(self) -> NDArray[np.uint16]:
        """As in `Block`."""

    @property
    def clear_months(self) -> NDArray[np.uint8] | None:
        """As in `Block`."""

    @property
    def ndvi_std(self) -> NDArray[np.float32] | None:
        """As in `Block`."""

    @property
    def unclear_count(self) -> NDArray[np.uint16] | None:
        """As in `Block`."""

    @property
    def tally(self) -> Tally:
        """Totals of the block's pixels."""

    def level(self, number: int) -> Level:
        """Return an overview level by its number, from 1."""


def _bytes(*arrays: NDArray[np.generic] | None) -> int:
    return sum(each.nbytes for each in arrays if each is not None)
