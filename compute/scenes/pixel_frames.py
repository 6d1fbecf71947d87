"""Pixel frames: windows and pixels of a result, a block, a source alignment, a file and an array in memory.

A window is (first row, first column, row after the last, column after the last) and a pixel is (row, column), both in
whole pixels. The same numbers name other pixels in another frame, so each frame has a type of its own, and a function
converts between two of them: `array_window` and `result_pixel` here, `file_window` and `source_pixel` in
`compute.scenes.alignment`, `chunk_window` in `compute.result.chunk_windows`, and `block_pixels` in
`compute.tiles.pixel_sources`. mypy alone checks these types: at run time a window is a plain tuple, which Dask and
numba take as it is.
"""

from __future__ import annotations

from typing import NewType

Bounds = tuple[int, int, int, int]
"""(first row, first column, row after the last, column after the last) in no particular frame."""

ResultWindow = NewType("ResultWindow", Bounds)
"""Window in level-0 pixels of a result: (0, 0) is the first pixel of its grid."""

SourceWindow = NewType("SourceWindow", Bounds)
"""Window in absolute pixels of a source alignment, counted from the origin of its CRS; rows and columns may be
negative. Files of one alignment share this frame."""

FileWindow = NewType("FileWindow", Bounds)
"""Window in pixels of one file: (0, 0) is the first pixel that it stores."""

ArrayWindow = NewType("ArrayWindow", Bounds)
"""Window in pixels of an array that holds a part of a file: (0, 0) is the first pixel of the array."""

ResultPixel = NewType("ResultPixel", tuple[int, int])
"""(row, column) of a level-0 pixel of a result."""

BlockPixel = NewType("BlockPixel", tuple[int, int])
"""(row, column) of a level-0 pixel of a block: (0, 0) is the first pixel of the block."""

SourcePixel = NewType("SourcePixel", tuple[int, int])
"""(row, column) of a pixel in absolute pixels of a source alignment; either may be negative."""


def array_window(part: FileWindow, held: FileWindow) -> ArrayWindow:
    """Convert a window of a file to pixels of an array that holds a larger window of it.

    Parameters
    ----------
    part : FileWindow
        The window to convert.
    held : FileWindow
        The window whose pixels the array holds.
    """
    (top, left, bottom, right), (row, column, *_) = part, held
    return ArrayWindow((top - row, left - column, bottom - row, right - column))


def result_pixel(block: ResultWindow, pixel: BlockPixel) -> ResultPixel:
    """Convert a pixel of a block to a pixel of the result.

    Parameters
    ----------
    block : ResultWindow
        The window of the block.
    pixel : BlockPixel
        The pixel in the block.
    """
    return ResultPixel((block[0] + pixel[0], block[1] + pixel[1]))


def whole_window(shape: tuple[int, int]) -> ResultWindow:
    """Return the window of a whole result, given its (rows, columns)."""
    return ResultWindow((0, 0, *shape))


def pixel_window(pixel: ResultPixel) -> ResultWindow:
    """Return the window that holds one pixel."""
    row, column = pixel
    return ResultWindow((row, column, row + 1, column + 1))
