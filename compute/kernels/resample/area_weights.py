"""Area weights of source pixels in the footprints of output pixels, stored in a table or recomputed for each line."""

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
"""Maximum size of a table in bytes. A table has 22 bytes per output pixel if source pixels have the same size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AverageTable:
    """Area weights of source pixels for a block.

    The weights are stored, or recomputed for each scene if they would take too much memory. Both give results that are
    identical to the last bit.

    Attributes
    ----------
    lattice : Lattice
        Source positions of the block's pixels.
    extent : tuple of int
        Maximum number of rows and of columns of source pixels in a footprint.
    origin : tuple of int
        (row, column) of the pixel from which `base` is counted, in absolute source pixels.
    base : numpy.ndarray
        (y, 2, x) uint16 row and column of the first source pixel in each footprint; (0, 2, x) if not stored.
    weights : numpy.ndarray
        (y, rows * columns of `extent`, x) uint16 weights. The maximum in each footprint is 65535; all weights are 0 for
        output pixels without a position. (0, ..., x) if not stored.
    """

    lattice: Lattice
    extent: tuple[int, int]
    origin: tuple[int, int]
    base: NDArray[np.uint16]
    weights: NDArray[np.uint16]

    @property
    def is_kept(self) -> bool:
        """Whether the weights are stored."""
        return len(self.base) > 0

    def __sizeof__(self) -> int:
        """Return the size of the arrays in bytes."""
        return self.base.nbytes + self.weights.nbytes + self.lattice.nodes.nbytes


def average_weights(lattice: Lattice, *, most_bytes: int = TABLE_BYTES) -> AverageTable:
    """Compute the area weights of source pixels for the pixels of a block.

    The footprint of an output pixel is the quadrilateral between its four corners. The weight of a source pixel is the
    area that it shares with the footprint, exact except for rounding to 16 bits.

    Parameters
    ----------
    lattice : Lattice
        Source positions of the block's pixels.
    most_bytes : int, default: TABLE_BYTES
        Maximum size of a stored table in bytes.

    Returns
    -------
    AverageTable
        Weights for all scenes and bands of the alignment.
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
def _extent(lattice, rows, columns):  # type: ignore[no-untyped-def]  # numba infers types
    """Return the maximum number of rows and of columns of source pixels in a footprint."""
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
def _fill(lattice, origin, extent, base, weights):  # type: ignore[no-untyped-def]  # numba infers types
    room = _corner_buffers(base.shape[2], extent)
    places = room[3]
    for y in range(base.shape[0]):
        _weigh_block_line(lattice, y, extent, room, weights[y])
        for z in range(2):
            for x in range(base.shape[2]):
                base[y, z, x] = places[z, x] - origin[z]


@njit(nogil=True, cache=True)
def _corner_buffers(columns, extent):  # type: ignore[no-untyped-def]  # numba infers types
    """Return buffers for two lines of corners, for areas, and for the first source pixels of a line."""
    return (
        np.empty((2, columns + 1)),
        np.empty((2, columns + 1)),
        area_buffers(extent),
        np.empty((2, columns), np.int64),
    )


@njit(nogil=True, cache=True)
def _weigh_block_line(lattice, y, extent, room, weights):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the weights of a line of the block, and the first source pixel of each footprint to the buffers."""
    top, bottom, areas, places = room
    place_line(lattice, y, 0.0, 0.0, top)
    place_line(lattice, y, 1.0, 0.0, bottom)
    weigh_line(top, bottom, extent, areas, places, weights)


def table_arrays(table: AverageTable) -> tuple[Any, ...]:
    """Return lattice, origin, first source pixels and weights of a table for kernels."""
    return lattice_arrays(table.lattice), table.origin, table.base, table.weights


@njit(nogil=True, cache=True)
def weights_buffer(table, columns, extent):  # type: ignore[no-untyped-def]  # numba infers types
    """Return buffers for the first source pixels of a line, and for its weights if they are not stored.

    Parameters
    ----------
    table : tuple
        From `table_arrays`.
    columns : int
        Number of columns of the block.
    extent : tuple of int
        Maximum number of rows and of columns of source pixels in a footprint.
    """
    kept = table[2].shape[0] > 0
    return _corner_buffers(columns, extent), np.empty((extent[0] * extent[1], 0 if kept else columns), np.uint16)


@njit(nogil=True, cache=True)
def line_weights(table, y, extent, room):  # type: ignore[no-untyped-def]  # numba infers types
    """Return the first source pixels and the weights of a line of the block, from the table or recomputed.

    Parameters
    ----------
    table : tuple
        From `table_arrays`.
    y : int
        Row of the block.
    extent : tuple of int
        Maximum number of rows and of columns of source pixels in a footprint.
    room : tuple
        From `weights_buffer`.

    Returns
    -------
    places : numpy.ndarray
        (2, x) int64 row and column of the first source pixel in each footprint, in absolute source pixels.
    weights : numpy.ndarray
        (rows * columns of `extent`, x) uint16 weights.
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
