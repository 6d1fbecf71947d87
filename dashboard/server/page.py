"""HTTP handler of the page, with its content security policy and an error page."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from bokeh.core.types import ID
from bokeh.server.session import ServerSession
from bokeh.util.token import generate_jwt_token, generate_session_id
from panel.io.server import DocHandler
from tornado.web import HTTPError, RequestHandler

from compute.errors import OverloadError, TooManyRequestsError
from dashboard.panel_workarounds.garbage_collection import PageGarbage
from dashboard.panel_workarounds.page_building import create_session
from dashboard.server.forwarded_headers import find_request_host
from dashboard.server.principals import USER, get_principal
from dashboard.server.response_policy import NO_DOCUMENT, PERMISSIONS, add_nonce, complete_content_policy
from dashboard.server.session_limits import SessionLimits

ICON = Path(__file__).parent.parent / "icon.svg"
"""Icon of Greenup, as SVG."""

PRIVATE = NO_DOCUMENT | {"Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
"""Headers of a response that is private to one visitor. The page overrides the content security policy."""

_FOREIGN_SESSION = ("bokeh-session-id", "bokeh-token")
_RETRY_AFTER_S = "5"

_BROKEN = "This page could not be built; reload it, or ask the operator of this server for the reason in its log."


class PageHandler(DocHandler):
    """Handler of the page: Panel's handler with the content security policy of the setting ``content_policy``.

    Every request creates a new session with a new identifier. A request that contains a session identifier is refused,
    because one visitor could choose the session of another.
    """

    _refusal = ""

    def set_default_headers(self) -> None:
        """Set privacy and content security headers on every response, errors included."""
        self._nonce = secrets.token_urlsafe(16)
        for name, value in PRIVATE.items():
            self.set_header(name, value)
        # The directive frame-ancestors replaces X-Frame-Options, which cannot list several origins.
        self.clear_header("X-Frame-Options")
        policy = self.application.settings["content_policy"]
        self.set_header(
            "Content-Security-Policy",
            complete_content_policy(policy, nonce=self._nonce, host=find_request_host(self.request)),
        )
        self.set_header("Permissions-Policy", PERMISSIONS)

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        """Write the page, with the nonce added to its scripts."""
        super().write(add_nonce(chunk, self._nonce) if isinstance(chunk, str) else chunk)

    # The decorators of Panel's method hide from mypy that it is a coroutine.
    async def get_session(self) -> ServerSession:  # type: ignore[override]
        """Return a new session of the visitor.

        Raises
        ------
        tornado.web.HTTPError
            400 if the request contains a session identifier, 429 or 503 at a limit, and 500 if the page could not be
            built and its document is empty.
        """
        if (
            any(name in self.request.arguments for name in _FOREIGN_SESSION)
            or "Bokeh-Session-Id" in self.request.headers
        ):
            raise HTTPError(400)
        application, context = self.application, self.application_context
        visits: SessionLimits = application.settings["visits"]
        session_id = generate_session_id(secret_key=application.secret_key, signed=True)
        try:
            async with visits.reserve_build(
                session_id, self.request.remote_ip or "", lambda: {each.id for each in context.sessions}
            ):
                session = await create_session(context, session_id, self.request, self._make_token(session_id))
        except OverloadError as error:
            self._refusal = str(error)
            raise HTTPError(429 if isinstance(error, TooManyRequestsError) else 503) from None
        garbage: PageGarbage | None = application.settings["garbage"]
        if garbage is not None:
            garbage.note_built()
        if not session.document.roots:
            raise HTTPError(500)
        return session

    def _make_token(self, session_id: ID) -> str:
        """Return the token that opens the websocket: with query and user scope, but without headers and cookies."""
        payload: dict[str, Any] = {"headers": {}, "cookies": {}, "arguments": self.request.arguments}
        payload |= self.application_context.application.process_request(self.request)
        application = self.application
        return generate_jwt_token(
            session_id,
            secret_key=application.secret_key,
            signed=True,
            expiration=application.session_token_expiration,
            extra_payload=payload | {USER: get_principal(self.request).scope},
        )

    def write_error(self, status_code: int, **_: Any) -> None:
        """Write a page with an error message; details are in the log."""
        sentence = _BROKEN if status_code >= 500 else f"The request could not be answered ({status_code})."
        if self._refusal:
            sentence = self._refusal
            self.set_header("Retry-After", _RETRY_AFTER_S)
        self.finish(f'<!doctype html><html lang="en"><title>Greenup</title><p>{sentence}</p></html>')


class IconHandler(RequestHandler):
    """``/favicon.ico``: icon, which browsers request automatically."""

    def initialize(self, **_: Any) -> None:
        """Accept the arguments of Bokeh's handler, which this one replaces."""

    def get(self) -> None:
        """Write the icon as SVG."""
        for name, value in NO_DOCUMENT.items():
            self.set_header(name, value)
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", "max-age=86400")
        self.finish(ICON.read_bytes())
