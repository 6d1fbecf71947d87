"""Overview levels of means and counts, and the int16 encoding of levels and tiles."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LEVEL_UNITS_PER_NDVI = 2.0**24
"""Units of level sums per NDVI: 2**-24 is the step of a float32 below 1. The sum over a level pixel of 2**11 by 2**11
pixels, each at `compute.kernels.sums.NDVI_LIMIT`, fits 64 bits."""

NEVER_CLEAR, OUTSIDE, NOT_COMPUTED, TOO_FEW = -32768, -32767, -32766, -32765
"""Codes among the int16 values of tiles; levels use the first only."""

LARGEST = 32760
"""Largest absolute value of levels and tiles, at which they saturate."""


def sum_pixel_quads(ndvi_mean: NDArray[np.float32], clear_count: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Sum the pixels of a block two by two for its first overview level.

    Parameters
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) float32 NDVI, NaN where there is no mean.
    clear_count : numpy.ndarray
        (y, x) uint16 numbers of observations.

    Returns
    -------
    numpy.ndarray
        (y, x, 3) int64 with both edges halved and rounded up: sum of the means in units of 2**-24, number of pixels
        with a mean, and sum of the counts.
    """
    rows, columns = ndvi_mean.shape
    sums = np.empty(((rows + 1) // 2, (columns + 1) // 2, 3), np.int64)
    _sum_pixel_quads(ndvi_mean, clear_count, sums)
    return sums


@njit(nogil=True, cache=True)
def _sum_pixel_quads(ndvi_mean, clear_count, sums):  # type: ignore[no-untyped-def]  # numba types it
    # With an extra column of 0 for odd widths. Integers this small are exact in float64, for which SIMD conversions are
    # more common than for int64.
    lines = np.zeros((3, 2 * sums.shape[1]))
    for y in range(sums.shape[0]):
        lines[:] = 0.0
        for row in range(2 * y, min(2 * y + 2, ndvi_mean.shape[0])):
            _add_row(ndvi_mean[row], clear_count[row], lines[0], lines[1], lines[2])
        for x in range(sums.shape[1]):
            for n in range(3):
                sums[y, x, n] = np.int64(lines[n, 2 * x] + lines[n, 2 * x + 1])


@njit(nogil=True, cache=True)
def _add_row(ndvi_mean, clear_count, means, pixels, counts):  # type: ignore[no-untyped-def]  # numba types it
    for x in range(ndvi_mean.size):
        ndvi = float(ndvi_mean[x])
        has_mean = not np.isnan(ndvi)
        means[x] += np.rint((ndvi if has_mean else 0.0) * LEVEL_UNITS_PER_NDVI)
        pixels[x] += has_mean
    for x in range(ndvi_mean.size):
        counts[x] += clear_count[x]


def sum_level_quads(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum the sums of one level two by two for the next level.

    Parameters
    ----------
    sums : numpy.ndarray
        (y, x, 3) int64 sums from `sum_pixel_quads`.

    Returns
    -------
    numpy.ndarray
        (y, x, 3) int64 with both edges halved and rounded up.
    """
    rows, columns, _ = sums.shape
    halved = np.zeros(((rows + 1) // 2, (columns + 1) // 2, 3), np.int64)
    _sum_level_quads(sums, halved)
    return halved


@njit(nogil=True, cache=True)
def _sum_level_quads(sums, halved):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(sums.shape[0]):
        for x in range(sums.shape[1]):
            for n in range(3):
                halved[y >> 1, x >> 1, n] += sums[y, x, n]


def divide_level_sums(
    sums: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64], per_ndvi: float, per_count: float
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.int16]]:
    """Return the values of a level from its sums.

    Parameters
    ----------
    sums : numpy.ndarray
        (y, x, 3) int64 sums from `sum_pixel_quads`.
    rows, columns : numpy.ndarray
        (y,) and (x,) int64: number of block pixels that a level pixel covers along each axis.
    per_ndvi, per_count : float
        int16 steps per unit of NDVI and of the clear count.

    Returns
    -------
    ndvi_mean : numpy.ndarray
        (y, x) int16, `NEVER_CLEAR` where no pixel has a mean.
    clear_share : numpy.ndarray
        (y, x) uint8 share of pixels with a mean, in units of 1/255; 0 and 255 are exact.
    clear_count : numpy.ndarray
        (y, x) int16, `NEVER_CLEAR` where no pixel was ever clear.
    """
    shape = sums.shape[:2]
    ndvi_mean, clear_count = np.empty(shape, np.int16), np.empty(shape, np.int16)
    clear_share = np.empty(shape, np.uint8)
    _divide_level_sums(sums, rows, columns, per_ndvi, per_count, ndvi_mean, clear_share, clear_count)
    return ndvi_mean, clear_share, clear_count


@njit(nogil=True, cache=True)
def _divide_level_sums(sums, rows, columns, per_ndvi, per_count, mean, share, count):  # type: ignore[no-untyped-def]
    for y in range(sums.shape[0]):
        for x in range(sums.shape[1]):
            pixels, clear = rows[y] * columns[x], sums[y, x, 1]
            mean[y, x] = count[y, x] = NEVER_CLEAR
            if clear > 0:
                mean[y, x] = _saturated(sums[y, x, 0] / (clear * LEVEL_UNITS_PER_NDVI) * per_ndvi)
            if sums[y, x, 2] > 0:
                count[y, x] = _saturated(sums[y, x, 2] / pixels * per_count)
            share[y, x] = np.rint(255.0 * clear / pixels)
            if 0 < clear < pixels:
                share[y, x] = min(max(share[y, x], 1), 254)


@njit(nogil=True, cache=True)
def _saturated(value):  # type: ignore[no-untyped-def]  # numba types it
    return np.int16(min(max(np.rint(value), -LARGEST), LARGEST))


def encode_values(values: NDArray[np.generic], per_unit: float) -> NDArray[np.int16]:
    """Encode means or counts of level 0 as the int16 values of a tile.

    Parameters
    ----------
    values : numpy.ndarray
        (n,) floating-point means, NaN for none; or integer counts, 0 where never clear.
    per_unit : float
        int16 steps per unit of `values`.

    Returns
    -------
    numpy.ndarray
        (n,) int16, saturated, `NEVER_CLEAR` where there is no value.
    """
    encoded = np.empty(values.shape, np.int16)
    _encode_values(values, per_unit, not np.issubdtype(values.dtype, np.floating), encoded)
    return encoded


@njit(nogil=True, cache=True)
def _encode_values(values, per_unit, zero_is_none, encoded):  # type: ignore[no-untyped-def]  # for any value type
    for n in range(values.size):
        value = float(values[n])
        none = np.isnan(value) or (zero_is_none and value == 0.0)
        encoded[n] = NEVER_CLEAR if none else _saturated(value * per_unit)
