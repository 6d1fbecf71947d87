"""Nearest-neighbour resampling, with an index of the source pixel at the centre of every output pixel."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.lattice import (
    LARGEST_SPAN,
    SLIVER_PX,
    Lattice,
    lattice_arrays,
    lattice_span,
    place_line,
    read_only,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NearestIndex:
    """Index of the source pixel at the centre of every pixel of a block, for all files of an alignment.

    Attributes
    ----------
    origin : tuple of int
        (row, column) of the pixel from which `places` are counted, in absolute source pixels.
    places : numpy.ndarray
        (2, y, x) row and column of the source pixels, counted from `origin`, as uint16, or as uint32 if the block spans
        more source pixels. The largest value of the dtype stands for pixels without a position.
    rows : numpy.ndarray
        (y, 2) int64 minimum and maximum source row of each line of the block, counted from `origin`. For a line without
        positions the minimum exceeds the maximum.
    """

    origin: tuple[int, int]
    places: NDArray[np.unsignedinteger]
    rows: NDArray[np.int64]

    def __sizeof__(self) -> int:
        """Return the size of the positions in bytes."""
        return self.places.nbytes


def nearest_index(lattice: Lattice) -> NearestIndex:
    """Compute the index of the source pixels at the centres of the pixels of a block.

    Parameters
    ----------
    lattice : Lattice
        Source positions of the block's pixels.

    Returns
    -------
    NearestIndex
        Index with 4 or 8 bytes per pixel of the block.
    """
    span = lattice_span(lattice)
    if span is None:
        nowhere, nothing = np.full((2, *lattice.shape), 65535, np.uint16), np.tile([1, 0], (lattice.shape[0], 1))
        return NearestIndex(origin=(0, 0), places=nowhere, rows=nothing)
    least, greatest = span
    origin = floor(least[0]) - 1, floor(least[1]) - 1
    small = (greatest - least).max() < LARGEST_SPAN
    places = np.empty((2, *lattice.shape), np.uint16 if small else np.uint32)
    rows = np.empty((lattice.shape[0], 2), np.int64)
    _nearest_index(lattice_arrays(lattice), origin, places, rows)
    return NearestIndex(origin=origin, places=places, rows=rows)


@njit(nogil=True, cache=True)
def _nearest_index(lattice, origin, places, rows):  # type: ignore[no-untyped-def]  # numba infers types
    nowhere = np.iinfo(places.dtype).max
    centres = np.empty((2, places.shape[2]))
    for y in range(places.shape[1]):
        place_line(lattice, y, 0.5, 0.5, centres)
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
    """Return the values of the source pixels at the centres of the pixels of a block.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns) values of a window of a file.
    at : (int, int)
        (row, column) of the window's first pixel, in absolute source pixels.
    index : NearestIndex
        Nearest source pixels of the block.
    fill : float
        Value of pixels without a position in the window.

    Returns
    -------
    numpy.ndarray
        (y, x) values in the dtype of `values`.
    """
    taken = np.full(index.places.shape[1:], fill, values.dtype)
    _take_nearest(read_only(values), (index.origin[0] - at[0], index.origin[1] - at[1]), read_only(index.places), taken)
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
