"""Records of a block's task: its input, its sums, and the finished block."""

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
    """Everything that the task of one block, or of a part of its dates, needs but the scenes themselves.

    Attributes
    ----------
    run : str
        Name under which the work can be cancelled.
    grid : Grid
        Pixel grid of the block.
    groups : tuple of tuple of int
        For each (product, platform, solar day) group the positions of its scenes in the sources that the task is
        given, in the order in which they win a pixel.
    roles : mapping of str to Roles
        By product.
    reader : str
        Who reads and warps: ``exact`` or ``odc``.
    resampling : str
        How red and nir are warped.
    average : str
        Pixels that a mean over areas is taken of: ``clear`` ones, each by its own mask pixel, or ``all`` valid ones,
        where the mask is clear at the centre.
    min_area : float
        Least share of an output pixel that must be clear and valid where a mean over areas is taken.
    index_range : (float, float)
        Least and greatest index that is an observation.
    access : Access
        Rules by which files may be read.
    polygon : bytes or None
        WKB in the grid's CRS: pixels whose centre lies outside are never observed.
    strata : tuple of int
        For each group the stratum that it belongs to, each of which weighs 1 and is whole in the task; empty where
        each observation does.
    months : tuple of int or None
        For each group its calendar month, 1 to 12; None where months are not counted.
    std : bool
        Whether squares are added up.
    reasons : tuple of str
        Why looks are no observations, as `compute.products.reasons_of` gives it; empty where that is not counted.
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
    """Sum and count of a block, and what else is asked for.

    Attributes
    ----------
    total : numpy.ndarray
        (y, x) int64, in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    means, strata : numpy.ndarray or None
        (y, x) int64 sums of the strata's means, in units of 2**-32 NDVI, and uint16 numbers of strata.
    months : numpy.ndarray or None
        (y, x) uint16, a bit for each calendar month with an observation.
    squares : numpy.ndarray or None
        (2, y, x) int64 sums of squares, in the two limbs of `compute.kernels.weighted_means.add_squares`.
    reasons : numpy.ndarray or None
        (reason, y, x) uint16 numbers of looks that are no observations.
    failed : frozenset of UnreadScene
        Scenes that could not be read and are not in the sums.
    beyond : numpy.ndarray
        (2,) int64 numbers of observations outside -1 to 1, and of those that the index range leaves out.
    remarks : frozenset of str
        Sentences on what files state otherwise than documents or definition.
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
        """Return the sums of no look at the ground."""
        return cls(total=np.zeros(shape, np.int64), count=np.zeros(shape, np.uint16), beyond=np.zeros(2, np.int64))

    @classmethod
    def zeros_for(cls, task: BlockTask) -> Sums:
        """Return the sums of no look at the ground, with the arrays that a task asks for."""
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
        """Bytes of the arrays, by which Dask weighs what it spills and moves."""
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
        Overviews: level k at index k - 1.
    clear_months : numpy.ndarray or None
        (y, x) uint8 numbers of different calendar months with an observation, where asked for.
    ndvi_std : numpy.ndarray or None
        (y, x) float32 standard deviation of the observations, NaN where there is no mean, where asked for.
    unclear_count : numpy.ndarray or None
        (reason, y, x) uint16 numbers of looks that are no observations, where asked for.
    failed : frozenset of UnreadScene
        Scenes that could not be read and are not in it.
    beyond : (int, int)
        Numbers of observations outside -1 to 1, and of those that the index range leaves out.
    remarks : frozenset of str
        Sentences on what files state otherwise than documents or definition.
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
        """Bytes of the arrays, by which Dask weighs what it spills and moves."""
        arrays = _bytes(self.ndvi_mean, self.clear_count, self.clear_months, self.ndvi_std, self.unclear_count)
        return arrays + sum(level.nbytes for level in self.levels)

    @property
    def tally(self) -> Tally:
        """Totals of its pixels."""
        return replace(
            Tally.of(self.ndvi_mean, self.clear_count, self.unclear_count, self.failed),
            beyond=self.beyond,
            remarks=self.remarks,
        )

    def level(self, number: int) -> Level:
        """Return a level by its number, from 1."""
        return self.levels[number - 1]


class HeldBlock(Protocol):
    """A finished block wherever its arrays are: a `Block` in memory, or one in a store that is read when asked."""

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
        """Totals of its pixels."""

    def level(self, number: int) -> Level:
        """Return a level by its number, from 1."""


def _bytes(*arrays: NDArray[np.generic] | None) -> int:
    return sum(each.nbytes for each in arrays if each is not None)
