"""Routes about logging in: ``/login``, ``/oauth_callback``, ``/logout`` and ``/api/link``."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from tornado.web import HTTPError, RequestHandler

from compute.errors import GreenupError, TooManyRequestsError
from compute.jobs import Principal
from dashboard.server.login.doorkeeper import CALLBACK, COOKIE, Doorkeeper
from dashboard.server.login.login_pages import POLICY, message_page, sign_in_page, sign_out_page
from dashboard.server.login.login_sessions import Login
from dashboard.server.login.oauth import OAuthProvider
from dashboard.server.login.providers import PasswordProvider
from dashboard.server.page import PRIVATE

_BROWSER = "greenup-browser"
"""Name of the cookie that ties the callback of a login to the browser that began it."""

_LONGEST_PATH = 2000

_OF_ADDRESSES = "/?&=%+,:;@!$'()*~[]"
"""What may stand in a path with its query, beside letters and digits; no header takes a line break."""


class _LoginHandler(RequestHandler):
    """Base of the login routes."""

    def initialize(self, doorkeeper: Doorkeeper) -> None:
        """Receive the access control of the server."""
        self.doorkeeper = doorkeeper

    def set_default_headers(self) -> None:
        """Send them with every answer, those of errors included."""
        for name, value in PRIVATE.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", POLICY)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say no more than the status."""
        self.finish(message_page("Sign in", f"The request could not be answered ({status_code}).", "Go to the login"))

    def say(self, status: int, title: str, sentence: str, link: str) -> None:
        """Finish with a sentence."""
        self.set_status(status)
        self.finish(message_page(title, sentence, link))

    def keep(self, name: str, value: str, seconds: float) -> None:
        """Set a cookie that scripts cannot read and other sites do not send along."""
        self.set_cookie(
            name,
            value,
            path=f"{self.doorkeeper.prefix}/",
            max_age=int(seconds),
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
        )

    def enter(self, principal: Principal, proof: Any, following: str) -> None:
        """Begin a login and lead to the path that was wanted."""
        earlier = self.doorkeeper.login_of(self.request.headers)
        if earlier is not None:
            self.doorkeeper.logins.end(earlier)
        login = self.doorkeeper.logins.start(principal, proof)
        self.keep(COOKIE, login.id, self.doorkeeper.logins.lasting_s)
        # Relative to this path: whatever the rest is, it stays below the root of this server.
        self.redirect("./" + quote(following, safe=_OF_ADDRESSES))

    def callback(self, provider: OAuthProvider) -> str:
        """Return the address of our callback as the provider knows it."""
        if provider.redirect_url is None:
            return f"{self.request.protocol}://{self.request.host}{self.doorkeeper.prefix}/{CALLBACK}"
        if provider.redirect_url.startswith("/"):
            return f"{self.request.protocol}://{self.request.host}{provider.redirect_url}"
        return provider.redirect_url


class LoginHandler(_LoginHandler):
    """``/login``: the form, or the way to the provider."""

    async def get(self) -> None:
        """Answer the form, or send the browser to the provider."""
        following, provider = self.get_query_argument("next", "")[:_LONGEST_PATH], self.doorkeeper.provider
        if isinstance(provider, PasswordProvider):
            self.finish(sign_in_page(following))
        elif isinstance(provider, OAuthProvider):
            browser = secrets.token_urlsafe(32)
            try:
                there = await provider.begin(browser, self.callback(provider), following)
            except GreenupError as error:
                self.say(503, "Sign in", str(error), "Try again")
                return
            self.keep(_BROWSER, browser, 600)
            self.redirect(there)
        else:
            raise HTTPError(404)

    async def post(self) -> None:
        """Sign in by a name and a password."""
        provider = self.doorkeeper.provider
        if not isinstance(provider, PasswordProvider):
            raise HTTPError(404)
        user = self.get_body_argument("user", "")
        following = self.get_body_argument("next", "")[:_LONGEST_PATH]
        password = self.get_body_argument("password", "", strip=False)
        try:
            principal = await provider.sign_in(user, password, self.request.remote_ip or "")
        except TooManyRequestsError as error:
            self.set_status(429)
            self.set_header("Retry-After", "300")
            self.finish(sign_in_page(following, user, str(error)))
            return
        if principal is None:
            self.set_status(401)
            self.finish(sign_in_page(following, user, "The user name or the password is not right; try again."))
            return
        self.enter(principal, provider.proof(user), following)


class CallbackHandler(_LoginHandler):
    """``/oauth_callback``: where the provider sends users back to."""

    async def get(self) -> None:
        """Finish the login."""
        provider = self.doorkeeper.provider
        if not isinstance(provider, OAuthProvider):
            raise HTTPError(404)
        state, code = self.get_query_argument("state", ""), self.get_query_argument("code", "")
        self.clear_cookie(_BROWSER, path=f"{self.doorkeeper.prefix}/")
        if not code:
            self.say(403, "Sign in", "The login provider did not let you in.", "Sign in again")
            return
        try:
            principal, proof, following = await provider.finish(self.get_cookie(_BROWSER, "") or "", state, code)
        except GreenupError as error:
            self.say(403, "Sign in", str(error), "Sign in again")
            return
        self.enter(principal, proof, following)


class LogoutHandler(_LoginHandler):
    """``/logout``: the question, and the end of the login."""

    def get(self) -> None:
        """Ask: a link from elsewhere must not sign anybody out."""
        login = self.doorkeeper.login_of(self.request.headers)
        if login is None:
            self.say(200, "Signed out", "You are signed out.", "Sign in")
        else:
            self.finish(sign_out_page(login.principal.name))

    def post(self) -> None:
        """End the login, and whatever page is open by it."""
        login = self.doorkeeper.login_of(self.request.headers)
        if login is not None:
            self.doorkeeper.logins.end(login)
        self.clear_cookie(COOKIE, path=f"{self.doorkeeper.prefix}/")
        self.redirect("./logout", status=303)


class LinkHandler(_LoginHandler):
    """``/api/link``: what opens tiles and the API in other programs, for as long as the login lasts."""

    def get(self) -> None:
        """Answer the token, and when it ends."""
        login: Login | None = self.doorkeeper.login_of(self.request.headers)
        if login is None:
            self.set_status(404)
            self.finish({"error": "There is no login that a link could be of; sign in on the page."})
            return
        left = login.started + self.doorkeeper.logins.lasting_s - time.monotonic()
        ends = datetime.now(UTC) + timedelta(seconds=left)
        self.finish({"token": login.link, "ends": ends.isoformat(timespec="seconds")})


def login_routes(doorkeeper: Doorkeeper) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes about logging in; none where there is no login."""
    if doorkeeper.provider is None:
        return []
    shared = {"doorkeeper": doorkeeper}
    return [
        (r"/login", LoginHandler, shared),
        (rf"/{CALLBACK}", CallbackHandler, shared),
        (r"/logout", LogoutHandler, shared),
        (r"/api/link", LinkHandler, shared),
    ]
