"""Plain reading: reading and decoding the pixels of the native run once, without computing anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from compute.plan import BlockPlan, NdviPlan
from compute.scenes import Band, Grid, Source
from tests.benchmarks.contenders import wait_for_futures
from tests.benchmarks.places import BenchmarkInput, Place

Span = tuple[int, int, int, int]
"""First column, first row, width and height of a window, in pixels of its file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockRead:
    """Pixels of one scene that a block needs.

    Attributes
    ----------
    mask : str
        Path or URL of the mask.
    bands : tuple of str
        Paths or URLs of red and nir.
    span : Span
        Window of the block in these files.
    clear : numpy.ndarray
        (256,) bool by mask code; the bands are read only if any pixel is clear.
    """

    mask: str
    bands: tuple[str, ...]
    span: Span
    clear: NDArray[np.bool_]


class PlainReading:
    """Contender that only reads the pixels of each block with rasterio, one task for each block of the native run."""

    name = "floor"

    def prepare(self, bench: BenchmarkInput, place: Place) -> list[list[BlockRead]]:  # a `Contender`'s signature
        """Return the reads of every block."""
        return [list(_list_reads(place.native, block)) for block in place.native.blocks]

    async def run(self, lazy: list[list[BlockRead]], client: Any) -> list[Any]:
        """Read all blocks."""
        futures = client.map(read_block, lazy, pure=False)
        await wait_for_futures(futures)
        return list(futures)

    def select_means(self, result: list[Any]) -> None:
        """Return None: nothing is computed."""


def read_block(reads: list[BlockRead]) -> int:
    """Read the pixels of one block, and return their number; a task."""
    total = 0
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        for each in reads:
            mask = _read_window(each.mask, each.span)
            total += mask.size
            if each.clear[mask].any():
                total += sum(_read_window(band, each.span).size for band in each.bands)
    return total


def _read_window(uri: str, span: Span) -> NDArray[Any]:
    with rasterio.open(uri) as file:
        values: NDArray[Any] = file.read(1, window=Window(*span))
    return values


def _list_reads(plan: NdviPlan, block: BlockPlan) -> Iterator[BlockRead]:
    grid = plan.block_grid(block)
    for source in (plan.sources[index] for group in block.groups for index in group):
        read = _plan_read(source, grid, plan)
        if read is not None:
            yield read


def _plan_read(source: Source, grid: Grid, plan: NdviPlan) -> BlockRead | None:
    roles = plan.roles[source.product]
    assert roles.mask is not None, "the scenes of the benchmark have a mask"
    mask = source.bands[roles.mask.measurement]
    bands = tuple(source.bands[role.measurement].uri for role in (roles.red, roles.nir))
    span = _find_span(grid, mask)
    return None if span is None else BlockRead(mask=mask.uri, bands=bands, span=span, clear=roles.mask.clear_table())


def _find_span(grid: Grid, band: Band) -> Span | None:
    """Return the window of a band's file under a grid of the same alignment, or None if they do not overlap."""
    dx, _, left, _, dy, top = band.grid.transform
    column, row = round((grid.transform[2] - left) / dx), round((grid.transform[5] - top) / dy)
    first = max(column, 0), max(row, 0)
    last = min(column + grid.shape[1], band.grid.shape[1]), min(row + grid.shape[0], band.grid.shape[0])
    width, height = last[0] - first[0], last[1] - first[1]
    return (*first, width, height) if width > 0 and height > 0 else None
