"""Login sessions of a server, with their open websockets."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from tornado.iostream import IOStream

from compute.jobs import Principal

MAX_LOGINS = 10_000
"""Greatest number of logins; at the limit, a new login ends the oldest."""

MAX_LOGINS_PER_USER = 100
"""Greatest number of logins of one user; at the limit, a new login ends the oldest."""


@dataclass(kw_only=True, eq=False)
class Login:
    """Login session of one browser.

    Attributes
    ----------
    id : str
        Value of the browser's cookie: 256 random bits.
    principal : Principal
        Authenticated user.
    proof : object
        Value by which the provider confirms the login: a password hash or a token.
    link : str
        Token that gives other programs access to tiles and the API until the login ends.
    started, checked : float
        Time of the start and of the last confirmation by the provider, in seconds of the monotonic clock.
    streams : weakref.WeakSet of tornado.iostream.IOStream
        Open websockets of the login.
    """

    id: str
    principal: Principal
    proof: Any
    link: str
    started: float
    checked: float
    streams: WeakSet[IOStream] = field(default_factory=WeakSet)


class LoginSessions:
    """Login sessions of a server, kept in memory.

    Parameters
    ----------
    hours : float
        Duration of a login.
    """

    def __init__(self, hours: float) -> None:
        self.lasting_s = hours * 3600
        self._logins: dict[str, Login] = {}
        self._links: dict[str, Login] = {}

    def __iter__(self) -> Iterator[Login]:
        return iter(list(self._logins.values()))

    def start_login(self, principal: Principal, proof: Any) -> Login:
        """Start a login session; at a limit, end the oldest ones.

        Parameters
        ----------
        principal : Principal
            Authenticated user.
        proof : object
            Value by which the provider confirms the login.
        """
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
        excess = own[: max(len(own) + 1 - MAX_LOGINS_PER_USER, 0)]
        if not excess and len(self._logins) >= MAX_LOGINS:
            excess = list(self)[:1]
        for each in excess:
            self.end_login(each)
        self._logins[login.id] = self._links[login.link] = login
        return login

    def find_by_cookie(self, identity: str) -> Login | None:
        """Return the unexpired login of a cookie value, or None."""
        return self._end_if_expired(self._logins.get(identity))

    def find_by_link(self, link: str) -> Login | None:
        """Return the unexpired login of a link token, or None."""
        return self._end_if_expired(self._links.get(link))

    def end_login(self, login: Login) -> None:
        """End a login and close its websockets."""
        self._logins.pop(login.id, None)
        self._links.pop(login.link, None)
        for stream in list(login.streams):
            stream.close()

    def _end_if_expired(self, login: Login | None) -> Login | None:
        if login is not None and time.monotonic() - login.started > self.lasting_s:
            self.end_login(login)
            return None
        return login
