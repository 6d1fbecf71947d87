"""The floor: reading and decoding what the native run needs, once, and doing nothing with it."""

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
from tests.benchmarks.contenders import finished
from tests.benchmarks.places import Bench, Place

Span = tuple[int, int, int, int]
"""First column, first row, width and height of a window, in pixels of its file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FloorRead:
    """What a block needs of a scene.

    Attributes
    ----------
    mask : str
        Address of the mask.
    bands : tuple of str
        Addresses of red and nir.
    span : Span
        The block's part of each of them.
    clear : numpy.ndarray
        (256,) bool by mask code; without any clear pixel the bands are not needed.
    """

    mask: str
    bands: tuple[str, ...]
    span: Span
    clear: NDArray[np.bool_]


class Floor:
    """As many tasks as the native run has blocks, each reading what its block needs through rasterio."""

    name = "floor"

    def prepare(self, bench: Bench, place: Place) -> list[list[FloorRead]]:  # a `Contender`'s signature
        """Return the reads of every block."""
        return [list(_reads(place.native, block)) for block in place.native.blocks]

    async def run(self, lazy: list[list[FloorRead]], client: Any) -> list[Any]:
        """Read."""
        futures = client.map(read_block, lazy, pure=False)
        await finished(futures)
        return list(futures)

    def means(self, result: list[Any]) -> None:
        """Return nothing: no mean was taken."""


def read_block(reads: list[FloorRead]) -> int:
    """Read what one block needs and return how many pixels that were; the task of `Floor`."""
    total = 0
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        for each in reads:
            mask = _read(each.mask, each.span)
            total += mask.size
            if each.clear[mask].any():
                total += sum(_read(band, each.span).size for band in each.bands)
    return total


def _read(uri: str, span: Span) -> NDArray[Any]:
    with rasterio.open(uri) as file:
        values: NDArray[Any] = file.read(1, window=Window(*span))
    return values


def _reads(plan: NdviPlan, block: BlockPlan) -> Iterator[FloorRead]:
    grid = plan.block_grid(block)
    for source in (plan.sources[index] for group in block.groups for index in group):
        read = _read_of(source, grid, plan)
        if read is not None:
            yield read


def _read_of(source: Source, grid: Grid, plan: NdviPlan) -> FloorRead | None:
    roles = plan.roles[source.product]
    assert roles.mask is not None, "the scenes of the benchmark have a mask"
    mask = source.bands[roles.mask.measurement]
    bands = tuple(source.bands[role.measurement].uri for role in (roles.red, roles.nir))
    span = _span(grid, mask)
    return None if span is None else FloorRead(mask=mask.uri, bands=bands, span=span, clear=roles.mask.table())


def _span(grid: Grid, band: Band) -> Span | None:
    """Return the part of a band's file under a grid of the same alignment, None where they do not meet."""
    dx, _, left, _, dy, top = band.grid.transform
    column, row = round((grid.transform[2] - left) / dx), round((grid.transform[5] - top) / dy)
    first = max(column, 0), max(row, 0)
    last = min(column + grid.shape[1], band.grid.shape[1]), min(row + grid.shape[0], band.grid.shape[0])
    width, height = last[0] - first[0], last[1] - first[1]
    return (*first, width, height) if width > 0 and height > 0 else None
