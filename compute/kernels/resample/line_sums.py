"""Sums of one line of looks: the arithmetic of `compute.kernels.sums`, to the last bit.

The clear pixels of a line stand side by side and are worked on without branches, so that several go through the
processor at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.clear_pixels import ClearPixels
from compute.kernels.resample.lattice import held
from compute.kernels.sums import EVERY_INDEX, PHYSICAL, UNITS_PER_NDVI, ZERO_SUM, IndexRange

_ROUNDING = 1.5 * 2.0**52
"""Added to a number far below it, this leaves an integer in the lowest bits, rounded half to even as `numpy.rint` does.
Few processors turn several float64 into int64 at once."""

_ROUNDING_BITS = int(np.float64(_ROUNDING).view(np.int64))


@dataclass(frozen=True, kw_only=True, slots=True)
class BandWindows:
    """Red and near infrared of one scene, as far as they were read.

    Attributes
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values, both of one shape.
    at : (int, int)
        Row and column of their first pixel, in absolute source pixels.
    numbers : numpy.ndarray
        (2, 5) float64, as `compute.kernels.accumulate` takes them.
    usable : numpy.ndarray or None
        (rows, columns) uint8, 1 where a pixel may weigh in a mean over areas, 0 where not; see
        `compute.kernels.resample.pixel_usability`, which also sets red and nir to 0 there. None where no mean is taken.
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
    """Sums of a block, to which looks are added in place.

    Attributes
    ----------
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    taken : numpy.ndarray
        (y, x) bool, set where an observation is added. Whether a pixel is taken already is not asked.
    beyond : numpy.ndarray
        (2,) int64 numbers of observations outside -1 to 1, and of those left out by `index_range`.
    index_range : (float, float)
        Least and greatest index that is an observation; not changed.
    min_area : float
        Least share of a pixel's area that must be usable where a mean over areas is taken; not changed.
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
        """(y, x) of the block."""
        return self.total.shape


def look_of(bands: BandWindows, clear: ClearPixels, sums: Accumulators) -> tuple[tuple[NDArray[Any], ...], ...]:
    """Return windows, clear pixels, and sums as kernels take them: these look for nothing beyond an array."""
    assert len(clear.starts) == sums.shape[0] + 1
    windows, listed = (held(bands.red), held(bands.nir)), (held(clear.starts), held(clear.columns))
    return windows, listed, (sums.total, sums.count, sums.taken, sums.beyond)


def rules_of(bands: BandWindows, sums: Accumulators) -> tuple[tuple[float, ...], ...]:
    """Return the numbers that `add_line` goes by: in a loop they stay in registers, elements of an array do not.

    Pixels that were judged one by one before a mean was taken of them have no valid range any more.
    """
    (_, *red), (_, *nir) = bands.numbers.tolist()
    if bands.usable is not None:
        red[:2] = nir[:2] = -np.inf, np.inf
    smallest = ZERO_SUM * max(red[2], nir[2])
    return tuple(red), tuple(nir), (smallest, *map(float, sums.index_range))


@njit(nogil=True, cache=True)
def line_room(columns):  # type: ignore[no-untyped-def]  # numba types it
    """Return buffers of a line: red, nir, the rounded index, and which pixels are observations."""
    return np.empty(columns), np.empty(columns), np.empty(columns), np.empty(columns, np.bool_)


@njit(nogil=True, cache=True, error_model="numpy")
def add_line(room, listed, rules, total, count, taken, beyond):  # type: ignore[no-untyped-def]  # numba types it
    """Add the clear pixels of a line to the sums, and mark those that were observations as taken.

    Parameters
    ----------
    room
        As `line_room` returns it, with red and nir of the listed pixels: float64 stored values or means of some, NaN
        where there is no look at the ground.
    listed : numpy.ndarray
        (n,) columns of the pixels.
    rules
        As `rules_of` returns them.
    total, count, taken : numpy.ndarray
        (x,) int64, uint16 and bool, changed in place.
    beyond : numpy.ndarray
        (2,) int64 as in `Accumulators`, changed in place.
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
