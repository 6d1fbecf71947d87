"""Biquadratic interpolation between the nodes (control points) of a lattice.

A cell is a nine-node quadrilateral element, with Lagrange polynomials of the second degree in both directions:
Zienkiewicz et al. (2013), The Finite Element Method, chapter 6.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

LATTICE_PX = 32
"""Maximum edge length of a cell in output pixels. Edge lengths are powers of two, so that node weights are exact."""

SLIVER_PX = 2.0**-20
"""Tolerance for rounding errors of positions, in pixels. A position less than this before the end of a pixel is
assigned to the next pixel."""

LARGEST_SPAN = 65530.0
"""Maximum number of source pixels along a block for 16-bit positions: less than 2**16, with a margin for rounding."""


class Lattice(Protocol):
    """Source positions of a block's pixels, given at the nodes of a lattice of cells.

    The nodes of a cell are its corners, edge centres and centre. Second-degree polynomials between the nodes
    approximate a map projection about a hundred times more closely than straight lines.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, 2 m + 1, 2 n + 1) float64 row and column of the nodes, in absolute source pixels. Nodes are half a cell
        apart.
    lies : numpy.ndarray
        (m, n) bool: True for cells that have a position in the source.
    first : tuple of int
        (row, column) of the block's first pixel within the first cell, in output pixels.
    shape : tuple of int
        (rows, columns) of the block.
    cell : int
        Edge length of a cell in output pixels: `LATTICE_PX` or a smaller power of two.
    """

    @property
    def nodes(self) -> NDArray[np.float64]: ...  # noqa: D102  # documented above
    @property
    def lies(self) -> NDArray[np.bool_]: ...  # noqa: D102  # documented above
    @property
    def first(self) -> tuple[int, int]: ...  # noqa: D102  # documented above
    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102  # documented above
    @property
    def cell(self) -> int: ...  # noqa: D102  # documented above


def cell_nodes(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nodes of every cell, (3, 3, 2, m, n); the first two axes are rows and columns of nodes in a cell."""
    rows, columns = nodes.shape[1:]
    return np.array([[nodes[:, a : rows - 2 + a : 2, b : columns - 2 + b : 2] for b in range(3)] for a in range(3)])


def lattice_span(lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return bounds of a block's positions in the source. They may exceed the positions by a fraction of a pixel.

    Parameters
    ----------
    lattice : Lattice
        Source positions of the block's pixels.

    Returns
    -------
    least, greatest : numpy.ndarray
        (2,) minimum and (2,) maximum of row and column, in absolute source pixels. None instead of both if no cell has
        a position.
    """
    if not lattice.lies.any():
        return None
    if lattice.lies.all():
        # Same as below, without a copy of the nodes for each cell.
        nodes, trimmed = lattice.nodes, _trimmed(lattice)
        bends = np.diff(nodes, 2, axis=1)[:, ::2], np.diff(nodes, 2, axis=2)[:, :, ::2]
        bend = (abs(bends[0]).max((1, 2)) + abs(bends[1]).max((1, 2))) / 4.0
        return trimmed.min((1, 2)) - bend, trimmed.max((1, 2)) + bend
    whole, cells = (cell_nodes(nodes)[..., lattice.lies] for nodes in (lattice.nodes, _trimmed(lattice)))
    # A parabola through three equidistant points exceeds their range by at most an eighth of the second difference.
    bend = (abs(np.diff(whole, 2, axis=0)).max((0, 1, 3)) + abs(np.diff(whole, 2, axis=1)).max((0, 1, 3))) / 4.0
    return cells.min((0, 1, 3)) - bend, cells.max((0, 1, 3)) + bend


def _trimmed(lattice: Lattice) -> NDArray[np.float64]:
    """Return the nodes, with those outside the block moved to its border."""
    nodes, size = lattice.nodes, lattice.cell
    for axis in (1, 2):
        first, length, last = lattice.first[axis - 1], lattice.shape[axis - 1], nodes.shape[axis] // 2 - 1
        places = np.clip(np.arange(nodes.shape[axis]) * (size / 2), first, first + length)
        cell = np.minimum((places // size).astype(np.intp), last)
        weights = (np.expand_dims(each, 2 - axis) for each in _weights((places - cell * size) / size))
        # NaN nodes with weight 0 must not make the sum NaN.
        terms = [np.where(w == 0.0, 0.0, w * nodes.take(2 * cell + n, axis)) for n, w in enumerate(weights)]
        nodes = terms[0] + terms[1] + terms[2]
    return nodes


def lattice_arrays(lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[int, int], int]:
    """Return `nodes`, `lies`, `first` and `cell` of a lattice for kernels."""
    return read_only(lattice.nodes), read_only(lattice.lies), lattice.first, lattice.cell


def read_only(values: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that numba compiles for one array type only."""
    view = values.view()
    view.flags.writeable = False
    return view


@njit(nogil=True, cache=True)
def _weights(v):  # type: ignore[no-untyped-def]  # numbers or arrays
    """Return the Lagrange weights of three nodes along a cell, at a position from 0 to 1 in the cell."""
    return (1.0 - v) * (1.0 - 2.0 * v), 4.0 * v * (1.0 - v), v * (2.0 * v - 1.0)


@njit(nogil=True, cache=True)
def place_line(lattice, y, down, along, line):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the source positions of the pixel corners or pixel centres along a line of a block.

    The position of a pixel depends only on the nodes of its cell, so that all blocks agree to the last bit.

    Parameters
    ----------
    lattice : tuple
        From `lattice_arrays`.
    y : int
        Row of the block.
    down, along : float
        Offset of each point from the upper left corner of its pixel, in pixels: `down` is 0, 0.5 or 1, and `along` is
        0 for corners or 0.5 for centres.
    line : numpy.ndarray
        (2, columns + 1) float64 for corners, (2, columns) for centres; changed in place. Points in cells without a
        position are NaN, so that pixels in such a cell have at least one NaN corner.
    """
    nodes, lies, first, size = lattice
    i, k = divmod(first[0] + y, size)
    # For powers of two, multiplication by the reciprocal gives the same result as division.
    share = 1.0 / size
    above, middle, below = _weights((k + down) * share)
    line[:] = np.nan
    for j in range(lies.shape[1]):
        if not lies[i, j]:
            continue
        left = j * size - first[1]
        after = left + size
        for z in range(2):
            cell = nodes[z, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            start = above * cell[0, 0] + middle * cell[1, 0] + below * cell[2, 0]
            half = above * cell[0, 1] + middle * cell[1, 1] + below * cell[2, 1]
            stop = above * cell[0, 2] + middle * cell[1, 2] + below * cell[2, 2]
            slope, bend = 4.0 * half - 3.0 * start - stop, 2.0 * (start - 2.0 * half + stop)
            for x in range(max(left, 0), min(after, line.shape[1])):
                u = (x - left + along) * share
                line[z, x] = start + u * (slope + u * bend)
            if along == 0.0 and after < line.shape[1]:
                # A corner shared by two cells is a node, whose position is identical in both.
                line[z, after] = stop
