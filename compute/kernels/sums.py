"""Sums, counts and means of NDVI observations.

NDVI is (nir - red) / (nir + red): Rouse et al. (1974), Monitoring vegetation systems in the Great Plains with ERTS,
NASA SP-351; Tucker (1979), Remote Sensing of Environment 8(2), doi:10.1016/0034-4257(79)90013-0.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

UNITS_PER_NDVI = 2.0**32
"""Number of units of a sum per unit of NDVI. The rounding error of an observation is at most 1.2e-10."""

NDVI_LIMIT = 2.0**15
"""Maximum absolute value of the index. A larger index is treated as undefined, since red + nir is close to 0. The sum
of 65,535 such observations, the maximum count, fits into 64 bits."""

IndexRange = tuple[float, float]
"""Minimum and maximum index of an observation, both inclusive."""

EVERY_INDEX: IndexRange = (-NDVI_LIMIT, NDVI_LIMIT)
"""Range that includes every defined index."""

PHYSICAL = 1.0
"""Maximum absolute index of positive reflectances. Observations that exceed it are also counted separately."""

ZERO_SUM = 1e-6
"""Maximum of abs(red + nir), in stored units, that is treated as 0, because scaling causes rounding errors."""


def accumulate(
    red: NDArray[np.generic],
    nir: NDArray[np.generic],
    clear: NDArray[np.bool_],
    bands: NDArray[np.float64],
    total: NDArray[np.int64],
    count: NDArray[np.uint16],
    *,
    index_range: IndexRange = EVERY_INDEX,
    beyond: NDArray[np.int64] | None = None,
) -> None:
    """Add the observations of one group of scenes to the sums of a block.

    A pixel is an observation if it is clear, both bands are valid (not nodata, and within the valid range), and the
    index is defined and within `index_range`. Bands are scaled first, because an offset changes NDVI.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (y, x) stored values.
    clear : numpy.ndarray
        (y, x) bool: clear pixels.
    bands : numpy.ndarray
        (2, 5) float64 constants of red and nir: nodata (infinite if there is none), minimum and maximum valid stored
        value, scale, and offset.
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI; changed in place.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations; changed in place.
    index_range : (float, float), default: EVERY_INDEX
        Minimum and maximum index of an observation.
    beyond : numpy.ndarray, optional
        (2,) int64: number of observations outside -1 to 1, and number of pixels excluded by `index_range`; changed in
        place.
    """
    numbers = np.zeros(2, np.int64) if beyond is None else beyond
    _accumulate(red, nir, clear, bands, total, count, index_range, numbers)


@njit(nogil=True, cache=True)
def _accumulate(red, nir, clear, bands, total, count, index_range, beyond):  # type: ignore[no-untyped-def]
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
            ndvi = (n - r) / (n + r)
            if not index_range[0] <= ndvi <= index_range[1]:
                beyond[1] += 1
                continue
            beyond[0] += abs(ndvi) > PHYSICAL
            total[y, x] += np.int64(np.rint(ndvi * UNITS_PER_NDVI))
            count[y, x] += np.uint16(1)


def divide_sums(total: NDArray[np.int64], count: NDArray[np.uint16], *, min_clear: int = 1) -> NDArray[np.float32]:
    """Divide sums by counts to obtain means.

    Parameters
    ----------
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    min_clear : int, default: 1
        Minimum number of observations for a mean, at least 1.

    Returns
    -------
    numpy.ndarray
        (y, x) float32 mean NDVI, NaN for pixels with fewer than `min_clear` observations.
    """
    result = np.empty(count.shape, np.float32)
    _divide_sums(total, count, max(min_clear, 1), result)
    return result


@njit(nogil=True, cache=True)
def _divide_sums(total, count, min_clear, result):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            n = count[y, x]
            result[y, x] = total[y, x] / (n * UNITS_PER_NDVI) if n >= min_clear else np.nan
