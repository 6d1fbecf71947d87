"""Overviews of a COG, each computed from the full-resolution pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def build_overviews(values: NDArray[Any], levels: int) -> Iterator[NDArray[Any]]:
    """Yield the overviews of a block, each with half the resolution of the previous one.

    A pixel of overview k is the unweighted mean of the valid pixels among the up to 2**k by 2**k full-resolution pixels
    that it covers. Each level is computed from the sums, not the means, of the previous level, in an order that depends
    on the grid only, so that the result does not depend on the division into blocks.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x), floating point with NaN for invalid pixels, or integers, which are all valid, including 0. The position
        of the first pixel in the grid must be a multiple of 2**levels in both dimensions.
    levels : int
        Number of overviews.

    Yields
    ------
    numpy.ndarray
        (y, x), with the dtype of `values`. Means of integers are rounded half to even.
    """
    is_floating = np.issubdtype(values.dtype, np.floating)
    pixels: NDArray[Any] = ~np.isnan(values) if is_floating else np.ones(values.shape, bool)
    sums: NDArray[Any] = np.where(pixels, values, values.dtype.type(0)) if is_floating else values
    for _ in range(levels):
        sums, pixels = _sum_two_by_two(sums), _sum_two_by_two(pixels)
        means = np.divide(sums, pixels, out=np.full(sums.shape, np.nan), where=pixels > 0)
        yield (means if is_floating else np.rint(means)).astype(values.dtype)


def _sum_two_by_two(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sums of two by two pixels as float64; odd edges are padded with zeros. Sums of integers are exact."""
    rows, columns = (length % 2 for length in values.shape)
    padded = np.pad(values, ((0, rows), (0, columns))) if rows or columns else values
    lines = np.add(padded[0::2], padded[1::2], dtype=np.float64)
    added: NDArray[np.float64] = lines[:, 0::2] + lines[:, 1::2]
    return added
