"""Alignments of pixel grids, and conversion between file pixels and absolute pixels of an alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from compute.scenes import Grid
from compute.scenes.pixel_frames import FileWindow, SourcePixel, SourceWindow

Places = TypeVar("Places", float, NDArray[np.float64])

_STEPS = 2**24
"""Number of steps per pixel to which origins are rounded: finer than real offsets, coarser than rounding errors."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """Common geometry of pixel grids that differ only by a shift of whole pixels.

    Grids of one alignment share a warp geometry. Their *absolute pixels* are counted from the origin of the CRS.

    Attributes
    ----------
    crs : str
        Coordinate reference system, as in `Grid`.
    axes : tuple of float
        Coefficients (a, b, d, e) of the affine transform from (column, row) to (x, y), in units of the CRS per pixel.
    remainder : tuple of float
        (row, column) of the first corner of absolute pixel (0, 0), in pixels from the origin of the CRS; in [0, 1).
    """

    crs: str
    axes: tuple[float, float, float, float]
    remainder: tuple[float, float]

    @property
    def is_upright(self) -> bool:
        """Whether rows and columns are parallel to the axes of the CRS."""
        _, b, d, _ = self.axes
        return b == 0.0 and d == 0.0

    def to_crs(self, row: Places, column: Places) -> tuple[Places, Places]:
        """Convert rows and columns in absolute pixels to x and y in the CRS.

        Parameters
        ----------
        row, column : float or numpy.ndarray
            Positions in absolute pixels; the centre of pixel 0 is 0.5.

        Returns
        -------
        x, y : float or numpy.ndarray
            Coordinates in units of the CRS.
        """
        a, b, d, e = self.axes
        row, column = row + self.remainder[0], column + self.remainder[1]
        return a * column + b * row, d * column + e * row

    def to_pixels(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert x and y in the CRS to rows and columns in absolute pixels.

        Parameters
        ----------
        x, y : numpy.ndarray
            Coordinates in units of the CRS.

        Returns
        -------
        numpy.ndarray
            (2, ...) float64 rows and columns.
        """
        row, column = solve(self.axes, x, y)
        return np.stack([row - self.remainder[0], column - self.remainder[1]])


def alignment_of(grid: Grid) -> Alignment:
    """Return the alignment of a pixel grid."""
    return split_origin(grid)[0]


def first_pixel(grid: Grid) -> SourcePixel:
    """Return the first pixel of a grid in absolute pixels of its alignment."""
    return split_origin(grid)[1]


def split_origin(grid: Grid) -> tuple[Alignment, SourcePixel]:
    """Return the alignment of a grid, and the first pixel of the grid in absolute pixels of the alignment."""
    a, b, c, d, e, f = grid.transform
    steps = [round(place * _STEPS) for place in solve((a, b, d, e), c, f)]
    (row, down), (column, along) = (divmod(each, _STEPS) for each in steps)
    alignment = Alignment(crs=grid.crs, axes=(a, b, d, e), remainder=(down / _STEPS, along / _STEPS))
    return alignment, SourcePixel((row, column))


def solve(axes: tuple[float, float, float, float], x: Places, y: Places) -> tuple[Places, Places]:
    """Convert x and y in a CRS to rows and columns in pixels, counted from the origin of the CRS.

    Parameters
    ----------
    axes : tuple of float
        Coefficients (a, b, d, e) of the affine transform from (column, row) to (x, y).
    x, y : float or numpy.ndarray
        Coordinates in units of the CRS.

    Returns
    -------
    row, column : float or numpy.ndarray
        Positions in pixels.
    """
    a, b, d, e = axes
    if b == 0.0 and d == 0.0:
        return y / e, x / a
    determinant = a * e - b * d
    return (a * y - d * x) / determinant, (e * x - b * y) / determinant


def source_pixel(window: FileWindow, source: Grid) -> SourcePixel:
    """Return the first pixel of a window of a file, in absolute pixels of the file's alignment.

    Parameters
    ----------
    window : FileWindow
        Window in pixels of the file.
    source : Grid
        Pixel grid of the file.
    """
    row, column = first_pixel(source)
    return SourcePixel((row + window[0], column + window[1]))


def file_window(window: SourceWindow | None, source: Grid) -> FileWindow | None:
    """Convert a window of absolute pixels to pixels of a file, and clip it to the file.

    Parameters
    ----------
    window : SourceWindow or None
        Window to convert; None for an empty window.
    source : Grid
        Pixel grid of the file.

    Returns
    -------
    FileWindow or None
        The clipped window; None if it is empty.
    """
    if window is None:
        return None
    row, column = first_pixel(source)
    top, left = max(window[0] - row, 0), max(window[1] - column, 0)
    bottom, right = min(window[2] - row, source.shape[0]), min(window[3] - column, source.shape[1])
    return FileWindow((top, left, bottom, right)) if top < bottom and left < right else None


def widen_window(window: SourceWindow | None, pixels: int) -> SourceWindow | None:
    """Return a window widened by a number of pixels on each side; None if the window is None.

    Parameters
    ----------
    window : SourceWindow or None
        Window to widen.
    pixels : int
        Number of pixels to add on each side.
    """
    if window is None:
        return None
    top, left, bottom, right = window
    return SourceWindow((top - pixels, left - pixels, bottom + pixels, right + pixels))


def shift_window(window: SourceWindow, rows: int, columns: int) -> SourceWindow:
    """Return a window shifted by whole pixels.

    Parameters
    ----------
    window : SourceWindow
        Window to shift.
    rows : int
        Number of pixels by which the window is shifted down.
    columns : int
        Number of pixels by which the window is shifted to the right.
    """
    top, left, bottom, right = window
    return SourceWindow((top + rows, left + columns, bottom + rows, right + columns))
