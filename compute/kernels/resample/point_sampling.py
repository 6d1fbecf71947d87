"""Sum observations without resampling, by nearest-neighbour resampling, or by bilinear interpolation."""

from __future__ import annotations

import numpy as np
from numba import njit

from compute.kernels.resample.clear_pixels import ClearPixels
from compute.kernels.resample.lattice import Lattice, lattice_arrays, place_line, read_only
from compute.kernels.resample.line_sums import (
    Accumulators,
    BandWindows,
    add_line_sums,
    kernel_arrays,
    kernel_rules,
    line_buffers,
)
from compute.kernels.resample.nearest_pixels import NearestIndex

LEAST_SHARE = 1e-6
"""Minimum total weight of usable pixels among four source pixels, even if `min_area` is smaller. If an output pixel and
an unusable source pixel have the same centre, the neighbours of the latter have tiny weights from rounding errors."""


def accumulate_window(bands: BandWindows, first: tuple[int, int], clear: ClearPixels, sums: Accumulators) -> None:
    """Add the observations of a scene on the block's pixel grid.

    Parameters
    ----------
    bands : BandWindows
        Windows of the scene.
    first : (int, int)
        (row, column) of the block's first pixel, in absolute source pixels.
    clear : ClearPixels
        Clear pixels of the block.
    sums : Accumulators
        Sums of the block; changed in place.
    """
    offset = first[0] - bands.at[0], first[1] - bands.at[1]
    window, listed, added = kernel_arrays(bands, clear, sums)
    _accumulate_window(window, offset, listed, _nodata_of(bands), kernel_rules(bands, sums), added)


def _nodata_of(bands: BandWindows) -> tuple[float, float]:
    return float(bands.numbers[0, 0]), float(bands.numbers[1, 0])


@njit(nogil=True, cache=True)
def _accumulate_window(window, offset, clear, nodata, rules, sums):  # type: ignore[no-untyped-def]  # for any type
    (red, nir), (starts, columns), (total, count, taken, beyond) = window, clear, sums
    room = line_buffers(total.shape[1])
    for y in range(max(-offset[0], 0), min(total.shape[0], red.shape[0] - offset[0])):
        listed = columns[starts[y] : starts[y + 1]]
        _read_line(red[y + offset[0]], nir[y + offset[0]], offset[1], listed, nodata, room)
        add_line_sums(room, listed, rules, total[y], count[y], taken[y], beyond)


@njit(nogil=True, cache=True)
def _read_line(red, nir, along, listed, nodata, room):  # type: ignore[no-untyped-def]  # for any value type
    """Write the values of the listed pixels to buffers, NaN for missing values."""
    (red_nodata, nir_nodata), (r, n, _, _), wide = nodata, room, np.uint64(red.size)
    for k in range(listed.size):
        # Viewed as unsigned integers, negative positions (before the window) exceed any size.
        column = np.uint64(np.int64(listed[k]) + along)
        is_inside = column < wide
        column = column if is_inside else np.uint64(0)
        value, other = float(red[column]), float(nir[column])
        r[k] = value if is_inside & (value != red_nodata) & (other != nir_nodata) else np.nan
        n[k] = other


def accumulate_nearest(bands: BandWindows, index: NearestIndex, clear: ClearPixels, sums: Accumulators) -> None:
    """Add the observations of a scene by nearest-neighbour resampling.

    Parameters
    ----------
    bands : BandWindows
        Windows of the scene.
    index : NearestIndex
        Nearest source pixels of the block, from `nearest_index`.
    clear : ClearPixels
        Clear pixels of the block.
    sums : Accumulators
        Sums of the block; changed in place.
    """
    assert index.places.shape[1:] == sums.shape
    shift = index.origin[0] - bands.at[0], index.origin[1] - bands.at[1]
    window, listed, added = kernel_arrays(bands, clear, sums)
    rules = kernel_rules(bands, sums)
    _accumulate_nearest(window, shift, read_only(index.places), listed, _nodata_of(bands), rules, added)


@njit(nogil=True, cache=True)
def _accumulate_nearest(window, shift, places, clear, nodata, rules, sums):  # type: ignore[no-untyped-def]
    (red, nir), (starts, columns), (total, count, taken, beyond) = window, clear, sums
    (red_nodata, nir_nodata), nowhere = nodata, np.iinfo(places.dtype).max
    room = line_buffers(total.shape[1])
    rows, wide, (r, n, _, _) = np.uint64(red.shape[0]), np.uint64(red.shape[1]), room
    for y in range(total.shape[0]):
        listed = columns[starts[y] : starts[y + 1]]
        for k in range(listed.size):
            x = np.uint64(listed[k])
            row = np.uint64(np.int64(places[0, y, x]) + shift[0])
            column = np.uint64(np.int64(places[1, y, x]) + shift[1])
            r[k] = np.nan
            if row < rows and column < wide and places[0, y, x] != nowhere:
                value, other = float(red[row, column]), float(nir[row, column])
                r[k] = value if (value != red_nodata) & (other != nir_nodata) else np.nan
                n[k] = other
        add_line_sums(room, listed, rules, total[y], count[y], taken[y], beyond)


def accumulate_bilinear(bands: BandWindows, lattice: Lattice, clear: ClearPixels, sums: Accumulators) -> None:
    """Add the observations of a scene by bilinear interpolation between four source pixels.

    Unusable pixels and pixels outside the window have weight 0, and the other weights are normalised, as in GDAL's
    bilinear warp. Output pixels that are larger than source pixels also depend on only four source pixels.

    Parameters
    ----------
    bands : BandWindows
        Windows of the scene, with usable pixels.
    lattice : Lattice
        Source positions of the block's pixels.
    clear : ClearPixels
        Pixels of the block that may become observations.
    sums : Accumulators
        Sums of the block; changed in place. An output pixel is left out if the total weight of usable source pixels is
        below `min_area`.
    """
    assert lattice.shape == sums.shape
    assert bands.usable is not None
    window, listed, added = kernel_arrays(bands, clear, sums)
    least = max(sums.min_area, LEAST_SHARE)
    look = *window, read_only(bands.usable)
    _accumulate_bilinear(look, bands.at, lattice_arrays(lattice), listed, least, kernel_rules(bands, sums), added)


@njit(nogil=True, cache=True)
def _accumulate_bilinear(look, at, lattice, clear, least, rules, sums):  # type: ignore[no-untyped-def]  # for any type
    (starts, columns), (total, count, taken, beyond) = clear, sums
    room, centres = line_buffers(total.shape[1]), np.empty((2, total.shape[1]))
    r, n, _, _ = room
    for y in range(total.shape[0]):
        listed = columns[starts[y] : starts[y + 1]]
        if listed.size == 0:
            continue
        place_line(lattice, y, 0.5, 0.5, centres)
        for k in range(listed.size):
            x = listed[k]
            r[k] = np.nan
            if not np.isnan(centres[0, x]):
                r[k], n[k] = _interpolate(look, at, centres[0, x], centres[1, x], least)
        add_line_sums(room, listed, rules, total[y], count[y], taken[y], beyond)


@njit(nogil=True, cache=True)
def _interpolate(look, at, row, column, least):  # type: ignore[no-untyped-def]  # for any value type
    """Return interpolated red and nir at a position in absolute source pixels, NaN for too small a usable weight."""
    red, nir, usable = look
    top, left = np.floor(row - 0.5), np.floor(column - 0.5)
    down, along = row - 0.5 - top, column - 0.5 - left
    first_row, first_column = int(top) - at[0], int(left) - at[1]
    red_sum = nir_sum = weight = 0.0
    for a in range(2):
        for b in range(2):
            r, c = first_row + a, first_column + b
            if 0 <= r < red.shape[0] and 0 <= c < red.shape[1] and usable[r, c]:
                share = (down if a else 1.0 - down) * (along if b else 1.0 - along)
                red_sum += share * float(red[r, c])
                nir_sum += share * float(nir[r, c])
                weight += share
    return (red_sum / weight, nir_sum / weight) if weight >= least else (np.nan, np.nan)
