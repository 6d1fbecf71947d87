"""Block totals: figures of a block's pixels that outlive its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from compute.scenes import UnreadScene


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Totals of the pixels of one or several blocks.

    Attributes
    ----------
    total : float
        Sum of the pixels' mean NDVI.
    clear : int
        Number of pixels that have one.
    most : int
        Largest number of clear observations of a pixel.
    looks : tuple of int
        Number of observations, and of looks that are none by each reason; empty where these are not counted.
    failed : frozenset of UnreadScene
        Scenes that could not be read and are not in them.
    beyond : (int, int)
        Numbers of observations outside -1 to 1, and of those that the index range leaves out.
    remarks : frozenset of str
        Sentences on what files state otherwise than documents or definition.
    """

    total: float
    clear: int
    most: int
    looks: tuple[int, ...] = ()
    failed: frozenset[UnreadScene]
    beyond: tuple[int, int] = (0, 0)
    remarks: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        ndvi_mean: NDArray[np.float32],
        clear_count: NDArray[np.uint16],
        unclear_count: NDArray[np.uint16] | None,
        failed: frozenset[UnreadScene],
    ) -> Self:
        """Return the tally of (y, x) means, NaN where there is none, and counts, and of (reason, y, x) counts."""
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
    def joined(cls, tallies: Sequence[Self]) -> Self:
        """Return the tally of several, at least one."""
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
