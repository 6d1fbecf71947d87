"""Background work of one visit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from compute.errors import GreenupError
from dashboard.state import VisitState


class Tasks:
    """Starts what a visit waits for, and says of what fails why; ends with the visit.

    Parameters
    ----------
    state : VisitState
        Shown the sentence of an error that no field stands for.
    """

    def __init__(self, state: VisitState) -> None:
        self._state = state
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run without being waited for."""
        task = asyncio.ensure_future(self._guarded(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def end(self) -> None:
        """Stop everything that still runs."""
        for task in self._running:
            task.cancel()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except GreenupError as error:
            self._state.show(notice=str(error), estimating=False)
