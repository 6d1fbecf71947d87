"""Numerical kernels on NumPy arrays, compiled by numba and run without the GIL.

Sums are integers in units of 2**-32. Results are therefore identical to the last bit for every order of scenes and
every distribution of work over tasks and workers.
"""

from compute.kernels.overviews import (
    LARGEST,
    NEVER_CLEAR,
    NOT_COMPUTED,
    OUTSIDE,
    TOO_FEW,
    divide_level_sums,
    encode_values,
    sum_level_quads,
    sum_pixel_quads,
)
from compute.kernels.picture_warp import gather_pixels
from compute.kernels.sums import EVERY_INDEX, NDVI_LIMIT, IndexRange, accumulate, divide_sums

__all__ = [
    "EVERY_INDEX",
    "LARGEST",
    "NDVI_LIMIT",
    "NEVER_CLEAR",
    "NOT_COMPUTED",
    "OUTSIDE",
    "TOO_FEW",
    "IndexRange",
    "accumulate",
    "divide_level_sums",
    "divide_sums",
    "encode_values",
    "gather_pixels",
    "sum_level_quads",
    "sum_pixel_quads",
]
