"""Resample scenes to the pixels of a block: find clear pixels, and sum observations.

A scene on the block's pixel grid is added without resampling. Other scenes are warped with a lattice of control points
from PROJ, by nearest neighbour, bilinear interpolation or area-weighted means.
"""

from compute.kernels.resample.area_average import accumulate_average
from compute.kernels.resample.area_weights import AverageTable, average_weights
from compute.kernels.resample.clear_pixels import (
    ClearPixels,
    clear_bounds,
    clear_codes,
    find_clear_by_index,
    find_clear_in_window,
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
    "find_clear_by_index",
    "find_clear_in_window",
    "nearest_index",
    "take_nearest",
    "untaken_pixels",
    "usable_pixels",
]
