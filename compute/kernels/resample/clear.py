"""Which pixels of a block are clear, by the nearest pixel of the mask."""

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
    """

    origin: tuple[int, int]
    places: NDArray[np.unsignedinteger]

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
        return NearestIndex(origin=(0, 0), places=np.full((2, *lattice.shape), 65535, np.uint16))
    least, greatest = span
    origin = floor(least[0]) - 1, floor(least[1]) - 1
    small = (greatest - least).max() < LARGEST_SPAN
    places = np.empty((2, *lattice.shape), np.uint16 if small else np.uint32)
    _nearest_index(arrays_of(lattice), origin, places)
    return NearestIndex(origin=origin, places=places)


@njit(nogil=True, cache=True)
def _nearest_index(lattice, origin, places):  # type: ignore[no-untyped-def]  # numba types it
    nowhere = np.iinfo(places.dtype).max
    centres = np.empty((2, places.shape[2]))
    for y in range(places.shape[1]):
        line_of(lattice, y, 0.5, 0.5, centres)
        for z in range(2):
            for x in range(places.shape[2]):
                place = centres[z, x] + SLIVER_PX
                places[z, y, x] = nowhere if np.isnan(place) else int(np.floor(place)) - origin[z]


def take(values: NDArray[np.generic], at: tuple[int, int], index: NearestIndex, fill: float) -> NDArray[np.generic]:
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
    _take(held(values), (index.origin[0] - at[0], index.origin[1] - at[1]), held(index.places), taken)
    return taken


@njit(nogil=True, cache=True)
def _take(values, shift, places, taken):  # type: ignore[no-untyped-def]  # for any value type
    nowhere = np.iinfo(places.dtype).max
    rows, columns = values.shape
    for y in range(taken.shape[0]):
        for x in range(taken.shape[1]):
            row, column = np.int64(places[0, y, x]) + shift[0], np.int64(places[1, y, x]) + shift[1]
            if places[0, y, x] != nowhere and 0 <= row < rows and 0 <= column < columns:
                taken[y, x] = values[row, column]


def shows_ground(mask: NDArray[np.generic], table: NDArray[np.bool_]) -> bool:
    """Tell whether any pixel of a mask is clear; with clouds in patches, the first few lines tell.

    Parameters
    ----------
    mask : numpy.ndarray
        (rows, columns) 8- or 16-bit integers.
    table : numpy.ndarray
        (256,) or (65536,) bool: which codes, seen as unsigned integers, are clear.
    """
    return bool(_shows_ground(held(_unsigned(mask)), held(table)))


@njit(nogil=True, cache=True)
def _shows_ground(mask, table):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if table[mask[y, x]]:
                return True
    return False


def clear_of_window(
    mask: NDArray[np.generic],
    offset: tuple[int, int],
    table: NDArray[np.bool_],
    taken: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], int]:
    """Tell which pixels of a block may be observed in a scene whose pixels are the block's own.

    Parameters
    ----------
    mask : numpy.ndarray
        (rows, columns) 8- or 16-bit integers: a window of the mask.
    offset : (int, int)
        Row and column of the block's first pixel within the window; negative where the block begins before it.
    table : numpy.ndarray
        (256,) or (65536,) bool: which codes, seen as unsigned integers, are clear.
    taken : numpy.ndarray
        (y, x) bool: pixels that have this date's observation already, or shall have none.

    Returns
    -------
    clear : numpy.ndarray
        (y, x) bool, False outside the window.
    pixels : int
        How many are clear.
    """
    clear = np.empty(taken.shape, np.bool_)
    return clear, _clear_of_window(held(_unsigned(mask)), offset, held(table), held(taken), clear)


@njit(nogil=True, cache=True)
def _clear_of_window(mask, offset, table, taken, clear):  # type: ignore[no-untyped-def]  # numba types it
    down, along = offset
    left = min(max(-along, 0), clear.shape[1])
    right = max(min(clear.shape[1], mask.shape[1] - along), left)
    pixels = 0
    for y in range(clear.shape[0]):
        if not 0 <= y + down < mask.shape[0]:
            clear[y] = False
            continue
        clear[y, :left] = False
        clear[y, right:] = False
        for x in range(left, right):
            clear[y, x] = table[mask[y + down, x + along]] & (not taken[y, x])
            pixels += clear[y, x]
    return pixels


def clear_of_index(
    mask: NDArray[np.generic],
    at: tuple[int, int],
    index: NearestIndex,
    table: NDArray[np.bool_],
    taken: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], int]:
    """Tell which pixels of a block may be observed in a scene on another pixel grid.

    Parameters
    ----------
    mask : numpy.ndarray
        (rows, columns) 8- or 16-bit integers: a window of the mask.
    at : (int, int)
        Row and column of the window's first pixel, in absolute source pixels.
    index : NearestIndex
        Of the block.
    table, taken : numpy.ndarray
        As `clear_of_window` takes them.

    Returns
    -------
    clear : numpy.ndarray
        (y, x) bool, False outside the window.
    pixels : int
        How many are clear.
    """
    assert index.places.shape[1:] == taken.shape
    clear = np.empty(taken.shape, np.bool_)
    shift = index.origin[0] - at[0], index.origin[1] - at[1]
    return clear, _clear_of_index(held(_unsigned(mask)), shift, held(index.places), held(table), held(taken), clear)


@njit(nogil=True, cache=True)
def _clear_of_index(mask, shift, places, table, taken, clear):  # type: ignore[no-untyped-def]  # numba types it
    nowhere = np.iinfo(places.dtype).max
    # Unsigned, what lies before the window is greater than any size.
    rows, columns = np.uint64(mask.shape[0]), np.uint64(mask.shape[1])
    pixels = 0
    for y in range(clear.shape[0]):
        for x in range(clear.shape[1]):
            row = np.uint64(np.int64(places[0, y, x]) + shift[0])
            column = np.uint64(np.int64(places[1, y, x]) + shift[1])
            is_clear = False
            if row < rows and column < columns and places[0, y, x] != nowhere:
                is_clear = table[mask[row, column]] & (not taken[y, x])
            clear[y, x] = is_clear
            pixels += is_clear
    return pixels


def _unsigned(mask: NDArray[np.generic]) -> NDArray[np.generic]:
    return mask.view(f"u{mask.dtype.itemsize}")
