"""Throttle of failed logins, by client address and by user."""

from __future__ import annotations

import ipaddress
import time
from collections import deque

from cachetools import LRUCache

from compute.errors import TooManyRequestsError

WINDOW_S = 300.0
"""Seconds for which a failure counts."""

MAX_FAILURES_PER_ADDRESS = 10
"""Greatest number of failures from one address within the window: more than a user with a forgotten password needs."""

MAX_FAILURES_PER_USER = 30
"""Greatest number of failures for one user within the window, from all addresses. It limits distributed guessing, but
a few failures from other addresses do not lock the user out."""

_MOST_KEPT = 20_000


class LoginThrottle:
    """Counter of failed logins within a sliding window."""

    def __init__(self) -> None:
        self._failures: LRUCache[str, deque[float]] = LRUCache(_MOST_KEPT)

    def check_attempts(self, address: str, user: str) -> None:
        """Refuse an attempt if too many have failed.

        Parameters
        ----------
        address : str
            Address of the client.
        user : str
            User name; empty to check the address only.

        Raises
        ------
        TooManyRequestsError
            Too many attempts have failed from this address or for this user.
        """
        if self._count(_network_key(address)) >= MAX_FAILURES_PER_ADDRESS or (
            user and self._count(f"user {user}") >= MAX_FAILURES_PER_USER
        ):
            raise TooManyRequestsError("Too many logins have failed; try again in five minutes.")

    def record_success(self, address: str, user: str) -> None:
        """Remove the failure that was counted before a successful attempt.

        Parameters
        ----------
        address : str
            Address of the client.
        user : str
            User name.
        """
        for name in (_network_key(address), f"user {user}"):
            if failures := self._failures.get(name):
                failures.pop()

    def record_failure(self, address: str, user: str) -> None:
        """Count a failed attempt.

        Parameters
        ----------
        address : str
            Address of the client.
        user : str
            User name; empty to count the failure for the address only.
        """
        for name in (_network_key(address), *([f"user {user}"] if user else ())):
            self._failures.setdefault(name, deque(maxlen=MAX_FAILURES_PER_USER)).append(time.monotonic())

    def _count(self, name: str) -> int:
        failures = self._failures.get(name, deque[float]())
        while failures and time.monotonic() - failures[0] > WINDOW_S:
            failures.popleft()
        if not failures:
            self._failures.pop(name, None)
        return len(failures)


def _network_key(text: str) -> str:
    """Return the network that counts as one client: a single IPv4 address, or a /64 of IPv6."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
