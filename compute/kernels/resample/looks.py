"""Looks at the ground through a window, by the nearest pixel, and between four pixels."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.clear import NearestIndex
from compute.kernels.resample.lattice import Lattice, arrays_of, held, is_missing, line_of
from compute.kernels.resample.lines import add_line, look_of, rules_of

LEAST_SHARE = 1e-6
"""Pixels that are not missing must weigh this much between four: where a centre falls on a missing pixel's own, what
rounding leaves to its neighbours is nothing."""


def accumulate_window(
    red: NDArray[np.generic],
    nir: NDArray[np.generic],
    offset: tuple[int, int],
    clear: NDArray[np.bool_],
    bands: NDArray[np.float64],
    total: NDArray[np.int64],
    count: NDArray[np.uint16],
    taken: NDArray[np.bool_],
) -> None:
    """Add one look of a scene whose pixels are the block's own.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values of a window of the scene, both of one shape.
    offset : (int, int)
        Row and column of the block's first pixel within the window; negative where the block begins before it.
    clear : numpy.ndarray
        (y, x) bool, where the mask shows the ground.
    bands : numpy.ndarray
        (2, 5) float64, as `compute.kernels.accumulate` takes them.
    total, count : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI and uint16 numbers of observations, changed in place.
    taken : numpy.ndarray
        (y, x) bool: pixels that have this date's observation already, or shall have none; set where one is added.
    """
    window, clear, sums = look_of(red, nir, clear, total, count, taken)
    _accumulate_window(window, offset, clear, held(bands), sums)


@njit(nogil=True, cache=True)
def _accumulate_window(window, offset, clear, bands, sums):  # type: ignore[no-untyped-def]  # for any value type
    (red, nir), (total, count, taken) = window, sums
    nodata, rules = (bands[0, 0], bands[1, 0]), rules_of(bands)
    left = max(-offset[1], 0)
    right = max(min(clear.shape[1], red.shape[1] - offset[1]), left)
    r, n = np.empty(clear.shape[1]), np.empty(clear.shape[1])
    for y in range(max(-offset[0], 0), min(clear.shape[0], red.shape[0] - offset[0])):
        if not clear[y].any():
            continue
        reds = red[y + offset[0], left + offset[1] : right + offset[1]]
        nirs = nir[y + offset[0], left + offset[1] : right + offset[1]]
        _look(reds, nirs, nodata, clear[y, left:right], taken[y, left:right], r, n)
        add_line(r, n, rules, total[y, left:right], count[y, left:right], taken[y, left:right])


@njit(nogil=True, cache=True)
def _look(red, nir, nodata, clear, taken, r, n):  # type: ignore[no-untyped-def]  # for any value type
    """Write what is seen of a line, NaN where that is nothing; without branches, as `add_line`."""
    for x in range(clear.size):
        value, other = float(red[x]), float(nir[x])
        seen = clear[x] & (not taken[x]) & (value != nodata[0]) & (other != nodata[1])
        r[x] = value if seen else np.nan
        n[x] = other


def accumulate_nearest(
    red: NDArray[np.generic],
    nir: NDArray[np.generic],
    at: tuple[int, int],
    index: NearestIndex,
    clear: NDArray[np.bool_],
    bands: NDArray[np.float64],
    total: NDArray[np.int64],
    count: NDArray[np.uint16],
    taken: NDArray[np.bool_],
) -> None:
    """Add one look of a scene, each pixel of the block from the source pixel that its centre lies in.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values of a window of the scene, both of one shape.
    at : (int, int)
        Row and column of the window's first pixel, in absolute source pixels.
    index : NearestIndex
        Of the block, as `nearest_index` returns it.
    clear, bands, total, count, taken : numpy.ndarray
        As `accumulate_window` takes them.
    """
    shift = index.origin[0] - at[0], index.origin[1] - at[1]
    window, clear, sums = look_of(red, nir, clear, total, count, taken)
    assert index.places.shape[1:] == clear.shape
    _accumulate_nearest(window, shift, held(index.places), clear, held(bands), sums)


@njit(nogil=True, cache=True)
def _accumulate_nearest(window, shift, places, clear, bands, sums):  # type: ignore[no-untyped-def]  # for any value type
    (red, nir), (total, count, taken) = window, sums
    nodata, rules = (bands[0, 0], bands[1, 0]), rules_of(bands)
    nowhere = np.iinfo(places.dtype).max
    rows, columns = np.uint64(red.shape[0]), np.uint64(red.shape[1])
    r, n = np.empty(clear.shape[1]), np.empty(clear.shape[1])
    for y in range(clear.shape[0]):
        if not clear[y].any():
            continue
        for x in range(clear.shape[1]):
            r[x] = n[x] = np.nan
            row = np.uint64(np.int64(places[0, y, x]) + shift[0])
            column = np.uint64(np.int64(places[1, y, x]) + shift[1])
            if row < rows and column < columns and places[0, y, x] != nowhere:
                # What is not clear is read as well: to guess wrong costs more.
                r[x], n[x] = float(red[row, column]), float(nir[row, column])
        _look(r, n, nodata, clear[y], taken[y], r, n)
        add_line(r, n, rules, total[y], count[y], taken[y])


def accumulate_bilinear(
    red: NDArray[np.generic],
    nir: NDArray[np.generic],
    at: tuple[int, int],
    lattice: Lattice,
    clear: NDArray[np.bool_],
    bands: NDArray[np.float64],
    total: NDArray[np.int64],
    count: NDArray[np.uint16],
    taken: NDArray[np.bool_],
) -> None:
    """Add one look of a scene, each pixel of the block between the four source pixels around its centre.

    Each band leaves out its own missing pixels and what lies outside the window; the rest weighs the more. Where
    output pixels are more than twice as large as source pixels, this still looks at four of them only.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values of a window of the scene, both of one shape.
    at : (int, int)
        Row and column of the window's first pixel, in absolute source pixels.
    lattice : Lattice
        Where the block lies.
    clear, bands, total, count, taken : numpy.ndarray
        As `accumulate_window` takes them.
    """
    window, clear, sums = look_of(red, nir, clear, total, count, taken)
    assert lattice.shape == clear.shape
    _accumulate_bilinear(window, at, arrays_of(lattice), clear, held(bands), sums)


@njit(nogil=True, cache=True)
def _accumulate_bilinear(window, at, lattice, clear, bands, sums):  # type: ignore[no-untyped-def]  # for any value type
    (red, nir), (total, count, taken) = window, sums
    rules, centres = rules_of(bands), np.empty((2, clear.shape[1]))
    r, n = np.empty(clear.shape[1]), np.empty(clear.shape[1])
    for y in range(clear.shape[0]):
        if not clear[y].any():
            continue
        line_of(lattice, y, 0.5, 0.5, centres)
        for x in range(clear.shape[1]):
            r[x] = n[x] = np.nan
            if clear[y, x] and not taken[y, x] and not np.isnan(centres[0, x]):
                r[x] = _between_four(red, at, centres[0, x], centres[1, x], bands[0, 0])
                n[x] = _between_four(nir, at, centres[0, x], centres[1, x], bands[1, 0])
        add_line(r, n, rules, total[y], count[y], taken[y])


@njit(nogil=True, cache=True)
def _between_four(values, at, row, column, nodata):  # type: ignore[no-untyped-def]  # for any value type
    """Return the bilinear mean around a place in absolute source pixels, NaN where nothing is known."""
    top, left = np.floor(row - 0.5), np.floor(column - 0.5)
    down, along = row - 0.5 - top, column - 0.5 - left
    first_row, first_column = int(top) - at[0], int(left) - at[1]
    value = weight = 0.0
    for a in range(2):
        for b in range(2):
            r, c = first_row + a, first_column + b
            if 0 <= r < values.shape[0] and 0 <= c < values.shape[1] and not is_missing(float(values[r, c]), nodata):
                share = (down if a else 1.0 - down) * (along if b else 1.0 - along)
                value += share * float(values[r, c])
                weight += share
    return value / weight if weight > LEAST_SHARE else np.nan
