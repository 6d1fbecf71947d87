"""Beyond sums and counts: means that weigh alike, calendar months with a clear look, and the spread of observations.

All of it is kept in whole numbers, so the order of looks and the splitting of work change no bit of it either. A
stratum, such as a month, comes to the sums as its mean, rounded once to their unit; so it must not be split.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.observations import UNITS_PER_NDVI

SQUARE_UNITS = 2.0**40
"""Squares are added up in units of 2**-40, so rounding one costs at most 4.6e-13."""

SQUARE_LIMIT = 8.0
"""An observation beyond this counts as this in squares: far outside any physical value, and 65,535 of them, the most
that a count can hold, still fit a 64-bit sum."""

Totals = NDArray[np.int64]
Counts = NDArray[np.uint16]


def add_month(count: Counts, month: int, months: NDArray[np.uint16]) -> None:
    """Note in which pixels a look saw the ground.

    Parameters
    ----------
    count : numpy.ndarray
        (y, x) uint16 observations of the look.
    month : int
        Its calendar month, 1 to 12.
    months : numpy.ndarray
        (y, x) uint16, bit ``month - 1`` for each month, changed in place.
    """
    _add_month(count, np.uint16(1 << (month - 1)), months)


@njit(nogil=True, cache=True)
def _add_month(count, bit, months):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            months[y, x] |= bit if count[y, x] else np.uint16(0)


def add_squares(total: Totals, count: Counts, squares: Totals) -> None:
    """Add the squares of one look's observations, at most one a pixel.

    Parameters
    ----------
    total, count : numpy.ndarray
        (y, x) int64 in units of 2**-32 NDVI and uint16: the look.
    squares : numpy.ndarray
        (y, x) int64 in units of 2**-40, changed in place.
    """
    _add_squares(total, count, squares)


@njit(nogil=True, cache=True)
def _add_squares(total, count, squares):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            if count[y, x]:
                ndvi = min(abs(total[y, x] / UNITS_PER_NDVI), SQUARE_LIMIT)
                squares[y, x] += np.int64(np.rint(ndvi * ndvi * SQUARE_UNITS))


def add_mean(total: Totals, count: Counts, means: Totals, strata: Counts) -> None:
    """Add the mean of a whole stratum where it has observations.

    Parameters
    ----------
    total, count : numpy.ndarray
        (y, x) int64 in units of 2**-32 NDVI and uint16: the stratum.
    means : numpy.ndarray
        (y, x) int64 sum of the strata's means, each rounded to units of 2**-32 NDVI, half up; changed in place.
    strata : numpy.ndarray
        (y, x) uint16 number of strata with an observation, changed in place.
    """
    _add_mean(total, count, means, strata)


@njit(nogil=True, cache=True)
def _add_mean(total, count, means, strata):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            n = np.int64(count[y, x])
            if n:
                whole = total[y, x] // n
                rest = total[y, x] - whole * n
                means[y, x] += whole + (2 * rest >= n)
                strata[y, x] += np.uint16(1)


def move(total: Totals, count: Counts, to_total: Totals, to_count: Counts) -> None:
    """Add sums and counts (y, x) to others of their shape, and leave nothing behind."""
    _move(total, count, to_total, to_count)


@njit(nogil=True, cache=True)
def _move(total, count, to_total, to_count):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            if count[y, x]:
                to_total[y, x] += total[y, x]
                to_count[y, x] += count[y, x]
                total[y, x] = 0
                count[y, x] = 0


def month_count(months: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return how many different calendar months (y, x) uint8 have a clear look; `months` as `add_month` leaves it."""
    number: NDArray[np.uint8] = np.bitwise_count(months)
    return number


def deviation(total: Totals, count: Counts, squares: Totals, *, min_clear: int = 1) -> NDArray[np.float32]:
    """Return the standard deviation of the observations: of the population, each weighing 1.

    Where all observations are alike it is below 1e-6, and not always 0.

    Parameters
    ----------
    total, count, squares : numpy.ndarray
        (y, x) int64 in units of 2**-32 NDVI, uint16, and int64 in units of 2**-40.
    min_clear : int
        Fewest observations that have one, at least 1.

    Returns
    -------
    numpy.ndarray
        (y, x) float32 NDVI, NaN where there are fewer than `min_clear` observations.
    """
    result = np.empty(count.shape, np.float32)
    _deviation(total, count, squares, max(min_clear, 1), result)
    return result


@njit(nogil=True, cache=True)
def _deviation(total, count, squares, min_clear, result):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            n = float(count[y, x])
            result[y, x] = np.nan
            if n >= min_clear:
                mean = total[y, x] / (n * UNITS_PER_NDVI)
                result[y, x] = np.sqrt(max(squares[y, x] / (n * SQUARE_UNITS) - mean * mean, 0.0))
