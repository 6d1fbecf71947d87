"""Block totals: summary numbers of blocks, which are kept when their arrays are released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from compute.scenes import UnreadScene


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Totals over the pixels of one or several blocks.

    Attributes
    ----------
    total : float
        Sum of mean NDVI over the pixels with a mean.
    clear : int
        Number of pixels with a mean.
    most : int
        Maximum number of observations of a pixel.
    looks : tuple of int
        Number of observations, followed by the numbers of looks that are not observations, by exclusion reason (see
        `compute.engine.Sums`). Empty if reasons are not counted.
    failed : frozenset of UnreadScene
        Scenes that could not be read and are missing from the blocks.
    beyond : (int, int)
        Number of observations outside -1 to 1, and number of pixels excluded by the index range.
    remarks : frozenset of str
        Sentences about files that contradict their scene's document, the product definition or the products file.
    """

    total: float
    clear: int
    most: int
    looks: tuple[int, ...] = ()
    failed: frozenset[UnreadScene]
    beyond: tuple[int, int] = (0, 0)
    remarks: frozenset[str] = frozenset()

    @classmethod
    def from_arrays(
        cls,
        ndvi_mean: NDArray[np.float32],
        clear_count: NDArray[np.uint16],
        unclear_count: NDArray[np.uint16] | None,
        failed: frozenset[UnreadScene],
    ) -> Self:
        """Return the totals of the arrays of one block.

        Parameters
        ----------
        ndvi_mean : numpy.ndarray
            (y, x) float32 mean NDVI, NaN for pixels without a mean.
        clear_count : numpy.ndarray
            (y, x) uint16 numbers of observations.
        unclear_count : numpy.ndarray or None
            (reason, y, x) uint16 numbers of looks that are not observations; None if not counted.
        failed : frozenset of UnreadScene
            Scenes that could not be read.
        """
        seen = ~np.isnan(ndvi_mean)
        total = ndvi_mean.sum(where=seen, dtype=np.float64)
        return cls(
            total=float(total),
            clear=int(np.count_nonzero(seen)),
            most=int(clear_count.max()),
            looks=() if unclear_count is None else _looks(clear_count, unclear_count),
            failed=failed,
        )

    @classmethod
    def merge(cls, tallies: Sequence[Self]) -> Self:
        """Merge the totals of several blocks, at least one."""
        return cls(
            total=sum(each.total for each in tallies),
            clear=sum(each.clear for each in tallies),
            most=max(each.most for each in tallies),
            looks=tuple(sum(numbers) for numbers in zip(*(each.looks for each in tallies), strict=True)),
            failed=frozenset[UnreadScene]().union(*(each.failed for each in tallies)),
            beyond=(sum(each.beyond[0] for each in tallies), sum(each.beyond[1] for each in tallies)),
            remarks=frozenset[str]().union(*(each.remarks for each in tallies)),
        )


def _looks(clear_count: NDArray[np.uint16], unclear_count: NDArray[np.uint16]) -> tuple[int, ...]:
    return int(clear_count.sum(dtype=np.int64)), *unclear_count.sum(axis=(1, 2), dtype=np.int64).tolist()
