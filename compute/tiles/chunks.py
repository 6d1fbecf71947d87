"""Which chunks a tile shows, and how their patches become one picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from compute import kernels
from compute.patches import Control, Patch
from compute.stack import Chunks, borders

# One value stands for the whole of a result: a level so coarse that there is one only, whatever its size.
_ANYTHING = np.zeros((1, 1), np.int16)
_COARSEST = 62


def touched(chunks: Chunks, control: Control) -> Iterator[tuple[int, int]]:
    """Yield row and column of every chunk that a tile may show: those that its control points surround."""
    spans = [_reached(borders(sizes), nodes) for sizes, nodes in zip(chunks, control.nodes, strict=True)]
    yield from product(*spans)


def _reached(edges: NDArray[np.int64], nodes: NDArray[np.float64]) -> range:
    finite = nodes[np.isfinite(nodes)]
    if finite.size == 0:
        return range(0)
    first, last = np.searchsorted(edges, [finite.min(), finite.max()], side="right") - 1
    return range(max(int(first), 0), min(int(last) + 1, edges.size - 1))


def blank(shape: tuple[int, int], control: Control) -> NDArray[np.int16]:
    """Return a tile of which nothing is computed yet.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the result.
    control : Control
        Where the tile lies.

    Returns
    -------
    numpy.ndarray
        (y, x) int16: `kernels.NOT_COMPUTED` inside the result's grid, `kernels.OUTSIDE` elsewhere.
    """
    tile = np.full((control.size, control.size), kernels.NOT_COMPUTED, np.int16)
    rows, columns = control.nodes
    if not (rows.min() >= 0 and columns.min() >= 0 and rows.max() < shape[0] and columns.max() < shape[1]):
        hit = np.zeros(tile.shape, np.bool_)
        kernels.gather(_ANYTHING, (0, 0, *shape), _COARSEST, control.nodes, control.step, np.empty_like(tile), hit)
        tile[~hit] = kernels.OUTSIDE
    return tile


def compose(tile: NDArray[np.int16], patches: Iterable[Patch]) -> None:
    """Put patches into a tile, in place. Every pixel belongs to one block, so their order is irrelevant."""
    for patch in patches:
        height, width = patch.shape
        given = np.unpackbits(patch.bits, count=height * width).reshape(patch.shape).view(bool)
        tile[patch.row : patch.row + height, patch.column : patch.column + width][given] = patch.values
