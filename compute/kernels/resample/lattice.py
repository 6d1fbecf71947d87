"""Interpolation between the control points of a lattice."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

LATTICE_PX = 32
"""Most output pixels along a cell of a lattice. A power of two, as are all fewer: what weighs its nodes is exact."""

SLIVER_PX = 2.0**-20
"""What a place may be off by rounding, in pixels. Where it meets the border of two pixels that closely, the one behind
the border is taken, whatever the last bits say."""

LARGEST_SPAN = 65530.0
"""Source pixels along a block that 16 bits can count, and some to spare."""


class Lattice(Protocol):
    """Source coordinates of a block's pixels, at lattice points.

    A cell has nine nodes: its corners, the middles of its edges, and its centre. Between them places are polynomials of
    the second degree in either direction, which follow a map projection some hundred times closer than straight lines.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, 2 m + 1, 2 n + 1) float64 row and column, in absolute source pixels, of points half a cell apart.
    lies : numpy.ndarray
        (m, n) bool: which cells lie anywhere.
    first : tuple of int
        Row and column of the block's first pixel within the first cell, in output pixels.
    shape : tuple of int
        (rows, columns) of the block.
    cell : int
        Output pixels along a cell: `LATTICE_PX`, or a smaller power of two.
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


def cells_of(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nodes of every cell: (3, 3, 2, m, n), the first two axes down and along the cell."""
    rows, columns = nodes.shape[1:]
    return np.array([[nodes[:, a : rows - 2 + a : 2, b : columns - 2 + b : 2] for b in range(3)] for a in range(3)])


def span_of(lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the least and the greatest place of a block, generous by a fraction of a pixel.

    Parameters
    ----------
    lattice : Lattice
        Where the block lies.

    Returns
    -------
    least, greatest : numpy.ndarray
        (2,) row and column, in absolute source pixels. None in place of both where the block lies nowhere.
    """
    if not lattice.lies.any():
        return None
    if lattice.lies.all():
        # The same as below, without a copy of every node for each of its cells.
        nodes, trimmed = lattice.nodes, _trimmed(lattice)
        bends = np.diff(nodes, 2, axis=1)[:, ::2], np.diff(nodes, 2, axis=2)[:, :, ::2]
        bend = (abs(bends[0]).max((1, 2)) + abs(bends[1]).max((1, 2))) / 4.0
        return trimmed.min((1, 2)) - bend, trimmed.max((1, 2)) + bend
    whole, cells = (cells_of(nodes)[..., lattice.lies] for nodes in (lattice.nodes, _trimmed(lattice)))
    # Between three points a parabola leaves their range by an eighth of its second difference at most.
    bend = (abs(np.diff(whole, 2, axis=0)).max((0, 1, 3)) + abs(np.diff(whole, 2, axis=1)).max((0, 1, 3))) / 4.0
    return cells.min((0, 1, 3)) - bend, cells.max((0, 1, 3)) + bend


def _trimmed(lattice: Lattice) -> NDArray[np.float64]:
    """Return nodes of which the outer ones are moved to the border of the block."""
    nodes, size = lattice.nodes, lattice.cell
    for axis in (1, 2):
        first, length, last = lattice.first[axis - 1], lattice.shape[axis - 1], nodes.shape[axis] // 2 - 1
        places = np.clip(np.arange(nodes.shape[axis]) * (size / 2), first, first + length)
        cell = np.minimum((places // size).astype(np.intp), last)
        weights = (np.expand_dims(each, 2 - axis) for each in _weights((places - cell * size) / size))
        # A node that lies nowhere takes no other with it.
        terms = [np.where(w == 0.0, 0.0, w * nodes.take(2 * cell + n, axis)) for n, w in enumerate(weights)]
        nodes = terms[0] + terms[1] + terms[2]
    return nodes


def arrays_of(lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[int, int], int]:
    """Return nodes, cells, first pixel and cell size as kernels take them."""
    return held(lattice.nodes), held(lattice.lies), lattice.first, lattice.cell


def held(values: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that arrays share one compiled form."""
    view = values.view()
    view.flags.writeable = False
    return view


@njit(nogil=True, cache=True)
def _weights(v):  # type: ignore[no-untyped-def]  # numbers or arrays
    """Return what the three nodes along a cell weigh at a place from 0 to 1."""
    return (1.0 - v) * (1.0 - 2.0 * v), 4.0 * v * (1.0 - v), v * (2.0 * v - 1.0)


@njit(nogil=True, cache=True)
def line_of(lattice, y, down, along, line):  # type: ignore[no-untyped-def]  # numba types it
    """Write source rows and columns of a line of points of a block: of pixel corners or of pixel centres.

    A pixel is placed by the nodes of its own cell only, so that every block places it alike to the last bit.

    Parameters
    ----------
    lattice
        As `arrays_of` returns it.
    y : int
        Row of the block.
    down, along : float
        Pixels from the upper left corner of a pixel to its point: 0, 0.5 or 1, and 0 or 0.5.
    line : numpy.ndarray
        (2, columns + 1) float64 for corners, (2, columns) for centres; NaN in cells that lie nowhere. Of a pixel in
        such a cell one corner at least is within it.
    """
    nodes, lies, first, size = lattice
    i, k = divmod(first[0] + y, size)
    # Of a power of two, multiplying by the reciprocal gives the bits of a division.
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
                # The corner that two cells share is a node, to the same bits in either.
                line[z, after] = stop
