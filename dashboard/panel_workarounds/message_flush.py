"""Flush of Panel's message queue after every change of a page's state."""

from __future__ import annotations

from dashboard.state import PageState

_FLUSHES = 2
"""A second flush, as the first may join the message of the change itself."""


class MessageFlush:
    """Follow every change of a page's state with one that has no meaning.

    Panel 1.9 writes to a browser beside its own lock (`panel.io.document.unlocked`): a message added in the moment in
    which the one before it has gone out waits until there is another one to send. This can go once ``unlocked``
    dispatches such a message by itself.

    Parameters
    ----------
    state : PageState
        Its `visit.flush_counter` counts the flushes.
    """

    def __init__(self, state: PageState) -> None:
        self._visit = state.visit
        self._pending = 0
        for concern in state:
            concern.param.watch(self._schedule, [name for name in concern.param if name != "flush_counter"])

    def send_pending(self) -> None:
        """Flush once, if something changed lately; called a few times a second."""
        if self._pending:
            self._pending -= 1
            self._visit.flush_counter += 1

    def _schedule(self, *_: object) -> None:
        self._pending = _FLUSHES
