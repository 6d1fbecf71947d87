"""Count the looks that are not observations by exclusion reason.

A *look* is a group of scenes whose mask is not nodata at a pixel.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def record_first(verdicts: NDArray[np.generic], first: NDArray[np.uint8]) -> None:
    """Record the verdicts of a scene at pixels without a verdict from earlier scenes of the group.

    Parameters
    ----------
    verdicts : numpy.ndarray
        (y, x) uint8 verdicts: 0 for nodata or outside the scene, else one more than the index of a reason.
    first : numpy.ndarray
        (y, x) uint8 verdicts of earlier scenes, 0 for none; changed in place.
    """
    _record_first(verdicts, first)


@njit(nogil=True, cache=True)
def _record_first(verdicts, first):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(first.shape[0]):
        for x in range(first.shape[1]):
            first[y, x] = first[y, x] or verdicts[y, x]


def add_reasons(count: NDArray[np.uint16], first: NDArray[np.uint8], reasons: NDArray[np.uint16]) -> None:
    """Count the pixels of a group that are not observations by reason, and reset the verdicts.

    Parameters
    ----------
    count : numpy.ndarray
        (y, x) uint16 numbers of observations of the group.
    first : numpy.ndarray
        (y, x) uint8 verdicts from `record_first`; reset to 0.
    reasons : numpy.ndarray
        (reason, y, x) uint16 numbers of looks that are not observations; changed in place.
    """
    _add_reasons(count, first, reasons)


@njit(nogil=True, cache=True)
def _add_reasons(count, first, reasons):  # type: ignore[no-untyped-def]  # numba infers types
    for y in range(first.shape[0]):
        for x in range(first.shape[1]):
            if first[y, x] and not count[y, x]:
                reasons[first[y, x] - 1, y, x] += np.uint16(1)
            first[y, x] = 0
