"""Estimates of the memory of a running task and of the bytes of a result pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyproj import CRS

from compute.plan.weighting import has_strata
from compute.products import Roles
from compute.request import NATIVE, NdviRequest
from compute.scenes import Grid

MEAN_BYTES = 4
"""Bytes of a result pixel's mean (float32)."""


COUNT_BYTES = 2
"""Bytes of a result pixel's clear count (uint16)."""


TASK_BYTES_PER_PX = 26
"""Memory of a running task per block pixel, in bytes: sum 8, count 2, mask 1, red 2, nir 2, windows of one scene before
and after warping 4.5, mean 4, and the overhead of the allocator."""


WARP_BYTES_PER_PX = 31
"""Additional memory per block pixel if scenes are warped, in bytes: weights and positions of nine source pixels 22,
nearest pixel 4, and the pixels of each scene that are clear, usable and not taken from an earlier scene 5."""


NODE_BYTES_PER_PX = 64
"""Additional memory per block pixel, in bytes, if output pixels are so large that each is one cell of the lattice of
positions that the warp interpolates."""


COARSE_M, COARSE_DEG = 500.0, 0.005
"""Smallest size of output pixels for which `NODE_BYTES_PER_PX` is added, in metres and in degrees."""


FILTER_BYTES_PER_PX = 14
"""Additional memory per block pixel if masks are filtered, in bytes: two masks and their buffers at the same time."""


CONDITION_BYTES_PER_PX = 5
"""Additional memory per block pixel for each further condition, in bytes: its window, its clear pixels, and a second
array of clear pixels."""


STRATA_BYTES_PER_PX = 20
"""Additional memory per block pixel if strata are weighted equally, in bytes: sum and count of a stratum 10, sum and
number of the means of strata 10."""


LOOK_BYTES_PER_PX = 10
"""Additional memory per block pixel if dates are accumulated one by one, in bytes: for the number of months, the
standard deviation or the exclusion reasons."""


MONTHS_BYTES = 1
"""Bytes of a result pixel's number of months (uint8). A running task needs 2 more, for a bit set of months."""


STD_BYTES = 4
"""Bytes of a result pixel's standard deviation (float32). A running task needs 16 more, for sums of squares."""


REASON_BYTES = 2
"""Bytes of a result pixel's count for one exclusion reason (uint16). A running task needs 4 more for all reasons
together: the reasons of the mask before and after resampling, and those of the first scene of a group."""


WORKER_BYTES = 400 * 2**20
"""Memory of an idle worker process in bytes: interpreter and libraries, with the engine loaded and compiled.
`tests/compute/plan/test_worker_memory.py` measures it, and the memory of tasks."""


TASK_BYTES = 64 * 2**20
"""Memory of a running task independent of its block, in bytes: GDAL's cache and open files."""


def pixel_bytes(request: NdviRequest, reasons: Sequence[str]) -> int:
    """Return the bytes of a result pixel in all layers of a request.

    Parameters
    ----------
    request : NdviRequest
        Request with its layers.
    reasons : sequence of str
        Exclusion reasons that are counted.
    """
    asked = MONTHS_BYTES * request.months + STD_BYTES * request.std + REASON_BYTES * len(reasons)
    return MEAN_BYTES + COUNT_BYTES + asked


def task_bytes(
    request: NdviRequest,
    grid: Grid,
    chunks: tuple[tuple[int, ...], tuple[int, ...]],
    roles: Mapping[str, Roles],
    reasons: Sequence[str],
) -> int:
    """Return the memory of a task that computes a block of the largest chunk, in bytes.

    Parameters
    ----------
    request : NdviRequest
        The request.
    grid : Grid
        Pixel grid of the result.
    chunks : tuple of tuple of int
        Sizes of the spatial chunks along y and x.
    roles : mapping of str to Roles
        Roles of measurements by product.
    reasons : sequence of str
        Exclusion reasons that are counted.
    """
    rows, columns = map(max, chunks)
    halo = 2 * max((role.mask.halo for role in roles.values() if role.mask), default=0)
    filtering = FILTER_BYTES_PER_PX * (rows + halo) * (columns + halo) if halo else 0
    return TASK_BYTES + _bytes_per_px(request, grid, roles, reasons) * rows * columns + filtering


def _bytes_per_px(request: NdviRequest, grid: Grid, roles: Mapping[str, Roles], reasons: Sequence[str]) -> int:
    looks = LOOK_BYTES_PER_PX * (request.months or request.std or request.reasons)
    warp = (WARP_BYTES_PER_PX + _node_bytes_per_px(grid)) * (request.reader == "exact" and request.crs != NATIVE)
    layers = (MONTHS_BYTES + 2) * request.months + (STD_BYTES + 16) * request.std
    layers += REASON_BYTES * len(reasons) + 4 * request.reasons
    strata = STRATA_BYTES_PER_PX * has_strata(request)
    conditions = CONDITION_BYTES_PER_PX * max((len(role.conditions) for role in roles.values()), default=0)
    return TASK_BYTES_PER_PX + strata + conditions + warp + looks + layers


def _node_bytes_per_px(grid: Grid) -> int:
    coarse = COARSE_DEG if CRS(grid.crs).is_geographic else COARSE_M
    return NODE_BYTES_PER_PX if max(grid.resolution) >= coarse else 0
