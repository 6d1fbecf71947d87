"""From looks at the ground to sums, and from sums to means."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

UNITS_PER_NDVI = 2.0**32
"""Sums count in units of 2**-32: rounding an observation costs at most 1.2e-10."""

NDVI_LIMIT = 2.0**15
"""A single observation saturates here, far outside any physical value. 65,535 of them, the most that a count can
hold, then still fit a 64-bit sum."""

ZERO_SUM = 1e-6
"""red + nir counts as 0 below this many stored units: with an offset, scaling leaves a rest of rounding there."""


def accumulate(
    red: NDArray[np.generic],
    nir: NDArray[np.generic],
    clear: NDArray[np.bool_],
    bands: NDArray[np.float64],
    total: NDArray[np.int64],
    count: NDArray[np.uint16],
) -> None:
    """Add one look at the ground to the sums of a block.

    A pixel is an observation when it is clear, neither band is nodata nor outside its valid range, and red + nir is
    finite and not 0. Bands are scaled and offset first, because NDVI is not invariant to an offset.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (y, x) stored values.
    clear : numpy.ndarray
        (y, x) bool, where the mask shows the ground.
    bands : numpy.ndarray
        (2, 5) float64: for red and for nir the nodata value (infinite where there is none), the least and the
        greatest valid stored value, scale, and offset.
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI, changed in place.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations, changed in place.
    """
    _accumulate(red, nir, clear, bands, total, count)


@njit(nogil=True, cache=True)
def _accumulate(red, nir, clear, bands, total, count):  # type: ignore[no-untyped-def]  # for any band types
    nodata, least, greatest = bands[:, 0], bands[:, 1], bands[:, 2]
    scale, offset = bands[:, 3], bands[:, 4]
    smallest = ZERO_SUM * max(scale[0], scale[1])
    for y in range(clear.shape[0]):
        for x in range(clear.shape[1]):
            if not clear[y, x]:
                continue
            r, n = float(red[y, x]), float(nir[y, x])
            if r == nodata[0] or n == nodata[1]:
                continue
            if not (least[0] <= r <= greatest[0] and least[1] <= n <= greatest[1]):
                continue
            r, n = r * scale[0] + offset[0], n * scale[1] + offset[1]
            if not smallest < abs(n + r) < np.inf:
                continue
            ndvi = min(max((n - r) / (n + r), -NDVI_LIMIT), NDVI_LIMIT)
            total[y, x] += np.int64(np.rint(ndvi * UNITS_PER_NDVI))
            count[y, x] += np.uint16(1)


def mean(total: NDArray[np.int64], count: NDArray[np.uint16], *, min_clear: int = 1) -> NDArray[np.float32]:
    """Divide sums by counts.

    Parameters
    ----------
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    min_clear : int
        Fewest observations that make a mean, at least 1.

    Returns
    -------
    numpy.ndarray
        (y, x) float32 NDVI, NaN where there are fewer than `min_clear` observations.
    """
    result = np.empty(count.shape, np.float32)
    _mean(total, count, max(min_clear, 1), result)
    return result


@njit(nogil=True, cache=True)
def _mean(total, count, min_clear, result):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            n = count[y, x]
            result[y, x] = total[y, x] / (n * UNITS_PER_NDVI) if n >= min_clear else np.nan
