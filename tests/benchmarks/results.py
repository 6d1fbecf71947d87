"""Synthetic results without scenes: a smooth field with noise and gaps, created on the workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from math import prod

import numpy as np
from dask.task_spec import Task
from distributed.system import MEMORY_LIMIT
from numpy.typing import NDArray

from compute.engine import Block, Sums, finish_block
from compute.errors import InputError
from compute.jobs.run.worker_memory import LEVELS_BYTES_PER_PX, SPILL_SHARE
from compute.plan import NdviPlan, level_count
from compute.plan.chunking import spatial_chunks
from compute.plan.memory_estimate import COUNT_BYTES, MEAN_BYTES
from compute.plan.work_plan import SeasonPlan
from compute.request import NdviRequest
from compute.request.region import region_from_bbox
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import block_key
from compute.scenes import Grid
from compute.settings import GIB
from compute.tiles.tile_geometry import result_geometry

LABELS = ("DJF", "MAM", "JJA", "SON")
"""Four seasons, as in the original notebook."""

GAPS = 0.03
"""Share of pixels that are never clear."""

_CORNER_M, _PIXEL_M = (1_100_000.0, -4_350_000.0), 30.0
"""North-western corner of every result in EPSG:3577, in Tasmania, and its pixel size in metres, that of Landsat."""

_WAVES_PX = (900.0, 2300.0, 5100.0)
"""Wavelengths of the field in pixels, shorter and longer than a chunk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticResult:
    """Specification of a synthetic result.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns, from 256 to 20,000 each.
    chunk_px : int
        Target edge of a spatial chunk in pixels, as `Settings.chunk_px`.
    """

    shape: tuple[int, int]
    chunk_px: int = 2048

    def __post_init__(self) -> None:
        if not all(256 <= length <= 20_000 for length in self.shape):
            raise InputError("size", f"The size must be from 256 to 20000 pixels, not {max(self.shape)}.")

    @property
    def grid(self) -> Grid:
        """Pixel grid of the result."""
        x, y = _CORNER_M
        return Grid(crs="EPSG:3577", shape=self.shape, transform=(_PIXEL_M, 0.0, x, 0.0, -_PIXEL_M, y))

    @property
    def held_bytes(self) -> float:
        """Memory of the workers for all seasons and levels, 7.7 bytes per pixel."""
        return len(LABELS) * prod(self.shape) * (MEAN_BYTES + COUNT_BYTES + LEVELS_BYTES_PER_PX)

    def refuse_if_over_memory(self) -> None:
        """Refuse a result that workers of this machine would spill to their disks.

        Raises
        ------
        InputError
            The result exceeds the memory of the workers.
        """
        room = SPILL_SHARE * MEMORY_LIMIT
        if self.held_bytes > room:
            rows, columns = self.shape
            raise InputError(
                "size",
                f"A result of {len(LABELS)} x {rows} x {columns} pixels takes {self.held_bytes / GIB:.1f} GiB, and "
                f"workers here keep {room / GIB:.1f} GiB in memory; choose a smaller one, or a larger machine.",
            )

    def make_plan(self) -> NdviPlan:
        """Return a plan without scenes that has the shape of the result."""
        region = region_from_bbox(*result_geometry(self.grid).bbox())
        request = NdviRequest(products=("synthetic",), region=region, start=date(2020, 12, 1), end=date(2021, 11, 30))
        return NdviPlan(
            request=request,
            grid=self.grid,
            chunks=spatial_chunks(self.grid, self.chunk_px),
            seasons=tuple(SeasonPlan(label=label, dates=0, scenes=0, missing=()) for label in LABELS),
            blocks=(),
            sources=(),
            roles={},
            bytes_to_read=0,
            max_groups_per_task=1,
        )

    def make_stack(self, token: str) -> SeasonStack:
        """Return the lazy result, with one task for each block and its levels."""
        chunks, levels = spatial_chunks(self.grid, self.chunk_px), level_count(self.shape)
        graph = {}
        for season, row, column in np.ndindex(len(LABELS), len(chunks[0]), len(chunks[1])):
            key = block_key(token, season, row, column)
            origin = sum(chunks[0][:row]), sum(chunks[1][:column])
            graph[key] = Task(key, make_block, (chunks[0][row], chunks[1][column]), origin, season, levels)
        return SeasonStack(token=token, labels=LABELS, grid=self.grid, chunks=chunks, graph=graph)


def make_block(shape: tuple[int, int], origin: tuple[int, int], season: int, levels: int) -> Block:
    """Return a block whose field continues that of its neighbours; a task.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the block.
    origin : (int, int)
        Row and column of its first pixel in the result.
    season : int
        Position of the season.
    levels : int
        Number of overview levels.
    """
    random = np.random.default_rng([season, *origin])
    count = random.integers(1, 24, shape, np.uint16)
    count[random.random(shape, np.float32) < GAPS] = 0
    mean = _field(shape, origin, season) + np.float32(0.05) * random.standard_normal(shape, np.float32)
    total = np.rint(mean * count.astype(np.float64) * 2.0**32).astype(np.int64)
    return finish_block(replace(Sums.zeros(shape), total=total, count=count), 1, levels)


def _field(shape: tuple[int, int], origin: tuple[int, int], season: int) -> NDArray[np.float32]:
    """Return a smooth field of NDVI around 0.5, (y, x) float32."""
    rows, columns = (np.arange(first, first + length) for first, length in zip(origin, shape, strict=True))
    field = np.full(shape, 0.5, np.float32)
    for px in _WAVES_PX:
        field += 0.1 * np.outer(np.sin(rows / px + season), np.cos(columns / px)).astype(np.float32)
    return field
