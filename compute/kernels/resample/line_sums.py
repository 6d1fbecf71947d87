"""Sum observations along one line of a block, with results identical to `compute.kernels.sums` to the last bit.

The clear pixels of a line are stored contiguously and processed without branches, so that the compiler uses SIMD
instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.clear_pixels import ClearPixels
from compute.kernels.resample.lattice import read_only
from compute.kernels.sums import EVERY_INDEX, PHYSICAL, UNITS_PER_NDVI, ZERO_SUM, IndexRange

_ROUNDING = 1.5 * 2.0**52
"""Constant for rounding. Its sum with a much smaller number has that number in its lowest bits, rounded half to even as
by `numpy.rint`. This replaces the conversion of float64 to int64, for which few processors have SIMD instructions."""

_ROUNDING_BITS = int(np.float64(_ROUNDING).view(np.int64))


@dataclass(frozen=True, kw_only=True, slots=True)
class BandWindows:
    """Windows of red and near infrared of one scene, of the same shape.

    Attributes
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values.
    at : (int, int)
        (row, column) of the first pixel of both windows, in absolute source pixels.
    numbers : numpy.ndarray
        (2, 5) float64 nodata, valid range, scale and offset of both bands, as in `compute.kernels.accumulate`.
    usable : numpy.ndarray or None
        (rows, columns) uint8 from `compute.kernels.resample.usable_pixels`: 1 for pixels that may enter a mean, 0 for
        other pixels, which have a red and nir of 0. None if no means are computed.
    """

    red: NDArray[np.generic]
    nir: NDArray[np.generic]
    at: tuple[int, int]
    numbers: NDArray[np.float64]
    usable: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        assert self.red.shape == self.nir.shape
        assert self.usable is None or self.usable.shape == self.red.shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Accumulators:
    """Sums of a block, to which observations are added in place.

    Attributes
    ----------
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    taken : numpy.ndarray
        (y, x) bool, set to True at pixels to which an observation is added. Kernels only write to it.
    beyond : numpy.ndarray
        (2,) int64: number of observations outside -1 to 1, and number of pixels excluded by `index_range`.
    index_range : (float, float)
        Minimum and maximum index of an observation; not changed.
    min_area : float
        Minimum usable share of an output pixel's area, or of the weights for ``bilinear``; not changed.
    """

    total: NDArray[np.int64]
    count: NDArray[np.uint16]
    taken: NDArray[np.bool_]
    beyond: NDArray[np.int64]
    index_range: IndexRange = EVERY_INDEX
    min_area: float = 0.5

    def __post_init__(self) -> None:
        assert self.total.shape == self.count.shape == self.taken.shape
        assert self.beyond.shape == (2,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (rows, columns) of the block."""
        return self.total.shape


def kernel_arrays(bands: BandWindows, clear: ClearPixels, sums: Accumulators) -> tuple[tuple[NDArray[Any], ...], ...]:
    """Return the arrays of windows, clear pixels and sums for kernels, after a check of their shapes.

    Parameters
    ----------
    bands : BandWindows
        Windows of red and nir.
    clear : ClearPixels
        Pixels of the block that may become observations.
    sums : Accumulators
        Sums of the block.

    Returns
    -------
    windows, listed, added : tuple of numpy.ndarray
        Red and nir; starts and columns of the pixels; total, count, taken and beyond.
    """
    assert len(clear.starts) == sums.shape[0] + 1
    windows, listed = (read_only(bands.red), read_only(bands.nir)), (read_only(clear.starts), read_only(clear.columns))
    return windows, listed, (sums.total, sums.count, sums.taken, sums.beyond)


def kernel_rules(bands: BandWindows, sums: Accumulators) -> tuple[tuple[float, ...], ...]:
    """Return valid range, scale and offset of both bands, and limits of the index, as scalars for `add_line_sums`.

    Unlike array elements, scalars stay in registers during a loop. The valid range is unlimited for means of usable
    pixels, which are valid.

    Parameters
    ----------
    bands : BandWindows
        Windows of red and nir.
    sums : Accumulators
        Sums of the block, with the index range.

    Returns
    -------
    red, nir, limits : tuple of float
        Valid minimum, valid maximum, scale and offset of red and of nir; and threshold of abs(red + nir), minimum index
        and maximum index.
    """
    (_, *red), (_, *nir) = bands.numbers.tolist()
    if bands.usable is not None:
        red[:2] = nir[:2] = -np.inf, np.inf
    smallest = ZERO_SUM * max(red[2], nir[2])
    return tuple(red), tuple(nir), (smallest, *map(float, sums.index_range))


@njit(nogil=True, cache=True)
def line_buffers(columns):  # type: ignore[no-untyped-def]  # numba infers types
    """Return buffers of a line for red, nir, the rounded index, and whether a pixel is an observation."""
    return np.empty(columns), np.empty(columns), np.empty(columns), np.empty(columns, np.bool_)


@njit(nogil=True, cache=True, error_model="numpy")
def add_line_sums(room, listed, rules, total, count, taken, beyond):  # type: ignore[no-untyped-def]  # numba infers types
    """Add the observations among the listed pixels of a line to the sums, and mark their pixels as taken.

    Parameters
    ----------
    room : tuple of numpy.ndarray
        Buffers from `line_buffers`. The first n elements of red and nir are the stored values of the listed pixels, or
        means of stored values; NaN for missing values.
    listed : numpy.ndarray
        (n,) columns of the pixels.
    rules : tuple
        From `kernel_rules`.
    total, count, taken : numpy.ndarray
        (x,) int64, uint16 and bool as in `Accumulators`; changed in place.
    beyond : numpy.ndarray
        (2,) int64 as in `Accumulators`; changed in place.
    """
    red, nir, rounded, seen = room
    (red_least, red_most, red_scale, red_offset), (nir_least, nir_most, nir_scale, nir_offset), limits = rules
    smallest, least, greatest = limits
    unphysical = left_out = 0
    for k in range(listed.size):
        r, n = red[k], nir[k]
        valid = (red_least <= r) & (r <= red_most) & (nir_least <= n) & (n <= nir_most)
        r, n = r * red_scale + red_offset, n * nir_scale + nir_offset
        valid &= (smallest < abs(n + r)) & (abs(n + r) < np.inf)
        ndvi = (n - r) / (n + r)
        within = valid & (least <= ndvi) & (ndvi <= greatest)
        left_out += valid & (not within)
        unphysical += within & (abs(ndvi) > PHYSICAL)
        rounded[k] = (ndvi * UNITS_PER_NDVI if within else 0.0) + _ROUNDING
        seen[k] = within
    beyond[0] += unphysical
    beyond[1] += left_out
    bits = rounded.view(np.int64)
    for k in range(listed.size):
        x = np.uint64(listed[k])
        total[x] += bits[k] - _ROUNDING_BITS
        count[x] += seen[k]
        taken[x] |= seen[k]
