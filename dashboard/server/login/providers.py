"""Login providers: the protocol, the password file, and the header of a proxy."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import Any, Protocol

from tornado.httputil import HTTPHeaders

from compute.errors import GreenupError
from compute.jobs import Principal, user_principal
from dashboard.server.login.password_file import PasswordFile
from dashboard.server.login.throttle import LoginThrottle

LONGEST_NAME = 200
"""Greatest length of a user name in characters."""


class LoginError(GreenupError):
    """Error raised when a login fails; the message is shown to the user."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Credentials of a request.

    Attributes
    ----------
    headers : tornado.httputil.HTTPHeaders
        All headers of the request.
    address : str
        Address of the client.
    link : str
        Token in the query; empty if there is none.
    """

    headers: HTTPHeaders
    address: str
    link: str = ""

    def find_authorization(self, *schemes: str) -> str:
        """Return the value of an ``Authorization`` header with one of the schemes, or an empty string."""
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        return given.strip() if scheme.lower() in schemes else ""


class Provider(Protocol):
    """Login provider: identifies users and confirms their logins."""

    confirmed_s: float
    """Seconds for which a login stays valid without another confirmation."""

    async def identify_user(self, credentials: Credentials) -> Principal | None:
        """Return the principal of the credentials in a request, or None if it has no valid credentials."""

    async def confirm_login(self, proof: Any) -> bool | None:
        """Return whether a login is still valid; None if the provider does not answer."""


def valid_name(name: object) -> bool:
    """Return whether a value is a valid user name: printable, without surrounding blanks, and not too long."""
    return isinstance(name, str) and name.isprintable() and name == name.strip() and 0 < len(name) <= LONGEST_NAME


class HeaderProvider:
    """Users that a trusted proxy names in a header. The gate removes the header from all other requests."""

    def __init__(self, name: str) -> None:
        self._name = name

    def identify_user(self, headers: HTTPHeaders) -> Principal | None:
        """Return the principal that the header names, or None if the header is missing or repeated."""
        named = headers.get_list(self._name)
        return user_principal(named[0]) if len(named) == 1 and valid_name(named[0]) else None


class PasswordProvider:
    """Users of a password file, by the login form or by Basic authentication (RFC 7617)."""

    confirmed_s = 0.0

    def __init__(self, file: PasswordFile) -> None:
        self._file = file
        self._throttle = LoginThrottle()
        self._attempts: dict[tuple[str, str, str], asyncio.Future[Principal | None]] = {}

    async def identify_user(self, credentials: Credentials) -> Principal | None:
        """Return the principal of the Basic credentials of a request, or None if it has no valid ones."""
        given = credentials.find_authorization("basic")
        if not given:
            return None
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except ValueError:
            return None
        return await self.sign_in(user, password, credentials.address)

    async def sign_in(self, user: str, password: str, address: str) -> Principal | None:
        """Return the principal of a user name and password, or None if they are not valid.

        Parameters
        ----------
        user : str
            User name.
        password : str
            Password in plain text.
        address : str
            Address of the client, for the throttle.

        Raises
        ------
        TooManyRequestsError
            Too many attempts have failed.
        """
        key = (address, user, password)
        if key not in self._attempts:
            # Counted as a failure until it succeeds, so that concurrent attempts are also limited. Requests with the
            # same credentials, such as requests for map tiles, share one attempt.
            self._throttle.check_attempts(address, user)
            self._throttle.record_failure(address, user)
            self._attempts[key] = asyncio.ensure_future(self._check_attempt(user, password, address))
            self._attempts[key].add_done_callback(lambda _: self._attempts.pop(key))
        return await asyncio.shield(self._attempts[key])

    async def _check_attempt(self, user: str, password: str, address: str) -> Principal | None:
        if not (valid_name(user) and await self._file.check_password(user, password)):
            return None
        self._throttle.record_success(address, user)
        return user_principal(user)

    def make_proof(self, user: str) -> tuple[str, str | None]:
        """Return user name and hash, by which `confirm_login` detects a changed password."""
        return user, self._file.find_digest(user)

    async def confirm_login(self, proof: Any) -> bool | None:
        """Return whether the file still has the user with the same hash."""
        user, digest = proof
        return digest is not None and self._file.find_digest(user) == digest
