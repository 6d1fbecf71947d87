"""Pixel frames: conversions, and that mypy refuses to mix frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy import api

from compute.scenes import Grid, pixel_frames
from compute.scenes.alignment import file_window, first_pixel, shift_window, source_pixel, widen_window
from compute.scenes.pixel_frames import (
    BlockPixel,
    FileWindow,
    ResultWindow,
    SourceWindow,
    array_window,
    pixel_window,
    result_pixel,
    whole_window,
)

pytestmark = pytest.mark.unit

FILE = Grid(crs="EPSG:32655", shape=(50, 40), transform=(30.0, 0.0, 450_015.0, 0.0, -30.0, -4_600_015.0))

_MIXED = """
from pixel_frames import BlockPixel, FileWindow, ResultWindow, array_window, pixel_window, result_pixel

file, result = FileWindow((0, 0, 1, 1)), ResultWindow((0, 0, 1, 1))
array_window(file, file)
pixel_window(result_pixel(result, BlockPixel((0, 0))))
array_window(file, result)
array_window(file, array_window(file, file))
pixel_window(BlockPixel((0, 0)))
result_pixel(file, BlockPixel((0, 0)))
result_pixel((0, 0, 1, 1), BlockPixel((0, 0)))
"""


@given(*[st.integers(0, 30)] * 4)
def test_a_window_of_a_file_is_the_same_pixels_by_way_of_its_alignment(
    top: int, left: int, rows: int, columns: int
) -> None:
    bottom, right = min(top + 1 + rows, FILE.shape[0]), min(left + 1 + columns, FILE.shape[1])
    window = FileWindow((top, left, bottom, right))
    row, column = source_pixel(window, FILE)
    assert file_window(SourceWindow((row, column, row + bottom - top, column + right - left)), FILE) == window


def test_a_window_is_clipped_to_its_file() -> None:
    row, column = first_pixel(FILE)
    whole = SourceWindow((row, column, row + 50, column + 40))
    assert file_window(widen_window(whole, 3), FILE) == (0, 0, 50, 40)
    assert file_window(shift_window(whole, -10, 5), FILE) == (0, 5, 40, 40)
    assert file_window(shift_window(whole, 50, 0), FILE) is None
    assert file_window(widen_window(None, 3), FILE) is None


def test_windows_and_pixels_are_counted_from_the_first_pixel_of_their_frame() -> None:
    assert array_window(FileWindow((5, 6, 9, 9)), FileWindow((3, 3, 12, 12))) == (2, 3, 6, 6)
    pixel = result_pixel(ResultWindow((256, 512, 512, 768)), BlockPixel((1, 2)))
    assert pixel == (257, 514)
    assert pixel_window(pixel) == (257, 514, 258, 515)
    assert whole_window((3, 4)) == (0, 0, 3, 4)


def test_mypy_refuses_to_mix_frames(tmp_path: Path) -> None:
    (tmp_path / "pixel_frames.py").write_text(Path(pixel_frames.__file__).read_text())
    mixed = tmp_path / "mixed.py"
    mixed.write_text(_MIXED)
    found, _, _ = api.run(
        ["--strict", "--no-incremental", "--config-file=", str(mixed), str(tmp_path / "pixel_frames.py")]
    )
    refused = {int(line.split(":")[1]) for line in found.splitlines() if "[arg-type]" in line}
    assert refused == {7, 8, 9, 10, 11}
