"""Masks as they are believed: cleaned and widened where that is asked for."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compute.kernels.morphology import clear_of_filters
from compute.products import MaskRole
from compute.warp import Window

FILTERING_BYTES_PER_PX = 7
"""Memory of filtering a mask beside the mask: a class, three sets, distances, states and what is clear."""


class MaskReading:
    """Makes of the windows of a mask what is clear in them; used by several threads.

    Parameters
    ----------
    role : MaskRole
        The mask and what is clear in it.
    """

    def __init__(self, role: MaskRole) -> None:
        self._role = role
        self.halo = role.halo

    @cached_property
    def table(self) -> NDArray[np.bool_]:
        """Which codes are clear of what `believed` returns, seen as unsigned integers."""
        return np.arange(256) > 0 if self._role.filters else self._role.table()

    @cached_property
    def _filter_tables(self) -> NDArray[np.bool_]:
        return self._role.filter_tables()

    def believed(self, mask: NDArray[np.generic], inner: Window) -> NDArray[np.generic]:
        """Filter a mask.

        Parameters
        ----------
        mask : numpy.ndarray
            (rows, columns) stored values of a window, with a halo of `halo` pixels as far as the file has them.
        inner : Window
            The window without its halo, in pixels of `mask`.

        Returns
        -------
        numpy.ndarray
            The stored values themselves where there are no filters, else uint8 1 where the ground is clear, without
            the halo.
        """
        if not self._role.filters:
            return mask
        top, left, bottom, right = inner
        clear = clear_of_filters(mask, self._role.filters, self._filter_tables)
        return np.ascontiguousarray(clear[top:bottom, left:right]).view(np.uint8)
