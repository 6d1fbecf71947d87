"""Means over areas: every source pixel weighs what of it lies under an output pixel."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.kernels.resample.lattice import held, is_missing
from compute.kernels.resample.lines import add_line, look_of, rules_of
from compute.kernels.resample.weights import AverageTable, line_weights, room_of, table_arrays


def accumulate_average(
    red: NDArray[np.generic],
    nir: NDArray[np.generic],
    at: tuple[int, int],
    table: AverageTable,
    clear: NDArray[np.bool_],
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
    clear : numpy.ndarray
        (y, x) bool, where the mask shows the ground.
    bands : numpy.ndarray
        (2, 5) float64, as `compute.kernels.accumulate` takes them.
    total, count : numpy.ndarray
        (y, x) int64 sums in units of 2**-32 NDVI and uint16 numbers of observations, changed in place.
    taken : numpy.ndarray
        (y, x) bool: pixels that have this date's observation already, or shall have none; set where one is added.
    """
    window, clear, sums = look_of(red, nir, clear, total, count, taken)
    assert table.lattice.shape == clear.shape
    _accumulate(window, at, table_arrays(table), table.extent, clear, held(bands), sums)


@njit(nogil=True, cache=True)
def _accumulate(window, at, table, extent, clear, bands, sums):  # type: ignore[no-untyped-def]  # for any value type
    (red, nir), (total, count, taken) = window, sums
    missing, rules = (bands[0, 0], bands[1, 0]), rules_of(bands)
    room, last = room_of(table, clear.shape[1], extent), (red.shape[0] - extent[0], red.shape[1] - extent[1])
    r, n = np.empty(clear.shape[1]), np.empty(clear.shape[1])
    for y in range(clear.shape[0]):
        if not clear[y].any():
            continue
        places, weights = line_weights(table, y, clear[y], extent, room)
        for x in range(clear.shape[1]):
            r[x] = n[x] = np.nan
            if not clear[y, x] or taken[y, x]:
                continue
            place = places[0, x] - at[0], places[1, x] - at[1]
            whole = 0 <= place[0] <= last[0] and 0 <= place[1] <= last[1]
            if whole:
                whole, r[x], n[x] = _whole_means(red, nir, missing, place, extent, weights, x)
            if not whole:
                r[x] = _mean_of(red, missing[0], place, extent, weights, x)
                n[x] = _mean_of(nir, missing[1], place, extent, weights, x)
        add_line(r, n, rules, total[y], count[y], taken[y])


@njit(nogil=True, cache=True, error_model="numpy")
def _whole_means(red, nir, missing, place, extent, weights, x):  # type: ignore[no-untyped-def]
    """Return whether no pixel is missing, and the means if so.

    Products of 16-bit weights and 16-bit values add up exactly.
    """
    red_sum = nir_sum = weight_sum = 0.0
    any_missing = False
    # numba asks of each signed index whether it counts from the end.
    row, column, tap = np.uint64(place[0]), np.uint64(place[1]), np.uint64(0)
    for a in range(np.uint64(extent[0])):
        for b in range(np.uint64(extent[1])):
            weight = float(weights[x, tap])
            r, n = float(red[row + a, column + b]), float(nir[row + a, column + b])
            any_missing |= (r == missing[0]) | (n == missing[1])
            red_sum += weight * r
            nir_sum += weight * n
            weight_sum += weight
            tap += np.uint64(1)
    r, n = red_sum / weight_sum, nir_sum / weight_sum
    return not any_missing and abs(r + n) < np.inf, r, n


@njit(nogil=True, cache=True)
def _mean_of(values, nodata, place, extent, weights, x):  # type: ignore[no-untyped-def]  # for any value type
    """Return the mean of what is known of one band, NaN where nothing is."""
    value_sum = weight_sum = 0.0
    for a in range(extent[0]):
        for b in range(extent[1]):
            row, column = place[0] + a, place[1] + b
            if not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
                continue
            weight, value = float(weights[x, a * extent[1] + b]), float(values[row, column])
            if not is_missing(value, nodata):
                value_sum += weight * value
                weight_sum += weight
    return value_sum / weight_sum if weight_sum > 0.0 else np.nan


def average(
    values: NDArray[np.generic], at: tuple[int, int], table: AverageTable, wanted: NDArray[np.bool_], nodata: float
) -> NDArray[np.float64]:
    """Return the means of one band: where red and nir lie on different pixel grids, each has a table of its own.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns) stored values of a window of the scene.
    at : (int, int)
        Row and column of the window's first pixel, in absolute source pixels.
    table : AverageTable
        Of the block.
    wanted : numpy.ndarray
        (y, x) bool: where a mean is wanted.
    nodata : float
        Stored value that is missing; infinite where there is none.

    Returns
    -------
    numpy.ndarray
        (y, x) float64, NaN where not wanted and where nothing is known.
    """
    assert table.lattice.shape == wanted.shape
    means = np.full(wanted.shape, np.nan)
    _average(held(values), at, nodata, table_arrays(table), table.extent, held(wanted), means)
    return means


@njit(nogil=True, cache=True)
def _average(values, at, nodata, table, extent, wanted, means):  # type: ignore[no-untyped-def]  # for any value type
    room = room_of(table, wanted.shape[1], extent)
    for y in range(wanted.shape[0]):
        if not wanted[y].any():
            continue
        places, weights = line_weights(table, y, wanted[y], extent, room)
        for x in range(wanted.shape[1]):
            if wanted[y, x]:
                place = places[0, x] - at[0], places[1, x] - at[1]
                means[y, x] = _mean_of(values, nodata, place, extent, weights, x)
