"""Access control: determine the principal of each request, or refuse it."""

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
from dashboard.server.forwarded_headers import parse_origin_host
from dashboard.server.login.login_sessions import Login, LoginSessions
from dashboard.server.login.providers import Credentials, HeaderProvider, PasswordProvider, Provider

COOKIE = "greenup-login"
"""Name of the cookie that holds the identifier of a login."""

CALLBACK = "oauth_callback"
"""Path of the OAuth callback; JupyterHub expects this name of its services."""

_OPEN = {"healthz", "readyz", "login", "logout", "favicon.ico", CALLBACK}
"""Paths that need no login: health checks, the icon, and the login itself."""

_PROGRAMS = ("tiles/", "api/")
"""Prefixes of paths below which other programs authenticate each request."""

_WATCH_S = 15.0
"""Interval between confirmations of the logins of open websockets, in seconds."""

_LONGEST_LINK = 2000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Denial:
    """Refusal of a request.

    Attributes
    ----------
    status : http.HTTPStatus
        Status of the response.
    sentence : str
        Error message in the body.
    headers : dict of str to str
        Further headers of the response.
    """

    status: HTTPStatus
    sentence: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Permission for a request.

    Attributes
    ----------
    principal : Principal or None
        Principal of the request; None on an open path without a login.
    login : Login or None
        Login session, if the request belongs to one.
    """

    principal: Principal | None
    login: Login | None = None


class AccessControl:
    """Access control of a server, applied before any route.

    Parameters
    ----------
    provider : Provider, HeaderProvider or None
        Login provider; None if there is no login.
    prefix : str
        Path below which the routes lie.
    hours : float
        Duration of a login.
    metrics_token : str, optional
        Bearer token that opens ``/metrics`` without a login.
    origins : sequence of str
        Hosts under which browsers open the page, if a proxy changes the ``Host`` header.
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
        self.logins = LoginSessions(hours)
        self.prefix = prefix
        self._metrics_token = metrics_token
        self._origins = {each.lower() for each in origins}

    @property
    def can_sign_out(self) -> bool:
        """Whether the page offers to sign out; with `HeaderProvider`, the proxy is responsible for that."""
        return self.provider is not None and not isinstance(self.provider, HeaderProvider)

    async def admit_request(self, line: RequestStartLine, headers: HTTPHeaders, address: str) -> Admission | Denial:
        """Return the admission of a request, or its denial.

        Parameters
        ----------
        line : tornado.httputil.RequestStartLine
            Method and path.
        headers : tornado.httputil.HTTPHeaders
            Headers of the request, without those of an untrusted proxy.
        address : str
            Address of the client.
        """
        if line.method not in ("GET", "HEAD", "OPTIONS") and not self._is_same_site(headers):
            return Denial(
                status=HTTPStatus.FORBIDDEN, sentence="A page of another site may not change anything on this server."
            )
        if self.provider is None:
            return Admission(principal=ANONYMOUS)
        # Split in the same way as the router; a URL parser would interpret the first part of //x/login as a host.
        path, _, query = line.path.partition("?")
        path = path.removeprefix(f"{self.prefix}/")
        try:
            found = await self._find_admission(path, query, headers, address)
        except TooManyRequestsError as error:
            return Denial(status=HTTPStatus.TOO_MANY_REQUESTS, sentence=str(error), headers={"Retry-After": "300"})
        except GreenupError as error:
            return Denial(status=HTTPStatus.SERVICE_UNAVAILABLE, sentence=str(error), headers={"Retry-After": "60"})
        return found or (Admission(principal=None) if path in _OPEN else self._deny_request(line, path, headers))

    def find_login(self, headers: HTTPHeaders) -> Login | None:
        """Return the unexpired login of the cookie, without confirming it; None if there is none."""
        try:
            morsel = SimpleCookie(headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if morsel is None else self.logins.find_by_cookie(morsel.value)

    async def watch_logins(self) -> None:
        """Confirm the logins of open websockets every 15 seconds until cancelled, and end those that are revoked."""
        while True:
            await asyncio.sleep(_WATCH_S)
            open_ = [login for login in self.logins if any(not stream.closed() for stream in login.streams)]
            for outcome in await asyncio.gather(*(self._confirm_login(each) for each in open_), return_exceptions=True):
                if isinstance(outcome, Exception):
                    _log.error("A login could not be confirmed.", exc_info=outcome)

    async def _find_admission(self, path: str, query: str, headers: HTTPHeaders, address: str) -> Admission | None:
        """Return the admission of a request, or None if it is not authenticated."""
        provider = self.provider
        if isinstance(provider, HeaderProvider):
            return _make_admission(provider.identify_user(headers))
        assert provider is not None
        login = self.find_login(headers)
        if login is not None and await self._confirm_login(login):
            return Admission(principal=login.principal, login=login)
        if path == "metrics" and self._has_metrics_token(headers):
            return Admission(principal=ANONYMOUS)
        if not path.startswith(_PROGRAMS):
            return None
        link = parse_qs(query).get("token", [""])[0][:_LONGEST_LINK] if "token=" in query else ""
        login = self.logins.find_by_link(link) if link else None
        if login is not None and await self._confirm_login(login):
            return Admission(principal=login.principal, login=login)
        return _make_admission(await provider.identify_user(Credentials(headers=headers, address=address, link=link)))

    async def _confirm_login(self, login: Login) -> bool:
        """Return whether a login is valid, and end it if it is revoked.

        The provider is queried if the last confirmation is older than `Provider.confirmed_s`. If it does not answer,
        the login stays valid.
        """
        provider = self.provider
        assert provider is not None
        assert not isinstance(provider, HeaderProvider)
        if self.logins.find_by_cookie(login.id) is None:
            return False
        if time.monotonic() - login.checked <= provider.confirmed_s:
            return True
        # Set before the answer arrives, so that concurrent requests query the provider only once.
        login.checked = time.monotonic()
        if await provider.confirm_login(login.proof) is False:
            self.logins.end_login(login)
            return False
        return True

    def _has_metrics_token(self, headers: HTTPHeaders) -> bool:
        given = headers.get("Authorization", "").encode()
        return self._metrics_token is not None and hmac.compare_digest(given, f"Bearer {self._metrics_token}".encode())

    def _is_same_site(self, headers: HTTPHeaders) -> bool:
        """Return whether a request comes from a page of this server or from a program other than a browser."""
        fetched = headers.get("Sec-Fetch-Site")
        if fetched is not None:
            return fetched in ("same-origin", "none")
        origin = headers.get("Origin")
        return origin is None or parse_origin_host(origin) in {headers.get("Host", "").lower(), *self._origins}

    def _deny_request(self, line: RequestStartLine, path: str, headers: HTTPHeaders) -> Denial:
        if isinstance(self.provider, HeaderProvider):
            return Denial(status=HTTPStatus.UNAUTHORIZED, sentence="Sign in at the proxy of this server first.")
        is_browser = "Sec-Fetch-Mode" in headers
        is_page = "text/html" in headers.get("Accept", "") and not {"Upgrade", "Authorization"} & set(headers)
        if line.method == "GET" and is_page and headers.get("Sec-Fetch-Mode", "navigate") == "navigate":
            following = path + ("?" + line.path.partition("?")[2] if "?" in line.path else "")
            # Relative, so that it works below the prefix of any proxy.
            there = "../" * path.count("/") + "login"
            if following:
                there += "?next=" + quote(following[:_LONGEST_LINK], safe="")
            return Denial(status=HTTPStatus.FOUND, sentence="Sign in first.", headers={"Location": there})
        # Not for browsers, which would open a password dialog of their own.
        asks = isinstance(self.provider, PasswordProvider) and not is_browser
        challenge = {"WWW-Authenticate": 'Basic realm="Greenup", charset="UTF-8"'} if asks else {}
        return Denial(status=HTTPStatus.UNAUTHORIZED, sentence="Sign in first.", headers=challenge)


def _make_admission(principal: Principal | None) -> Admission | None:
    return None if principal is None else Admission(principal=principal)
