"""Lag of the server's event loop."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from itertools import accumulate

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Upper bounds of the classes that lags are counted in, in seconds."""

_EVERY_S = 0.1


class LoopLag:
    """Counts by how much the event loop is late, ten times a second.

    Attributes
    ----------
    total_s : float
        Sum of all lags, in seconds.
    """

    def __init__(self) -> None:
        self.total_s = 0.0
        self._counts = [0] * (len(BOUNDS_S) + 1)

    @property
    def at_most(self) -> list[int]:
        """Number of lags up to each of `BOUNDS_S`, and in total."""
        return list(accumulate(self._counts))

    def note(self, lag_s: float) -> None:
        """Count a lag, in seconds."""
        self.total_s += lag_s
        self._counts[bisect_left(BOUNDS_S, lag_s)] += 1

    async def measure(self) -> None:
        """Measure until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self.note(max(loop.time() - due, 0.0))
