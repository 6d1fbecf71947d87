"""Mask filters against SciPy: disks, openings, dilations, and what is clear after them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from compute.kernels.morphology import dilate, filter_mask, open_and_dilate
from tests.strategies import pixel_sets

pytestmark = pytest.mark.unit


def disk(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside: NDArray[np.bool_] = x * x + y * y <= radius * radius
    return inside


@given(values=pixel_sets(), radius=st.integers(1, 22) | st.just(50), beyond=st.booleans())
def test_dilation_is_scipys_with_a_disk(values: NDArray[np.bool_], radius: int, beyond: bool) -> None:
    expected = ndimage.binary_dilation(values, disk(radius), border_value=beyond)
    np.testing.assert_array_equal(dilate(values, radius, beyond=beyond), expected)


@given(values=pixel_sets(), opening=st.integers(0, 5), dilation=st.integers(0, 8))
def test_cleaning_is_scipys_opening_and_dilation(values: NDArray[np.bool_], opening: int, dilation: int) -> None:
    opened, covered = open_and_dilate(values, opening, dilation)
    expected = ndimage.binary_opening(values, disk(opening))
    np.testing.assert_array_equal(opened, expected)
    np.testing.assert_array_equal(covered, ndimage.binary_dilation(expected, disk(dilation)))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
@given(data=st.data(), filters=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=4))
def test_what_is_clear_after_filters_is_numpys(dtype: str, data: st.DataObject, filters: list[tuple[int, int]]) -> None:
    """Codes 2, 3, ... are filtered in turn, and 1 is clear."""
    mask = data.draw(arrays(dtype, (20, 25), elements=st.integers(0, 6)))
    size = 2 ** (8 * mask.dtype.itemsize)
    tables = np.zeros((2 ** len(filters), size), bool)
    tables[:, 1] = True
    for subset in range(len(tables)):
        tables[subset, [2 + n for n in range(len(filters)) if subset >> n & 1]] = True
    rules, nothing = [(size - 1, 2 + n, *radii) for n, radii in enumerate(filters)], np.zeros(len(filters), np.uint8)
    found = filter_mask(mask, rules, tables.view(np.uint8), np.uint8(1), nothing)
    clear, covered = mask == 1, np.zeros(mask.shape, bool)
    for n, (opening, dilation) in enumerate(filters):
        opened = ndimage.binary_opening(mask == 2 + n, disk(opening))
        clear |= (mask == 2 + n) & ~opened
        covered |= ndimage.binary_dilation(opened, disk(dilation))
    np.testing.assert_array_equal(found, clear & ~covered)
