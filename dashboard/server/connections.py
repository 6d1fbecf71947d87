"""Limit on open connections: at the limit, the connection that has been idle longest is closed."""

from __future__ import annotations

import resource
import time
from typing import Any

_OTHER_FILES = 256
"""File descriptors for everything else in the process: websockets, workers, the catalogue, the list of jobs."""

_FEWEST = 16


def compute_connection_limit(wanted: int) -> int:
    """Return how many connections the server may hold, given the process's limit of open files.

    Parameters
    ----------
    wanted : int
        Configured limit.

    Returns
    -------
    int
        The smaller of `wanted` and the available file descriptors, but at least 16.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = wanted if soft == resource.RLIM_INFINITY else soft - _OTHER_FILES
    return max(min(wanted, free), _FEWEST)


class ConnectionLimit:
    """Limit on the open connections of a server. At the limit, one of them is closed to admit another.

    Parameters
    ----------
    most : int
        Greatest number of concurrent connections.
    patience_s : float
        Seconds after which a connection whose client does not read its response may be closed at the limit.
    """

    def __init__(self, *, most: int, patience_s: float) -> None:
        self._most = most
        self._patience_s = patience_s
        # Connections of Tornado's HTTP server with the time of their last change, oldest first.
        self._idle: dict[Any, float] = {}
        self._busy: dict[Any, float] = {}

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def admit_connection(self, connection: Any) -> bool:
        """Register a connection as idle, and return whether it is admitted.

        At the limit, another connection is closed: the one that has been idle longest, else one whose client has not
        read its response for `patience_s`. Without either, the new connection is not admitted.
        """
        if self._busy.pop(connection, None) is None and len(self) >= self._most and not self._close_oldest():
            return False
        self._idle[connection] = time.monotonic()
        return True

    def mark_busy(self, connection: Any) -> None:
        """Register that a request has arrived on a connection."""
        if self._idle.pop(connection, None) is not None:
            self._busy[connection] = time.monotonic()

    def remove_connection(self, connection: Any) -> None:
        """Remove a connection that is closed or has become a websocket."""
        self._idle.pop(connection, None)
        self._busy.pop(connection, None)

    def _close_oldest(self) -> bool:
        oldest = next(iter(self._idle), None)
        if oldest is None:
            slow = next(iter(self._busy), None)
            oldest = slow if slow and time.monotonic() - self._busy[slow] > self._patience_s else None
        if oldest is None:
            return False
        self.remove_connection(oldest)
        oldest.stream.close()
        return True
