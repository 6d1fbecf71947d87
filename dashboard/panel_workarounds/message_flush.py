"""Flush of Panel's message queue after every change of a page's state."""

from __future__ import annotations

from dashboard.state import PageState

_FLUSHES = 2
"""Number of flushes after a change. The first may be part of the same message as the change."""


class MessageFlush:
    """Follow every change of a page's state with changes of a counter, which flush the message queue.

    Panel 1.9 can write to a browser without its own lock (`panel.io.document.unlocked`). A message that is added just
    after the previous one was sent then stays in the queue until the next message. This can be removed once
    ``unlocked`` dispatches such messages.

    Parameters
    ----------
    state : PageState
        State of the page; `visit.flush_counter` counts the flushes.
    """

    def __init__(self, state: PageState) -> None:
        self._visit = state.visit
        self._pending = 0
        for concern in state:
            concern.param.watch(self._schedule, [name for name in concern.param if name != "flush_counter"])

    def send_pending(self) -> None:
        """Flush once if flushes are pending; called a few times a second."""
        if self._pending:
            self._pending -= 1
            self._visit.flush_counter += 1

    def _schedule(self, *_: object) -> None:
        self._pending = _FLUSHES
