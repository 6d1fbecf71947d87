"""Resampling of scene pixels to block pixels: clear masks, and sums of observations.

A scene on the block's own pixel grid is read through a window. Any other is warped along a lattice of points that PROJ
has placed, by the nearest pixel, between four pixels, or by the exact area of every pixel.
"""

from compute.kernels.resample.area_average import accumulate_average
from compute.kernels.resample.area_weights import AverageTable, average_weights
from compute.kernels.resample.clear_pixels import (
    ClearPixels,
    clear_bounds,
    clear_codes,
    clear_of_index,
    clear_of_window,
    untaken_pixels,
)
from compute.kernels.resample.lattice import LATTICE_PX, SLIVER_PX, Lattice
from compute.kernels.resample.line_sums import Accumulators, BandWindows
from compute.kernels.resample.nearest_pixels import NearestIndex, nearest_index, take_nearest
from compute.kernels.resample.pixel_usability import usable_pixels
from compute.kernels.resample.point_sampling import accumulate_bilinear, accumulate_nearest, accumulate_window

__all__ = [
    "LATTICE_PX",
    "SLIVER_PX",
    "Accumulators",
    "AverageTable",
    "BandWindows",
    "ClearPixels",
    "Lattice",
    "NearestIndex",
    "accumulate_average",
    "accumulate_bilinear",
    "accumulate_nearest",
    "accumulate_window",
    "average_weights",
    "clear_bounds",
    "clear_codes",
    "clear_of_index",
    "clear_of_window",
    "nearest_index",
    "take_nearest",
    "untaken_pixels",
    "usable_pixels",
]
