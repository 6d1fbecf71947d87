"""Overviews of a COG, each made of the pixels of level 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def build_overviews(values: NDArray[Any], levels: int) -> Iterator[NDArray[Any]]:
    """Yield the overviews of a block, each half as fine as the one before.

    A pixel of overview k is the mean of those of its 2**k by 2**k pixels that have a value, each weighing 1; at a
    ragged edge of those that lie inside. The sums are carried from one overview to the next, never the means, and are
    added up in an order that the grid alone decides: how it is cut into blocks changes no bit.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x) floating, NaN where there is no value; or whole numbers, of which each is a value, 0 too. It begins on a
        multiple of 2**levels pixels of the grid.
    levels : int
        Number of overviews.

    Yields
    ------
    numpy.ndarray
        (y, x) of the type of `values`. Whole numbers are rounded, halves to even.
    """
    is_floating = np.issubdtype(values.dtype, np.floating)
    pixels: NDArray[Any] = ~np.isnan(values) if is_floating else np.ones(values.shape, bool)
    sums: NDArray[Any] = np.where(pixels, values, values.dtype.type(0)) if is_floating else values
    for _ in range(levels):
        sums, pixels = _add_fours(sums), _add_fours(pixels)
        means = np.divide(sums, pixels, out=np.full(sums.shape, np.nan), where=pixels > 0)
        yield (means if is_floating else np.rint(means)).astype(values.dtype)


def _add_fours(values: NDArray[Any]) -> NDArray[np.float64]:
    """Add up two by two pixels, both edges halved and rounded up; whole numbers stay exact."""
    rows, columns = (length % 2 for length in values.shape)
    padded = np.pad(values, ((0, rows), (0, columns))) if rows or columns else values
    lines = np.add(padded[0::2], padded[1::2], dtype=np.float64)
    added: NDArray[np.float64] = lines[:, 0::2] + lines[:, 1::2]
    return added
