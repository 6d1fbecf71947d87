"""The geometry of a warp: where the pixels of a block lie among the pixels of a scene.

PROJ places the nodes of a lattice of cells, `LATTICE_PX` output pixels wide; everything between is interpolated. Cells
lie on the whole output grid, counted from the origin of its CRS, and source pixels are counted on their whole grid. So
neither where a result begins, nor how it is cut into blocks, nor which file a pixel is read from changes a bit.

At 30 m, what is interpolated is within 1e-6 source pixels of PROJ within 60 degrees of the equator, and within 0.001
within 80. The distance grows with the third power of the output pixel's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from compute.kernels.resample import LATTICE_PX
from compute.kernels.resample.lattice import cells_of, span_of
from compute.scenes import Grid

Window = tuple[int, int, int, int]
"""First row, first column, and row and column after the last."""

_Places = TypeVar("_Places", float, NDArray[np.float64])

_STEPS = 2**24
"""Origins are told apart by this part of a pixel: finer than what counts, coarser than what rounding does to them."""

_LARGEST_BEND = 0.125
"""A cell whose centre is further from amid its corners than this share of its size is torn, as by the antimeridian."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """All pixel grids that differ by whole pixels; what may be kept for one of them serves the others.

    Attributes
    ----------
    crs : str
        As `Grid` says.
    axes : tuple of float
        (a, b, d, e) of the affine map: what a step to the next column, and to the next row, adds to x, and to y.
    remainder : tuple of float
        Row and column, from 0 to below 1, of the first pixel corner after the origin of the CRS.
    """

    crs: str
    axes: tuple[float, float, float, float]
    remainder: tuple[float, float]

    @property
    def is_upright(self) -> bool:
        """Whether rows lie along x and columns along y."""
        _, b, d, _ = self.axes
        return b == 0.0 and d == 0.0

    def to_crs(
        self, row: NDArray[np.float64], column: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and y of places in absolute pixels."""
        a, b, d, e = self.axes
        row, column = row + self.remainder[0], column + self.remainder[1]
        return a * column + b * row, d * column + e * row

    def to_pixels(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return row and column, in absolute pixels, of places in the CRS, stacked."""
        row, column = _solve(self.axes, x, y)
        return np.stack([row - self.remainder[0], column - self.remainder[1]])


@dataclass(frozen=True, kw_only=True, slots=True)
class WarpGeometry:
    """Where the pixels of a block lie among the pixels of a source alignment; a `compute.kernels.resample.Lattice`.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, 2 m + 1, 2 n + 1) float64 row and column, in absolute source pixels, of points half a cell apart; NaN where
        PROJ knows no place.
    lies : numpy.ndarray
        (m, n) bool: which cells lie anywhere.
    first : tuple of int
        Row and column of the block's first pixel within the first cell, in output pixels.
    shape : tuple of int
        (rows, columns) of the block.
    """

    nodes: NDArray[np.float64]
    lies: NDArray[np.bool_]
    first: tuple[int, int]
    shape: tuple[int, int]

    def __sizeof__(self) -> int:
        """Bytes of the arrays."""
        return self.nodes.nbytes + self.lies.nbytes

    def source_window(self, margin: int = 1) -> Window | None:
        """Return the window of absolute source pixels that the block needs, None where it lies nowhere.

        Parameters
        ----------
        margin : int
            Source pixels beyond the corners of the outer output pixels: 1 is enough for every resampling, as none
            reaches further than half a pixel.
        """
        span = span_of(self)
        if span is None:
            return None
        (top, left), (bottom, right) = span
        return floor(top) - margin, floor(left) - margin, ceil(bottom) + margin, ceil(right) + margin

    def reach(self) -> int:
        """Return how many source pixels around the one that its centre lies in a pixel of the block is made of.

        Half of a pixel's edges taken together, or the neighbours of its centre, and one for what is bent.
        """
        steps = [np.nan_to_num(np.abs(np.diff(self.nodes, axis=axis))).max((1, 2)) for axis in (1, 2)]
        return 2 + ceil(float((steps[0] + steps[1]).max()) / LATTICE_PX)


def alignment_of(grid: Grid) -> Alignment:
    """Return what a pixel grid shares with all others that differ by whole pixels."""
    return _placed(grid)[0]


def first_pixel(grid: Grid) -> tuple[int, int]:
    """Return row and column of a grid's first pixel, in absolute pixels of its alignment."""
    return _placed(grid)[1]


def _placed(grid: Grid) -> tuple[Alignment, tuple[int, int]]:
    """Split the origin of a grid, seen in pixels from the origin of its CRS, into whole pixels and a remainder."""
    a, b, c, d, e, f = grid.transform
    steps = [round(place * _STEPS) for place in _solve((a, b, d, e), c, f)]
    (row, down), (column, along) = (divmod(each, _STEPS) for each in steps)
    return Alignment(crs=grid.crs, axes=(a, b, d, e), remainder=(down / _STEPS, along / _STEPS)), (row, column)


def _solve(axes: tuple[float, float, float, float], x: _Places, y: _Places) -> tuple[_Places, _Places]:
    """Return row and column of places in the CRS, in pixels from its origin."""
    a, b, d, e = axes
    if b == 0.0 and d == 0.0:
        return y / e, x / a
    determinant = a * e - b * d
    return (a * y - d * x) / determinant, (e * x - b * y) / determinant


def geometry_of(block: Grid, source: Grid) -> WarpGeometry:
    """Work out where the pixels of a block lie in a source: once for all files of an alignment, dates and bands.

    Parameters
    ----------
    block : Grid
        Pixel grid of the block.
    source : Grid
        Pixel grid of a file, of which only the alignment matters: keep the result by `alignment_of` of it.

    Returns
    -------
    WarpGeometry
        In absolute pixels of the source's alignment, see `first_pixel`.

    Raises
    ------
    pyproj.exceptions.ProjError
        PROJ does not know a CRS, or no way from one to the other.
    """
    target, start = _placed(block)
    alignment, transformer = alignment_of(source), transformer_of(block.crs, source.crs)
    (top, down), (left, along) = (divmod(place, LATTICE_PX) for place in start)
    rows = _nodes_along(top, down + block.shape[0])
    columns = _nodes_along(left, along + block.shape[1])
    x, y = transformer.transform(*target.to_crs(*np.meshgrid(rows, columns, indexing="ij")))
    known = np.isfinite(x) & np.isfinite(y)
    nodes = alignment.to_pixels(np.where(known, x, np.nan), np.where(known, y, np.nan))
    return WarpGeometry(nodes=nodes, lies=_lies(nodes), first=(down, along), shape=block.shape)


@lru_cache(maxsize=16)
def transformer_of(target: str, source: str) -> Transformer:
    """Return PROJ's way from the CRS of an output grid to that of a source.

    PROJ takes up to 0.2 s to find it, as long as a block takes to read; kept, it serves every thread, as pyproj gives
    each of them a PROJ of its own.
    """
    return Transformer.from_crs(target, source, always_xy=True)


def _nodes_along(first: int, pixels: int) -> NDArray[np.float64]:
    """Return absolute places of the nodes around some pixels, counted from a border of cells."""
    return first * LATTICE_PX + np.arange(2.0 * ceil(pixels / LATTICE_PX) + 1.0) * (LATTICE_PX / 2)


def _lies(nodes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which cells lie somewhere: all nodes are known, and the centre is about amid the corners."""
    cells = cells_of(nodes)
    size = np.ptp(cells, axis=(0, 1)).max(0)
    bend = np.abs(cells[::2, ::2].mean((0, 1)) - cells[1, 1]).max(0)
    # What is not known is NaN, and not smaller than anything.
    lies: NDArray[np.bool_] = bend <= _LARGEST_BEND * size
    return lies


def widened(window: Window | None, pixels: int) -> Window | None:
    """Return a window with some pixels more on every side."""
    if window is None:
        return None
    top, left, bottom, right = window
    return top - pixels, left - pixels, bottom + pixels, right + pixels


def window_in(window: Window | None, source: Grid) -> Window | None:
    """Return the part of a window of absolute source pixels that a file has, in the file's own pixels, or None."""
    if window is None:
        return None
    row, column = first_pixel(source)
    top, left = max(window[0] - row, 0), max(window[1] - column, 0)
    bottom, right = min(window[2] - row, source.shape[0]), min(window[3] - column, source.shape[1])
    return (top, left, bottom, right) if top < bottom and left < right else None
