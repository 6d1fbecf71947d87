"""Usable source pixels: clear and valid pixels, which may enter a mean of several source pixels."""

from __future__ import annotations

from math import ceil, floor, isinf
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.lattice import read_only


def usable_pixels(
    red: NDArray[np.generic], nir: NDArray[np.generic], clear: NDArray[np.bool_] | None, numbers: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return the usable pixels of a window, and set both bands to 0 at all other pixels.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values of any dtype. Changed in place, so that unusable pixels add 0 to weighted sums.
    clear : numpy.ndarray or None
        (rows, columns) bool: clear pixels; None to ignore the mask.
    numbers : numpy.ndarray
        (2, 5) float64 nodata, valid range, scale and offset of both bands, as in `compute.kernels.accumulate`.

    Returns
    -------
    numpy.ndarray
        (rows, columns) uint8: 1 if a pixel is clear and both bands are finite, not nodata, and within their valid
        range, else 0.
    """
    usable = np.ones(red.shape, np.uint8) if clear is None else clear.view(np.uint8).copy()
    for band, (nodata, least, greatest, *_) in zip((red, nir), numbers.tolist(), strict=True):
        asks_nodata, none, low, high = _stored_limits(band.dtype, nodata, least, greatest)
        _mark_usable(read_only(band), asks_nodata, none, low, high, usable)
    for band in (red, nir):
        _zero_unusable(band, usable)
    return usable


def _stored_limits(dtype: np.dtype[Any], nodata: float, least: float, greatest: float) -> tuple[Any, Any, Any, Any]:
    """Return whether a band has nodata, its nodata and its valid range, in the dtype of an integer band for SIMD."""
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
def _mark_usable(band, asks_nodata, nodata, least, greatest, usable):  # type: ignore[no-untyped-def]  # for any value type
    for y in range(usable.shape[0]):
        for x in range(usable.shape[1]):
            value = band[y, x]
            # Comparisons with NaN are False. Infinite values would make sums infinite or NaN.
            within = (least <= value) & (value <= greatest) & (abs(float(value)) < np.inf)
            usable[y, x] &= np.uint8(within & ((not asks_nodata) | (value != nodata)))


@njit(nogil=True, cache=True)
def _zero_unusable(band, usable):  # type: ignore[no-untyped-def]  # for any value type
    for y in range(usable.shape[0]):
        for x in range(usable.shape[1]):
            band[y, x] = band[y, x] if usable[y, x] else 0
