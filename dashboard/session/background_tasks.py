"""Background tasks of a visit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from compute.errors import GreenupError
from dashboard.state import VisitState


class BackgroundTasks:
    """Background tasks of a visit; the message of an error is shown as the notice of the page.

    Parameters
    ----------
    visit : VisitState
        State with the notice.
    """

    def __init__(self, visit: VisitState) -> None:
        self._visit = visit
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Start a coroutine function as a task, and return the task."""
        task = asyncio.ensure_future(self._run_guarded(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def cancel_all(self) -> None:
        """Cancel every running task."""
        for task in self._running:
            task.cancel()

    async def _run_guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except GreenupError as error:
            self._visit.update(notice=str(error))
