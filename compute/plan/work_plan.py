"""Plan record: scenes, grid, blocks, sizes and memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import accumulate
from typing import Any

from compute.files.access import GEOTIFF_ALONE, Access
from compute.plan.memory_estimate import WORKER_BYTES, pixel_bytes, task_bytes
from compute.plan.weighting import has_strata, stratum_of
from compute.products import Roles, describe_roles
from compute.request import NdviRequest
from compute.scenes import Grid, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class SeasonPlan:
    """Plan of one season of the result.

    Attributes
    ----------
    label : str
        Label such as ``"DJF"`` or ``"2020-DJF"``.
    dates : int
        Number of (product, platform, solar day) groups.
    scenes : int
        Number of scenes.
    missing : tuple of str
        Months (YYYY-MM) of the season-years that the dates of the request do not cover completely.
    months : int
        Total number of months of the season-years.
    """

    label: str
    dates: int
    scenes: int
    missing: tuple[str, ...]
    months: int = 0

    @property
    def coverage(self) -> str:
        """Coverage of the season by the dates of the request, such as ``covers 1 of 3 months``."""
        return f"covers {self.months - len(self.missing)} of {self.months} months"


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockPlan:
    """Plan of one season of one spatial chunk.

    Attributes
    ----------
    season, row, column : int
        Position of the block among the labels and the chunks.
    groups : tuple of tuple of int
        Positions in `NdviPlan.sources` of the scenes of each (product, platform, solar day) group that meets the chunk.
        If several scenes of a group show a pixel, the first is used.
    polygon : bytes or None
        Part of the region in the chunk, as WKB in the CRS of the grid; None if the whole chunk is inside the region.
    """

    season: int
    row: int
    column: int
    groups: tuple[tuple[int, ...], ...]
    polygon: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class NdviPlan:
    """Plan of a request: grid, blocks, scenes and sizes.

    Attributes
    ----------
    request : NdviRequest
        The request.
    grid : Grid
        Output grid.
    chunks : (tuple of int, tuple of int)
        Sizes of the spatial chunks along y and x, in pixels.
    seasons : tuple of SeasonPlan
        Seasons of the result, in the order of its labels.
    blocks : tuple of BlockPlan
        Blocks of all seasons, in the order (season, row, column).
    sources : tuple of Source
        Scenes to read, in the order of time.
    roles : mapping of str to Roles
        Roles of measurements by product.
    bytes_to_read : int
        Decoded bytes of masks, red, nir and conditions in the bounding box of the region. The exact reader reads less
        where masks are not clear, and somewhat more along the borders of blocks and of the tiles in files.
    max_groups_per_task : int
        Largest number of groups that one task reads.
    notes : tuple of str
        Sentences for users, shown before the computation is started.
    synthetic : bool
        Whether any of the scenes is synthetic.
    months : tuple of int
        Month of the group of each source, as 12 times the year plus the month from 0 to 11.
    times : tuple of datetime.datetime
        Acquisition time of each source, UTC.
    platforms : tuple of str
        Platform of each source, such as ``"landsat-8"``.
    reasons : tuple of str
        Exclusion reasons that are counted; empty if none are.
    access : Access
        Rules by which the files of the scenes may be read.
    """

    request: NdviRequest
    grid: Grid
    chunks: tuple[tuple[int, ...], tuple[int, ...]]
    seasons: tuple[SeasonPlan, ...]
    blocks: tuple[BlockPlan, ...]
    sources: tuple[Source, ...]
    roles: Mapping[str, Roles]
    bytes_to_read: int
    max_groups_per_task: int
    notes: tuple[str, ...] = ()
    synthetic: bool = False
    months: tuple[int, ...] = ()
    times: tuple[datetime, ...] = ()
    platforms: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    access: Access = GEOTIFF_ALONE

    @property
    def labels(self) -> tuple[str, ...]:
        """Season labels in the order of the result."""
        return tuple(season.label for season in self.seasons)

    @property
    def result_bytes(self) -> int:
        """Size of all layers of all seasons, in bytes."""
        rows, columns = self.grid.shape
        return len(self.seasons) * rows * columns * pixel_bytes(self.request, self.reasons)

    @property
    def task_bytes(self) -> int:
        """Memory of one running task, in bytes."""
        return task_bytes(self.request, self.grid, self.chunks, self.roles, self.reasons)

    def worker_bytes(self, threads: int = 1) -> int:
        """Return the memory of a worker with a running task in each thread, in bytes, excluding finished blocks."""
        return WORKER_BYTES + threads * self.task_bytes

    def parts(self, block: BlockPlan) -> list[tuple[tuple[int, ...], ...]]:
        """Divide the groups of a block among tasks.

        A stratum is never divided, so a task may have more than `max_groups_per_task` groups.
        """
        if not has_strata(self.request):
            size = self.max_groups_per_task
            return [block.groups[start : start + size] for start in range(0, len(block.groups), size)]
        strata: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        for group in block.groups:
            strata[self.stratum_of(group)].append(group)
        parts: list[tuple[tuple[int, ...], ...]] = []
        for _, groups in sorted(strata.items()):
            fits = bool(parts) and len(parts[-1]) + len(groups) <= self.max_groups_per_task
            parts[-1:] = [(*parts[-1], *groups)] if fits else [*parts[-1:], tuple(groups)]
        return parts

    def stratum_of(self, group: tuple[int, ...]) -> int:
        """Return the number of the stratum (month or season-year) of a group; numbers ascend with time."""
        return stratum_of(self.request, self.months[group[0]])

    def month_of(self, group: tuple[int, ...]) -> int:
        """Return the calendar month of a group, 1 to 12."""
        return self.months[group[0]] % 12 + 1

    @cached_property
    def task_count(self) -> int:
        """Number of tasks: one for each part of a block, each sum of two parts, and each season's shared scenes."""
        parts = (max(1, len(self.parts(block))) for block in self.blocks)
        shared = len(self.labels) if len(self.blocks) > len(self.labels) else 0
        return sum(2 * n - 1 for n in parts) + shared

    def block_grid(self, block: BlockPlan) -> Grid:
        """Return the pixel grid of a block."""
        return self.part_grid(self.block_origin(block), self.block_shape(block))

    def part_grid(self, first: tuple[int, int], shape: tuple[int, int]) -> Grid:
        """Return the pixel grid of a part of the output grid.

        Parameters
        ----------
        first : (int, int)
            (row, column) of the first pixel in the output grid.
        shape : (int, int)
            (rows, columns) of the part.
        """
        dx, _, left, _, dy, top = self.grid.transform
        transform = (dx, 0.0, left + first[1] * dx, 0.0, dy, top + first[0] * dy)
        return Grid(crs=self.grid.crs, shape=shape, transform=transform)

    def block_shape(self, block: BlockPlan) -> tuple[int, int]:
        """Return (rows, columns) of a block."""
        return self.chunks[0][block.row], self.chunks[1][block.column]

    def block_origin(self, block: BlockPlan) -> tuple[int, int]:
        """Return (row, column) of a block's first pixel in the output grid."""
        return self._starts[0][block.row], self._starts[1][block.column]

    @cached_property
    def _starts(self) -> tuple[list[int], list[int]]:
        rows, columns = (list(accumulate(sizes, initial=0)) for sizes in self.chunks)
        return rows, columns

    def summary(self) -> dict[str, Any]:
        """Return a summary of the plan, with values for JSON."""
        rows, columns = self.grid.shape
        return {
            "products": list(self.request.products),
            "time": [self.request.start.isoformat(), self.request.end.isoformat()],
            "bbox": list(self.request.region.bbox),
            "scenes": len(self.sources),
            "seasons": [
                {
                    "label": s.label,
                    "dates": s.dates,
                    "scenes": s.scenes,
                    "months": s.months,
                    "missing_months": list(s.missing),
                }
                for s in self.seasons
            ],
            "grid": {
                "crs": self.grid.crs,
                "shape": [rows, columns],
                "resolution": list(self.grid.resolution),
                "transform": list(self.grid.transform),
            },
            "chunk_shape": [max(self.chunks[0]), max(self.chunks[1])],
            "blocks": len(self.blocks),
            "tasks": self.task_count,
            "bytes_to_read": self.bytes_to_read,
            "result_bytes": self.result_bytes,
            "task_bytes": self.task_bytes,
            "worker_bytes": self.worker_bytes(),
            "reasons": list(self.reasons),
            "roles": {product: list(map(list, describe_roles(each))) for product, each in sorted(self.roles.items())},
            "notes": list(self.notes),
        }


def month_text(month: date) -> str:
    """Return a month as YYYY-MM."""
    return f"{month:%Y-%m}"
