"""Accumulate the observations of a task group by group: sums, counts, strata, months, squares, exclusion reasons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compute.engine.block_records import BlockTask, Sums
from compute.kernels import exclusion_counts, weighted_means


class LookAccumulator:
    """Accumulate one group of scenes after another in the sums of a task.

    A *look* is a group whose mask is not nodata at a pixel. If a task computes means and counts over observations only,
    observations are added directly to its sums. For months, the standard deviation or exclusion reasons, each group is
    first summed in separate arrays. For strata, each stratum is first summed in separate arrays.

    Parameters
    ----------
    task : BlockTask
        Task, with the stratum and month of each group and the layers to accumulate.
    sums : Sums
        Sums of the task, from `Sums.zeros_for`; changed in place.
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
        """Number of observations outside -1 to 1, and number of pixels excluded by the index range, as (2,) int64."""
        return self._sums.beyond

    @property
    def total(self) -> NDArray[np.int64]:
        """(y, x) int64 array to which the observations of the current group are added, in units of 2**-32 NDVI."""
        return self._look[0]

    @property
    def count(self) -> NDArray[np.uint16]:
        """(y, x) uint16 array in which the observations of the current group are counted."""
        return self._look[1]

    def record_verdicts(self, verdicts: NDArray[np.generic]) -> None:
        """Record the verdicts of one scene of the current group, for pixels that do not become observations.

        If several scenes of a group have data at a pixel, the verdict of the first one is kept.

        Parameters
        ----------
        verdicts : numpy.ndarray
            (y, x) uint8 verdicts; see `compute.products.exclusion_reasons`.
        """
        exclusion_counts.record_first(verdicts, self._first)

    def sort_key(self, group: int) -> int:
        """Return a sort key that makes the groups of a stratum consecutive, as `start_group` requires."""
        return self._task.strata[group] if self._task.strata else 0

    def start_group(self, group: int | None) -> None:
        """Finish the current group, and start the given group unless it is None. Start each group only once."""
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
