"""Masks as they are believed: cleaned and widened where that is asked for, and saying why, where that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compute.kernels.morphology import told_by_filters
from compute.products import CLEAR, MaskRole, cover_verdicts, verdicts
from compute.warp import Window

FILTERING_BYTES_PER_PX = 8
"""Memory of filtering a mask beside the mask: a class, three sets, distances, states and what it says."""


class MaskReading:
    """Makes of the windows of a mask what is clear in them, or why not; used by several threads.

    Parameters
    ----------
    role : MaskRole
        The mask and what is clear in it.
    reasons : sequence of str
        Those that are counted; empty where none are.
    """

    def __init__(self, role: MaskRole, reasons: Sequence[str] = ()) -> None:
        self._role = role
        self._reasons = reasons
        self._clear = CLEAR if reasons else np.uint8(True)
        self.halo = role.halo

    @cached_property
    def table(self) -> NDArray[np.bool_]:
        """Which codes are clear of what `believed` returns, seen as unsigned integers."""
        if not self._role.filters and not self._reasons:
            return self._role.table()
        told: NDArray[np.bool_] = np.arange(256) == self._clear
        return told

    @cached_property
    def _told(self) -> tuple[NDArray[np.uint8], np.uint8, NDArray[np.uint8]]:
        """What codes say, what they say of the ground, and what is said of what a filtered class covers."""
        if self._reasons:
            return verdicts(self._role, self._reasons), self._clear, cover_verdicts(self._role, self._reasons)
        return self._role.filter_tables().view(np.uint8), self._clear, np.zeros(len(self._role.filters), np.uint8)

    def believed(self, mask: NDArray[np.generic], inner: Window) -> NDArray[np.generic]:
        """Filter a mask, and tell why pixels are not clear.

        Parameters
        ----------
        mask : numpy.ndarray
            (rows, columns) stored values of a window, with a halo of `halo` pixels as far as the file has them.
        inner : Window
            The window without its halo, in pixels of `mask`.

        Returns
        -------
        numpy.ndarray
            Without the halo, uint8 verdicts where reasons are counted (see `compute.products.reasons`), else 1 where
            the ground is clear; the stored values themselves where there is nothing to filter or to tell.
        """
        if not self._role.filters and not self._reasons:
            return mask
        top, left, bottom, right = inner
        told = told_by_filters(mask, self._role.filters, *self._told)
        return np.ascontiguousarray(told[top:bottom, left:right])
