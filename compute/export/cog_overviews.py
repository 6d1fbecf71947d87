"""Overviews of a COG, each computed from the pixels of level 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def build_overviews(values: NDArray[Any], levels: int) -> Iterator[NDArray[Any]]:
    """Yield the overviews of a block, each with half the resolution of the previous one.

    A pixel of overview k is the unweighted mean of the valid pixels among its 2**k by 2**k level-0 pixels; pixels
    beyond a ragged edge do not count. Sums, not means, are carried from one level to the next, in an order that depends
    on the grid alone, so that the result does not depend on the blocks.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x) floating point, NaN where invalid; or integers, all valid, 0 included. The first pixel lies on a multiple
        of 2**levels pixels of the grid.
    levels : int
        Number of overviews.

    Yields
    ------
    numpy.ndarray
        (y, x), dtype of `values`. Integers are rounded half to even.
    """
    is_floating = np.issubdtype(values.dtype, np.floating)
    pixels: NDArray[Any] = ~np.isnan(values) if is_floating else np.ones(values.shape, bool)
    sums: NDArray[Any] = np.where(pixels, values, values.dtype.type(0)) if is_floating else values
    for _ in range(levels):
        sums, pixels = _sum_two_by_two(sums), _sum_two_by_two(pixels)
        means = np.divide(sums, pixels, out=np.full(sums.shape, np.nan), where=pixels > 0)
        yield (means if is_floating else np.rint(means)).astype(values.dtype)


def _sum_two_by_two(values: NDArray[Any]) -> NDArray[np.float64]:
    """Sum two by two pixels as float64; odd edges are padded with zeros. Integer sums are exact."""
    rows, columns = (length % 2 for length in values.shape)
    padded = np.pad(values, ((0, rows), (0, columns))) if rows or columns else values
    lines = np.add(padded[0::2], padded[1::2], dtype=np.float64)
    added: NDArray[np.float64] = lines[:, 0::2] + lines[:, 1::2]
    return added
