"""Windows of the spatial chunks of a result, in level-0 pixels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from compute.scenes.pixel_frames import ResultWindow

Chunks = tuple[tuple[int, ...], tuple[int, ...]]
"""Sizes of the spatial chunks along y and x, in pixels."""


def borders(sizes: Iterable[int]) -> NDArray[np.int64]:
    """Return the (n + 1,) int64 borders of n chunks along an axis, in level-0 pixels of the result."""
    return np.concatenate([[0], np.cumsum(list(sizes))])


def chunk_window(chunks: Chunks, row: int, column: int) -> ResultWindow:
    """Return the window of a spatial chunk.

    Parameters
    ----------
    chunks : Chunks
        Sizes of the chunks along y and x, in pixels.
    row, column : int
        Row and column of the chunk, counted in chunks.
    """
    rows, columns = (borders(sizes) for sizes in chunks)
    return ResultWindow((int(rows[row]), int(columns[column]), int(rows[row + 1]), int(columns[column + 1])))
