"""Usable source pixels of an area average, each judged before anything is averaged."""

from __future__ import annotations

from math import ceil, floor, isinf
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.lattice import held


def usable_pixels(
    red: NDArray[np.generic], nir: NDArray[np.generic], clear: NDArray[np.bool_] | None, numbers: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Judge the pixels of a window, and set both bands to 0 where a pixel is not usable.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values, of any types; changed in place, so that sums need not ask what is usable.
    clear : numpy.ndarray or None
        (rows, columns) bool, where the mask shows the ground; None where the mask is not asked here.
    numbers : numpy.ndarray
        (2, 5) float64, as `compute.kernels.accumulate` takes them.

    Returns
    -------
    numpy.ndarray
        (rows, columns) uint8: 1 where a pixel is clear, and both bands are finite, not nodata and within their range.
    """
    usable = np.ones(red.shape, np.uint8) if clear is None else clear.view(np.uint8).copy()
    for band, (nodata, least, greatest, *_) in zip((red, nir), numbers.tolist(), strict=True):
        asks_nodata, none, low, high = _stored_limits(band.dtype, nodata, least, greatest)
        _judge(held(band), asks_nodata, none, low, high, usable)
    for band in (red, nir):
        _blank(band, usable)
    return usable


def _stored_limits(dtype: np.dtype[Any], nodata: float, least: float, greatest: float) -> tuple[Any, Any, Any, Any]:
    """Return nodata and limits as values of the type, which compare several at once; True first to ask nodata."""
    kind = dtype.type
    if dtype.kind == "f":
        return not isinf(nodata), kind(0 if isinf(nodata) else nodata), float(least), float(greatest)
    limits = np.iinfo(dtype)
    low = limits.min if least <= limits.min else limits.max if least > limits.max else ceil(least)
    high = limits.max if greatest >= limits.max else limits.min if greatest < limits.min else floor(greatest)
    if least > limits.max or greatest < limits.min:
        low, high = limits.max, limits.min
    return not isinf(nodata), kind(0 if isinf(nodata) else int(nodata)), kind(low), kind(high)


@njit(nogil=True, cache=True)
def _judge(band, asks_nodata, nodata, least, greatest, usable):  # type: ignore[no-untyped-def]  # for any value type
    for y in range(usable.shape[0]):
        for x in range(usable.shape[1]):
            value = band[y, x]
            # NaN is within no limits; an infinite value is none that a sum can hold.
            within = (least <= value) & (value <= greatest) & (abs(float(value)) < np.inf)
            usable[y, x] &= np.uint8(within & ((not asks_nodata) | (value != nodata)))


@njit(nogil=True, cache=True)
def _blank(band, usable):  # type: ignore[no-untyped-def]  # for any value type
    for y in range(usable.shape[0]):
        for x in range(usable.shape[1]):
            band[y, x] = band[y, x] if usable[y, x] else 0
