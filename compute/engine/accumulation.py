"""Accumulation of the looks of a task: sums, counts, strata, months, squares and exclusion reasons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compute.engine.block_records import BlockTask, Sums
from compute.kernels import exclusion_counts, weighted_means


class LookAccumulator:
    """Accumulate one look after another in the sums of a task.

    A task for means and counts alone adds observations to its sums directly; any other adds up each look in arrays of
    its own first.

    Parameters
    ----------
    task : BlockTask
        Groups, and the layers that they are accumulated for.
    sums : Sums
        Sums of the task, with the arrays of its layers; changed in place.
    """

    def __init__(self, task: BlockTask, sums: Sums) -> None:
        self._task = task
        self._sums = sums
        self._stratum = _room_for(sums) if task.strata else (sums.total, sums.count)
        self._look = _room_for(sums) if task.months or task.std or task.reasons else self._stratum
        self._first = np.zeros(sums.count.shape if task.reasons else (0, 0), np.uint8)
        self._current: int | None = None
        self.remarks: set[str] = set()

    @property
    def beyond(self) -> NDArray[np.int64]:
        """(2,) int64: number of observations outside -1 to 1, and number of pixels excluded by the index range."""
        return self._sums.beyond

    @property
    def total(self) -> NDArray[np.int64]:
        """(y, x) int64 in units of 2**-32 NDVI: where observations of the current look are added."""
        return self._look[0]

    @property
    def count(self) -> NDArray[np.uint16]:
        """(y, x) uint16: where observations of the current look are counted."""
        return self._look[1]

    def record_verdicts(self, verdicts: NDArray[np.generic]) -> None:
        """Record why pixels of the current look may be excluded. Of several scenes in a group, the first one decides.

        Parameters
        ----------
        verdicts : numpy.ndarray
            (y, x) uint8, see `compute.products.exclusion_reasons`.
        """
        exclusion_counts.record_first(verdicts, self._first)

    def sort_key(self, group: int) -> int:
        """Return the sort key of a group: the groups of a stratum must come one after another."""
        return self._task.strata[group] if self._task.strata else 0

    def start_group(self, group: int | None) -> None:
        """Finish the current look and start that of another group, None after the last; each group starts once."""
        ended, self._current = self._current, group
        if ended is None:
            return
        if self._look is not self._stratum:
            self._end_look(ended)
        if self._task.strata and (group is None or self.sort_key(group) != self.sort_key(ended)):
            self._end_stratum()

    def _end_look(self, group: int) -> None:
        total, count = self._look
        if self._sums.months is not None and self._task.months is not None:
            weighted_means.add_month(count, self._task.months[group], self._sums.months)
        if self._sums.squares is not None:
            weighted_means.add_squares(total, count, self._sums.squares)
        if self._sums.reasons is not None:
            exclusion_counts.add_reasons(count, self._first, self._sums.reasons)
        weighted_means.move_sums(total, count, *self._stratum)

    def _end_stratum(self) -> None:
        assert self._sums.means is not None
        assert self._sums.strata is not None
        weighted_means.add_mean(*self._stratum, self._sums.means, self._sums.strata)
        weighted_means.move_sums(*self._stratum, self._sums.total, self._sums.count)


def _room_for(sums: Sums) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    return np.zeros_like(sums.total), np.zeros_like(sums.count)
