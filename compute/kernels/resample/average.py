"""Means over areas: every source pixel weighs what of it lies under an output pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.areas import USUAL_EXTENT
from compute.kernels.resample.clear import ClearPixels
from compute.kernels.resample.lattice import held, is_missing
from compute.kernels.resample.lines import Accumulators, BandWindows, add_line, line_room, look_of, rules_of
from compute.kernels.resample.weights import AverageTable, line_weights, room_of, table_arrays

_CELL_BITS = 6
"""Whether a value is missing is asked of so many columns at once, as a power of two."""


def accumulate_average(bands: BandWindows, table: AverageTable, clear: ClearPixels, sums: Accumulators) -> None:
    """Add one look of a scene, each pixel of the block as the mean of what lies under it.

    Each band leaves out its own missing pixels (nodata, or not finite) and what lies outside the window; the rest
    weighs the more. What makes an observation is asked of the means.

    Parameters
    ----------
    bands : BandWindows
        Of the scene.
    table : AverageTable
        Of the block, as `average_weights` returns it.
    clear : ClearPixels
        Of the block, where the mask shows the ground.
    sums : Accumulators
        Of the block.
    """
    assert table.lattice.shape == sums.shape
    whole = replace(bands, red=np.ascontiguousarray(bands.red), nir=np.ascontiguousarray(bands.nir))
    window, listed, added = look_of(whole, clear, sums)
    nodata = _stored_as(bands.red, bands.numbers[0, 0]), _stored_as(bands.nir, bands.numbers[1, 0])
    _accumulate(window, bands.at, table_arrays(table), table.extent, listed, nodata, held(bands.numbers), added)


def _stored_as(values: NDArray[np.generic], nodata: float) -> int | float:
    """Return a nodata value as values are compared with: integers with integers, which takes a step less for each."""
    if not np.issubdtype(values.dtype, np.integer):
        return float(nodata)
    return int(nodata) if float(nodata).is_integer() else np.iinfo(np.int64).max


@njit(nogil=True, cache=True)
def _accumulate(window, at, table, extent, clear, nodata, bands, sums):  # type: ignore[no-untyped-def]
    (red, nir), (starts, columns), (total, count, taken) = window, clear, sums
    rules, room = rules_of(bands), line_room(total.shape[1])
    weighing, is_usual = room_of(table, total.shape[1], extent), extent == (USUAL_EXTENT, USUAL_EXTENT)
    known = _known_cells(red, nir, nodata, is_usual)
    for y in range(total.shape[0]):
        listed = columns[starts[y] : starts[y + 1]]
        if listed.size == 0:
            continue
        places, weights = line_weights(table, y, extent, weighing)
        if is_usual:
            # The same as below, but the compiler knows how often a loop is run.
            _line_means(red, nir, at, places, (USUAL_EXTENT, USUAL_EXTENT), weights, listed, nodata, known, room)
        else:
            _line_means(red, nir, at, places, extent, weights, listed, nodata, known, room)
        add_line(room, listed, rules, total[y], count[y], taken[y])


@njit(nogil=True, cache=True)
def _known_cells(red, nir, nodata, is_usual):  # type: ignore[no-untyped-def]  # for any value type
    """Return (row, cell) whether nothing is missing in the usual extent of any pixel of a cell: one of 64 columns.

    Asking every value once takes less than asking it under every output pixel that it lies under.
    """
    (red_nodata, nir_nodata), (rows, wide) = nodata, red.shape
    known = np.zeros((rows, (wide >> _CELL_BITS) + 1), np.bool_)
    if not is_usual:
        return known
    for y in range(rows):
        for cell in range(known.shape[1]):
            first, missing = cell << _CELL_BITS, 0
            for x in range(first, min(first + (1 << _CELL_BITS) + USUAL_EXTENT - 1, wide)):
                missing += (red[y, x] == red_nodata) | (nir[y, x] == nir_nodata)
            known[y, cell] = missing == 0
    for y in range(rows - USUAL_EXTENT + 1):
        for below in range(1, USUAL_EXTENT):
            known[y] &= known[y + below]
    return known


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _line_means(red, nir, at, places, extent, weights, listed, nodata, known, room):  # type: ignore[no-untyped-def]
    """Write the means of a line. Where no pixel is missing, products of 16-bit weights and values add up exactly."""
    (red_nodata, nir_nodata), (r, n, _, _) = nodata, room
    rows, wide = np.uint64(red.shape[0] - extent[0] + 1), np.uint64(red.shape[1] - extent[1] + 1)
    wides = np.uint64(red.shape[1]), np.uint64(weights.shape[1])
    reds, nirs, taps = red.reshape(-1), nir.reshape(-1), weights.reshape(-1)
    for k in range(listed.size):
        x = np.uint64(listed[k])
        # Unsigned, what lies before the window is greater than any size.
        row, column = np.uint64(places[0, x] - at[0]), np.uint64(places[1, x] - at[1])
        is_whole = red.shape[0] >= extent[0] and red.shape[1] >= extent[1] and row < rows and column < wide
        if is_whole:
            # Flat, a place is one number, and the compiler need not keep so many.
            first = row * wides[0] + column
            if known[row, column >> np.uint64(_CELL_BITS)]:
                sums = _weighted(reds, nirs, taps, first, x, wides, extent, nodata, ask=False)
            else:
                sums = _weighted(reds, nirs, taps, first, x, wides, extent, nodata, ask=True)
            red_sum, nir_sum, weight_sum, any_missing = sums
            r[k], n[k] = red_sum / weight_sum, nir_sum / weight_sum
            is_whole = not any_missing and abs(r[k] + n[k]) < np.inf
        if not is_whole:
            place = places[0, x] - at[0], places[1, x] - at[1]
            r[k] = _mean_of(red, float(red_nodata), place, extent, weights, x)
            n[k] = _mean_of(nir, float(nir_nodata), place, extent, weights, x)


@njit(nogil=True, cache=True, inline="always")
def _weighted(reds, nirs, taps, first, tap, wides, extent, nodata, ask):  # type: ignore[no-untyped-def]
    """Return what lies under a pixel of both bands and weighs, what it weighs, and whether something is missing."""
    red_sum, nir_sum, weight_sum = np.int64(0) * reds[first], np.int64(0) * nirs[first], np.int64(0)
    any_missing = False
    for _ in range(extent[0]):
        for b in range(extent[1]):
            weight = np.int64(taps[tap])
            value, other = reds[first + np.uint64(b)], nirs[first + np.uint64(b)]
            if ask:
                any_missing |= (value == nodata[0]) | (other == nodata[1])
            red_sum += weight * value
            nir_sum += weight * other
            weight_sum += weight
            tap += wides[1]
        first += wides[0]
    return red_sum, nir_sum, weight_sum, any_missing


@njit(nogil=True, cache=True)
def _mean_of(values, nodata, place, extent, weights, x):  # type: ignore[no-untyped-def]  # for any value type
    """Return the mean of what is known of one band, NaN where nothing is."""
    value_sum = weight_sum = 0.0
    for a in range(extent[0]):
        for b in range(extent[1]):
            row, column = place[0] + a, place[1] + b
            if not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
                continue
            weight, value = float(weights[a * extent[1] + b, x]), float(values[row, column])
            if not is_missing(value, nodata):
                value_sum += weight * value
                weight_sum += weight
    return value_sum / weight_sum if weight_sum > 0.0 else np.nan
