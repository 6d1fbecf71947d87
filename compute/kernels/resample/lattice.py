"""Biquadratic interpolation between the control points of a lattice.

A cell has nine nodes, as the nine-node quadrilateral element with Lagrange polynomials of the second degree in either
direction: Zienkiewicz et al. (2013), The Finite Element Method, chapter 6.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

LATTICE_PX = 32
"""Largest edge of a cell in output pixels. All edges are powers of two, so that weights of nodes are exact."""

SLIVER_PX = 2.0**-20
"""Tolerance of positions for rounding, in pixels. A position this close before the border of two pixels counts to the
pixel behind it."""

LARGEST_SPAN = 65530.0
"""Largest number of source pixels along a block for 16-bit positions, with some to spare."""


class Lattice(Protocol):
    """Source positions of a block's pixels, at the nodes of a lattice.

    The nodes of a cell are its corners, edge centres and centre. Second-degree polynomials between them follow a map
    projection about a hundred times closer than straight lines.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, 2 m + 1, 2 n + 1) float64 row and column, in absolute source pixels, of points half a cell apart.
    lies : numpy.ndarray
        (m, n) bool: cells that have a position in the source.
    first : tuple of int
        (row, column) of the block's first pixel within the first cell, in output pixels.
    shape : tuple of int
        (rows, columns) of the block.
    cell : int
        Edge of a cell in output pixels: `LATTICE_PX` or a smaller power of two.
    """

    @property
    def nodes(self) -> NDArray[np.float64]: ...  # noqa: D102  # above
    @property
    def lies(self) -> NDArray[np.bool_]: ...  # noqa: D102  # above
    @property
    def first(self) -> tuple[int, int]: ...  # noqa: D102  # above
    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102  # above
    @property
    def cell(self) -> int: ...  # noqa: D102  # above


def cell_nodes(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (3, 3, 2, m, n) nodes of every cell; the first two axes run down and along the cell."""
    rows, columns = nodes.shape[1:]
    return np.array([[nodes[:, a : rows - 2 + a : 2, b : columns - 2 + b : 2] for b in range(3)] for a in range(3)])


def lattice_span(lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the range of a block's positions in the source, with a fraction of a pixel to spare.

    Parameters
    ----------
    lattice : Lattice
        Positions of the block.

    Returns
    -------
    least, greatest : numpy.ndarray
        (2,) smallest and largest row and column, in absolute source pixels. None instead where the block has no
        position.
    """
    if not lattice.lies.any():
        return None
    if lattice.lies.all():
        # The same as below, without copies of nodes for each cell.
        nodes, trimmed = lattice.nodes, _trimmed(lattice)
        bends = np.diff(nodes, 2, axis=1)[:, ::2], np.diff(nodes, 2, axis=2)[:, :, ::2]
        bend = (abs(bends[0]).max((1, 2)) + abs(bends[1]).max((1, 2))) / 4.0
        return trimmed.min((1, 2)) - bend, trimmed.max((1, 2)) + bend
    whole, cells = (cell_nodes(nodes)[..., lattice.lies] for nodes in (lattice.nodes, _trimmed(lattice)))
    # A parabola through three points exceeds their range by at most an eighth of the second difference.
    bend = (abs(np.diff(whole, 2, axis=0)).max((0, 1, 3)) + abs(np.diff(whole, 2, axis=1)).max((0, 1, 3))) / 4.0
    return cells.min((0, 1, 3)) - bend, cells.max((0, 1, 3)) + bend


def _trimmed(lattice: Lattice) -> NDArray[np.float64]:
    """Return the nodes with the outer ones moved to the border of the block."""
    nodes, size = lattice.nodes, lattice.cell
    for axis in (1, 2):
        first, length, last = lattice.first[axis - 1], lattice.shape[axis - 1], nodes.shape[axis] // 2 - 1
        places = np.clip(np.arange(nodes.shape[axis]) * (size / 2), first, first + length)
        cell = np.minimum((places // size).astype(np.intp), last)
        weights = (np.expand_dims(each, 2 - axis) for each in _weights((places - cell * size) / size))
        # NaN nodes of weight 0 must not spread to others.
        terms = [np.where(w == 0.0, 0.0, w * nodes.take(2 * cell + n, axis)) for n, w in enumerate(weights)]
        nodes = terms[0] + terms[1] + terms[2]
    return nodes


def lattice_arrays(lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[int, int], int]:
    """Return nodes, cells, first pixel and cell size for kernels."""
    return read_only(lattice.nodes), read_only(lattice.lies), lattice.first, lattice.cell


def read_only(values: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that numba compiles one form only."""
    view = values.view()
    view.flags.writeable = False
    return view


@njit(nogil=True, cache=True)
def _weights(v):  # type: ignore[no-untyped-def]  # numbers or arrays
    """Return the Lagrange weights of the three nodes along a cell at a position from 0 to 1."""
    return (1.0 - v) * (1.0 - 2.0 * v), 4.0 * v * (1.0 - v), v * (2.0 * v - 1.0)


@njit(nogil=True, cache=True)
def place_line(lattice, y, down, along, line):  # type: ignore[no-untyped-def]  # numba types it
    """Write the source positions of the pixel corners or pixel centres along a line of a block.

    Positions depend on the nodes of the pixel's own cell only, so that all blocks agree to the last bit.

    Parameters
    ----------
    lattice
        From `lattice_arrays`.
    y : int
        Row of the block.
    down, along : float
        Offset of the point from the upper left corner of its pixel, in pixels: 0, 0.5 or 1, and 0 or 0.5.
    line : numpy.ndarray
        (2, columns + 1) float64 for corners, (2, columns) for centres; NaN in cells without a position. At least one
        corner of a pixel in such a cell lies within it.
    """
    nodes, lies, first, size = lattice
    i, k = divmod(first[0] + y, size)
    # For a power of two, multiplication by the reciprocal gives the same bits as the division.
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
                # The corner that two cells share is a node, with the same bits in both.
                line[z, after] = stop
