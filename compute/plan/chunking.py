"""Spatial chunks of a plan, with the scenes and the part of the region in each chunk."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import ceil

import shapely
from shapely.geometry.base import BaseGeometry

from compute.plan.grid_outlines import project_onto, window
from compute.plan.output_grid import fit_chunks, level_count
from compute.plan.scene_extents import Extents
from compute.request import NdviRequest
from compute.scenes import Grid

LEAST_CHUNKS = 2
"""Number of chunks that the longer edge should have at least, so that a result appears gradually and all workers are
used; the target size of chunks is reduced accordingly. With more chunks, the 512 px tiles of files would be read and
decompressed several times."""

LEAST_CHUNK_PX = 256
"""Unit of a target size of chunks that is reduced for `LEAST_CHUNKS`, in pixels: the edge of a map tile, and half the
edge of a tile in files."""

Chunks = tuple[tuple[int, ...], tuple[int, ...]]
"""Sizes of the chunks along y and x, in pixels."""


def spatial_chunks(grid: Grid, target: int) -> Chunks:
    """Divide a grid into chunks.

    Parameters
    ----------
    grid : Grid
        Pixel grid of the result.
    target : int
        Approximate edge of a chunk, in pixels.

    Returns
    -------
    Chunks
        Sizes of the chunks. All but the last are multiples of the coarsest level's factor, so that chunk borders are
        also pixel borders of every level.
    """
    factor = 2 ** level_count(grid.shape)
    target = min(target, LEAST_CHUNK_PX * ceil(max(grid.shape) / LEAST_CHUNKS / LEAST_CHUNK_PX))
    rows, columns = (fit_chunks(length, target, factor) for length in grid.shape)
    return rows, columns


def _windows(sizes: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(accumulate(sizes, initial=0)))


def _chunk_boxes(grid: Grid, chunks: Chunks, margin: float) -> list[BaseGeometry]:
    """Return the outlines of the chunks in row-major order."""
    rows, columns = (_windows(sizes) for sizes in chunks)
    return [window(grid, row, column, margin=margin) for row in rows for column in columns]


def scenes_by_chunk(extents: Extents, grid: Grid, chunks: Chunks) -> list[frozenset[int]]:
    """Return the positions of the scenes that may cover a pixel of each chunk, for the chunks in row-major order.

    Parameters
    ----------
    extents : Extents
        Outlines of the scenes.
    grid : Grid
        Pixel grid of the result.
    chunks : Chunks
        Sizes of the chunks along y and x.
    """
    boxes = _chunk_boxes(grid, chunks, margin=extents.margin)
    found: list[set[int]] = [set() for _ in boxes]
    pairs = shapely.STRtree(extents.outlines).query(boxes, predicate="intersects")
    for chunk, scene in pairs.T.tolist():
        found[chunk].add(scene)
    return [frozenset(scenes) for scenes in found]


def polygons_by_chunk(request: NdviRequest, grid: Grid, chunks: Chunks) -> list[BaseGeometry | None]:
    """Return the part of the region's polygon in each chunk, for the chunks in row-major order.

    None means that the whole chunk is inside the region.

    Parameters
    ----------
    request : NdviRequest
        Request with its region.
    grid : Grid
        Pixel grid of the result.
    chunks : Chunks
        Sizes of the chunks along y and x.
    """
    boxes = _chunk_boxes(grid, chunks, margin=1.0)
    if request.region.polygon is None:
        return [None] * len(boxes)
    polygon = project_onto(request.region.geometry, grid)
    shapely.prepare(polygon)
    return [None if polygon.covers(each) else shapely.intersection(polygon, each) for each in boxes]
