"""Mask classes cleaned of specks and widened by disks, as odc.algo and Digital Earth Australia do.

A disk of a radius is the pixels whose centres lie within it. Each operation is a handful of passes over the pixels,
whatever the radius: how far the next pixel of a set is along the column, then how far each such distance reaches
along the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

_COVERED = 8
"""Where the state of a pixel holds one more than the number of the first filter that covers it. The bits below are the
classes that opening has taken from it."""


def clean(of_class: NDArray[np.bool_], opening: int, dilation: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Open a set of pixels and widen the rest. Beyond the array nothing is of the set.

    Parameters
    ----------
    of_class : numpy.ndarray
        (y, x) bool.
    opening : int
        Radius in pixels of the disk that a place must hold to stay; 0 leaves all.
    dilation : int
        Radius in pixels by which what stays grows; 0 for not at all.

    Returns
    -------
    opened, covered : numpy.ndarray
        (y, x) bool: the set after opening, and after both.
    """
    opened = of_class
    if opening:
        opened = dilate(~dilate(~of_class, opening, beyond=True), opening)
    return opened, dilate(opened, dilation) if dilation else opened


def dilate(values: NDArray[np.bool_], radius: int, *, beyond: bool = False) -> NDArray[np.bool_]:
    """Tell which pixels have a pixel of a set within a radius.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x) bool: the set.
    radius : int
        In pixels, 1 to 250: distances fit a byte.
    beyond : bool
        Whether what lies beyond the array is of the set.

    Returns
    -------
    numpy.ndarray
        (y, x) bool.
    """
    reach = np.array([isqrt(radius**2 - down**2) for down in range(radius + 1)])
    distance, near = np.empty(values.shape, np.uint8), np.empty(values.shape, np.bool_)
    _measure(values, np.uint8(0 if beyond else radius + 1), np.uint8(radius + 1), distance)
    for line in (_reach_right, _reach_left):
        line(distance, reach, beyond, near)
    return near


@njit(nogil=True, cache=True)
def _measure(values, edge, most, distance):  # type: ignore[no-untyped-def]  # numba types it
    """Write how far the next pixel of a set is along the column, up to a limit."""
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
def _reach_right(distance, reach, beyond, near):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(near.shape[0]):
        furthest = reach[0] - 1 if beyond else -1
        for x in range(near.shape[1]):
            if distance[y, x] < reach.size:
                furthest = max(furthest, x + reach[distance[y, x]])
            near[y, x] = x <= furthest


@njit(nogil=True, cache=True)
def _reach_left(distance, reach, beyond, near):  # type: ignore[no-untyped-def]  # numba types it
    columns = near.shape[1]
    for y in range(near.shape[0]):
        furthest = columns - reach[0] if beyond else columns
        for x in range(columns - 1, -1, -1):
            if distance[y, x] < reach.size:
                furthest = min(furthest, x - reach[distance[y, x]])
            near[y, x] |= x >= furthest


def told_by_filters(
    mask: NDArray[np.generic],
    filters: Sequence[tuple[int, int, int, int]],
    tables: NDArray[np.uint8],
    clear: np.uint8,
    covers: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Tell of every pixel of a mask what it says once some of its classes are opened and widened.

    A pixel is clear when no class, opened and widened, covers it, and what its code says beside the classes that
    opening has taken from it is clear.

    Parameters
    ----------
    mask : numpy.ndarray
        (y, x) 8- or 16-bit integers.
    filters : sequence of (int, int, int, int)
        At most seven. For each class the bits and the value that make it (``stored & bits == value``), and the radii of
        its opening and its dilation in pixels.
    tables : numpy.ndarray
        (2**filters, 256 or 65536) uint8: what codes, seen as unsigned integers, say when the classes with a bit in the
        first index are taken away.
    clear : numpy.uint8
        What they say of the ground.
    covers : numpy.ndarray
        (filters,) uint8: what is said of a pixel that is clear but for a class that covers it.

    Returns
    -------
    numpy.ndarray
        (y, x) uint8.
    """
    codes = mask.view(f"u{mask.dtype.itemsize}")
    state = np.zeros(mask.shape, np.uint16)
    for number, (bits, value, opening, dilation) in enumerate(filters):
        of_class = (codes & codes.dtype.type(bits)) == codes.dtype.type(value)
        if of_class.any():
            opened, covered = clean(of_class, opening, dilation)
            _note(of_class, opened, covered, number, state)
    told = np.empty(mask.shape, np.uint8)
    _tell(codes, state, tables, clear, covers, told)
    return told


@njit(nogil=True, cache=True)
def _note(of_class, opened, covered, number, state):  # type: ignore[no-untyped-def]  # numba types it
    taken, covering = np.uint16(1 << number), np.uint16(number + 1 << _COVERED)
    for y in range(state.shape[0]):
        for x in range(state.shape[1]):
            if of_class[y, x] and not opened[y, x]:
                state[y, x] |= taken
            if covered[y, x] and state[y, x] >> _COVERED == 0:
                state[y, x] |= covering


@njit(nogil=True, cache=True)
def _tell(codes, state, tables, clear, covers, told):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(told.shape[0]):
        for x in range(told.shape[1]):
            told[y, x] = tables[state[y, x] & 255, codes[y, x]]
            if state[y, x] >> _COVERED and told[y, x] == clear:
                told[y, x] = covers[(state[y, x] >> _COVERED) - 1]
