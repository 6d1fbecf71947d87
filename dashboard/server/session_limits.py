"""Limits on open pages, in total and for each address."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress

from compute.errors import OverloadError, TooManyRequestsError

MOST_WAITING = 16
"""Greatest number of pages in the queue; building one takes about a second."""


class SessionLimits:
    """Limits on open pages, and the queue in which pages are built.

    Parameters
    ----------
    most : int
        Greatest number of open pages.
    most_of_address : int
        Greatest number of open pages from one address. Addresses of this machine are exempt, because they may be those
        of a proxy.
    """

    def __init__(self, *, most: int, most_of_address: int) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._building = asyncio.Semaphore(1)
        self._waiting = 0
        self._addresses: dict[str, str] = {}

    @asynccontextmanager
    async def reserve_build(
        self, visit: str, address: str, living: Callable[[], Collection[str]]
    ) -> AsyncIterator[None]:
        """Wait until a page may be built, and reserve the building for an ``async with`` block.

        Pages are built one at a time, with a pause in which the event loop serves other requests.

        Parameters
        ----------
        visit : str
            Session identifier.
        address : str
            Address of the client.
        living : callable
            Returns the identifiers of all open sessions.

        Raises
        ------
        TooManyRequestsError
            The address has too many open pages.
        OverloadError
            The server has too many open pages, or too many pages in the queue.
        """
        if self._waiting >= MOST_WAITING:
            raise OverloadError(
                f"{MOST_WAITING} pages are waiting to be built, which is the limit; try again in a few seconds."
            )
        self._waiting += 1
        try:
            await self._building.acquire()
        finally:
            self._waiting -= 1
        started = time.monotonic()
        try:
            self._refuse_over_limit(address, living())
            self._addresses[visit] = address
            yield
        finally:
            # Release after half the duration of the building, in which the event loop serves other requests.
            pause = min(time.monotonic() - started, 1.0) / 2
            asyncio.get_running_loop().call_later(pause, self._building.release)

    def _refuse_over_limit(self, address: str, living: Collection[str]) -> None:
        alive = set(living)
        self._addresses = {visit: each for visit, each in self._addresses.items() if visit in alive}
        if len(alive) >= self._most:
            raise OverloadError(
                f"{self._most} pages of this server are open, which is the limit; try again in a minute."
            )
        if not _is_this_machine(address) and list(self._addresses.values()).count(address) >= self._most_of_address:
            raise TooManyRequestsError(
                f"{self._most_of_address} pages are open from your address, which is the limit; close some of them."
            )


def _is_this_machine(address: str) -> bool:
    with suppress(ValueError):
        found = ipaddress.ip_address(address)
        # Tornado gives connections of a Unix socket the unspecified address 0.0.0.0.
        return found.is_loopback or found.is_unspecified
    return True
