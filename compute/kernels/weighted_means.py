"""Means over strata, calendar months with observations, and standard deviations of observations.

All sums are integers. Results are therefore identical to the last bit for every order of groups and every distribution
of work. The mean of a stratum, such as a month, is rounded to the unit of the sums before it is added. A stratum must
therefore not be split between tasks.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.sums import UNITS_PER_NDVI

LIMB_BITS = 47
"""Number of bits of each of the two limbs of a square in units of 2**-64. They hold the square of the largest
observation. The sum of 65,535 squares, the maximum count, fits into 64 bits in each limb."""

Totals = NDArray[np.int64]
Counts = NDArray[np.uint16]


def add_month(count: Counts, month: int, months: NDArray[np.uint16]) -> None:
    """Set the bit of a month at the pixels with observations in a group.

    Parameters
    ----------
    count : numpy.ndarray
        (y, x) uint16 numbers of observations of the group.
    month : int
        Calendar month of the group, 1 to 12.
    months : numpy.ndarray
        (y, x) uint16 bit sets, with bit ``month - 1`` for each month; changed in place.
    """
    _add_month(count, np.uint16(1 << (month - 1)), months)


@njit(nogil=True, cache=True)
def _add_month(count, bit, months):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            months[y, x] |= bit if count[y, x] else np.uint16(0)


def add_squares(total: Totals, count: Counts, squares: Totals) -> None:
    """Add the squares of the observations of one group, which has at most one observation per pixel.

    Parameters
    ----------
    total, count : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI, and (y, x) uint16 counts, of the group.
    squares : numpy.ndarray
        (2, y, x) int64 sums of the lower and of the upper limbs of squares in units of 2**-64, with `LIMB_BITS` bits
        per limb; changed in place.
    """
    _add_squares(total, count, squares)


@njit(nogil=True, cache=True)
def _add_squares(total, count, squares):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            if count[y, x]:
                low, high = _square(abs(total[y, x]))
                squares[0, y, x] += low
                squares[1, y, x] += high


@njit(nogil=True, cache=True)
def _square(number):  # type: ignore[no-untyped-def]  # numba infers types
    """Return the lower and the upper limb of the exact square of a number from 0 to 2**47.

    With number = a * 2**24 + b, the square is a**2 * 2**48 + a * b * 2**25 + b**2.
    """
    limb = np.int64((1 << LIMB_BITS) - 1)
    a, b = number >> 24, number & np.int64((1 << 24) - 1)
    middle = a * b
    # The lower 22 bits of the middle product belong to the lower limb, its other bits to the upper limb.
    low = ((middle & np.int64((1 << 22) - 1)) << 25) + b * b
    return low & limb, (a * a << 1) + (middle >> 22) + (low >> LIMB_BITS)


def add_mean(total: Totals, count: Counts, means: Totals, strata: Counts) -> None:
    """Add the means of one complete stratum, for pixels at which it has observations.

    Parameters
    ----------
    total, count : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI, and (y, x) uint16 counts, of the stratum.
    means : numpy.ndarray
        (y, x) int64 sums of the means of strata, each mean rounded half up to units of 2**-32 NDVI; changed in place.
    strata : numpy.ndarray
        (y, x) uint16 numbers of strata with observations; changed in place.
    """
    _add_mean(total, count, means, strata)


@njit(nogil=True, cache=True)
def _add_mean(total, count, means, strata):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            n = np.int64(count[y, x])
            if n:
                whole = total[y, x] // n
                rest = total[y, x] - whole * n
                means[y, x] += whole + (2 * rest >= n)
                strata[y, x] += np.uint16(1)


def move_sums(total: Totals, count: Counts, to_total: Totals, to_count: Counts) -> None:
    """Add sums and counts to other arrays of the same shape, and reset them to 0.

    Parameters
    ----------
    total, count : numpy.ndarray
        (y, x) int64 sums and (y, x) uint16 counts to move; reset to 0.
    to_total, to_count : numpy.ndarray
        (y, x) int64 sums and (y, x) uint16 counts to which they are added; changed in place.
    """
    _move_sums(total, count, to_total, to_count)


@njit(nogil=True, cache=True)
def _move_sums(total, count, to_total, to_count):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            if count[y, x]:
                to_total[y, x] += total[y, x]
                to_count[y, x] += count[y, x]
                total[y, x] = 0
                count[y, x] = 0


def count_months(months: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return the (y, x) uint8 numbers of calendar months with observations, from the bit sets of `add_month`."""
    number: NDArray[np.uint8] = np.bitwise_count(months)
    return number


def standard_deviation(total: Totals, count: Counts, squares: Totals, *, min_clear: int = 1) -> NDArray[np.float32]:
    """Return the population standard deviation of the observations, each weighing 1.

    The standard deviation of n observations x is sqrt(n * sum(x**2) - sum(x)**2) / n. The difference is computed in
    exact integer arithmetic.

    Parameters
    ----------
    total, count, squares : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI, (y, x) uint16 counts, and (2, y, x) int64 sums of squares from
        `add_squares`.
    min_clear : int, default: 1
        Minimum number of observations, at least 1.

    Returns
    -------
    numpy.ndarray
        (y, x) float32 standard deviation in units of NDVI, NaN for pixels with fewer than `min_clear` observations.
    """
    result = np.empty(count.shape, np.float32)
    _standard_deviation(total, count, squares, max(min_clear, 1), result)
    return result


@njit(nogil=True, cache=True)
def _standard_deviation(total, count, squares, min_clear, result):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            n = np.int64(count[y, x])
            result[y, x] = np.nan
            if n >= min_clear and n > 0:
                result[y, x] = _spread(n, abs(total[y, x]), squares[0, y, x], squares[1, y, x])


@njit(nogil=True, cache=True)
def _spread(n, total, low, high):  # type: ignore[no-untyped-def]  # numba infers types
    """Return sqrt(n * squares - total**2) / n in units of NDVI, with the difference in exact integer arithmetic.

    Large numbers are stored as limbs of 32 bits, the lowest first. Carries and borrows are resolved at the end.
    """
    mask = np.int64(0xFFFFFFFF)
    limbs = np.zeros(5, np.int64)
    # n * (low + high * 2**47). Since n has 16 bits, the products of n and 32-bit limbs stay far below 64 bits.
    for k in range(2):
        part = low if k == 0 else high
        for j in range(2):
            piece = ((part & mask) if j == 0 else (part >> 32)) * n
            place = 32 * j + LIMB_BITS * k
            limb, shift = place >> 5, place & 31
            limbs[limb] += (piece & ((np.int64(1) << (32 - shift)) - 1)) << shift
            rest = piece >> (32 - shift)
            limbs[limb + 1] += rest & mask
            limbs[limb + 2] += rest >> 32
    a, b = total >> 32, total & mask
    # Unsigned, because b * b may exceed 2**63.
    square, cross = np.uint64(b) * np.uint64(b), a * b
    limbs[0] -= np.int64(square & np.uint64(0xFFFFFFFF))
    limbs[1] -= np.int64(square >> np.uint64(32)) + ((cross & np.int64(0x7FFFFFFF)) << 1)
    limbs[2] -= cross >> 31
    limbs[2] -= (a * a) & mask
    limbs[3] -= (a * a) >> 32
    for k in range(4):
        carry = limbs[k] >> 32
        limbs[k] &= mask
        limbs[k + 1] += carry
    value = 0.0
    for k in range(4, -1, -1):
        value = value * 4294967296.0 + limbs[k]
    return np.sqrt(value) / (n * UNITS_PER_NDVI)
