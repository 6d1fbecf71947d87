"""What a line of looks adds to the sums: the arithmetic of `compute.kernels.observations`, to the last bit.

A line is worked on as a whole and without branches, so that several pixels go through the processor at once. A pixel
that is not clear costs as much as a clear one, and both a fraction of a wrong guess.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.observations import NDVI_LIMIT, UNITS_PER_NDVI, ZERO_SUM
from compute.kernels.resample.lattice import held

_ROUNDING = 1.5 * 2.0**52
"""Added to a number far below it, this leaves an integer in the lowest bits, rounded half to even as `numpy.rint` does.
Few processors turn several float64 into int64 at once."""

_ROUNDING_BITS = int(np.float64(_ROUNDING).view(np.int64))


def look_of(
    red: NDArray[Any], nir: NDArray[Any], clear: NDArray[np.bool_], *sums: NDArray[Any]
) -> tuple[tuple[NDArray[Any], NDArray[Any]], NDArray[np.bool_], tuple[NDArray[Any], ...]]:
    """Return a window, what is clear, and the sums, as kernels take them: these look for nothing beyond an array."""
    assert red.shape == nir.shape
    assert all(each.shape == clear.shape for each in sums)
    return (held(red), held(nir)), held(clear), sums


@njit(nogil=True, cache=True)
def rules_of(bands):  # type: ignore[no-untyped-def]  # numba types it
    """Return what `add_line` goes by, as numbers: in a loop they stay in registers, elements of an array do not."""
    smallest = ZERO_SUM * max(bands[0, 3], bands[1, 3])
    red = bands[0, 1], bands[0, 2], bands[0, 3], bands[0, 4]
    nir = bands[1, 1], bands[1, 2], bands[1, 3], bands[1, 4]
    return red, nir, smallest


@njit(nogil=True, cache=True, error_model="numpy")
def add_line(red, nir, rules, total, count, taken):  # type: ignore[no-untyped-def]  # numba types it
    """Add a line of stored values to the sums, and mark the pixels that were observations as taken.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (x,) float64 stored values or means of some; NaN where there is no look at the ground.
    rules
        As `rules_of` returns them.
    total, count, taken : numpy.ndarray
        (x,) int64, uint16 and bool, changed in place. Whether a pixel is taken already is not asked.
    """
    (red_least, red_most, red_scale, red_offset), (nir_least, nir_most, nir_scale, nir_offset), smallest = rules
    rounded, seen = np.empty(total.size), np.empty(total.size, np.bool_)
    for x in range(total.size):
        r, n = red[x], nir[x]
        valid = (red_least <= r) & (r <= red_most) & (nir_least <= n) & (n <= nir_most)
        r, n = r * red_scale + red_offset, n * nir_scale + nir_offset
        valid &= (smallest < abs(n + r)) & (abs(n + r) < np.inf)
        ndvi = min(max((n - r) / (n + r), -NDVI_LIMIT), NDVI_LIMIT)
        rounded[x] = (ndvi * UNITS_PER_NDVI if valid else 0.0) + _ROUNDING
        seen[x] = valid
    bits = rounded.view(np.int64)
    for x in range(total.size):
        total[x] += bits[x] - _ROUNDING_BITS
        count[x] += seen[x]
        taken[x] |= seen[x]
