"""Compute the areas of source pixels within the footprints of a line of output pixels, as 16-bit weights.

The footprint of an output pixel is the quadrilateral between its four corners. The area of a source pixel within a
footprint is the sum, over the four edges of the footprint, of the signed area in the source pixel to the right of the
edge (Green's theorem), as in the exact-coverage rasteriser of FreeType:
https://gitlab.freedesktop.org/freetype/freetype/-/blob/master/src/smooth/ftgrays.c
"""

from __future__ import annotations

import numpy as np
from numba import njit

from compute.kernels.resample.lattice import SLIVER_PX

FULL_WEIGHT = np.float32(65535.0)
"""Weight of the source pixel with the largest area in a footprint. Rounding weights to 16 bits changes a mean of values
up to 10,000 by less than 0.2."""

USUAL_EXTENT = 3
"""Maximum number of rows and of columns of pixels in a footprint of one source pixel's size, at any rotation."""

_SEGMENT = 128
"""Number of output pixels that are processed together, so that the buffers fit into the first-level cache."""

_LEAST_RUN = np.float32(2.0**-20)
"""Minimum extent of an edge along a row. It prevents division by 0, and changes areas by at most this value."""

_NONE, _HALF, _ONE, _TWO, _THREE = (np.float32(number) for number in (0.0, 0.5, 1.0, 2.0, 3.0))
"""Constants in float32, so that SIMD instructions process twice as many values as in float64. Positions relative to the
first pixel of a footprint are accurate to 2**-22 pixels, about sixty times finer than the weights."""


@njit(nogil=True, cache=True)
def covered_pixels(a, b, c, d):  # type: ignore[no-untyped-def]  # numba infers types
    """Return the first pixel and the number of pixels between four positions along an axis, without slivers.

    Parameters
    ----------
    a, b, c, d : float
        Positions of the four corners of a footprint along the axis, in source pixels.
    """
    least, greatest = min(a, b, c, d), max(a, b, c, d)
    first = np.floor(least + SLIVER_PX)
    return first, max(int(np.ceil(greatest - SLIVER_PX) - first), 1) if greatest > least else 1


@njit(nogil=True, cache=True)
def area_buffers(extent):  # type: ignore[no-untyped-def]  # numba infers types
    """Return buffers for corners, areas and scales of a segment, and for area differences of one footprint.

    The last buffer has two extra columns, because edges along the right border write zeros beyond the last pixel.
    """
    corners, areas = np.empty(10 * _SEGMENT, np.float32), np.empty(9 * _SEGMENT, np.float32)
    return (corners, areas, np.empty(_SEGMENT, np.float32)), np.zeros((extent[0], extent[1] + 2))


@njit(nogil=True, cache=True)
def weigh_line(top, bottom, extent, room, places, weights):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the weights of a line of footprints, and the first source pixel of each footprint.

    Parameters
    ----------
    top, bottom : numpy.ndarray
        (2, x + 1) float64 row and column of the corners on the two sides of the line, in absolute source pixels; NaN
        for corners without a position.
    extent : tuple of int
        Maximum number of rows and of columns of source pixels in a footprint.
    room : tuple
        Buffers from `area_buffers`.
    places : numpy.ndarray
        (2, x) int64 row and column of the first source pixel; changed in place.
    weights : numpy.ndarray
        (rows * columns of `extent`, x) uint16 weights, 0 for footprints without a position; changed in place.
    """
    (corners, areas, scales), cover = room
    for first in range(0, places.shape[1], _SEGMENT):
        here = slice(first, min(first + _SEGMENT, places.shape[1]))
        edges = slice(first, here.stop + 1)
        _locate_footprints(top[:, edges], bottom[:, edges], corners, places[:, here])
        for row in range(USUAL_EXTENT):
            part = areas[3 * row * _SEGMENT : 3 * (row + 1) * _SEGMENT]
            part[:] = _NONE
            for n in range(4):
                _add_edge(corners[2 * n * _SEGMENT : (2 * n + 4) * _SEGMENT], np.float32(row), here.stop - first, part)
        _round_segment(areas, scales, extent, weights[:, here])
    if max(extent[0], extent[1]) > USUAL_EXTENT:
        _weigh_larger(top, bottom, extent, cover, weights)


@njit(nogil=True, cache=True)
def _locate_footprints(top, bottom, corners, places):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the first source pixel of each footprint, and the corners relative to that pixel, as a closed ring."""
    for z in range(2):
        for x in range(places.shape[1]):
            a, b, c, d = top[z, x], top[z, x + 1], bottom[z, x + 1], bottom[z, x]
            first, _ = covered_pixels(a, b, c, d)
            if np.isnan(a + b + c + d):
                a = b = c = d = first = 0.0
            places[z, x] = int(first)
            at = z * _SEGMENT + x
            corners[at], corners[2 * _SEGMENT + at] = a - first, b - first
            corners[4 * _SEGMENT + at], corners[6 * _SEGMENT + at] = c - first, d - first
            corners[8 * _SEGMENT + at] = a - first


@njit(nogil=True, cache=True, error_model="numpy")
def _add_edge(edge, row, pixels, areas):  # type: ignore[no-untyped-def]  # numba infers types
    """Add the signed area to the right of one edge of each footprint, in three pixels of a row.

    Downward edges have a positive sign. Parts of an edge outside the three rows and columns are moved to their border.
    Such parts are slivers, or belong to larger footprints, whose weights `_weigh_larger` overwrites.
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
        # For each column: the positions at which the edge enters and leaves, and their distance.
        a0, b0 = min(left, _ONE), min(right, _ONE)
        a1, b1 = min(max(left, _ONE), _TWO), min(max(right, _ONE), _TWO)
        a2, b2 = max(left, _TWO), max(right, _TWO)
        run0, run1, run2 = b0 - a0, b1 - a1, b2 - a2
        areas[x] += height * (run0 * (_ONE - _HALF * (a0 + b0)))
        areas[_SEGMENT + x] += height * (run0 + run1 * (_TWO - _HALF * (a1 + b1)))
        areas[2 * _SEGMENT + x] += height * (run0 + run1 + run2 * (_THREE - _HALF * (a2 + b2)))


@njit(nogil=True, cache=True, error_model="numpy")
def _round_segment(areas, scales, extent, weights):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the rounded weights of a segment. On mirrored grids, areas are negative."""
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
def _weigh_larger(top, bottom, extent, cover, weights):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the weights of footprints of more than three rows or columns, and pad those of other footprints with 0."""
    for x in range(weights.shape[1]):
        y0, y1, y2, y3 = top[0, x], top[0, x + 1], bottom[0, x + 1], bottom[0, x]
        x0, x1, x2, x3 = top[1, x], top[1, x + 1], bottom[1, x + 1], bottom[1, x]
        (row, tall), (column, wide) = covered_pixels(y0, y1, y2, y3), covered_pixels(x0, x1, x2, x3)
        if max(tall, wide) > USUAL_EXTENT and not np.isnan(y0 + y1 + y2 + y3):
            frame = row, column, float(tall), float(wide)
            _add_edge_exactly(cover, frame, y0, x0, y1, x1)
            _add_edge_exactly(cover, frame, y1, x1, y2, x2)
            _add_edge_exactly(cover, frame, y2, x2, y3, x3)
            _add_edge_exactly(cover, frame, y3, x3, y0, x0)
            _round(cover, extent, x, weights)
            continue
        for tap in range(weights.shape[0]):
            if max(tap // extent[1], tap % extent[1]) >= USUAL_EXTENT:
                weights[tap, x] = 0


@njit(nogil=True, cache=True, error_model="numpy")
def _add_edge_exactly(cover, frame, y0, x0, y1, x1):  # type: ignore[no-untyped-def]  # numba infers types
    """Add the signed areas to the right of one edge of a footprint, as differences between pixels along each row."""
    row, column, tall, wide = frame
    # Slivers are clipped to the frame of the footprint, which is identical in every block.
    y0, y1 = min(max(y0 - row, 0.0), tall), min(max(y1 - row, 0.0), tall)
    x0, x1 = min(max(x0 - column, 0.0), wide), min(max(x1 - column, 0.0), wide)
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        y0, x0, y1, x1, sign = y1, x1, y0, x0, -1.0
    slope = (x1 - x0) / (y1 - y0)
    # Unsigned, because numba checks every signed index for negative values.
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
def _round(cover, extent, x, weights):  # type: ignore[no-untyped-def]  # numba infers types
    """Sum the differences to areas, write the rounded weights, and reset the differences to 0."""
    largest = 0.0
    for a in range(extent[0]):
        area = 0.0
        for b in range(extent[1]):
            area += cover[a, b]
            # On mirrored grids, areas are negative.
            cover[a, b] = abs(area)
            largest = max(largest, cover[a, b])
    scale = float(FULL_WEIGHT) / largest if largest > 0.0 else 0.0
    for a in range(extent[0]):
        for b in range(extent[1]):
            weights[a * extent[1] + b, x] = np.uint16(np.int32(cover[a, b] * scale + 0.5))
            cover[a, b] = 0.0
        cover[a, extent[1]] = 0.0
