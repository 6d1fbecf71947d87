"""Login sessions of a server: user, age, and the sockets that end with the session."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from tornado.iostream import IOStream

from compute.jobs import Principal

MOST = 10_000
"""Logins that are kept; beyond, the oldest end."""

MOST_OF_USER = 100
"""Logins of one user that are kept; beyond, the oldest end."""


@dataclass(kw_only=True, eq=False)
class Login:
    """One login of one browser.

    Attributes
    ----------
    id : str
        What the browser's cookie holds: 256 random bits.
    principal : Principal
        Who is signed in.
    proof : object
        What its provider checks again: a hash, or a token.
    link : str
        What opens tiles and the API for other programs, for as long as the login lasts.
    started, checked : float
        When it began and when its provider last confirmed it, by the monotonic clock.
    """

    id: str
    principal: Principal
    proof: Any
    link: str
    started: float
    checked: float
    streams: WeakSet[IOStream] = field(default_factory=WeakSet)


class Logins:
    """All logins; they last no longer than the server.

    Parameters
    ----------
    hours : float
        How long one lasts.
    """

    def __init__(self, hours: float) -> None:
        self.lasting_s = hours * 3600
        self._logins: dict[str, Login] = {}
        self._links: dict[str, Login] = {}

    def __iter__(self) -> Iterator[Login]:
        return iter(list(self._logins.values()))

    def start(self, principal: Principal, proof: Any) -> Login:
        """Return a new login."""
        now = time.monotonic()
        login = Login(
            id=secrets.token_urlsafe(32),
            link=secrets.token_urlsafe(32),
            principal=principal,
            proof=proof,
            started=now,
            checked=now,
        )
        own = [each for each in self if each.principal.scope == principal.scope]
        for excess in (own[: len(own) + 1 - MOST_OF_USER] if len(own) >= MOST_OF_USER else []) or list(self)[:1]:
            if len(own) >= MOST_OF_USER or len(self._logins) >= MOST:
                self.end(excess)
        self._logins[login.id] = self._links[login.link] = login
        return login

    def find(self, identity: str) -> Login | None:
        """Return the living login of a cookie, None where there is none."""
        return self._living(self._logins.get(identity))

    def find_link(self, link: str) -> Login | None:
        """Return the living login of a link, None where there is none."""
        return self._living(self._links.get(link))

    def end(self, login: Login) -> None:
        """End a login and whatever is connected by it."""
        self._logins.pop(login.id, None)
        self._links.pop(login.link, None)
        for stream in list(login.streams):
            stream.close()

    def _living(self, login: Login | None) -> Login | None:
        if login is not None and time.monotonic() - login.started > self.lasting_s:
            self.end(login)
            return None
        return login
