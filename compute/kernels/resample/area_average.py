"""Area average: every usable source pixel weighs the part of it under an output pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numba import njit

from compute.kernels.resample.area_weights import AverageTable, line_weights, room_of, table_arrays
from compute.kernels.resample.clear_pixels import ClearPixels
from compute.kernels.resample.footprint_areas import USUAL_EXTENT
from compute.kernels.resample.line_sums import Accumulators, BandWindows, add_line, line_room, look_of, rules_of

_WEIGHT_ROUNDING = 2.0**-12
"""Share of an area that rounding weights to 16 bits may take away: half of a pixel is at least half of it."""


def accumulate_average(bands: BandWindows, table: AverageTable, clear: ClearPixels, sums: Accumulators) -> None:
    """Add one look of a scene, each pixel of the block as the mean of the usable pixels under it.

    Red and nir are means of the same source pixels. Those that are not usable and what lies outside the window weigh
    nothing; the rest weighs the more, as long as it is at least `min_area` of the output pixel.

    Parameters
    ----------
    bands : BandWindows
        Of the scene, with usable pixels.
    table : AverageTable
        Of the block, as `average_weights` returns it.
    clear : ClearPixels
        Pixels of the block that may be observed.
    sums : Accumulators
        Of the block.
    """
    assert table.lattice.shape == sums.shape
    assert bands.usable is not None
    whole = replace(bands, red=np.ascontiguousarray(bands.red), nir=np.ascontiguousarray(bands.nir))
    window, listed, added = look_of(whole, clear, sums)
    look = *window, np.ascontiguousarray(bands.usable)
    least = max(sums.min_area - _WEIGHT_ROUNDING, 0.0)
    _accumulate(look, bands.at, table_arrays(table), table.extent, listed, least, rules_of(bands, sums), added)


@njit(nogil=True, cache=True)
def _accumulate(look, at, table, extent, clear, least, rules, sums):  # type: ignore[no-untyped-def]  # for any type
    (starts, columns), (total, count, taken, beyond) = clear, sums
    room, weighing = line_room(total.shape[1]), room_of(table, total.shape[1], extent)
    is_usual = extent == (USUAL_EXTENT, USUAL_EXTENT)
    # One more: the last is written, even if it is not met.
    states, met = _usable_states(look[2], extent), np.empty(total.shape[1] + 1, columns.dtype)
    for y in range(total.shape[0]):
        listed = columns[starts[y] : starts[y + 1]]
        if listed.size == 0:
            continue
        places, weights = line_weights(table, y, extent, weighing)
        listed = met[: _meet(states, look[2].shape, extent, at, places, listed, met)]
        if is_usual:
            # The same as below, but the compiler knows how often a loop is run.
            _line_means(look, at, places, (USUAL_EXTENT, USUAL_EXTENT), weights, listed, least, states, room)
        else:
            _line_means(look, at, places, extent, weights, listed, least, states, room)
        add_line(room, listed, rules, total[y], count[y], taken[y], beyond)


@njit(nogil=True, cache=True)
def _usable_states(usable, extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return (row, column) uint8 whether none, some or all pixels are usable of the extent that begins there.

    Asking every pixel once takes less than asking it under every output pixel that it lies under. Where the extent
    reaches beyond the window there is no state.
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
def _usual_states(usable, states):  # type: ignore[no-untyped-def]  # numba types it
    """Write the states where extents are usual, 3 by 3 pixels: sums of as many at once as the processor can."""
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
def _states_of_line(down, extent, states):  # type: ignore[no-untyped-def]  # numba types it
    """Write the states of a line, whose columns hold so many usable pixels."""
    along = np.zeros(down.size + 1, np.int32)
    for x in range(down.size):
        along[x + 1] = along[x] + down[x]
    for x in range(states.size):
        number = along[x + extent[1]] - along[x]
        states[x] = np.uint8(number > 0) + np.uint8(number == extent[0] * extent[1])


@njit(nogil=True, cache=True)
def _meet(states, shape, extent, at, places, listed, met):  # type: ignore[no-untyped-def]  # numba types it
    """List those pixels of a line under which something may be usable, and return how many they are."""
    # Unsigned, what lies before the window is greater than any size.
    rows, wide, number = np.uint64(states.shape[0]), np.uint64(states.shape[1]), np.uint64(0)
    # So many places, from those on whose extent ends in the window's first pixel, have a pixel of it under them.
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
    """Write the means of a line, NaN where too little is usable. Products of weights and integers add up exactly."""
    (red, nir, usable), (r, n, _, _) = look, room
    rows, wide = np.uint64(states.shape[0]), np.uint64(states.shape[1])
    wides = np.uint64(red.shape[1]), np.uint64(weights.shape[1])
    flat, taps = (red.reshape(-1), nir.reshape(-1), usable.reshape(-1)), weights.reshape(-1)
    for k in range(listed.size):
        x = np.uint64(listed[k])
        row, column = np.uint64(places[0, x] - at[0]), np.uint64(places[1, x] - at[1])
        if row < rows and column < wide:
            # Flat, a place is one number, and the compiler need not keep so many.
            first = row * wides[0] + column
            if states[row, column] == 2:
                # All is usable, so nothing is asked; where the pixel lies nowhere, 0 / 0 is NaN.
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
    """Return red and nir under a pixel as they weigh, the weight of its usable pixels, and that of all."""
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
    """Return the same where a footprint reaches beyond the window, which has nothing usable there."""
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
