"""Types of windows and pixels by frame of reference: result, block, source alignment, file, or array in memory.

A window is (first row, first column, row after the last, column after the last), and a pixel is (row, column), both in
whole pixels. The same numbers denote different pixels in different frames, so each frame has its own types. Functions
that convert between frames: `array_window` and `result_pixel` here, `file_window` and `source_pixel` in
`compute.scenes.alignment`, `chunk_window` in `compute.result.chunk_windows`, and `block_pixels` in
`compute.tiles.pixel_sources`. The types are checked by mypy only. At run time, windows and pixels are plain tuples,
which Dask and numba support.
"""

from __future__ import annotations

from typing import NewType

Bounds = tuple[int, int, int, int]
"""Window (first row, first column, row after the last, column after the last) in an unspecified frame."""

ResultWindow = NewType("ResultWindow", Bounds)
"""Window in level-0 pixels of a result. (0, 0) is the first pixel of the result."""

SourceWindow = NewType("SourceWindow", Bounds)
"""Window in absolute pixels of a source alignment, counted from the origin of its CRS. All files of an alignment share
this frame. Rows and columns may be negative."""

FileWindow = NewType("FileWindow", Bounds)
"""Window in pixels of a file. (0, 0) is the first pixel of the file."""

ArrayWindow = NewType("ArrayWindow", Bounds)
"""Window in pixels of an array with a part of a file. (0, 0) is the first pixel of the array."""

ResultPixel = NewType("ResultPixel", tuple[int, int])
"""Level-0 pixel (row, column) of a result."""

BlockPixel = NewType("BlockPixel", tuple[int, int])
"""Level-0 pixel (row, column) of a block. (0, 0) is the first pixel of the block."""

SourcePixel = NewType("SourcePixel", tuple[int, int])
"""Pixel (row, column) in absolute pixels of a source alignment. Row and column may be negative."""


def array_window(part: FileWindow, held: FileWindow) -> ArrayWindow:
    """Convert a window of a file to pixels of an array that contains a larger window of the file.

    Parameters
    ----------
    part : FileWindow
        Window to convert.
    held : FileWindow
        Window of the file that the array contains.
    """
    (top, left, bottom, right), (row, column, *_) = part, held
    return ArrayWindow((top - row, left - column, bottom - row, right - column))


def result_pixel(block: ResultWindow, pixel: BlockPixel) -> ResultPixel:
    """Convert a pixel of a block to a pixel of the result.

    Parameters
    ----------
    block : ResultWindow
        Window of the block in the result.
    pixel : BlockPixel
        Pixel of the block.
    """
    return ResultPixel((block[0] + pixel[0], block[1] + pixel[1]))


def whole_window(shape: tuple[int, int]) -> ResultWindow:
    """Return the window of a whole result of the given shape (rows, columns)."""
    return ResultWindow((0, 0, *shape))


def pixel_window(pixel: ResultPixel) -> ResultWindow:
    """Return the window of a single pixel."""
    row, column = pixel
    return ResultWindow((row, column, row + 1, column + 1))
