"""Nearest source pixel of every pixel of a block."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.lattice import LARGEST_SPAN, SLIVER_PX, Lattice, arrays_of, held, line_of, span_of


@dataclass(frozen=True, kw_only=True, slots=True)
class NearestIndex:
    """For every pixel of a block the source pixel that its centre lies in: one for all files of an alignment.

    Attributes
    ----------
    origin : tuple of int
        Row and column that `places` count from, in absolute source pixels.
    places : numpy.ndarray
        (2, y, x) unsigned row and column from `origin`; the type's greatest number where a pixel lies nowhere.
        uint16 unless the block spans more source pixels than that.
    rows : numpy.ndarray
        (y, 2) int64 least and greatest row of a line from `origin`; a line that lies nowhere has none between them.
    """

    origin: tuple[int, int]
    places: NDArray[np.unsignedinteger]
    rows: NDArray[np.int64]

    def __sizeof__(self) -> int:
        """Bytes of the array."""
        return self.places.nbytes


def nearest_index(lattice: Lattice) -> NearestIndex:
    """Find for every pixel of a block the source pixel that its centre lies in.

    Parameters
    ----------
    lattice : Lattice
        Where the block lies.

    Returns
    -------
    NearestIndex
        4 bytes for each pixel of the block, or 8.
    """
    span = span_of(lattice)
    if span is None:
        nowhere, nothing = np.full((2, *lattice.shape), 65535, np.uint16), np.tile([1, 0], (lattice.shape[0], 1))
        return NearestIndex(origin=(0, 0), places=nowhere, rows=nothing)
    least, greatest = span
    origin = floor(least[0]) - 1, floor(least[1]) - 1
    small = (greatest - least).max() < LARGEST_SPAN
    places = np.empty((2, *lattice.shape), np.uint16 if small else np.uint32)
    rows = np.empty((lattice.shape[0], 2), np.int64)
    _nearest_index(arrays_of(lattice), origin, places, rows)
    return NearestIndex(origin=origin, places=places, rows=rows)


@njit(nogil=True, cache=True)
def _nearest_index(lattice, origin, places, rows):  # type: ignore[no-untyped-def]  # numba types it
    nowhere = np.iinfo(places.dtype).max
    centres = np.empty((2, places.shape[2]))
    for y in range(places.shape[1]):
        line_of(lattice, y, 0.5, 0.5, centres)
        for z in range(2):
            for x in range(places.shape[2]):
                place = centres[z, x] + SLIVER_PX
                places[z, y, x] = nowhere if np.isnan(place) else int(np.floor(place)) - origin[z]
        rows[y] = nowhere, 0
        for x in range(places.shape[2]):
            row = np.int64(places[0, y, x])
            rows[y, 0] = min(rows[y, 0], row)
            rows[y, 1] = max(rows[y, 1], row if row != nowhere else 0)


def take_nearest(
    values: NDArray[np.generic], at: tuple[int, int], index: NearestIndex, fill: float
) -> NDArray[np.generic]:
    """Take for every pixel of a block the value of the source pixel that its centre lies in.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns) window of a file.
    at : (int, int)
        Row and column of the window's first pixel, in absolute source pixels.
    index : NearestIndex
        Of the block.
    fill : float
        Value where the window has no such pixel.

    Returns
    -------
    numpy.ndarray
        (y, x) of the type of `values`.
    """
    taken = np.full(index.places.shape[1:], fill, values.dtype)
    _take_nearest(held(values), (index.origin[0] - at[0], index.origin[1] - at[1]), held(index.places), taken)
    return taken


@njit(nogil=True, cache=True)
def _take_nearest(values, shift, places, taken):  # type: ignore[no-untyped-def]  # for any value type
    nowhere = np.iinfo(places.dtype).max
    rows, columns = values.shape
    for y in range(taken.shape[0]):
        for x in range(taken.shape[1]):
            row, column = np.int64(places[0, y, x]) + shift[0], np.int64(places[1, y, x]) + shift[1]
            if places[0, y, x] != nowhere and 0 <= row < rows and 0 <= column < columns:
                taken[y, x] = values[row, column]
