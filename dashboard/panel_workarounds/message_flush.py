"""Flush of Panel's message queue after every change of a visit's state."""

from __future__ import annotations

from dashboard.state import VisitState

_BEATS = 2
"""A second one, where the first and the change came in one moment."""


class Pulse:
    """Lets a change that means nothing follow the changes of a visit.

    Panel writes to a browser beside its own lock (`panel.io.document.unlocked`), and a message that is added in the
    moment in which the one before it has gone out waits until there is another to send.

    Parameters
    ----------
    state : VisitState
        Its `pulse` counts the beats.
    """

    def __init__(self, state: VisitState) -> None:
        self._state = state
        self._due = 0
        state.param.watch(self._note, [name for name in state.param if name != "pulse"])

    def beat(self) -> None:
        """Send one more change, if there were any lately; called a few times a second."""
        if self._due:
            self._due -= 1
            self._state.pulse += 1

    def _note(self, *_: object) -> None:
        self._due = _BEATS
