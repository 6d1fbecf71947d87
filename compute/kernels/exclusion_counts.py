"""Counts of looks that are no observations, by reason."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def note_first(verdicts: NDArray[np.generic], first: NDArray[np.uint8]) -> None:
    """Note what a scene says of pixels that no earlier scene of the look has shown.

    Parameters
    ----------
    verdicts : numpy.ndarray
        (y, x) uint8, 0 where the scene does not look, else one more than the number of a reason.
    first : numpy.ndarray
        (y, x) uint8 likewise, of the earlier scenes; changed in place.
    """
    _note_first(verdicts, first)


@njit(nogil=True, cache=True)
def _note_first(verdicts, first):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(first.shape[0]):
        for x in range(first.shape[1]):
            first[y, x] = first[y, x] or verdicts[y, x]


def add_reasons(count: NDArray[np.uint16], first: NDArray[np.uint8], reasons: NDArray[np.uint16]) -> None:
    """Count the pixels of a look that are no observations, and leave nothing noted behind.

    Parameters
    ----------
    count : numpy.ndarray
        (y, x) uint16 observations of the look.
    first : numpy.ndarray
        (y, x) uint8 as `note_first` leaves it; set to 0.
    reasons : numpy.ndarray
        (reason, y, x) uint16 numbers of looks, changed in place.
    """
    _add_reasons(count, first, reasons)


@njit(nogil=True, cache=True)
def _add_reasons(count, first, reasons):  # type: ignore[no-untyped-def]  # numba types it
    for y in range(first.shape[0]):
        for x in range(first.shape[1]):
            if first[y, x] and not count[y, x]:
                reasons[first[y, x] - 1, y, x] += np.uint16(1)
            first[y, x] = 0
