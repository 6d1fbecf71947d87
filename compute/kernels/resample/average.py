"""Means over areas: every usable source pixel weighs the part of it that lies under an output pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numba import njit

from compute.kernels.resample.areas import USUAL_EXTENT
from compute.kernels.resample.clear import ClearPixels
from compute.kernels.resample.lines import Accumulators, BandWindows, add_line, line_room, look_of, rules_of
from compute.kernels.resample.weights import AverageTable, line_weights, room_of, table_arrays

_CELL_BITS = 6
"""Whether pixels are usable is asked of so many columns at once, as a power of two."""

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
    cells = _cells(look[2], extent)
    for y in range(total.shape[0]):
        listed = columns[starts[y] : starts[y + 1]]
        if listed.size == 0:
            continue
        places, weights = line_weights(table, y, extent, weighing)
        if is_usual:
            # The same as below, but the compiler knows how often a loop is run.
            _line_means(look, at, places, (USUAL_EXTENT, USUAL_EXTENT), weights, listed, least, cells, room)
        else:
            _line_means(look, at, places, extent, weights, listed, least, cells, room)
        add_line(room, listed, rules, total[y], count[y], taken[y], beyond)


@njit(nogil=True, cache=True)
def _cells(usable, extent):  # type: ignore[no-untyped-def]  # numba types it
    """Return (row, cell) whether all, and whether any pixels are usable in the extents that begin in a cell.

    A cell is 64 columns of a row. Asking every pixel once takes less than asking it under every output pixel that it
    lies under.
    """
    rows, wide = usable.shape
    every = np.zeros((rows, (wide >> _CELL_BITS) + 1), np.bool_)
    some = np.zeros(every.shape, np.bool_)
    for y in range(rows):
        for cell in range(every.shape[1]):
            first = cell << _CELL_BITS
            last, number = min(first + (1 << _CELL_BITS) + extent[1] - 1, wide), 0
            for x in range(first, last):
                number += usable[y, x]
            every[y, cell], some[y, cell] = number == last - first, number > 0
    for y in range(rows):
        for below in range(y + 1, min(y + extent[0], rows)):
            every[y] &= every[below]
            some[y] |= some[below]
    return every, some


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _line_means(look, at, places, extent, weights, listed, least, cells, room):  # type: ignore[no-untyped-def]
    """Write the means of a line, NaN where too little is usable. Products of weights and integers add up exactly."""
    (red, nir, usable), (every, some), (r, n, _, _) = look, cells, room
    rows, wide = np.uint64(red.shape[0] - extent[0] + 1), np.uint64(red.shape[1] - extent[1] + 1)
    wides = np.uint64(red.shape[1]), np.uint64(weights.shape[1])
    flat, taps = (red.reshape(-1), nir.reshape(-1), usable.reshape(-1)), weights.reshape(-1)
    for k in range(listed.size):
        x = np.uint64(listed[k])
        # Unsigned, what lies before the window is greater than any size.
        row, column = np.uint64(places[0, x] - at[0]), np.uint64(places[1, x] - at[1])
        is_whole = red.shape[0] >= extent[0] and red.shape[1] >= extent[1] and row < rows and column < wide
        if is_whole:
            r[k] = np.nan
            cell = column >> np.uint64(_CELL_BITS)
            if not some[row, cell]:
                continue
            # Flat, a place is one number, and the compiler need not keep so many.
            first = row * wides[0] + column
            if every[row, cell]:
                red_sum, nir_sum, weight_sum, whole_sum = _weighted(flat, taps, first, x, wides, extent, ask=False)
            else:
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
