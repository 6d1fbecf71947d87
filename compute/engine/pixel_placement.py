"""Placement of a block in the pixel grids of its scenes: find clear pixels, take nearest values, add observations."""

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
"""Maximum number of placements in a task's cache, each with up to 128 MB of weights. A block rarely lies in more than
two UTM zones, and the mask of Sentinel-2 has a different alignment from its bands."""

Array = NDArray[np.generic]
Mask = NDArray[np.bool_]


class Placement(Protocol):
    """Placement of a block in all scenes of one alignment."""

    @property
    def window(self) -> SourceWindow | None:
        """Window of source pixels that the block needs; None if no pixel of the block has a position in the source."""

    @property
    def reach(self) -> int:
        """Radius, in source pixels, of the neighbourhood from which an output pixel is computed."""

    @property
    def takes_means(self) -> bool:
        """Whether an output pixel is a weighted mean of several source pixels."""

    def find_clear(self, mask: Array, at: SourcePixel, table: Mask, taken: Mask) -> ClearPixels:
        """Return the pixels of the block that are clear and not yet taken.

        Parameters
        ----------
        mask : numpy.ndarray
            (rows, columns) 8- or 16-bit codes of a window of the mask.
        at : SourcePixel
            First pixel of the window.
        table : numpy.ndarray
            (256,) or (65536,) bool look-up table of clear codes.
        taken : numpy.ndarray
            (y, x) bool: pixels of the block to leave out, such as those with an observation of the same group.

        Returns
        -------
        ClearPixels
            The clear pixels, by row.
        """

    def take_nearest(self, values: Array, at: SourcePixel) -> Array:
        """Return the values of the source pixels at the centres of the block's pixels.

        Parameters
        ----------
        values : numpy.ndarray
            (rows, columns) values of a window.
        at : SourcePixel
            First pixel of the window.

        Returns
        -------
        numpy.ndarray
            (y, x) values in the dtype of `values`, 0 outside the window.
        """

    def add_observations(self, bands: BandWindows, clear: ClearPixels, sums: Accumulators) -> None:
        """Add the observations of one scene to sums and counts.

        Parameters
        ----------
        bands : BandWindows
            Windows of red and nir.
        clear : ClearPixels
            Pixels of the block that may become observations.
        sums : Accumulators
            Sums of the block; changed in place.
        """


class Aligned:
    """Placement of a block on the pixel grid of the scenes, without a warp."""

    reach = 0
    takes_means = False

    def __init__(self, block: Grid) -> None:
        self._first, self._shape = first_pixel(block), block.shape
        (row, column), (rows, columns) = self._first, block.shape
        self.window: SourceWindow | None = SourceWindow((row, column, row + rows, column + columns))

    def find_clear(self, mask: Array, at: SourcePixel, table: Mask, taken: Mask) -> ClearPixels:
        """See `Placement`."""
        return resample.find_clear_in_window(mask, self._offset(at), table, taken)

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
    """Return the overlap of a block and a window along one axis, as a slice of the block and a slice of the window."""
    start, stop = max(first, at), min(first + size, at + held)
    return slice(start - first, max(start, stop) - first), slice(start - at, max(start, stop) - at)


class Warped:
    """Placement of a block on another pixel grid than that of the scenes, with one warp geometry for all of them."""

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
        return resample.find_clear_by_index(mask, at, self._index, table, taken)

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
    """Cache of the placements of a block in the scenes of its task. Not thread-safe.

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
        """Return the placement of the block in a file, which is shared by all files of the same alignment.

        Parameters
        ----------
        source : Grid
            Pixel grid of the file.
        turn : int
            Number of full turns around the globe by which the block is moved east; a value from `turns`.
        """
        key = alignment_of(source), turn
        placement = self._known.get(key)
        if placement is None:
            placement = self._known[key] = self._place(source, turn)
        return placement

    def turns(self, source: Grid) -> tuple[int, ...]:
        """Return the turns around the globe at which the block overlaps a file; see `find_turns`."""
        return find_turns(self.find(source).window, source)

    def _place(self, source: Grid, turn: int) -> Placement:
        if alignment_of(source) == self._own:
            block = shift_by_turns(self._block, source, turn) if turn else self._block
            if alignment_of(block) == self._own:
                return Aligned(block)
        return Warped(warp_geometry(self._block, source, turn), self._resampling)


def on_other_grid(values: Mask, values_grid: Grid, at: SourcePixel, target: Grid) -> Mask:
    """Resample a window of a mask to another pixel grid by nearest neighbour.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns) bool: a window of the mask.
    values_grid : Grid
        Pixel grid of the whole mask file.
    at : SourcePixel
        First pixel of the window, in the alignment of the mask file.
    target : Grid
        Pixel grid to resample to.

    Returns
    -------
    numpy.ndarray
        (rows, columns) bool on the target grid, False outside the window.
    """
    own, other = alignment_of(values_grid), alignment_of(target)
    if own == other:
        return Aligned(target).take_nearest(values, at).astype(bool, copy=False)
    if own.crs == other.crs and own.is_upright and other.is_upright:
        return _by_line(values, at, own, other, target)
    return Warped(warp_geometry(target, values_grid), "nearest").take_nearest(values, at).astype(bool)


def _by_line(values: Mask, at: SourcePixel, own: Alignment, other: Alignment, target: Grid) -> Mask:
    """Resample between two unrotated grids of the same CRS, for which rows and columns are independent."""
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
