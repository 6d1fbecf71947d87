"""Means over areas: every source pixel weighs what of it lies under an output pixel."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.areas import USUAL_EXTENT
from compute.kernels.resample.clear import ClearPixels
from compute.kernels.resample.lattice import held, is_missing
from compute.kernels.resample.lines import add_line, line_room, look_of, rules_of
from compute.kernels.resample.weights import AverageTable, line_weights, room_of, table_arrays


def accumulate_average(
    red: NDArray[np.generic],
    nir: NDArray[np.generic],
    at: tuple[int, int],
    table: AverageTable,
    clear: ClearPixels,
    bands: NDArray[np.float64],
    total: NDArray[np.int64],
    count: NDArray[np.uint16],
    taken: NDArray[np.bool_],
) -> None:
    """Add one look of a scene, each pixel of the block as the mean of what lies under it.

    Each band leaves out its own missing pixels (nodata, or not finite) and what lies outside the window; the rest
    weighs the more. What makes an observation is asked of the means.

    Parameters
    ----------
    red, nir : numpy.ndarray
        (rows, columns) stored values of a window of the scene, both of one shape.
    at : (int, int)
        Row and column of the window's first pixel, in absolute source pixels.
    table : AverageTable
        Of the block, as `average_weights` returns it.
    clear : ClearPixels
        Of the block, where the mask shows the ground.
    bands : numpy.ndarray
        (2, 5) float64, as `compute.kernels.accumulate` takes them.
    total, count : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI and uint16 numbers of observations, changed in place.
    taken : numpy.ndarray
        (y, x) bool: set where an observation is added. Whether a pixel is taken already is not asked.
    """
    window, listed, sums = look_of(red, nir, clear, total, count, taken)
    assert table.lattice.shape == total.shape
    _accumulate(window, at, table_arrays(table), table.extent, listed, held(bands), sums)


@njit(nogil=True, cache=True)
def _accumulate(window, at, table, extent, clear, bands, sums):  # type: ignore[no-untyped-def]  # for any value type
    (red, nir), (starts, columns), (total, count, taken) = window, clear, sums
    nodata, rules, room = (bands[0, 0], bands[1, 0]), rules_of(bands), line_room(total.shape[1])
    weighing, is_usual = room_of(table, total.shape[1], extent), extent == (USUAL_EXTENT, USUAL_EXTENT)
    for y in range(total.shape[0]):
        listed = columns[starts[y] : starts[y + 1]]
        if listed.size == 0:
            continue
        places, weights = line_weights(table, y, extent, weighing)
        if is_usual:
            # The same as below, but the compiler knows how often a loop is run.
            _line_means(red, nir, at, places, (USUAL_EXTENT, USUAL_EXTENT), weights, listed, nodata, room)
        else:
            _line_means(red, nir, at, places, extent, weights, listed, nodata, room)
        add_line(room, listed, rules, total[y], count[y], taken[y])


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _line_means(red, nir, at, places, extent, weights, listed, nodata, room):  # type: ignore[no-untyped-def]
    """Write the means of a line. Where no pixel is missing, products of 16-bit weights and values add up exactly."""
    (red_nodata, nir_nodata), (r, n, _, _) = nodata, room
    rows, wide = np.uint64(red.shape[0] - extent[0] + 1), np.uint64(red.shape[1] - extent[1] + 1)
    for k in range(listed.size):
        x = np.uint64(listed[k])
        # Unsigned, what lies before the window is greater than any size.
        row, column = np.uint64(places[0, x] - at[0]), np.uint64(places[1, x] - at[1])
        is_whole = red.shape[0] >= extent[0] and red.shape[1] >= extent[1] and row < rows and column < wide
        if is_whole:
            red_sum, nir_sum, weight_sum = np.int64(0) * red[row, column], np.int64(0) * nir[row, column], np.int64(0)
            any_missing = False
            for a in range(extent[0]):
                for b in range(extent[1]):
                    down, along = row + np.uint64(a), column + np.uint64(b)
                    weight = np.int64(weights[np.uint64(a * extent[1] + b), x])
                    value, other = red[down, along], nir[down, along]
                    any_missing |= (float(value) == red_nodata) | (float(other) == nir_nodata)
                    red_sum += weight * value
                    nir_sum += weight * other
                    weight_sum += weight
            r[k], n[k] = red_sum / weight_sum, nir_sum / weight_sum
            is_whole = not any_missing and abs(r[k] + n[k]) < np.inf
        if not is_whole:
            place = places[0, x] - at[0], places[1, x] - at[1]
            r[k] = _mean_of(red, red_nodata, place, extent, weights, x)
            n[k] = _mean_of(nir, nir_nodata, place, extent, weights, x)


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
