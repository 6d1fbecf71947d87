"""Area weights: the area of each source pixel under an output pixel, as a table or line by line."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.footprint_areas import area_buffers, covered_pixels, weigh_line
from compute.kernels.resample.lattice import LARGEST_SPAN, Lattice, lattice_arrays, lattice_span, place_line

TABLE_BYTES = 128_000_000
"""Largest table in bytes; it takes 22 bytes for each output pixel where source pixels have the same size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AverageTable:
    """Weights of the source pixels of a block: kept, or recomputed for each date where they take too much memory.

    Both give the same bits.

    Attributes
    ----------
    lattice : Lattice
        Positions of the block.
    extent : tuple of int
        Largest number of rows and columns of source pixels under an output pixel.
    origin : tuple of int
        (row, column) that `base` is counted from, in absolute source pixels.
    base : numpy.ndarray
        (y, 2, x) uint16 row and column of the first source pixel under an output pixel; (0, 2, x) if not kept.
    weights : numpy.ndarray
        (y, rows * columns of `extent`, x) uint16 with a maximum of 65535; all 0 where a pixel has no position;
        (0, ..., x) if not kept.
    """

    lattice: Lattice
    extent: tuple[int, int]
    origin: tuple[int, int]
    base: NDArray[np.uint16]
    weights: NDArray[np.uint16]

    @property
    def is_kept(self) -> bool:
        """Whether the weights are kept."""
        return len(self.base) > 0

    def __sizeof__(self) -> int:
        """Return the bytes of the arrays."""
        return self.base.nbytes + self.weights.nbytes + self.lattice.nodes.nbytes


def average_weights(lattice: Lattice, *, most_bytes: int = TABLE_BYTES) -> AverageTable:
    """Compute the area weights of the source pixels under every pixel of a block.

    The footprint of an output pixel is the quadrilateral between its four corners. A source pixel weighs the area that
    both share, exact up to rounding to 16 bits.

    Parameters
    ----------
    lattice : Lattice
        Positions of the block.
    most_bytes : int
        Size limit of a kept table, in bytes.

    Returns
    -------
    AverageTable
        Weights for all dates and bands of the alignment.
    """
    span, (rows, columns) = lattice_span(lattice), lattice.shape
    least, greatest = span or (np.zeros(2), np.zeros(2))
    extent = _extent(lattice_arrays(lattice), rows, columns)
    taps = extent[0] * extent[1]
    small = bool((greatest - least).max() < LARGEST_SPAN) and rows * columns * (4 + 2 * taps) <= most_bytes
    origin = (floor(least[0]) - 1, floor(least[1]) - 1) if small else (0, 0)
    rows = rows if small else 0
    base, weights = np.empty((rows, 2, columns), np.uint16), np.empty((rows, taps, columns), np.uint16)
    _fill(lattice_arrays(lattice), origin, extent, base, weights)
    return AverageTable(lattice=lattice, extent=extent, origin=origin, base=base, weights=weights)


@njit(nogil=True, cache=True)
def _extent(lattice, rows, columns):  # type: ignore[no-untyped-def]  # numba types it
    """Return the largest number of rows and columns of source pixels under an output pixel."""
    top, bottom = np.empty((2, columns + 1)), np.empty((2, columns + 1))
    tallest = widest = 1
    for y in range(rows):
        place_line(lattice, y, 0.0, 0.0, top)
        place_line(lattice, y, 1.0, 0.0, bottom)
        for x in range(columns):
            tallest = max(tallest, covered_pixels(top[0, x], top[0, x + 1], bottom[0, x + 1], bottom[0, x])[1])
            widest = max(widest, covered_pixels(top[1, x], top[1, x + 1], bottom[1, x + 1], bottom[1, x])[1])
    return tallest, widest


@njit(nogil=True, cache=True)
def _fill(lattice, origin, extent, base, weights):  # type: ignore[no-untyped-def]  # numba types it
    room = _corner_buffers(base.shape[2], extent)
    places = room[3]
    for y in range(base.shape[0]):
        _weigh_block_line(lattice, y, extent, room, weights[y])
        for z in range(2):
            for x in range(base.shape[2]):
                base[y, z, x] = places[z, x] - origin[z]


@njit(nogil=True, cache=True)
def _corner_buffers(columns, extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return buffers for two lines of corners, for areas, and for the positions of a line."""
    return (
        np.empty((2, columns + 1)),
        np.empty((2, columns + 1)),
        area_buffers(extent),
        np.empty((2, columns), np.int64),
    )


@njit(nogil=True, cache=True)
def _weigh_block_line(lattice, y, extent, room, weights):  # type: ignore[no-untyped-def]  # numba types it
    """Write the weights of a line of the block, and the first source pixel of each output pixel to the buffers."""
    top, bottom, areas, places = room
    place_line(lattice, y, 0.0, 0.0, top)
    place_line(lattice, y, 1.0, 0.0, bottom)
    weigh_line(top, bottom, extent, areas, places, weights)


def table_arrays(table: AverageTable) -> tuple[Any, ...]:
    """Return the arrays of a table for kernels."""
    return lattice_arrays(table.lattice), table.origin, table.base, table.weights


@njit(nogil=True, cache=True)
def weights_buffer(table, columns, extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return buffers for the positions of a line, and for its weights if they are not kept.

    Parameters
    ----------
    table : tuple
        From `table_arrays`.
    columns : int
        Columns of the block.
    extent : tuple of int
        Largest number of rows and columns of source pixels under an output pixel.
    """
    kept = table[2].shape[0] > 0
    return _corner_buffers(columns, extent), np.empty((extent[0] * extent[1], 0 if kept else columns), np.uint16)


@njit(nogil=True, cache=True)
def line_weights(table, y, extent, room):  # type: ignore[no-untyped-def]  # numba types it
    """Return positions and weights of a line of the block, kept or recomputed.

    Parameters
    ----------
    table : tuple
        From `table_arrays`.
    y : int
        Row of the block.
    extent : tuple of int
        Largest number of rows and columns of source pixels under an output pixel.
    room : tuple
        From `weights_buffer`.
    """
    (lattice, origin, base, kept), (line, weights) = table, room
    places = line[3]
    if base.shape[0] == 0:
        _weigh_block_line(lattice, y, extent, line, weights)
        return places, weights
    for z in range(2):
        for x in range(places.shape[1]):
            places[z, x] = np.int64(base[y, z, x]) + origin[z]
    return places, kept[y]
