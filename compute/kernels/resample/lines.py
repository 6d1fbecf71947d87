"""What a line of looks adds to the sums: the arithmetic of `compute.kernels.observations`, to the last bit.

The clear pixels of a line stand side by side and are worked on without branches, so that several go through the
processor at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.observations import NDVI_LIMIT, UNITS_PER_NDVI, ZERO_SUM
from compute.kernels.resample.clear import ClearPixels
from compute.kernels.resample.lattice import held

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
    """

    red: NDArray[np.generic]
    nir: NDArray[np.generic]
    at: tuple[int, int]
    numbers: NDArray[np.float64]

    def __post_init__(self) -> None:
        assert self.red.shape == self.nir.shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Accumulators:
    """What the looks of a block are added to, changed in place.

    Attributes
    ----------
    total : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    taken : numpy.ndarray
        (y, x) bool, set where an observation is added. Whether a pixel is taken already is not asked.
    """

    total: NDArray[np.int64]
    count: NDArray[np.uint16]
    taken: NDArray[np.bool_]

    def __post_init__(self) -> None:
        assert self.total.shape == self.count.shape == self.taken.shape

    @property
    def shape(self) -> tuple[int, ...]:
        """(y, x) of the block."""
        return self.total.shape


def look_of(bands: BandWindows, clear: ClearPixels, sums: Accumulators) -> tuple[tuple[NDArray[Any], ...], ...]:
    """Return windows, clear pixels, and sums as kernels take them: these look for nothing beyond an array."""
    assert len(clear.starts) == sums.shape[0] + 1
    windows, listed = (held(bands.red), held(bands.nir)), (held(clear.starts), held(clear.columns))
    return windows, listed, (sums.total, sums.count, sums.taken)


@njit(nogil=True, cache=True)
def rules_of(bands):  # type: ignore[no-untyped-def]  # numba types it
    """Return what `add_line` goes by, as numbers: in a loop they stay in registers, elements of an array do not."""
    smallest = ZERO_SUM * max(bands[0, 3], bands[1, 3])
    red = bands[0, 1], bands[0, 2], bands[0, 3], bands[0, 4]
    nir = bands[1, 1], bands[1, 2], bands[1, 3], bands[1, 4]
    return red, nir, smallest


@njit(nogil=True, cache=True)
def line_room(columns):  # type: ignore[no-untyped-def]  # numba types it
    """Return room for red and nir of a line, for what they add, and for which of them are observations."""
    return np.empty(columns), np.empty(columns), np.empty(columns), np.empty(columns, np.bool_)


@njit(nogil=True, cache=True, error_model="numpy")
def add_line(room, listed, rules, total, count, taken):  # type: ignore[no-untyped-def]  # numba types it
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
    """
    red, nir, rounded, seen = room
    (red_least, red_most, red_scale, red_offset), (nir_least, nir_most, nir_scale, nir_offset), smallest = rules
    for k in range(listed.size):
        r, n = red[k], nir[k]
        valid = (red_least <= r) & (r <= red_most) & (nir_least <= n) & (n <= nir_most)
        r, n = r * red_scale + red_offset, n * nir_scale + nir_offset
        valid &= (smallest < abs(n + r)) & (abs(n + r) < np.inf)
        ndvi = min(max((n - r) / (n + r), -NDVI_LIMIT), NDVI_LIMIT)
        rounded[k] = (ndvi * UNITS_PER_NDVI if valid else 0.0) + _ROUNDING
        seen[k] = valid
    bits = rounded.view(np.int64)
    for k in range(listed.size):
        x = np.uint64(listed[k])
        total[x] += bits[k] - _ROUNDING_BITS
        count[x] += seen[k]
        taken[x] |= seen[k]
