"""Morphological filters of mask classes: opening and dilation by disks, as in `odc.algo.mask_cleanup`.

A disk of radius r contains the pixels whose centres are at most r from its centre, as in `skimage.morphology.disk`.
Dilation takes two passes for any radius. The first computes the distance of each pixel to the nearest pixel of the set
in its column; the second marks, along each row, the pixels within the radius. This is a separable exact Euclidean
distance transform with a threshold: Saito and Toriwaki (1994), Pattern Recognition 27(11),
doi:10.1016/0031-3203(94)90133-3; Meijster et al. (2000), A general algorithm for computing distance transforms in
linear time, doi:10.1007/0-306-47025-X_36.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

_COVERED = 8
"""Bit offset in the state of a pixel. The bits from here are one more than the index of the first filter whose dilated
class covers the pixel, 0 for none. The lower bits mark the filters whose class opening has removed from the pixel."""


def open_and_dilate(
    of_class: NDArray[np.bool_], opening: int, dilation: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Open a set of pixels, and dilate the result. Pixels outside the array are not part of the set.

    Parameters
    ----------
    of_class : numpy.ndarray
        (y, x) bool: pixels of the set.
    opening : int
        Radius of the opening disk in pixels; 0 for no opening.
    dilation : int
        Radius of the dilation disk in pixels; 0 for no dilation.

    Returns
    -------
    opened, covered : numpy.ndarray
        (y, x) bool: the set after opening, and the set after opening and dilation.
    """
    opened = of_class
    if opening:
        opened = dilate(~dilate(~of_class, opening, beyond=True), opening)
    return opened, dilate(opened, dilation) if dilation else opened


def dilate(values: NDArray[np.bool_], radius: int, *, beyond: bool = False) -> NDArray[np.bool_]:
    """Dilate a set of pixels by a disk.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x) bool: pixels of the set.
    radius : int
        Radius of the disk in pixels, 1 to 250, so that distances fit into uint8.
    beyond : bool, default: False
        Whether all pixels outside the array belong to the set.

    Returns
    -------
    numpy.ndarray
        (y, x) bool: pixels whose distance to a pixel of the set is at most the radius.
    """
    reach = np.array([isqrt(radius**2 - down**2) for down in range(radius + 1)])
    distance, near = np.empty(values.shape, np.uint8), np.empty(values.shape, np.bool_)
    _measure(values, np.uint8(0 if beyond else radius + 1), np.uint8(radius + 1), distance)
    for line in (_reach_right, _reach_left):
        line(distance, reach, beyond, near)
    return near


@njit(nogil=True, cache=True)
def _measure(values, edge, most, distance):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the distance of each pixel to the nearest pixel of the set in its column, limited to `most`."""
    rows, columns = values.shape
    nearest = np.full(columns, edge, np.uint8)
    for y in range(rows):
        for x in range(columns):
            nearest[x] = 0 if values[y, x] else min(nearest[x] + 1, most)
            distance[y, x] = nearest[x]
    nearest[:] = edge
    for y in range(rows - 1, -1, -1):
        for x in range(columns):
            nearest[x] = min(distance[y, x], nearest[x] + 1)
            distance[y, x] = nearest[x]


@njit(nogil=True, cache=True)
def _reach_right(distance, reach, beyond, near):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(near.shape[0]):
        furthest = reach[0] - 1 if beyond else -1
        for x in range(near.shape[1]):
            if distance[y, x] < reach.size:
                furthest = max(furthest, x + reach[distance[y, x]])
            near[y, x] = x <= furthest


@njit(nogil=True, cache=True)
def _reach_left(distance, reach, beyond, near):  # type: ignore[no-untyped-def]  # numba infers types
    columns = near.shape[1]
    for y in range(near.shape[0]):
        furthest = columns - reach[0] if beyond else columns
        for x in range(columns - 1, -1, -1):
            if distance[y, x] < reach.size:
                furthest = min(furthest, x - reach[distance[y, x]])
            near[y, x] |= x >= furthest


def filter_mask(
    mask: NDArray[np.generic],
    filters: Sequence[tuple[int, int, int, int]],
    tables: NDArray[np.uint8],
    clear: np.uint8,
    covers: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Return the verdicts of the pixels of a mask after opening and dilation of some of its classes.

    A pixel is clear if its code is clear without the classes that opening removed from it, and no dilated class covers
    it.

    Parameters
    ----------
    mask : numpy.ndarray
        (y, x) 8- or 16-bit integer codes.
    filters : sequence of (int, int, int, int)
        At most seven filters: bits and value of the class (``code & bits == value``), and the radii of opening and
        dilation in pixels.
    tables : numpy.ndarray
        (2**filters, 256 or 65536) uint8 verdicts, indexed by the codes viewed as unsigned integers. If bit k of the
        first index is set, the class of filter k is ignored.
    clear : numpy.uint8
        Verdict of clear pixels.
    covers : numpy.ndarray
        (filters,) uint8 verdicts, by filter, of pixels that are clear by their code but covered by the dilated class.

    Returns
    -------
    numpy.ndarray
        (y, x) uint8 verdicts.
    """
    codes = mask.view(f"u{mask.dtype.itemsize}")
    state = np.zeros(mask.shape, np.uint16)
    for number, (bits, value, opening, dilation) in enumerate(filters):
        of_class = (codes & codes.dtype.type(bits)) == codes.dtype.type(value)
        if of_class.any():
            opened, covered = open_and_dilate(of_class, opening, dilation)
            _record_filter(of_class, opened, covered, number, state)
    told = np.empty(mask.shape, np.uint8)
    _look_up_verdicts(codes, state, tables, clear, covers, told)
    return told


@njit(nogil=True, cache=True)
def _record_filter(of_class, opened, covered, number, state):  # type: ignore[no-untyped-def]  # numba infers types
    taken, covering = np.uint16(1 << number), np.uint16(number + 1 << _COVERED)
    for y in range(state.shape[0]):
        for x in range(state.shape[1]):
            if of_class[y, x] and not opened[y, x]:
                state[y, x] |= taken
            if covered[y, x] and state[y, x] >> _COVERED == 0:
                state[y, x] |= covering


@njit(nogil=True, cache=True)
def _look_up_verdicts(codes, state, tables, clear, covers, told):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(told.shape[0]):
        for x in range(told.shape[1]):
            told[y, x] = tables[state[y, x] & 255, codes[y, x]]
            if state[y, x] >> _COVERED and told[y, x] == clear:
                told[y, x] = covers[(state[y, x] >> _COVERED) - 1]
