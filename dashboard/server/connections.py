"""Limit on open connections: beyond it, the slowest are closed."""

from __future__ import annotations

import resource
import time
from typing import Any

_OTHER_FILES = 256
"""Files that the rest of the process opens: websockets, workers, the catalogue, the list of jobs."""

_FEWEST = 16


def most_connections(wanted: int) -> int:
    """Return how many connections a server may hold, of those wanted, with the files that its process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = wanted if soft == resource.RLIM_INFINITY else soft - _OTHER_FILES
    return max(min(wanted, free), _FEWEST)


class Connections:
    """Open connections of a server, by what they wait for.

    Parameters
    ----------
    most : int
        Most of them at once.
    patience_s : float
        How long an answer may be on its way to who does not read it, in seconds, once there is no room.
    """

    def __init__(self, *, most: int, patience_s: float) -> None:
        self._most = most
        self._patience_s = patience_s
        # In the order in which they began to wait; connections of Tornado's HTTP server.
        self._idle: dict[Any, float] = {}
        self._busy: dict[Any, float] = {}

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def admit(self, connection: Any) -> bool:
        """Note that a connection waits for a request, and return whether there is room for it.

        Another is closed for it: one that has waited longest for its request, or whose answer nobody reads.
        """
        if self._busy.pop(connection, None) is None and len(self) >= self._most and not self._close_oldest():
            return False
        self._idle[connection] = time.monotonic()
        return True

    def begin(self, connection: Any) -> None:
        """Note that a request has come."""
        if self._idle.pop(connection, None) is not None:
            self._busy[connection] = time.monotonic()

    def forget(self, connection: Any) -> None:
        """Note that a connection is closed, or is a websocket from now on."""
        self._idle.pop(connection, None)
        self._busy.pop(connection, None)

    def _close_oldest(self) -> bool:
        oldest = next(iter(self._idle), None)
        if oldest is None:
            slow = next(iter(self._busy), None)
            oldest = slow if slow and time.monotonic() - self._busy[slow] > self._patience_s else None
        if oldest is None:
            return False
        self.forget(oldest)
        oldest.stream.close()
        return True
