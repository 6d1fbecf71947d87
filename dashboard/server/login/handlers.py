"""Routes of the login: ``/login``, ``/oauth_callback``, ``/logout`` and ``/api/link``."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from tornado.web import HTTPError, RequestHandler

from compute.errors import GreenupError, TooManyRequestsError
from compute.jobs import Principal
from dashboard.server.login.access_control import CALLBACK, COOKIE, AccessControl
from dashboard.server.login.login_pages import POLICY, message_page, sign_in_page, sign_out_page
from dashboard.server.login.login_sessions import Login
from dashboard.server.login.oauth import OAuthProvider
from dashboard.server.login.providers import PasswordProvider
from dashboard.server.page import PRIVATE

_BROWSER = "greenup-browser"
"""Name of the cookie that ties an OAuth callback to the browser that started the login."""

_LONGEST_PATH = 2000

_OF_ADDRESSES = "/?&=%+,:;@!$'()*~[]"
"""Characters of a path and query that are not escaped. Line breaks are, so no header can be injected."""


class _LoginHandler(RequestHandler):
    """Base class of the login routes."""

    def initialize(self, access_control: AccessControl) -> None:
        """Store the access control of the server."""
        self.access_control = access_control

    def set_default_headers(self) -> None:
        """Set privacy and content security headers on every response, errors included."""
        for name, value in PRIVATE.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", POLICY)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Write a page with the status of the error."""
        self.finish(message_page("Sign in", f"The request could not be answered ({status_code}).", "Go to the login"))

    def finish_with_message(self, status: int, title: str, sentence: str, link: str) -> None:
        """Finish the response with a page that shows a message.

        Parameters
        ----------
        status : int
            HTTP status.
        title : str
            Title of the page.
        sentence : str
            Message.
        link : str
            Label of the button that leads to the login.
        """
        self.set_status(status)
        self.finish(message_page(title, sentence, link))

    def set_private_cookie(self, name: str, value: str, seconds: float) -> None:
        """Set a cookie that scripts cannot read (HttpOnly) and other sites can send only by links (SameSite=Lax).

        Parameters
        ----------
        name, value : str
            Name and value of the cookie.
        seconds : float
            Lifetime.
        """
        self.set_cookie(
            name,
            value,
            path=f"{self.access_control.prefix}/",
            max_age=int(seconds),
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
        )

    def start_login(self, principal: Principal, proof: Any, following: str) -> None:
        """Start a login session and redirect to the requested path.

        Parameters
        ----------
        principal : Principal
            Authenticated user.
        proof : object
            Value by which the provider confirms the login later.
        following : str
            Requested path with its query, relative to the root of this server.
        """
        earlier = self.access_control.find_login(self.request.headers)
        if earlier is not None:
            self.access_control.logins.end_login(earlier)
        login = self.access_control.logins.start_login(principal, proof)
        self.set_private_cookie(COOKIE, login.id, self.access_control.logins.lasting_s)
        # Relative to this path, so that it cannot lead to another host.
        self.redirect("./" + quote(following, safe=_OF_ADDRESSES))

    def find_callback_url(self, provider: OAuthProvider) -> str:
        """Return the absolute URL of the callback, for the provider."""
        if provider.redirect_url is None:
            return f"{self.request.protocol}://{self.request.host}{self.access_control.prefix}/{CALLBACK}"
        if provider.redirect_url.startswith("/"):
            return f"{self.request.protocol}://{self.request.host}{provider.redirect_url}"
        return provider.redirect_url


class LoginHandler(_LoginHandler):
    """``/login``: the login form, or the redirect to the provider."""

    async def get(self) -> None:
        """Write the login form, or redirect to the provider."""
        following, provider = self.get_query_argument("next", "")[:_LONGEST_PATH], self.access_control.provider
        if isinstance(provider, PasswordProvider):
            self.finish(sign_in_page(following))
        elif isinstance(provider, OAuthProvider):
            browser = secrets.token_urlsafe(32)
            try:
                there = await provider.start_login(browser, self.find_callback_url(provider), following)
            except GreenupError as error:
                self.finish_with_message(503, "Sign in", str(error), "Try again")
                return
            self.set_private_cookie(_BROWSER, browser, 600)
            self.redirect(there)
        else:
            raise HTTPError(404)

    async def post(self) -> None:
        """Sign in by user name and password."""
        provider = self.access_control.provider
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
            self.finish(sign_in_page(following, user, "The user name or password is incorrect; try again."))
            return
        self.start_login(principal, provider.make_proof(user), following)


class CallbackHandler(_LoginHandler):
    """``/oauth_callback``: redirect URI of the provider (RFC 6749, section 4.1.2)."""

    async def get(self) -> None:
        """Exchange the code for a token and start the login session."""
        provider = self.access_control.provider
        if not isinstance(provider, OAuthProvider):
            raise HTTPError(404)
        state, code = self.get_query_argument("state", ""), self.get_query_argument("code", "")
        self.clear_cookie(_BROWSER, path=f"{self.access_control.prefix}/")
        if not code:
            self.finish_with_message(403, "Sign in", "The login provider refused the login.", "Sign in again")
            return
        try:
            principal, proof, following = await provider.finish_login(self.get_cookie(_BROWSER, "") or "", state, code)
        except GreenupError as error:
            self.finish_with_message(403, "Sign in", str(error), "Sign in again")
            return
        self.start_login(principal, proof, following)


class LogoutHandler(_LoginHandler):
    """``/logout``: confirmation form and logout."""

    def get(self) -> None:
        """Write a confirmation form; a link on another site must not sign a user out."""
        login = self.access_control.find_login(self.request.headers)
        if login is None:
            self.finish_with_message(200, "Signed out", "You are signed out.", "Sign in")
        else:
            self.finish(sign_out_page(login.principal.name))

    def post(self) -> None:
        """End the login and close its websockets."""
        login = self.access_control.find_login(self.request.headers)
        if login is not None:
            self.access_control.logins.end_login(login)
        self.clear_cookie(COOKIE, path=f"{self.access_control.prefix}/")
        self.redirect("./logout", status=303)


class LinkHandler(_LoginHandler):
    """``/api/link``: token that gives other programs access to tiles and the API until the login ends."""

    def get(self) -> None:
        """Write the token and its expiry time."""
        login: Login | None = self.access_control.find_login(self.request.headers)
        if login is None:
            self.set_status(404)
            self.finish({"error": "A link needs a login; sign in on the page."})
            return
        left = login.started + self.access_control.logins.lasting_s - time.monotonic()
        ends = datetime.now(UTC) + timedelta(seconds=left)
        self.finish({"token": login.link, "ends": ends.isoformat(timespec="seconds")})


def login_routes(access_control: AccessControl) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of the login; none if there is no login."""
    if access_control.provider is None:
        return []
    shared = {"access_control": access_control}
    return [
        (r"/login", LoginHandler, shared),
        (rf"/{CALLBACK}", CallbackHandler, shared),
        (r"/logout", LogoutHandler, shared),
        (r"/api/link", LinkHandler, shared),
    ]
