"""Footprint areas: the overlap of source pixels with a line of output pixels, as 16-bit weights.

A footprint is the quadrilateral between four corners. Each of its edges cuts a row of source pixels into what lies to
its right and to its left; with their signs, the parts to the right of all four edges add up to the areas.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from compute.kernels.resample.lattice import SLIVER_PX

FULL_WEIGHT = np.float32(65535.0)
"""Weight of the source pixel that an output pixel covers most. Rounding weights to 16 bits changes a mean of values up
to 10,000 by less than 0.2."""

USUAL_EXTENT = 3
"""Rows and columns of source pixels that a footprint of their own size touches at most, however it is turned."""

_SEGMENT = 128
"""Output pixels whose areas are worked out side by side: what is remembered of them fits a core's first cache."""

_LEAST_RUN = np.float32(2.0**-20)
"""Edges run at least so far along a row: what is then divided by is never 0, and no area changes by more than this."""

_NONE, _HALF, _ONE, _TWO, _THREE = (np.float32(number) for number in (0.0, 0.5, 1.0, 2.0, 3.0))
"""In float32, of which twice as many are worked on at once: places count from the footprint's own frame, and are exact
to 2**-22 pixels there, sixty times as fine as weights."""


@njit(nogil=True, cache=True)
def touched(a, b, c, d):  # type: ignore[no-untyped-def]  # numba types it
    """Return the first pixel between four places along an axis, and how many there are; slivers do not count."""
    least, greatest = min(a, b, c, d), max(a, b, c, d)
    first = np.floor(least + SLIVER_PX)
    return first, max(int(np.ceil(greatest - SLIVER_PX) - first), 1) if greatest > least else 1


@njit(nogil=True, cache=True)
def area_room(extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return room for the corners, areas and scales of a segment, and for the differences of areas of one footprint.

    An edge along the right border leaves nothing in the two columns after it, but touches them.
    """
    corners, areas = np.empty(10 * _SEGMENT, np.float32), np.empty(9 * _SEGMENT, np.float32)
    return (corners, areas, np.empty(_SEGMENT, np.float32)), np.zeros((extent[0], extent[1] + 2))


@njit(nogil=True, cache=True)
def weigh_line(top, bottom, extent, room, places, weights):  # type: ignore[no-untyped-def]  # numba types it
    """Write the weights of a line of footprints, and the place of the first of each.

    Parameters
    ----------
    top, bottom : numpy.ndarray
        (2, x + 1) float64 row and column of the corners, in absolute source pixels; NaN where a footprint lies nowhere.
    extent : tuple of int
        Most rows and columns of source pixels under one footprint.
    room
        As `area_room` returns it.
    places : numpy.ndarray
        (2, x) int64 row and column of the first source pixel, to be written.
    weights : numpy.ndarray
        (rows * columns of `extent`, x) uint16 to be written, all 0 where a footprint lies nowhere.
    """
    (corners, areas, scales), cover = room
    for first in range(0, places.shape[1], _SEGMENT):
        here = slice(first, min(first + _SEGMENT, places.shape[1]))
        edges = slice(first, here.stop + 1)
        _place(top[:, edges], bottom[:, edges], corners, places[:, here])
        for row in range(USUAL_EXTENT):
            part = areas[3 * row * _SEGMENT : 3 * (row + 1) * _SEGMENT]
            part[:] = _NONE
            for n in range(4):
                _add_edge(corners[2 * n * _SEGMENT : (2 * n + 4) * _SEGMENT], np.float32(row), here.stop - first, part)
        _round_segment(areas, scales, extent, weights[:, here])
    if max(extent[0], extent[1]) > USUAL_EXTENT:
        _weigh_larger(top, bottom, extent, cover, weights)


@njit(nogil=True, cache=True)
def _place(top, bottom, corners, places):  # type: ignore[no-untyped-def]  # numba types it
    """Write the first source pixel of each footprint, and its corners from there, the first of them once more."""
    for z in range(2):
        for x in range(places.shape[1]):
            a, b, c, d = top[z, x], top[z, x + 1], bottom[z, x + 1], bottom[z, x]
            first, _ = touched(a, b, c, d)
            if np.isnan(a + b + c + d):
                a = b = c = d = first = 0.0
            places[z, x] = int(first)
            at = z * _SEGMENT + x
            corners[at], corners[2 * _SEGMENT + at] = a - first, b - first
            corners[4 * _SEGMENT + at], corners[6 * _SEGMENT + at] = c - first, d - first
            corners[8 * _SEGMENT + at] = a - first


@njit(nogil=True, cache=True, error_model="numpy")
def _add_edge(edge, row, pixels, areas):  # type: ignore[no-untyped-def]  # numba types it
    """Add what lies to the right of an edge of each footprint in three pixels of a row; downwards positive.

    What of the edge lies outside the three rows and columns is moved to their border: a sliver, or a larger footprint,
    which `_weigh_larger` sees to.
    """
    for x in range(pixels):
        y0, x0, y1, x1 = edge[x], edge[_SEGMENT + x], edge[2 * _SEGMENT + x], edge[3 * _SEGMENT + x]
        slope = (x1 - x0) / (y1 - y0 if y1 != y0 else _ONE)
        above, below = min(max(y0, row), row + _ONE), min(max(y1, row), row + _ONE)
        start = min(max(x0 + (above - y0) * slope, _NONE), _THREE)
        stop = min(max(x0 + (below - y0) * slope, _NONE), _THREE)
        left, right = min(start, stop), max(start, stop)
        right = max(right, left + _LEAST_RUN)
        height = (below - above) / (right - left)
        # In each column: where the edge enters and leaves it, and how far it has run by then.
        a0, b0 = min(left, _ONE), min(right, _ONE)
        a1, b1 = min(max(left, _ONE), _TWO), min(max(right, _ONE), _TWO)
        a2, b2 = max(left, _TWO), max(right, _TWO)
        run0, run1, run2 = b0 - a0, b1 - a1, b2 - a2
        areas[x] += height * (run0 * (_ONE - _HALF * (a0 + b0)))
        areas[_SEGMENT + x] += height * (run0 + run1 * (_TWO - _HALF * (a1 + b1)))
        areas[2 * _SEGMENT + x] += height * (run0 + run1 + run2 * (_THREE - _HALF * (a2 + b2)))


@njit(nogil=True, cache=True, error_model="numpy")
def _round_segment(areas, scales, extent, weights):  # type: ignore[no-untyped-def]  # numba types it
    """Round areas to weights; a mirrored grid is walked the other way round."""
    pixels = weights.shape[1]
    scales[:] = _NONE
    for n in range(9):
        area = areas[n * _SEGMENT : (n + 1) * _SEGMENT]
        for x in range(pixels):
            scales[x] = max(scales[x], abs(area[x]))
    for x in range(pixels):
        scales[x] = FULL_WEIGHT / scales[x] if scales[x] > _NONE else _NONE
    for a in range(min(extent[0], 3)):
        for b in range(min(extent[1], 3)):
            area, line = areas[(3 * a + b) * _SEGMENT : (3 * a + b + 1) * _SEGMENT], weights[a * extent[1] + b]
            for x in range(pixels):
                line[x] = np.uint16(np.int32(abs(area[x]) * scales[x] + _HALF))


@njit(nogil=True, cache=True)
def _weigh_larger(top, bottom, extent, cover, weights):  # type: ignore[no-untyped-def]  # numba types it
    """Write the weights of footprints that three rows and columns do not hold, and zeros beside those of the others."""
    for x in range(weights.shape[1]):
        y0, y1, y2, y3 = top[0, x], top[0, x + 1], bottom[0, x + 1], bottom[0, x]
        x0, x1, x2, x3 = top[1, x], top[1, x + 1], bottom[1, x + 1], bottom[1, x]
        (row, tall), (column, wide) = touched(y0, y1, y2, y3), touched(x0, x1, x2, x3)
        if max(tall, wide) > USUAL_EXTENT and not np.isnan(y0 + y1 + y2 + y3):
            frame = row, column, float(tall), float(wide)
            _walk(cover, frame, y0, x0, y1, x1)
            _walk(cover, frame, y1, x1, y2, x2)
            _walk(cover, frame, y2, x2, y3, x3)
            _walk(cover, frame, y3, x3, y0, x0)
            _round(cover, extent, x, weights)
            continue
        for tap in range(weights.shape[0]):
            if max(tap // extent[1], tap % extent[1]) >= USUAL_EXTENT:
                weights[tap, x] = 0


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
    scale = float(FULL_WEIGHT) / largest if largest > 0.0 else 0.0
    for a in range(extent[0]):
        for b in range(extent[1]):
            weights[a * extent[1] + b, x] = np.uint16(np.int32(cover[a, b] * scale + 0.5))
            cover[a, b] = 0.0
        cover[a, extent[1]] = 0.0
