"""Spatial chunks of a plan: which scenes and which part of the region each one meets."""

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
"""A result is cut in at least so many along its longer edge, so that it shows while it grows and all workers work. Not
in more: what scenes are stored in, 512 px a side, is read and unpacked again by every chunk that has a part of it."""

LEAST_CHUNK_PX = 256
"""But into multiples of this, the size of a tile: half of what scenes are stored in, and often their borders."""

Chunks = tuple[tuple[int, ...], tuple[int, ...]]
"""Sizes of the chunks along y and x, in pixels."""


def spatial_chunks(grid: Grid, target: int) -> Chunks:
    """Cut a grid into chunks near `target` pixels along each edge; levels of the result meet their borders."""
    factor = 2 ** level_count(grid.shape)
    target = min(target, LEAST_CHUNK_PX * ceil(max(grid.shape) / LEAST_CHUNKS / LEAST_CHUNK_PX))
    rows, columns = (fit_chunks(length, target, factor) for length in grid.shape)
    return rows, columns


def _windows(sizes: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(accumulate(sizes, initial=0)))


def _chunk_boxes(grid: Grid, chunks: Chunks, margin: float) -> list[BaseGeometry]:
    """Return the outlines of the chunks, row by row."""
    rows, columns = (_windows(sizes) for sizes in chunks)
    return [window(grid, row, column, margin=margin) for row in rows for column in columns]


def scenes_by_chunk(extents: Extents, grid: Grid, chunks: Chunks) -> list[frozenset[int]]:
    """Return, for each chunk row by row, the indices of the scenes that may hold a pixel of it."""
    boxes = _chunk_boxes(grid, chunks, margin=extents.margin)
    found: list[set[int]] = [set() for _ in boxes]
    pairs = shapely.STRtree(extents.outlines).query(boxes, predicate="intersects")
    for chunk, scene in pairs.T.tolist():
        found[chunk].add(scene)
    return [frozenset(scenes) for scenes in found]


def polygons_by_chunk(request: NdviRequest, grid: Grid, chunks: Chunks) -> list[BaseGeometry | None]:
    """Return, for each chunk row by row, the part of the polygon in it, or None where it covers the chunk."""
    boxes = _chunk_boxes(grid, chunks, margin=1.0)
    if request.region.polygon is None:
        return [None] * len(boxes)
    polygon = project_onto(request.region.geometry, grid)
    shapely.prepare(polygon)
    return [None if polygon.covers(each) else shapely.intersection(polygon, each) for each in boxes]
