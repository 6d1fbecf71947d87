"""Sums and counts of NDVI observations, and their means.

NDVI is (nir - red) / (nir + red): Rouse et al. (1974), Monitoring vegetation systems in the Great Plains with ERTS,
NASA SP-351; Tucker (1979), Remote Sensing of Environment 8(2), doi:10.1016/0034-4257(79)90013-0.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

UNITS_PER_NDVI = 2.0**32
"""Units of sums per NDVI: rounding an observation errs by at most 1.2e-10."""

NDVI_LIMIT = 2.0**15
"""Largest absolute index; beyond it the index counts as undefined, since red + nir is close to 0. The sum of 65,535
such observations, the largest count, fits 64 bits."""

IndexRange = tuple[float, float]
"""Smallest and largest index that counts as an observation, both included."""

EVERY_INDEX: IndexRange = (-NDVI_LIMIT, NDVI_LIMIT)
"""Range of all defined values."""

PHYSICAL = 1.0
"""Largest absolute index of positive reflectances. Negative ones exceed it, and are counted."""

ZERO_SUM = 1e-6
"""Value of red + nir below which it counts as 0, in stored units: scaling with an offset leaves rounding errors."""


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
    """Add one look to the sums of a block.

    A pixel is an observation when it is clear, neither band is nodata nor outside its valid range, and the index is
    defined and within its range. Bands are scaled and offset first, because NDVI is not invariant to an offset.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (y, x) stored values.
    clear : numpy.ndarray
        (y, x) bool: clear pixels.
    bands : numpy.ndarray
        (2, 5) float64: for red and for nir the nodata value (infinite for none), the smallest and the largest valid
        stored value, scale, and offset.
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI, changed in place.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations, changed in place.
    index_range : (float, float)
        Smallest and largest index that counts as an observation.
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
    """Return the means of sums and counts.

    Parameters
    ----------
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    min_clear : int
        Smallest number of observations for a mean, at least 1.

    Returns
    -------
    numpy.ndarray
        (y, x) float32 mean NDVI, NaN where there are fewer than `min_clear` observations.
    """
    result = np.empty(count.shape, np.float32)
    _divide_sums(total, count, max(min_clear, 1), result)
    return result


@njit(nogil=True, cache=True)
def _divide_sums(total, count, min_clear, result):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            n = count[y, x]
            result[y, x] = total[y, x] / (n * UNITS_PER_NDVI) if n >= min_clear else np.nan
