"""What source pixels weigh in a mean over the area of an output pixel: as much as of them lies under it."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.lattice import LARGEST_SPAN, SLIVER_PX, Lattice, arrays_of, line_of, span_of

FULL_WEIGHT = 65535.0
"""Weight of the source pixel that an output pixel covers most. Rounding weights to 16 bits changes a mean of values up
to 10,000 by less than 0.2."""

TABLE_BYTES = 100_000_000
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
        (y, x, rows * columns of `extent`) uint16, the greatest 65535; all 0 where a pixel lies nowhere; of no rows
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
    base, weights = np.empty((rows, 2, columns), np.uint16), np.empty((rows, columns, taps), np.uint16)
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
            tallest = max(tallest, _touched(top[0, x], top[0, x + 1], bottom[0, x + 1], bottom[0, x])[1])
            widest = max(widest, _touched(top[1, x], top[1, x + 1], bottom[1, x + 1], bottom[1, x])[1])
    return tallest, widest


@njit(nogil=True, cache=True)
def _touched(a, b, c, d):  # type: ignore[no-untyped-def]  # numba types it
    """Return the first pixel between four places along an axis, and how many there are; slivers do not count."""
    least, greatest = min(a, b, c, d), max(a, b, c, d)
    first = np.floor(least + SLIVER_PX)
    return first, max(int(np.ceil(greatest - SLIVER_PX) - first), 1) if greatest > least else 1


@njit(nogil=True, cache=True)
def _fill(lattice, origin, extent, base, weights):  # type: ignore[no-untyped-def]  # numba types it
    scratch, places = _scratch_of(base.shape[2], extent), np.empty((2, base.shape[2]), np.int64)
    everywhere = np.ones(base.shape[2], np.bool_)
    for y in range(base.shape[0]):
        _weigh_line(lattice, y, everywhere, extent, scratch, places, weights[y])
        for z in range(2):
            for x in range(base.shape[2]):
                base[y, z, x] = places[z, x] - origin[z]


@njit(nogil=True, cache=True)
def _scratch_of(columns, extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return room for two lines of corners, and for the differences of areas under one output pixel.

    An edge along the right border leaves nothing in the two columns after it, but touches them.
    """
    return np.empty((2, columns + 1)), np.empty((2, columns + 1)), np.zeros((extent[0], extent[1] + 2))


@njit(nogil=True, cache=True)
def _weigh_line(lattice, y, wanted, extent, scratch, places, weights):  # type: ignore[no-untyped-def]
    """Write the weights of a line of the block where they are wanted, and the place of the first of each pixel."""
    top, bottom, cover = scratch
    line_of(lattice, y, 0.0, 0.0, top)
    line_of(lattice, y, 1.0, 0.0, bottom)
    for x in range(wanted.size):
        if wanted[x]:
            places[0, x], places[1, x] = _weigh(top, bottom, x, extent, cover, weights)


@njit(nogil=True, cache=True)
def _weigh(top, bottom, x, extent, cover, weights):  # type: ignore[no-untyped-def]  # numba types it
    """Write the weights under one output pixel; return row and column of the first, in absolute source pixels."""
    y0, y1, y2, y3 = top[0, x], top[0, x + 1], bottom[0, x + 1], bottom[0, x]
    x0, x1, x2, x3 = top[1, x], top[1, x + 1], bottom[1, x + 1], bottom[1, x]
    if np.isnan(y0 + y1 + y2 + y3):
        weights[x, :] = 0
        return 0, 0
    row, tall = _touched(y0, y1, y2, y3)
    column, wide = _touched(x0, x1, x2, x3)
    frame = row, column, float(tall), float(wide)
    _walk(cover, frame, y0, x0, y1, x1)
    _walk(cover, frame, y1, x1, y2, x2)
    _walk(cover, frame, y2, x2, y3, x3)
    _walk(cover, frame, y3, x3, y0, x0)
    _round(cover, extent, x, weights)
    return int(row), int(column)


@njit(nogil=True, cache=True, error_model="numpy")
def _walk(cover, frame, y0, x0, y1, x1):  # type: ignore[no-untyped-def]  # numba types it
    """Add one edge of a footprint: in every row that it crosses, the signed area to its right, as differences."""
    row, column, tall, wide = frame
    # Slivers are cut off: by the footprint's own frame, which is the same in every block.
    y0, y1 = min(max(y0 - row, 0.0), tall), min(max(y1 - row, 0.0), tall)
    x0, x1 = min(max(x0 - column, 0.0), wide), min(max(x1 - column, 0.0), wide)
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        y0, x0, y1, x1, sign = y1, x1, y0, x0, -1.0
    slope = (x1 - x0) / (y1 - y0)
    # numba asks of every signed index whether it counts from the end; these are never negative.
    r, y, x = np.uint64(y0), y0, x0
    while y < y1:
        below = min(float(r) + 1.0, y1)
        to = x1 if below == y1 else x0 + (below - y0) * slope
        left, right, height = min(x, to), max(x, to), sign * (below - y)
        first, last = np.uint64(left), np.uint64(right)
        steepness = height / (right - left)
        for c in range(first, last + np.uint64(1)):
            start, stop = max(left, float(c)), min(right, float(c) + 1.0)
            share = height if first == last else steepness * (stop - start)
            part = share * (0.5 * (start + stop) - float(c))
            cover[r, c] += share - part
            cover[r, c + np.uint64(1)] += part
        r, y, x = r + np.uint64(1), below, to


@njit(nogil=True, cache=True, error_model="numpy")
def _round(cover, extent, x, weights):  # type: ignore[no-untyped-def]  # numba types it
    """Add up the differences to areas and round these to weights; leave no differences behind."""
    largest = 0.0
    for a in range(extent[0]):
        area = 0.0
        for b in range(extent[1]):
            area += cover[a, b]
            # A mirrored grid is walked the other way round.
            cover[a, b] = abs(area)
            largest = max(largest, cover[a, b])
    scale = FULL_WEIGHT / largest if largest > 0.0 else 0.0
    for a in range(extent[0]):
        for b in range(extent[1]):
            weights[x, a * extent[1] + b] = np.uint16(np.int32(cover[a, b] * scale + 0.5))
            cover[a, b] = 0.0
        cover[a, extent[1]] = 0.0


def table_arrays(table: AverageTable) -> tuple[Any, ...]:
    """Return a table as kernels take it."""
    return arrays_of(table.lattice), table.origin, table.base, table.weights


@njit(nogil=True, cache=True)
def room_of(table, columns, extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return room for the places of a line, and for its weights where they are not kept."""
    kept = table[2].shape[0] > 0
    weights = np.empty((0 if kept else columns, extent[0] * extent[1]), np.uint16)
    return _scratch_of(columns, extent), np.empty((2, columns), np.int64), weights


@njit(nogil=True, cache=True)
def line_weights(table, y, wanted, extent, room):  # type: ignore[no-untyped-def]  # numba types it
    """Return places and weights of a line of the block, kept or worked out anew."""
    lattice, origin, base, kept = table
    scratch, places, weights = room
    if base.shape[0] == 0:
        _weigh_line(lattice, y, wanted, extent, scratch, places, weights)
        return places, weights
    for z in range(2):
        for x in range(wanted.size):
            places[z, x] = np.int64(base[y, z, x]) + origin[z]
    return places, kept[y]
