"""The arithmetic of every pixel: plain arrays in, plain arrays out, compiled by numba without the GIL.

Sums are integers in units of 2**-32, so that neither the order of scenes nor the way that work is split between
tasks and workers can change a bit of a result.
"""

from compute.kernels.overviews import (
    LARGEST,
    NEVER_CLEAR,
    NOT_COMPUTED,
    OUTSIDE,
    TOO_FEW,
    add_up,
    encode,
    halve,
    level_values,
)
from compute.kernels.picture_warp import gather
from compute.kernels.sums import EVERY_INDEX, NDVI_LIMIT, IndexRange, accumulate, mean

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
    "add_up",
    "encode",
    "gather",
    "halve",
    "level_values",
    "mean",
]
