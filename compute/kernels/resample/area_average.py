"""Sum observations from area-weighted means of the source pixels in the footprint of each output pixel.

The weight of a source pixel is the area that it shares with the output pixel (first-order conservative remapping):
Jones (1999), Monthly Weather Review 127(9), doi:10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numba import njit

from compute.kernels.resample.area_weights import AverageTable, line_weights, table_arrays, weights_buffer
from compute.kernels.resample.clear_pixels import ClearPixels
from compute.kernels.resample.footprint_areas import USUAL_EXTENT
from compute.kernels.resample.line_sums import (
    Accumulators,
    BandWindows,
    add_line_sums,
    kernel_arrays,
    kernel_rules,
    line_buffers,
)

_WEIGHT_ROUNDING = 2.0**-12
"""Tolerance of `min_area` for weights that are rounded to 16 bits, so that half a pixel passes a limit of 0.5."""


def accumulate_average(bands: BandWindows, table: AverageTable, clear: ClearPixels, sums: Accumulators) -> None:
    """Add the observations of a scene by area-weighted means of usable pixels.

    Red and nir are means of the same source pixels. Unusable pixels and pixels outside the window have weight 0. The
    other weights are normalised. An output pixel is left out if they cover less than `min_area` of it.

    Parameters
    ----------
    bands : BandWindows
        Windows of the scene, with usable pixels.
    table : AverageTable
        Weights for the block, from `average_weights`.
    clear : ClearPixels
        Pixels of the block that may become observations.
    sums : Accumulators
        Sums of the block; changed in place.
    """
    assert table.lattice.shape == sums.shape
    assert bands.usable is not None
    whole = replace(bands, red=np.ascontiguousarray(bands.red), nir=np.ascontiguousarray(bands.nir))
    window, listed, added = kernel_arrays(whole, clear, sums)
    look = *window, np.ascontiguousarray(bands.usable)
    least = max(sums.min_area - _WEIGHT_ROUNDING, 0.0)
    _accumulate(look, bands.at, table_arrays(table), table.extent, listed, least, kernel_rules(bands, sums), added)


@njit(nogil=True, cache=True)
def _accumulate(look, at, table, extent, clear, least, rules, sums):  # type: ignore[no-untyped-def]  # for any type
    (starts, columns), (total, count, taken, beyond) = clear, sums
    room, weighing = line_buffers(total.shape[1]), weights_buffer(table, total.shape[1], extent)
    is_usual = extent == (USUAL_EXTENT, USUAL_EXTENT)
    # The list has one spare element: `_list_touching` writes each pixel before it decides whether to keep it.
    states, met = _usable_states(look[2], extent), np.empty(total.shape[1] + 1, columns.dtype)
    for y in range(total.shape[0]):
        listed = columns[starts[y] : starts[y + 1]]
        if listed.size == 0:
            continue
        places, weights = line_weights(table, y, extent, weighing)
        listed = met[: _list_touching(states, look[2].shape, extent, at, places, listed, met)]
        if is_usual:
            # Same as below, with loop counts that are known at compile time.
            _line_means(look, at, places, (USUAL_EXTENT, USUAL_EXTENT), weights, listed, least, states, room)
        else:
            _line_means(look, at, places, extent, weights, listed, least, states, room)
        add_line_sums(room, listed, rules, total[y], count[y], taken[y], beyond)


@njit(nogil=True, cache=True)
def _usable_states(usable, extent):  # type: ignore[no-untyped-def]  # numba infers types
    """Return uint8 states of rectangles of size `extent`, by first (row, column) of the rectangle.

    The state is 0, 1 or 2 if none, some or all pixels of the rectangle are usable. The array contains only rectangles
    inside the window. One pass over the window is faster than a check of the pixels of every footprint.
    """
    rows, wide = usable.shape[0] - extent[0] + 1, usable.shape[1] - extent[1] + 1
    if rows < 1 or wide < 1:
        return np.empty((0, 0), np.uint8)
    states = np.empty((rows, wide), np.uint8)
    if extent == (USUAL_EXTENT, USUAL_EXTENT):
        _usual_states(usable, states)
        return states
    down = np.zeros(usable.shape[1], np.int32)
    for y in range(usable.shape[0]):
        down += usable[y]
        top = y - extent[0] + 1
        if top >= 0:
            _states_of_line(down, extent, states[top])
            down -= usable[top]
    return states


@njit(nogil=True, cache=True)
def _usual_states(usable, states):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the states for extents of 3 by 3 pixels, in loops that the compiler can vectorise."""
    down = np.empty(usable.shape[1], np.uint8)
    for y in range(states.shape[0]):
        first, second, third = usable[y], usable[y + 1], usable[y + 2]
        for x in range(down.size):
            down[x] = first[x] + second[x] + third[x]
        line = states[y]
        for x in range(line.size):
            number = np.uint8(down[x] + down[x + 1] + down[x + 2])
            line[x] = np.uint8(number > 0) + np.uint8(number == 9)


@njit(nogil=True, cache=True)
def _states_of_line(down, extent, states):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the states of one line of rectangles from the number of usable pixels in each column of the line."""
    along = np.zeros(down.size + 1, np.int32)
    for x in range(down.size):
        along[x + 1] = along[x] + down[x]
    for x in range(states.size):
        number = along[x + extent[1]] - along[x]
        states[x] = np.uint8(number > 0) + np.uint8(number == extent[0] * extent[1])


@njit(nogil=True, cache=True)
def _list_touching(states, shape, extent, at, places, listed, met):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the pixels of a line whose footprints may contain usable pixels to a list, and return their number."""
    # Viewed as unsigned integers, negative positions (before the window) exceed any size.
    rows, wide, number = np.uint64(states.shape[0]), np.uint64(states.shape[1]), np.uint64(0)
    # Number of positions, along each axis, at which the extent overlaps the window.
    tall, broad = np.uint64(shape[0] + extent[0] - 1), np.uint64(shape[1] + extent[1] - 1)
    for k in range(listed.size):
        x = listed[k]
        down, along = places[0, x] - at[0], places[1, x] - at[1]
        row, column = np.uint64(down), np.uint64(along)
        met[number] = x
        if (row < rows) & (column < wide):
            number += np.uint64(states[row, column] > 0)
        else:
            touches = (np.uint64(down + extent[0] - 1) < tall) & (np.uint64(along + extent[1] - 1) < broad)
            number += np.uint64(touches)
    return number


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _line_means(look, at, places, extent, weights, listed, least, states, room):  # type: ignore[no-untyped-def]
    """Write the means of a line, NaN for too small usable areas. Sums of integers times weights are exact."""
    (red, nir, usable), (r, n, _, _) = look, room
    rows, wide = np.uint64(states.shape[0]), np.uint64(states.shape[1])
    wides = np.uint64(red.shape[1]), np.uint64(weights.shape[1])
    flat, taps = (red.reshape(-1), nir.reshape(-1), usable.reshape(-1)), weights.reshape(-1)
    for k in range(listed.size):
        x = np.uint64(listed[k])
        row, column = np.uint64(places[0, x] - at[0]), np.uint64(places[1, x] - at[1])
        if row < rows and column < wide:
            # A flat index needs fewer registers than a row and a column.
            first = row * wides[0] + column
            if states[row, column] == 2:
                # All pixels are usable. For an output pixel without a position, the result is 0 / 0, which is NaN.
                red_sum, nir_sum, _, whole_sum = _weighted(flat, taps, first, x, wides, extent, ask=False)
                r[k], n[k] = red_sum / whole_sum, nir_sum / whole_sum
                continue
            red_sum, nir_sum, weight_sum, whole_sum = _weighted(flat, taps, first, x, wides, extent, ask=True)
        else:
            place = places[0, x] - at[0], places[1, x] - at[1]
            red_sum, nir_sum, weight_sum, whole_sum = _weighted_at_edge(look, place, extent, weights, x)
        is_enough = (weight_sum > 0) & (weight_sum >= least * whole_sum)
        r[k] = red_sum / weight_sum if is_enough else np.nan
        n[k] = nir_sum / weight_sum if is_enough else np.nan


@njit(nogil=True, cache=True, inline="always")
def _weighted(flat, taps, first, tap, wides, extent, ask):  # type: ignore[no-untyped-def]
    """Return weighted sums of red and nir in a footprint, the weight of usable pixels, and the weight of all pixels."""
    reds, nirs, usable = flat
    red_sum, nir_sum = np.int64(0) * reds[first], np.int64(0) * nirs[first]
    weight_sum = whole_sum = np.int64(0)
    for _ in range(extent[0]):
        for b in range(extent[1]):
            weight, place = np.int64(taps[tap]), first + np.uint64(b)
            red_sum += weight * reds[place]
            nir_sum += weight * nirs[place]
            whole_sum += weight
            if ask:
                weight_sum += weight * usable[place]
            tap += wides[1]
        first += wides[0]
    return red_sum, nir_sum, weight_sum if ask else whole_sum, whole_sum


@njit(nogil=True, cache=True)
def _weighted_at_edge(look, place, extent, weights, x):  # type: ignore[no-untyped-def]  # for any value type
    """Return the same as `_weighted` for a footprint that extends beyond the window. Pixels outside are not usable."""
    red, nir, usable = look
    red_sum, nir_sum = np.int64(0) * red[0, 0], np.int64(0) * nir[0, 0]
    weight_sum = whole_sum = np.int64(0)
    for a in range(extent[0]):
        for b in range(extent[1]):
            weight, row, column = np.int64(weights[a * extent[1] + b, x]), place[0] + a, place[1] + b
            whole_sum += weight
            if 0 <= row < red.shape[0] and 0 <= column < red.shape[1] and usable[row, column]:
                red_sum += weight * red[row, column]
                nir_sum += weight * nir[row, column]
                weight_sum += weight
    return red_sum, nir_sum, weight_sum, whole_sum
