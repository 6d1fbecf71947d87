"""Area weights: the share of each source pixel that lies under an output pixel."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.footprint_areas import area_room, touched, weigh_line
from compute.kernels.resample.lattice import LARGEST_SPAN, Lattice, arrays_of, line_of, span_of

TABLE_BYTES = 128_000_000
"""A table larger than this is not kept: 22 bytes for each output pixel where pixels are of one size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AverageTable:
    """The weights of a block's source pixels, or what they are worked out from, date by date, where they are too many.

    Either gives the same bits.

    Attributes
    ----------
    lattice : Lattice
        Where the block lies.
    extent : tuple of int
        Most rows and columns of source pixels under one output pixel.
    origin : tuple of int
        Row and column that `base` counts from, in absolute source pixels.
    base : numpy.ndarray
        (y, 2, x) uint16 row and column of the first source pixel under an output pixel; of no rows where not kept.
    weights : numpy.ndarray
        (y, rows * columns of `extent`, x) uint16, the greatest 65535; all 0 where a pixel lies nowhere; of no rows
        where not kept.
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
        """Bytes of the arrays."""
        return self.base.nbytes + self.weights.nbytes + self.lattice.nodes.nbytes


def average_weights(lattice: Lattice, *, most_bytes: int = TABLE_BYTES) -> AverageTable:
    """Work out what every source pixel weighs in every pixel of a block.

    The footprint of an output pixel is the quadrilateral of its four corners. A source pixel weighs the area of what
    the two share, exact but for rounding to 16 bits.

    Parameters
    ----------
    lattice : Lattice
        Where the block lies.
    most_bytes : int
        A larger table is not kept.

    Returns
    -------
    AverageTable
        To be used for every date and band of the alignment.
    """
    span, (rows, columns) = span_of(lattice), lattice.shape
    least, greatest = span or (np.zeros(2), np.zeros(2))
    extent = _extent(arrays_of(lattice), rows, columns)
    taps = extent[0] * extent[1]
    small = bool((greatest - least).max() < LARGEST_SPAN) and rows * columns * (4 + 2 * taps) <= most_bytes
    origin = (floor(least[0]) - 1, floor(least[1]) - 1) if small else (0, 0)
    rows = rows if small else 0
    base, weights = np.empty((rows, 2, columns), np.uint16), np.empty((rows, taps, columns), np.uint16)
    _fill(arrays_of(lattice), origin, extent, base, weights)
    return AverageTable(lattice=lattice, extent=extent, origin=origin, base=base, weights=weights)


@njit(nogil=True, cache=True)
def _extent(lattice, rows, columns):  # type: ignore[no-untyped-def]  # numba types it
    """Return the most rows and columns of source pixels under one output pixel."""
    top, bottom = np.empty((2, columns + 1)), np.empty((2, columns + 1))
    tallest = widest = 1
    for y in range(rows):
        line_of(lattice, y, 0.0, 0.0, top)
        line_of(lattice, y, 1.0, 0.0, bottom)
        for x in range(columns):
            tallest = max(tallest, touched(top[0, x], top[0, x + 1], bottom[0, x + 1], bottom[0, x])[1])
            widest = max(widest, touched(top[1, x], top[1, x + 1], bottom[1, x + 1], bottom[1, x])[1])
    return tallest, widest


@njit(nogil=True, cache=True)
def _fill(lattice, origin, extent, base, weights):  # type: ignore[no-untyped-def]  # numba types it
    room = _line_room(base.shape[2], extent)
    places = room[3]
    for y in range(base.shape[0]):
        _weigh(lattice, y, extent, room, weights[y])
        for z in range(2):
            for x in range(base.shape[2]):
                base[y, z, x] = places[z, x] - origin[z]


@njit(nogil=True, cache=True)
def _line_room(columns, extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return room for two lines of corners, for areas, and for the places of a line."""
    return np.empty((2, columns + 1)), np.empty((2, columns + 1)), area_room(extent), np.empty((2, columns), np.int64)


@njit(nogil=True, cache=True)
def _weigh(lattice, y, extent, room, weights):  # type: ignore[no-untyped-def]  # numba types it
    """Write the weights of a line of the block, and the place of the first of each pixel into the room."""
    top, bottom, areas, places = room
    line_of(lattice, y, 0.0, 0.0, top)
    line_of(lattice, y, 1.0, 0.0, bottom)
    weigh_line(top, bottom, extent, areas, places, weights)


def table_arrays(table: AverageTable) -> tuple[Any, ...]:
    """Return a table as kernels take it."""
    return arrays_of(table.lattice), table.origin, table.base, table.weights


@njit(nogil=True, cache=True)
def room_of(table, columns, extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return room for the places of a line, and for its weights where they are not kept."""
    kept = table[2].shape[0] > 0
    return _line_room(columns, extent), np.empty((extent[0] * extent[1], 0 if kept else columns), np.uint16)


@njit(nogil=True, cache=True)
def line_weights(table, y, extent, room):  # type: ignore[no-untyped-def]  # numba types it
    """Return places and weights of a line of the block, kept or worked out anew."""
    (lattice, origin, base, kept), (line, weights) = table, room
    places = line[3]
    if base.shape[0] == 0:
        _weigh(lattice, y, extent, line, weights)
        return places, weights
    for z in range(2):
        for x in range(places.shape[1]):
            places[z, x] = np.int64(base[y, z, x]) + origin[z]
    return places, kept[y]
