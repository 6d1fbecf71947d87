"""Find the clear pixels of a block from the nearest pixels of a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.lattice import read_only
from compute.kernels.resample.nearest_pixels import NearestIndex


@dataclass(frozen=True, kw_only=True, slots=True)
class ClearPixels:
    """Pixels of a block as a list of columns for each row, so that kernels visit only these pixels.

    Attributes
    ----------
    starts : numpy.ndarray
        (y + 1,) int64 index in `columns` of the first pixel of each row, followed by the number of pixels.
    columns : numpy.ndarray
        (n,) columns of the pixels, ascending within each row, as uint16, or as uint32 for wider blocks.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.unsignedinteger]

    def __len__(self) -> int:
        """Return the number of pixels."""
        return len(self.columns)

    def elsewhere(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return a (y, x) bool array of the given shape: False at these pixels, and True at all other pixels."""
        others = np.ones(shape, bool)
        _clear_listed(read_only(self.starts), read_only(self.columns), others)
        return others


@njit(nogil=True, cache=True)
def _clear_listed(starts, columns, others):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(others.shape[0]):
        for k in range(starts[y], starts[y + 1]):
            others[y, columns[k]] = False


def clear_bounds(mask: NDArray[np.generic], table: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Return the smallest window of a mask that contains all of its clear pixels.

    Parameters
    ----------
    mask : numpy.ndarray
        (rows, columns) 8- or 16-bit integer codes.
    table : numpy.ndarray
        (256,) or (65536,) bool: True for clear codes, indexed by the codes viewed as unsigned integers.

    Returns
    -------
    tuple of int or None
        (first row, first column, row after the last, column after the last); None if no pixel is clear.
    """
    top, left, bottom, right = _clear_bounds(read_only(_unsigned(mask)), read_only(table))
    return (top, left, bottom, right) if top < bottom else None


@njit(nogil=True, cache=True)
def _clear_bounds(mask, table):  # type: ignore[no-untyped-def]  # numba infers types
    top, bottom = 0, mask.shape[0]
    while top < bottom and not _shows_ground(mask[top], table):
        top += 1
    while top < bottom and not _shows_ground(mask[bottom - 1], table):
        bottom -= 1
    left, right = mask.shape[1], 0
    for line in mask[top:bottom]:
        # Each line is searched only from its ends to the bounds found so far, usually a few pixels.
        x = 0
        while x < left and not table[line[x]]:
            x += 1
        left, x = x, line.size
        while x > right and not table[line[x - 1]]:
            x -= 1
        right = x
    return top, left, bottom, right


@njit(nogil=True, cache=True)
def _shows_ground(line, table):  # type: ignore[no-untyped-def]  # numba infers types
    for code in line:  # noqa: SIM110  # numba has no `any`
        if table[code]:
            return True
    return False


def clear_codes(mask: NDArray[np.generic], table: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether the pixels of a mask are clear.

    Parameters
    ----------
    mask, table : numpy.ndarray
        As in `clear_bounds`.

    Returns
    -------
    numpy.ndarray
        (rows, columns) bool: clear pixels.
    """
    clear = np.empty(mask.shape, bool)
    _clear_codes(read_only(_unsigned(mask)), read_only(table), clear)
    return clear


@njit(nogil=True, cache=True)
def _clear_codes(mask, table, clear):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(clear.shape[0]):
        for x in range(clear.shape[1]):
            clear[y, x] = table[mask[y, x]]


def find_clear_in_window(
    mask: NDArray[np.generic],
    offset: tuple[int, int],
    table: NDArray[np.bool_],
    taken: NDArray[np.bool_],
) -> ClearPixels:
    """Return the clear pixels of a block, for a mask on the block's pixel grid.

    Parameters
    ----------
    mask : numpy.ndarray
        (rows, columns) 8- or 16-bit integer codes of a window of the mask.
    offset : (int, int)
        (row, column) of the block's first pixel within the window; negative if the block begins before the window.
    table : numpy.ndarray
        (256,) or (65536,) bool: True for clear codes, indexed by the codes viewed as unsigned integers.
    taken : numpy.ndarray
        (y, x) bool: pixels to leave out, because they have an observation of the group or lie outside the region.

    Returns
    -------
    ClearPixels
        Clear pixels inside the window that are not taken.
    """
    clear = _allocate(taken.shape)
    pixels = _find_clear_in_window(
        read_only(_unsigned(mask)), offset, read_only(table), read_only(taken), clear.starts, clear.columns
    )
    return replace(clear, columns=clear.columns[:pixels])


@njit(nogil=True, cache=True)
def _find_clear_in_window(mask, offset, table, taken, starts, columns):  # type: ignore[no-untyped-def]  # numba infers types
    left = min(max(-offset[1], 0), taken.shape[1])
    right = max(min(taken.shape[1], mask.shape[1] - offset[1]), left)
    pixels = np.uint64(0)
    for y in range(taken.shape[0]):
        starts[y] = pixels
        if not 0 <= y + offset[0] < mask.shape[0]:
            continue
        codes, line = mask[y + offset[0], left + offset[1] : right + offset[1]], taken[y, left:right]
        for x in range(right - left):
            # The column of an unclear pixel is written too, and then overwritten, which is faster than a branch.
            columns[pixels] = left + x
            pixels += np.uint64(table[codes[x]] & (not line[x]))
    starts[taken.shape[0]] = pixels
    return pixels


def find_clear_by_index(
    mask: NDArray[np.generic],
    at: tuple[int, int],
    index: NearestIndex,
    table: NDArray[np.bool_],
    taken: NDArray[np.bool_],
) -> ClearPixels:
    """Return the clear pixels of a block, for a mask on another pixel grid.

    Parameters
    ----------
    mask : numpy.ndarray
        (rows, columns) 8- or 16-bit integer codes of a window of the mask.
    at : (int, int)
        (row, column) of the window's first pixel, in absolute source pixels.
    index : NearestIndex
        Nearest source pixels of the block.
    table, taken : numpy.ndarray
        As in `find_clear_in_window`.

    Returns
    -------
    ClearPixels
        Clear pixels inside the window that are not taken.
    """
    assert index.places.shape[1:] == taken.shape
    clear, shift = _allocate(taken.shape), (index.origin[0] - at[0], index.origin[1] - at[1])
    pixels = _find_clear_by_index(
        read_only(_unsigned(mask)),
        shift,
        (read_only(index.places), read_only(index.rows)),
        read_only(table),
        read_only(taken),
        clear.starts,
        clear.columns,
    )
    return replace(clear, columns=clear.columns[:pixels])


@njit(nogil=True, cache=True)
def _find_clear_by_index(mask, shift, index, table, taken, starts, columns):  # type: ignore[no-untyped-def]
    (places, spans), nowhere = index, np.iinfo(index[0].dtype).max
    # Viewed as unsigned integers, negative positions (before the window) exceed any size.
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
    """Return the pixels of a block that are False in a (y, x) bool array."""
    free = _allocate(taken.shape)
    pixels = _pixels_not(read_only(taken), free.starts, free.columns)
    return replace(free, columns=free.columns[:pixels])


@njit(nogil=True, cache=True)
def _pixels_not(taken, starts, columns):  # type: ignore[no-untyped-def]  # numba infers types
    pixels = np.uint64(0)
    for y in range(taken.shape[0]):
        starts[y] = pixels
        for x in range(taken.shape[1]):
            columns[pixels] = x
            pixels += np.uint64(not taken[y, x])
    starts[taken.shape[0]] = pixels
    return pixels


def _allocate(shape: tuple[int, ...]) -> ClearPixels:
    """Return uninitialised lists for all pixels of a block. Memory pages that are not written are not allocated."""
    rows, columns = shape
    kind = np.uint16 if columns <= np.iinfo(np.uint16).max else np.uint32
    return ClearPixels(starts=np.empty(rows + 1, np.int64), columns=np.empty(rows * columns + 1, kind))


def _unsigned(mask: NDArray[np.generic]) -> NDArray[np.generic]:
    return mask.view(f"u{mask.dtype.itemsize}")
