"""Compute overview levels of means and counts, and encode levels and tiles as int16."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LEVEL_UNITS_PER_NDVI = 2.0**24
"""Number of units of a level's sum per unit of NDVI; 2**-24 is the float32 spacing just below 1. The sum of 2**11 by
2**11 pixels, each at `compute.kernels.sums.NDVI_LIMIT`, fits into 64 bits."""

NEVER_CLEAR, OUTSIDE, NOT_COMPUTED, TOO_FEW = -32768, -32767, -32766, -32765
"""Codes for missing values in int16 tiles. Overview levels use only `NEVER_CLEAR`."""

LARGEST = 32760
"""Maximum absolute value of levels and tiles. Larger values are clipped to it."""


def sum_pixel_quads(ndvi_mean: NDArray[np.float32], clear_count: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Sum 2 by 2 pixels of a block, for the first overview level.

    Parameters
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) float32 mean NDVI, NaN for pixels without a mean.
    clear_count : numpy.ndarray
        (y, x) uint16 numbers of observations.

    Returns
    -------
    numpy.ndarray
        (y, x, 3) int64: sum of the means in units of 2**-24, number of pixels with a mean, and sum of the counts. Both
        edge lengths are halved and rounded up.
    """
    rows, columns = ndvi_mean.shape
    sums = np.empty(((rows + 1) // 2, (columns + 1) // 2, 3), np.int64)
    _sum_pixel_quads(ndvi_mean, clear_count, sums)
    return sums


@njit(nogil=True, cache=True)
def _sum_pixel_quads(ndvi_mean, clear_count, sums):  # type: ignore[no-untyped-def]  # numba infers types
    # Odd widths are padded with a column of zeros. These integers are exact in float64, for which more processors have
    # SIMD conversions than for int64.
    lines = np.zeros((3, 2 * sums.shape[1]))
    for y in range(sums.shape[0]):
        lines[:] = 0.0
        for row in range(2 * y, min(2 * y + 2, ndvi_mean.shape[0])):
            _add_row(ndvi_mean[row], clear_count[row], lines[0], lines[1], lines[2])
        for x in range(sums.shape[1]):
            for n in range(3):
                sums[y, x, n] = np.int64(lines[n, 2 * x] + lines[n, 2 * x + 1])


@njit(nogil=True, cache=True)
def _add_row(ndvi_mean, clear_count, means, pixels, counts):  # type: ignore[no-untyped-def]  # numba infers types
    for x in range(ndvi_mean.size):
        ndvi = float(ndvi_mean[x])
        has_mean = not np.isnan(ndvi)
        means[x] += np.rint((ndvi if has_mean else 0.0) * LEVEL_UNITS_PER_NDVI)
        pixels[x] += has_mean
    for x in range(ndvi_mean.size):
        counts[x] += clear_count[x]


def sum_level_quads(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum 2 by 2 pixels of a level, for the next level.

    Parameters
    ----------
    sums : numpy.ndarray
        (y, x, 3) int64 sums of a level, from `sum_pixel_quads` or this function.

    Returns
    -------
    numpy.ndarray
        (y, x, 3) int64 sums of the next level. Both edge lengths are halved and rounded up.
    """
    rows, columns, _ = sums.shape
    halved = np.zeros(((rows + 1) // 2, (columns + 1) // 2, 3), np.int64)
    _sum_level_quads(sums, halved)
    return halved


@njit(nogil=True, cache=True)
def _sum_level_quads(sums, halved):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(sums.shape[0]):
        for x in range(sums.shape[1]):
            for n in range(3):
                halved[y >> 1, x >> 1, n] += sums[y, x, n]


def divide_level_sums(
    sums: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64], per_ndvi: float, per_count: float
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.int16]]:
    """Divide the sums of a level, and encode the results.

    Parameters
    ----------
    sums : numpy.ndarray
        (y, x, 3) int64 sums from `sum_pixel_quads` or `sum_level_quads`.
    rows, columns : numpy.ndarray
        (y,) and (x,) int64 numbers of block pixels that level pixels cover along each axis.
    per_ndvi, per_count : float
        int16 steps per unit of NDVI and per observation.

    Returns
    -------
    ndvi_mean : numpy.ndarray
        (y, x) int16 average of the pixels with a mean; `NEVER_CLEAR` if there are none.
    clear_share : numpy.ndarray
        (y, x) uint8 share of pixels with a mean, in units of 1/255. 0 and 255 stand only for none and all.
    clear_count : numpy.ndarray
        (y, x) int16 average count over all pixels; `NEVER_CLEAR` if there are no observations.
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
def _saturated(value):  # type: ignore[no-untyped-def]  # numba infers types
    return np.int16(min(max(np.rint(value), -LARGEST), LARGEST))


def encode_values(values: NDArray[np.generic], per_unit: float) -> NDArray[np.int16]:
    """Encode means or counts of level 0 as the int16 values of a tile.

    Parameters
    ----------
    values : numpy.ndarray
        (n,) floating-point means with NaN for missing values, or integer counts with 0 for missing values.
    per_unit : float
        int16 steps per unit of `values`.

    Returns
    -------
    numpy.ndarray
        (n,) int16, clipped to `LARGEST`; `NEVER_CLEAR` for missing values.
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
