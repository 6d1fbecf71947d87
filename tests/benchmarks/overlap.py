"""How much of every source pixel lies under an output pixel: polygons clipped in plain NumPy, slowly and exactly.

Written for nothing but to hold the engine to it, and with nothing of the engine in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from compute.scenes import Grid

Floats = NDArray[np.float64]

_AT_ONCE = 16_384
"""Output pixels that are clipped together: 64 corners of two numbers each, a few times over, in some 50 MB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Where output pixels lie among source pixels.

    Attributes
    ----------
    row, column : numpy.ndarray
        (y, x) int64: the uppermost and leftmost source pixel that an output pixel touches.
    weights : numpy.ndarray
        (rows, columns, y, x) float64: area, in source pixels, that an output pixel shares with the source pixel so
        many rows and columns further.
    centre_row, centre_column : numpy.ndarray
        (y, x) int64: the source pixel that the centre of an output pixel lies in.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    weights: Floats
    centre_row: NDArray[np.int64]
    centre_column: NDArray[np.int64]


def overlap_of(output: Grid, source: Grid) -> Overlap:
    """Put every corner and every centre of the output pixels through PROJ, and intersect.

    Parameters
    ----------
    output : Grid
        North up.
    source : Grid
        North up; pixels beyond its edge are counted on.

    Returns
    -------
    Overlap
        In pixels of `source`. Edges of output pixels are straight between their corners, as in every warp.
    """
    corners = _among(source, output, 0.0, 1)
    quads = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2)
    first = np.floor(quads.min(axis=2)).astype(np.int64)
    span = (np.ceil(quads.max(axis=2)).astype(np.int64) - first).max(axis=(0, 1))
    weights = np.empty((*span.tolist(), *output.shape))
    for row, column in np.ndindex(*span.tolist()):
        origin = first[:, :, np.newaxis] + (row, column)
        weights[row, column] = _areas((quads - origin).reshape(-1, 4, 2)).reshape(output.shape)
    centres = _among(source, output, 0.5, 0)
    inside = np.floor(centres).astype(np.int64)
    return Overlap(
        row=first[..., 0],
        column=first[..., 1],
        weights=weights,
        centre_row=inside[..., 0],
        centre_column=inside[..., 1],
    )


def _among(source: Grid, output: Grid, offset: float, more: int) -> Floats:
    """Return (rows, columns, 2) source rows and columns of one place a pixel of the output.

    Places are `offset` pixels from the upper left corner of each pixel, and of `more` beyond the last.
    """
    row, column = (np.indices([edge + more for edge in output.shape]) + offset).astype(np.float64)
    dx, _, left, _, dy, top = output.transform
    transformer = Transformer.from_crs(output.crs, source.crs, always_xy=True)
    x, y = transformer.transform(left + dx * column, top + dy * row)
    dx, _, left, _, dy, top = source.transform
    return np.stack([(y - top) / dy, (x - left) / dx], axis=-1)


def _areas(quads: Floats) -> Floats:
    """Return the area that each of (n, 4, 2) quadrilaterals shares with the square from 0 to 1."""
    return np.concatenate([_area(quads[at : at + _AT_ONCE]) for at in range(0, len(quads), _AT_ONCE)])


def _area(points: Floats) -> Floats:
    for axis in (0, 1):
        points = _cut(points, axis, 1.0)
        points = -_cut(-points, axis, 0.0)
    y, x = points[..., 0], points[..., 1]
    following = np.roll(points, -1, axis=1)
    doubled = (x * following[..., 0] - following[..., 1] * y).sum(axis=1)
    area: Floats = np.abs(doubled) / 2
    return area


def _cut(points: Floats, axis: int, limit: float) -> Floats:
    """Cut polygons of (n, k, 2) corners where a coordinate exceeds a limit; the result has 2 k corners.

    Between any two corners comes the point where their edge crosses the limit, or the first corner once more. What then
    still lies beyond is pressed flat onto the limit, where it has no area.
    """
    following = np.roll(points, -1, axis=1)
    here, there = points[..., axis] - limit, following[..., axis] - limit
    crosses = here * there < 0
    share = np.where(crosses, here / np.where(crosses, here - there, 1.0), 0.0)
    between = points + share[..., np.newaxis] * (following - points)
    cut = np.stack([points, between], axis=2).reshape(len(points), -1, 2)
    cut[..., axis] = np.minimum(cut[..., axis], limit)
    return cut
