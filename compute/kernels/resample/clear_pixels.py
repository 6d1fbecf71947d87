"""Clear pixels of a block, by the nearest pixel of the mask."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.lattice import held
from compute.kernels.resample.nearest_pixels import NearestIndex


@dataclass(frozen=True, kw_only=True, slots=True)
class ClearPixels:
    """The pixels of a block that are clear in a look, line by line: what is done to them need not ask the others.

    Attributes
    ----------
    starts : numpy.ndarray
        (y + 1,) int64: where the pixels of each line begin in `columns`, and where those of the last one end.
    columns : numpy.ndarray
        (n,) uint16 column of every pixel, ascending in a line; uint32 in blocks too wide for that.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.unsignedinteger]

    def __len__(self) -> int:
        """Return the number of clear pixels."""
        return len(self.columns)

    def elsewhere(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return (y, x) bool of a block's shape, False at these pixels and True at all others."""
        others = np.ones(shape, bool)
        _leave_out(held(self.starts), held(self.columns), others)
        return others


@njit(nogil=True, cache=True)
def _leave_out(starts, columns, others):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(others.shape[0]):
        for k in range(starts[y], starts[y + 1]):
            others[y, columns[k]] = False


def clear_bounds(mask: NDArray[np.generic], table: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Find the smallest part of a mask that holds all of its clear pixels: nothing else of the bands need be read.

    Parameters
    ----------
    mask : numpy.ndarray
        (rows, columns) 8- or 16-bit integers.
    table : numpy.ndarray
        (256,) or (65536,) bool: which codes, seen as unsigned integers, are clear.

    Returns
    -------
    tuple of int or None
        First row and column, and row and column after the last; None where no pixel is clear.
    """
    top, left, bottom, right = _clear_bounds(held(_unsigned(mask)), held(table))
    return (top, left, bottom, right) if top < bottom else None


@njit(nogil=True, cache=True)
def _clear_bounds(mask, table):  # type: ignore[no-untyped-def]  # numba types it
    top, bottom = 0, mask.shape[0]
    while top < bottom and not _shows_ground(mask[top], table):
        top += 1
    while top < bottom and not _shows_ground(mask[bottom - 1], table):
        bottom -= 1
    left, right = mask.shape[1], 0
    for line in mask[top:bottom]:
        # From either end, no further than something clear is known: with clouds in patches, a few pixels.
        x = 0
        while x < left and not table[line[x]]:
            x += 1
        left, x = x, line.size
        while x > right and not table[line[x - 1]]:
            x -= 1
        right = x
    return top, left, bottom, right


@njit(nogil=True, cache=True)
def _shows_ground(line, table):  # type: ignore[no-untyped-def]  # numba types it
    for code in line:  # noqa: SIM110  # numba knows no `any`
        if table[code]:
            return True
    return False


def clear_codes(mask: NDArray[np.generic], table: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which pixels of a mask are clear.

    Parameters
    ----------
    mask, table : numpy.ndarray
        As `clear_bounds` takes them.

    Returns
    -------
    numpy.ndarray
        (rows, columns) bool.
    """
    clear = np.empty(mask.shape, bool)
    _clear_codes(held(_unsigned(mask)), held(table), clear)
    return clear


@njit(nogil=True, cache=True)
def _clear_codes(mask, table, clear):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(clear.shape[0]):
        for x in range(clear.shape[1]):
            clear[y, x] = table[mask[y, x]]


def clear_of_window(
    mask: NDArray[np.generic],
    offset: tuple[int, int],
    table: NDArray[np.bool_],
    taken: NDArray[np.bool_],
) -> ClearPixels:
    """List the pixels of a block that may be observed in a scene whose pixels are the block's own.

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
    ClearPixels
        None of them outside the window.
    """
    clear = _room_for(taken.shape)
    pixels = _clear_of_window(held(_unsigned(mask)), offset, held(table), held(taken), clear.starts, clear.columns)
    return replace(clear, columns=clear.columns[:pixels])


@njit(nogil=True, cache=True)
def _clear_of_window(mask, offset, table, taken, starts, columns):  # type: ignore[no-untyped-def]  # numba types it
    left = min(max(-offset[1], 0), taken.shape[1])
    right = max(min(taken.shape[1], mask.shape[1] - offset[1]), left)
    pixels = np.uint64(0)
    for y in range(taken.shape[0]):
        starts[y] = pixels
        if not 0 <= y + offset[0] < mask.shape[0]:
            continue
        codes, line = mask[y + offset[0], left + offset[1] : right + offset[1]], taken[y, left:right]
        for x in range(right - left):
            # Written whether clear or not, as to guess wrong costs more; the next clear pixel is written over it.
            columns[pixels] = left + x
            pixels += np.uint64(table[codes[x]] & (not line[x]))
    starts[taken.shape[0]] = pixels
    return pixels


def clear_of_index(
    mask: NDArray[np.generic],
    at: tuple[int, int],
    index: NearestIndex,
    table: NDArray[np.bool_],
    taken: NDArray[np.bool_],
) -> ClearPixels:
    """List the pixels of a block that may be observed in a scene on another pixel grid.

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
    ClearPixels
        None of them outside the window.
    """
    assert index.places.shape[1:] == taken.shape
    clear, shift = _room_for(taken.shape), (index.origin[0] - at[0], index.origin[1] - at[1])
    pixels = _clear_of_index(
        held(_unsigned(mask)),
        shift,
        (held(index.places), held(index.rows)),
        held(table),
        held(taken),
        clear.starts,
        clear.columns,
    )
    return replace(clear, columns=clear.columns[:pixels])


@njit(nogil=True, cache=True)
def _clear_of_index(mask, shift, index, table, taken, starts, columns):  # type: ignore[no-untyped-def]
    (places, spans), nowhere = index, np.iinfo(index[0].dtype).max
    # Unsigned, what lies before the window is greater than any size.
    rows, wide = np.uint64(mask.shape[0]), np.uint64(mask.shape[1])
    pixels = np.uint64(0)
    for y in range(taken.shape[0]):
        starts[y] = pixels
        if spans[y, 1] + shift[0] < 0 or spans[y, 0] + shift[0] >= mask.shape[0]:
            continue
        for x in range(taken.shape[1]):
            row = np.uint64(np.int64(places[0, y, x]) + shift[0])
            column = np.uint64(np.int64(places[1, y, x]) + shift[1])
            if row < rows and column < wide and places[0, y, x] != nowhere:
                columns[pixels] = x
                pixels += np.uint64(table[mask[row, column]] & (not taken[y, x]))
    starts[taken.shape[0]] = pixels
    return pixels


def untaken_pixels(taken: NDArray[np.bool_]) -> ClearPixels:
    """List the pixels of a block that are not taken: (y, x) bool."""
    free = _room_for(taken.shape)
    pixels = _pixels_not(held(taken), free.starts, free.columns)
    return replace(free, columns=free.columns[:pixels])


@njit(nogil=True, cache=True)
def _pixels_not(taken, starts, columns):  # type: ignore[no-untyped-def]  # numba types it
    pixels = np.uint64(0)
    for y in range(taken.shape[0]):
        starts[y] = pixels
        for x in range(taken.shape[1]):
            columns[pixels] = x
            pixels += np.uint64(not taken[y, x])
    starts[taken.shape[0]] = pixels
    return pixels


def _room_for(shape: tuple[int, ...]) -> ClearPixels:
    """Return room for as many pixels as a block has; memory that is not written to is never taken."""
    rows, columns = shape
    kind = np.uint16 if columns <= np.iinfo(np.uint16).max else np.uint32
    return ClearPixels(starts=np.empty(rows + 1, np.int64), columns=np.empty(rows * columns + 1, kind))


def _unsigned(mask: NDArray[np.generic]) -> NDArray[np.generic]:
    return mask.view(f"u{mask.dtype.itemsize}")
