"""Placement of a block's pixels among those of a scene, and the looks taken by it."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from compute.kernels import resample
from compute.kernels.resample import SLIVER_PX, Accumulators, AverageTable, BandWindows, ClearPixels, NearestIndex
from compute.scenes import Grid
from compute.scenes.alignment import Alignment, alignment_of, first_pixel
from compute.scenes.pixel_frames import SourcePixel, SourceWindow
from compute.scenes.warp import WarpGeometry, find_turns, shift_by_turns, warp_geometry

MOST_KEPT = 3
"""Alignments that a task remembers, each for up to 128 MB of weights: a block rarely lies in more than two zones, and a
Sentinel-2 mask has an alignment of its own."""

Array = NDArray[np.generic]
Mask = NDArray[np.bool_]


class Placement(Protocol):
    """Place of a block in all scenes of one alignment. Its frame is that of absolute source pixels."""

    @property
    def window(self) -> SourceWindow | None:
        """The source pixels that the block needs; None where it needs none."""

    @property
    def reach(self) -> int:
        """Source pixels around the one that its centre lies in that a pixel of the block is made of."""

    @property
    def takes_means(self) -> bool:
        """True where a pixel of the block is a mean of several source pixels."""

    def find_clear(self, mask: Array, at: SourcePixel, table: Mask, taken: Mask) -> ClearPixels:
        """Return which pixels of the block are clear and not taken; `at` is where `mask` begins."""

    def take_nearest(self, values: Array, at: SourcePixel) -> Array:
        """Return (y, x) the values that `clear` would look at, 0 beyond them; `at` is where `values` begin."""

    def add_observations(self, bands: BandWindows, clear: ClearPixels, sums: Accumulators) -> None:
        """Add a look of red and nir."""


class Aligned:
    """A block whose pixels are the scenes' own: nothing is warped."""

    reach = 0
    takes_means = False

    def __init__(self, block: Grid) -> None:
        self._first, self._shape = first_pixel(block), block.shape
        (row, column), (rows, columns) = self._first, block.shape
        self.window: SourceWindow | None = SourceWindow((row, column, row + rows, column + columns))

    def find_clear(self, mask: Array, at: SourcePixel, table: Mask, taken: Mask) -> ClearPixels:
        """See `Placement`."""
        return resample.clear_of_window(mask, self._offset(at), table, taken)

    def take_nearest(self, values: Array, at: SourcePixel) -> Array:
        """See `Placement`."""
        taken = np.zeros(self._shape, values.dtype)
        rows, columns = (_shared(self._first[axis], self._shape[axis], at[axis], values.shape[axis]) for axis in (0, 1))
        taken[rows[0], columns[0]] = values[rows[1], columns[1]]
        return taken

    def add_observations(self, bands: BandWindows, clear: ClearPixels, sums: Accumulators) -> None:
        """See `Placement`."""
        resample.accumulate_window(bands, self._first, clear, sums)

    def _offset(self, at: SourcePixel) -> tuple[int, int]:
        return self._first[0] - at[0], self._first[1] - at[1]


def _shared(first: int, size: int, at: int, held: int) -> tuple[slice, slice]:
    """Return which pixels of a block lie in a window, along one edge, and which of the window these are."""
    start, stop = max(first, at), min(first + size, at + held)
    return slice(start - first, max(start, stop) - first), slice(start - at, max(start, stop) - at)


class Warped:
    """A block on another grid than the scenes: the warp is worked out once, for every date and band."""

    def __init__(self, geometry: WarpGeometry, resampling: str) -> None:
        self._geometry = geometry
        self._resampling = resampling
        self.takes_means = resampling in ("average", "bilinear")
        self.window = geometry.source_window()
        self.reach = geometry.reach()

    @cached_property
    def _index(self) -> NearestIndex:
        return resample.nearest_index(self._geometry)

    @cached_property
    def _table(self) -> AverageTable:
        return resample.average_weights(self._geometry)

    def find_clear(self, mask: Array, at: SourcePixel, table: Mask, taken: Mask) -> ClearPixels:
        """See `Placement`."""
        return resample.clear_of_index(mask, at, self._index, table, taken)

    def take_nearest(self, values: Array, at: SourcePixel) -> Array:
        """See `Placement`."""
        return resample.take_nearest(values, at, self._index, 0)

    def add_observations(self, bands: BandWindows, clear: ClearPixels, sums: Accumulators) -> None:
        """See `Placement`."""
        match self._resampling:
            case "average":
                resample.accumulate_average(bands, self._table, clear, sums)
            case "bilinear":
                resample.accumulate_bilinear(bands, self._geometry, clear, sums)
            case _:
                resample.accumulate_nearest(bands, self._index, clear, sums)


class Placements:
    """Placements of a block in the scenes that its task reads; in the thread of the task alone, as PROJ wants it.

    Parameters
    ----------
    block : Grid
        Pixel grid of the block.
    resampling : str
        ``average``, ``bilinear`` or ``nearest``.
    """

    def __init__(self, block: Grid, resampling: str) -> None:
        self._block = block
        self._own = alignment_of(block)
        self._resampling = resampling
        self._known: LRUCache[tuple[Alignment, int], Placement] = LRUCache(MOST_KEPT)

    def find(self, source: Grid, turn: int = 0) -> Placement:
        """Return the placement of the block in a file and in all others of its alignment.

        Parameters
        ----------
        source : Grid
            Pixel grid of the file.
        turn : int
            One of `turns`.
        """
        key = alignment_of(source), turn
        placement = self._known.get(key)
        if placement is None:
            placement = self._known[key] = self._place(source, turn)
        return placement

    def turns(self, source: Grid) -> tuple[int, ...]:
        """Return the turns of the globe at which the block meets a file, see `compute.scenes.warp.find_turns`."""
        return find_turns(self.find(source).window, source)

    def _place(self, source: Grid, turn: int) -> Placement:
        if alignment_of(source) == self._own:
            block = shift_by_turns(self._block, source, turn) if turn else self._block
            if alignment_of(block) == self._own:
                return Aligned(block)
        return Warped(warp_geometry(self._block, source, turn), self._resampling)


def on_other_grid(values: Mask, values_grid: Grid, at: SourcePixel, target: Grid) -> Mask:
    """Take the nearest of a mask's pixels for every pixel of a window on another grid.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns) bool: a window of the mask.
    values_grid : Grid
        Grid of the whole file of the mask.
    at : SourcePixel
        The window's first pixel, in absolute pixels of the mask.
    target : Grid
        Pixel grid of the other window.

    Returns
    -------
    numpy.ndarray
        Bool of the shape of `target`, False beyond the window of the mask.
    """
    own, other = alignment_of(values_grid), alignment_of(target)
    if own == other:
        return Aligned(target).take_nearest(values, at).astype(bool, copy=False)
    if own.crs == other.crs and own.is_upright and other.is_upright:
        return _by_line(values, at, own, other, target)
    return Warped(warp_geometry(target, values_grid), "nearest").take_nearest(values, at).astype(bool)


def _by_line(values: Mask, at: SourcePixel, own: Alignment, other: Alignment, target: Grid) -> Mask:
    """Take the nearest pixels where rows lie along rows, each row and column by itself."""
    row, column = first_pixel(target)
    centres = [first + np.arange(float(size)) + 0.5 for first, size in zip((row, column), target.shape, strict=True)]
    _, y = other.to_crs(centres[0], np.zeros_like(centres[0]))
    x, _ = other.to_crs(np.zeros_like(centres[1]), centres[1])
    rows = np.floor(own.to_pixels(np.zeros_like(y), y)[0] + SLIVER_PX).astype(np.int64) - at[0]
    columns = np.floor(own.to_pixels(x, np.zeros_like(x))[1] + SLIVER_PX).astype(np.int64) - at[1]
    is_held = [(places >= 0) & (places < size) for places, size in zip((rows, columns), values.shape, strict=True)]
    taken = np.zeros(target.shape, bool)
    taken[np.ix_(*is_held)] = values[np.ix_(rows[is_held[0]], columns[is_held[1]])]
    return taken
