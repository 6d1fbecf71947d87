"""Login providers: what tells who somebody is; by a password file and by a header of a proxy."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import Any, Protocol

from tornado.httputil import HTTPHeaders

from compute.errors import GreenupError
from compute.jobs import Principal, user_principal
from dashboard.server.login.password_file import PasswordFile
from dashboard.server.login.throttle import Throttle

LONGEST_NAME = 200
"""Characters of the name of a user."""


class LoginError(GreenupError):
    """A login failed; the sentence is for whoever tried."""


@dataclass(frozen=True, kw_only=True)
class Presented:
    """Credentials that a request carries, and its address.

    Attributes
    ----------
    headers : tornado.httputil.HTTPHeaders
        All of them.
    address : str
        Where it comes from.
    link : str
        Token in its address, empty where there is none.
    """

    headers: HTTPHeaders
    address: str
    link: str = ""

    def authorization(self, *schemes: str) -> str:
        """Return the credentials of an ``Authorization`` header of one of the schemes, empty where there are none."""
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        return given.strip() if scheme.lower() in schemes else ""


class Provider(Protocol):
    """Login provider: identifies users and confirms their logins."""

    confirmed_s: float
    """How long a login is good without being confirmed again."""

    async def identify(self, presented: Presented) -> Principal | None:
        """Return whom a program's request names by itself, without a login of ours; None where it names nobody."""

    async def confirm(self, proof: Any) -> bool | None:
        """Return whether a login is still good; None where that cannot be told at the moment."""


def valid_name(name: object) -> bool:
    """Return whether a text can be the name of a user: printable, and not too long."""
    return isinstance(name, str) and name.isprintable() and name == name.strip() and 0 < len(name) <= LONGEST_NAME


class HeaderProvider:
    """Users that a trusted proxy names with each request; the gate lets the header through from its address alone."""

    def __init__(self, name: str) -> None:
        self._name = name

    def identify(self, headers: HTTPHeaders) -> Principal | None:
        """Return whom the header names; nobody where it is there twice."""
        named = headers.get_list(self._name)
        return user_principal(named[0]) if len(named) == 1 and valid_name(named[0]) else None


class PasswordProvider:
    """Users of a password file, by our form, or by basic authentication for other programs."""

    confirmed_s = 0.0

    def __init__(self, file: PasswordFile) -> None:
        self._file = file
        self._throttle = Throttle()
        self._tries: dict[tuple[str, str, str], asyncio.Future[Principal | None]] = {}

    async def identify(self, presented: Presented) -> Principal | None:
        """Return whom basic authentication names."""
        given = presented.authorization("basic")
        if not given:
            return None
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except ValueError:
            return None
        return await self.sign_in(user, password, presented.address)

    async def sign_in(self, user: str, password: str, address: str) -> Principal | None:
        """Return who has a name and a password, None where nobody does.

        Raises
        ------
        TooManyRequestsError
            Too many tries have failed.
        """
        key = (address, user, password)
        if key not in self._tries:
            # Counted before it is known: else any number of tries could be under way at once. The tiles of a map, which
            # all come with the same password, are one try.
            self._throttle.check(address, user)
            self._throttle.note_failure(address, user)
            self._tries[key] = asyncio.ensure_future(self._try(user, password, address))
            self._tries[key].add_done_callback(lambda _: self._tries.pop(key))
        return await asyncio.shield(self._tries[key])

    async def _try(self, user: str, password: str, address: str) -> Principal | None:
        if not (valid_name(user) and await self._file.check(user, password)):
            return None
        self._throttle.note_success(address, user)
        return user_principal(user)

    def proof(self, user: str) -> tuple[str, str | None]:
        """Return what `confirm` looks at: whoever gets another password signs in again."""
        return user, self._file.digest(user)

    async def confirm(self, proof: Any) -> bool | None:
        """Return whether the file still holds the user with the same hash."""
        user, digest = proof
        return digest is not None and self._file.digest(user) == digest
