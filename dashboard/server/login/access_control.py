"""Access control of all routes: who a request is of, or why it is refused."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote

from tornado.httputil import HTTPHeaders, RequestStartLine

from compute.errors import GreenupError, TooManyRequestsError
from compute.jobs import ANONYMOUS, Principal
from dashboard.server.forwarded_headers import host_of_origin
from dashboard.server.login.login_sessions import Login, Logins
from dashboard.server.login.providers import HeaderProvider, PasswordProvider, Presented, Provider

COOKIE = "greenup-login"
"""Name of the cookie that holds the id of a login."""

CALLBACK = "oauth_callback"
"""Path that OAuth providers send users back to: the one that a JupyterHub expects of its services."""

_OPEN = {"healthz", "readyz", "login", "logout", "favicon.ico", CALLBACK}
"""Paths that are answered without a login: health says nothing of anybody, and the others are about logging in."""

_PROGRAMS = ("tiles/", "api/")
"""Where other programs sign in by each request: what they cannot open needs no confirmation while it is open."""

_WATCH_S = 15.0
_LONGEST_LINK = 2000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Denial:
    """Refusal of a request: status, sentence and headers.

    Attributes
    ----------
    status : http.HTTPStatus
        Of the answer.
    sentence : str
        Its body.
    headers : dict of str to str
        Its further headers.
    """

    status: HTTPStatus
    sentence: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A request that passes.

    Attributes
    ----------
    principal : Principal or None
        Whose it is; None where the path is open and nobody is signed in.
    login : Login or None
        By which login, where it is by one.
    """

    principal: Principal | None
    login: Login | None = None


class Doorkeeper:
    """Decides on every request before it reaches a route.

    Parameters
    ----------
    provider : Provider, HeaderProvider or None
        What tells who somebody is; None where there is no login.
    prefix : str
        Path below which the routes lie.
    hours : float
        How long a login lasts.
    metrics_token : str, optional
        What opens ``/metrics`` without a login.
    origins : sequence of str
        Hosts by which browsers reach the page, where a proxy tells another one.
    """

    def __init__(
        self,
        provider: Provider | HeaderProvider | None,
        *,
        prefix: str = "",
        hours: float = 12.0,
        metrics_token: str | None = None,
        origins: Sequence[str] = (),
    ) -> None:
        self.provider = provider
        self.logins = Logins(hours)
        self.prefix = prefix
        self._metrics_token = metrics_token
        self._origins = {each.lower() for each in origins}

    @property
    def signs_out(self) -> bool:
        """Whether users sign out here."""
        return self.provider is not None and not isinstance(self.provider, HeaderProvider)

    async def admit(self, line: RequestStartLine, headers: HTTPHeaders, address: str) -> Admission | Denial:
        """Return whose a request is, or why it is refused.

        Parameters
        ----------
        line : tornado.httputil.RequestStartLine
            Method and path.
        headers : tornado.httputil.HTTPHeaders
            Of the request, those of a proxy that is not believed left out.
        address : str
            Where it comes from.
        """
        if line.method not in ("GET", "HEAD", "OPTIONS") and not self._is_same_site(headers):
            return Denial(status=HTTPStatus.FORBIDDEN, sentence="Another site may not change anything here.")
        if self.provider is None:
            return Admission(principal=ANONYMOUS)
        # As it is routed: taken for a URL, //x/login would be another path.
        path, _, query = line.path.partition("?")
        path = path.removeprefix(f"{self.prefix}/")
        try:
            found = await self._found(path, query, headers, address)
        except TooManyRequestsError as error:
            return Denial(status=HTTPStatus.TOO_MANY_REQUESTS, sentence=str(error), headers={"Retry-After": "300"})
        except GreenupError as error:
            return Denial(status=HTTPStatus.SERVICE_UNAVAILABLE, sentence=str(error), headers={"Retry-After": "60"})
        return found or (Admission(principal=None) if path in _OPEN else self._denial(line, path, headers))

    def login_of(self, headers: HTTPHeaders) -> Login | None:
        """Return the living login of a browser, unconfirmed."""
        try:
            morsel = SimpleCookie(headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if morsel is None else self.logins.find(morsel.value)

    async def watch(self) -> None:
        """Confirm the logins of open sockets again and again, and end those that are not good any more."""
        while True:
            await asyncio.sleep(_WATCH_S)
            open_ = [login for login in self.logins if any(not stream.closed() for stream in login.streams)]
            for outcome in await asyncio.gather(*(self._is_good(each) for each in open_), return_exceptions=True):
                if isinstance(outcome, Exception):
                    _log.error("A login could not be confirmed.", exc_info=outcome)

    async def _found(self, path: str, query: str, headers: HTTPHeaders, address: str) -> Admission | None:
        """Return whose a request is, None where nobody is signed in by it."""
        provider = self.provider
        if isinstance(provider, HeaderProvider):
            return _of(provider.identify(headers))
        assert provider is not None
        login = self.login_of(headers)
        if login is not None and await self._is_good(login):
            return Admission(principal=login.principal, login=login)
        if path == "metrics" and self._opens_metrics(headers):
            return Admission(principal=ANONYMOUS)
        if not path.startswith(_PROGRAMS):
            return None
        link = parse_qs(query).get("token", [""])[0][:_LONGEST_LINK] if "token=" in query else ""
        login = self.logins.find_link(link) if link else None
        if login is not None and await self._is_good(login):
            return Admission(principal=login.principal, login=login)
        return _of(await provider.identify(Presented(headers=headers, address=address, link=link)))

    async def _is_good(self, login: Login) -> bool:
        """Return whether a login is good, and end it where it is not; one that cannot be confirmed stays as it was."""
        provider = self.provider
        assert provider is not None
        assert not isinstance(provider, HeaderProvider)
        if self.logins.find(login.id) is None:
            return False
        if time.monotonic() - login.checked <= provider.confirmed_s:
            return True
        # Before the answer, so that many requests at once are one question.
        login.checked = time.monotonic()
        if await provider.confirm(login.proof) is False:
            self.logins.end(login)
            return False
        return True

    def _opens_metrics(self, headers: HTTPHeaders) -> bool:
        given = headers.get("Authorization", "").encode()
        return self._metrics_token is not None and hmac.compare_digest(given, f"Bearer {self._metrics_token}".encode())

    def _is_same_site(self, headers: HTTPHeaders) -> bool:
        """Return whether a request that changes something comes from a page of ours, or from no page at all."""
        fetched = headers.get("Sec-Fetch-Site")
        if fetched is not None:
            return fetched in ("same-origin", "none")
        origin = headers.get("Origin")
        return origin is None or host_of_origin(origin) in {headers.get("Host", "").lower(), *self._origins}

    def _denial(self, line: RequestStartLine, path: str, headers: HTTPHeaders) -> Denial:
        if isinstance(self.provider, HeaderProvider):
            return Denial(status=HTTPStatus.UNAUTHORIZED, sentence="Sign in at the proxy of this server first.")
        is_browser = "Sec-Fetch-Mode" in headers
        is_page = "text/html" in headers.get("Accept", "") and not {"Upgrade", "Authorization"} & set(headers)
        if line.method == "GET" and is_page and headers.get("Sec-Fetch-Mode", "navigate") == "navigate":
            following = path + ("?" + line.path.partition("?")[2] if "?" in line.path else "")
            # Relative, so that any proxy's prefix may be before it.
            there = "../" * path.count("/") + "login"
            if following:
                there += "?next=" + quote(following[:_LONGEST_LINK], safe="")
            return Denial(status=HTTPStatus.FOUND, sentence="Sign in first.", headers={"Location": there})
        # Browsers would ask for a password themselves, in the middle of a visit.
        asks = isinstance(self.provider, PasswordProvider) and not is_browser
        challenge = {"WWW-Authenticate": 'Basic realm="Greenup", charset="UTF-8"'} if asks else {}
        return Denial(status=HTTPStatus.UNAUTHORIZED, sentence="Sign in first.", headers=challenge)


def _of(principal: Principal | None) -> Admission | None:
    return None if principal is None else Admission(principal=principal)
