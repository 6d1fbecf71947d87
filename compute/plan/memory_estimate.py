"""Memory of a running task, and bytes of a result pixel."""

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
"""Memory of a running task per block pixel: sum 8, count 2, mask 1, red 2, nir 2, one scene's window as read and
as warped 4 and a half, mean 4, and the allocator's rest."""


WARP_BYTES_PER_PX = 31
"""Memory of a running task more per block pixel where scenes are warped: the weights of nine source pixels and where
they begin 22, the nearest pixel 4, and of each scene the clear and the usable pixels, and the list of free ones 5."""


NODE_BYTES_PER_PX = 64
"""Memory of a running task more per block pixel where output pixels are so large that each is a cell of the lattice by
which scenes are placed."""


COARSE_M, COARSE_DEG = 500.0, 0.005
"""Output pixels of this size and more need `NODE_BYTES_PER_PX`."""


FILTER_BYTES_PER_PX = 14
"""Memory of a running task more per block pixel where masks are filtered: two masks at once, with what each takes."""


CONDITION_BYTES_PER_PX = 5
"""Memory of a running task more per block pixel for each further condition: its window, what of it is clear, and the
list of clear pixels once more."""


STRATA_BYTES_PER_PX = 20
"""Memory of a running task more per block pixel where strata weigh alike: a stratum's sum and count 10, the sum and
number of their means 10."""


LOOK_BYTES_PER_PX = 10
"""Memory of a running task more per block pixel where looks are seen one by one, for months or squares."""


MONTHS_BYTES = 1
"""Bytes of a result pixel's number of months (uint8); a running task needs 2 more, a bit for each month."""


STD_BYTES = 4
"""Bytes of a result pixel's standard deviation (float32); a running task needs 16 more, for squares."""


REASON_BYTES = 2
"""Bytes of a result pixel's number of looks by one reason (uint16); a running task needs 4 more for all of them: what
masks say, as read and as taken, and what the first scene of a look has said."""


WORKER_BYTES = 400 * 2**20
"""Memory of a worker process that runs no task: interpreter and libraries, once the engine is loaded and compiled.
`tests/compute/plan/test_worker_memory.py` measures it, and what tasks take on top."""


TASK_BYTES = 64 * 2**20
"""Memory of a running task whatever its block: GDAL's cache and open files."""


def pixel_bytes(request: NdviRequest, reasons: Sequence[str]) -> int:
    """Return the bytes of a result pixel in all of its layers."""
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
        What is computed.
    grid : Grid
        Of the result.
    chunks : tuple of tuple of int
        Sizes of the spatial chunks along y and x.
    roles : mapping of str to Roles
        By product.
    reasons : sequence of str
        Why looks are no observations, as far as it is counted.
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
