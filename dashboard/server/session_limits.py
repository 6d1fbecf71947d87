"""Limits on open pages, in total and for each address."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress

from compute.errors import OverloadError, TooManyRequestsError

MOST_WAITING = 16
"""Pages that wait to be built: each takes about a second."""


class Visits:
    """Room for visits.

    Parameters
    ----------
    most : int
        Visits at once.
    most_of_address : int
        Visits at once from one address; this machine's own are not counted by it, as proxies come from there.
    """

    def __init__(self, *, most: int, most_of_address: int) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._building = asyncio.Semaphore(1)
        self._waiting = 0
        self._addresses: dict[str, str] = {}

    @asynccontextmanager
    async def building(self, visit: str, address: str, living: Callable[[], Collection[str]]) -> AsyncIterator[None]:
        """Wait for the turn to build the page of a visit: one at a time, and the server has breath in between.

        Parameters
        ----------
        visit : str
            Its id.
        address : str
            Where it comes from.
        living : callable
            Returns the ids of the visits that there are.

        Raises
        ------
        TooManyRequestsError
            Too many visits come from that address.
        OverloadError
            There is no room for another visit, or too many wait for theirs.
        """
        if self._waiting >= MOST_WAITING:
            raise OverloadError("Too many people open this page at once; try again in a few seconds.")
        self._waiting += 1
        try:
            await self._building.acquire()
        finally:
            self._waiting -= 1
        started = time.monotonic()
        try:
            self._admit(address, living())
            self._addresses[visit] = address
            yield
        finally:
            # The next one waits for half as long as this took, so that others are served; this visitor does not.
            pause = min(time.monotonic() - started, 1.0) / 2
            asyncio.get_running_loop().call_later(pause, self._building.release)

    def _admit(self, address: str, living: Collection[str]) -> None:
        alive = set(living)
        self._addresses = {visit: each for visit, each in self._addresses.items() if visit in alive}
        if len(alive) >= self._most:
            raise OverloadError(
                f"{self._most} people use this server at once, which is all it has room for; try again in a minute."
            )
        if not _is_this_machine(address) and list(self._addresses.values()).count(address) >= self._most_of_address:
            raise TooManyRequestsError(
                f"{self._most_of_address} pages are open from your address, which is the most that one may have; close "
                "some of them."
            )


def _is_this_machine(address: str) -> bool:
    with suppress(ValueError):
        found = ipaddress.ip_address(address)
        # Without an address: of a Unix socket, as Tornado says it.
        return found.is_loopback or found.is_unspecified
    return True
