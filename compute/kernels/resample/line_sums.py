"""Sums along one line of a block, with the arithmetic of `compute.kernels.sums` to the last bit.

The clear pixels of a line are contiguous and processed without branches, so that the compiler uses SIMD instructions.
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
"""Number whose addition to a much smaller one leaves an integer in the lowest bits, rounded half to even like
`numpy.rint`. Few processors have SIMD instructions that convert float64 to int64."""

_ROUNDING_BITS = int(np.float64(_ROUNDING).view(np.int64))


@dataclass(frozen=True, kw_only=True, slots=True)
class BandWindows:
    """Windows of red and near infrared of one scene.

    Attributes
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values of the same shape.
    at : (int, int)
        (row, column) of their first pixel, in absolute source pixels.
    numbers : numpy.ndarray
        (2, 5) float64 nodata, valid range, scale and offset of both bands, as in `compute.kernels.accumulate`.
    usable : numpy.ndarray or None
        (rows, columns) uint8: 1 for pixels that enter a mean, 0 for others, whose red and nir are 0, from
        `compute.kernels.resample.pixel_usability`. None where no mean is taken.
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
    """Sums of a block to which looks are added in place.

    Attributes
    ----------
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    taken : numpy.ndarray
        (y, x) bool, set to True where an observation is added; it is not read.
    beyond : numpy.ndarray
        (2,) int64: number of observations outside -1 to 1, and number of pixels excluded by `index_range`.
    index_range : (float, float)
        Smallest and largest index that counts as an observation; not changed.
    min_area : float
        Smallest usable share of a pixel's area in a mean; not changed.
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
        """(rows, columns) of the block."""
        return self.total.shape


def kernel_arrays(bands: BandWindows, clear: ClearPixels, sums: Accumulators) -> tuple[tuple[NDArray[Any], ...], ...]:
    """Return the arrays of windows, clear pixels and sums for kernels, which do not check bounds.

    Parameters
    ----------
    bands : BandWindows
        Windows of red and nir.
    clear : ClearPixels
        Pixels of the block to observe.
    sums : Accumulators
        Sums of the block.
    """
    assert len(clear.starts) == sums.shape[0] + 1
    windows, listed = (read_only(bands.red), read_only(bands.nir)), (read_only(clear.starts), read_only(clear.columns))
    return windows, listed, (sums.total, sums.count, sums.taken, sums.beyond)


def kernel_rules(bands: BandWindows, sums: Accumulators) -> tuple[tuple[float, ...], ...]:
    """Return valid range, scale and offset of both bands, and limits of the index, as scalars for `add_line_sums`.

    Scalars stay in registers in a loop, unlike elements of an array. Means of usable pixels need no valid range.

    Parameters
    ----------
    bands : BandWindows
        Windows of red and nir.
    sums : Accumulators
        Sums of the block, with the index range.
    """
    (_, *red), (_, *nir) = bands.numbers.tolist()
    if bands.usable is not None:
        red[:2] = nir[:2] = -np.inf, np.inf
    smallest = ZERO_SUM * max(red[2], nir[2])
    return tuple(red), tuple(nir), (smallest, *map(float, sums.index_range))


@njit(nogil=True, cache=True)
def line_buffers(columns):  # type: ignore[no-untyped-def]  # numba types it
    """Return buffers of a line for red, nir, rounded index, and bool of observations."""
    return np.empty(columns), np.empty(columns), np.empty(columns), np.empty(columns, np.bool_)


@njit(nogil=True, cache=True, error_model="numpy")
def add_line_sums(room, listed, rules, total, count, taken, beyond):  # type: ignore[no-untyped-def]  # numba types it
    """Add the clear pixels of a line to the sums, and mark observations as taken.

    Parameters
    ----------
    room
        From `line_buffers`, with float64 red and nir of the listed pixels: stored values or their means, NaN for
        none.
    listed : numpy.ndarray
        (n,) columns of the pixels.
    rules
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
