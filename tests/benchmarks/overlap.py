"""Exact overlap of output pixels with source pixels, by polygon clipping in plain NumPy.

It is a slow reference for the engine's area weights, and shares no code with the engine. The clipping is that of
Sutherland and Hodgman (1974), https://doi.org/10.1145/360767.360802.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from compute.scenes import Grid

Floats = NDArray[np.float64]

_AT_ONCE = 16_384
"""Output pixels that are clipped together: 64 corners of two numbers each, a few copies, in about 50 MB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Position and overlap of output pixels among source pixels.

    Attributes
    ----------
    row, column : numpy.ndarray
        (y, x) int64: uppermost row and leftmost column of the source pixels that an output pixel touches.
    weights : numpy.ndarray
        (rows, columns, y, x) float64: area that an output pixel shares with the source pixel at an offset of rows and
        columns, in source pixels.
    centre_row, centre_column : numpy.ndarray
        (y, x) int64: source pixel that contains the centre of an output pixel.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    weights: Floats
    centre_row: NDArray[np.int64]
    centre_column: NDArray[np.int64]


def compute_overlap(output: Grid, source: Grid) -> Overlap:
    """Project every corner and centre of the output pixels with PROJ, and intersect them with the source pixels.

    Parameters
    ----------
    output : Grid
        Output grid, north up.
    source : Grid
        Source grid, north up, extended beyond its edges.

    Returns
    -------
    Overlap
        In pixels of `source`. Edges of output pixels are straight between their corners, as in every warp.
    """
    corners = _project_pixels(source, output, 0.0, 1)
    quads = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2)
    first = np.floor(quads.min(axis=2)).astype(np.int64)
    span = (np.ceil(quads.max(axis=2)).astype(np.int64) - first).max(axis=(0, 1))
    weights = np.empty((*span.tolist(), *output.shape))
    for row, column in np.ndindex(*span.tolist()):
        origin = first[:, :, np.newaxis] + (row, column)
        weights[row, column] = _compute_areas((quads - origin).reshape(-1, 4, 2)).reshape(output.shape)
    centres = _project_pixels(source, output, 0.5, 0)
    inside = np.floor(centres).astype(np.int64)
    return Overlap(
        row=first[..., 0],
        column=first[..., 1],
        weights=weights,
        centre_row=inside[..., 0],
        centre_column=inside[..., 1],
    )


def _project_pixels(source: Grid, output: Grid, offset: float, more: int) -> Floats:
    """Return the source rows and columns of one point for each output pixel, (rows, columns, 2) float64.

    Points are `offset` pixels from the upper left corner of each pixel, including those of `more` pixels beyond the
    last.
    """
    row, column = (np.indices([edge + more for edge in output.shape]) + offset).astype(np.float64)
    dx, _, left, _, dy, top = output.transform
    transformer = Transformer.from_crs(output.crs, source.crs, always_xy=True)
    x, y = transformer.transform(left + dx * column, top + dy * row)
    dx, _, left, _, dy, top = source.transform
    return np.stack([(y - top) / dy, (x - left) / dx], axis=-1)


def _compute_areas(quads: Floats) -> Floats:
    """Return the area that each of (n, 4, 2) quadrilaterals shares with the unit square."""
    return np.concatenate([_compute_area(quads[at : at + _AT_ONCE]) for at in range(0, len(quads), _AT_ONCE)])


def _compute_area(points: Floats) -> Floats:
    for axis in (0, 1):
        points = _clip_polygons(points, axis, 1.0)
        points = -_clip_polygons(-points, axis, 0.0)
    y, x = points[..., 0], points[..., 1]
    following = np.roll(points, -1, axis=1)
    doubled = (x * following[..., 0] - following[..., 1] * y).sum(axis=1)
    area: Floats = np.abs(doubled) / 2
    return area


def _clip_polygons(points: Floats, axis: int, limit: float) -> Floats:
    """Clip polygons of (n, k, 2) corners where a coordinate exceeds a limit; the result has 2 k corners.

    After each corner comes the point where its edge crosses the limit, or the corner again. Corners still beyond the
    limit are moved onto it, where they enclose no area.
    """
    following = np.roll(points, -1, axis=1)
    here, there = points[..., axis] - limit, following[..., axis] - limit
    crosses = here * there < 0
    share = np.where(crosses, here / np.where(crosses, here - there, 1.0), 0.0)
    between = points + share[..., np.newaxis] * (following - points)
    cut = np.stack([points, between], axis=2).reshape(len(points), -1, 2)
    cut[..., axis] = np.minimum(cut[..., axis], limit)
    return cut
