"""Lag of the server's event loop, as a histogram."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from itertools import accumulate

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Upper bounds of the histogram's buckets, in seconds."""

_EVERY_S = 0.1


class LoopLag:
    """Histogram of the event loop's lag, measured ten times a second.

    Attributes
    ----------
    total_s : float
        Sum of all lags, in seconds.
    """

    def __init__(self) -> None:
        self.total_s = 0.0
        self._counts = [0] * (len(BOUNDS_S) + 1)

    @property
    def cumulative_counts(self) -> list[int]:
        """Number of lags up to each of `BOUNDS_S`, and number of all lags."""
        return list(accumulate(self._counts))

    def record_lag(self, lag_s: float) -> None:
        """Add a lag, in seconds, to the histogram."""
        self.total_s += lag_s
        self._counts[bisect_left(BOUNDS_S, lag_s)] += 1

    async def measure(self) -> None:
        """Measure the lag until the task is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self.record_lag(max(loop.time() - due, 0.0))
