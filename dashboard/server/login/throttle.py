"""Throttle of failed logins, by address and by user."""

from __future__ import annotations

import ipaddress
import time
from collections import deque

from cachetools import LRUCache

from compute.errors import TooManyRequestsError

WINDOW_S = 300.0
"""How long a failure counts."""

MOST_OF_ADDRESS = 10
"""Failures from one address within the window: somebody who has forgotten a password tries less often."""

MOST_OF_USER = 30
"""Failures for one user within the window, from all addresses: a guesser has few tries, and an owner still gets in
while an ordinary number of others fail."""

_MOST_KEPT = 20_000


class Throttle:
    """Counts failed logins."""

    def __init__(self) -> None:
        self._failures: LRUCache[str, deque[float]] = LRUCache(_MOST_KEPT)

    def check(self, address: str, user: str) -> None:
        """Let a try pass; without a user, by the address alone.

        Raises
        ------
        TooManyRequestsError
            Too many have failed from that address or for that user.
        """
        if self._count(_of_address(address)) >= MOST_OF_ADDRESS or (
            user and self._count(f"user {user}") >= MOST_OF_USER
        ):
            raise TooManyRequestsError("Too many logins have failed; try again in five minutes.")

    def note_success(self, address: str, user: str) -> None:
        """Take back the failure that was counted before a try which has succeeded."""
        for name in (_of_address(address), f"user {user}"):
            if failures := self._failures.get(name):
                failures.pop()

    def note_failure(self, address: str, user: str) -> None:
        """Count a failed try; without a user, for the address alone."""
        for name in (_of_address(address), *([f"user {user}"] if user else ())):
            self._failures.setdefault(name, deque(maxlen=MOST_OF_USER)).append(time.monotonic())

    def _count(self, name: str) -> int:
        failures = self._failures.get(name, deque[float]())
        while failures and time.monotonic() - failures[0] > WINDOW_S:
            failures.popleft()
        if not failures:
            self._failures.pop(name, None)
        return len(failures)


def _of_address(text: str) -> str:
    """Return the network that counts as one: one of IPv6 has as many addresses as anybody wants."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
