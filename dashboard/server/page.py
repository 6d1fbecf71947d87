"""Handler of the page: it answers under a content security policy, or one sentence where no page can be built."""

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
from dashboard.server.forwarded_headers import host_of
from dashboard.server.principals import USER, principal_of
from dashboard.server.response_policy import NO_DOCUMENT, PERMISSIONS, add_nonce, admit
from dashboard.server.session_limits import Visits

ICON = Path(__file__).parent.parent / "icon.svg"
"""Greenup's leaf."""

PRIVATE = NO_DOCUMENT | {"Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
"""Headers of an answer that is one visitor's own; a page has a policy of its own."""

_BORROWED = ("bokeh-session-id", "bokeh-token")
_RETRY_AFTER_S = "5"

_BROKEN = (
    "This page could not be built. Reload it; if that does not help, whoever runs Greenup finds the reason in its log."
)


class PageHandler(DocHandler):
    """The page: Panel's, under the policy that the server's setting ``content_policy`` holds.

    Every page is a session of its own with an id of ours: one that somebody chose for another would let them look in.
    """

    _refusal = ""

    def set_default_headers(self) -> None:
        """Send them with every answer, those of errors included."""
        self._nonce = secrets.token_urlsafe(16)
        for name, value in PRIVATE.items():
            self.set_header(name, value)
        # Which pages may show this one in a frame is a matter of its policy, which knows more than yes and no.
        self.clear_header("X-Frame-Options")
        policy = self.application.settings["content_policy"]
        self.set_header("Content-Security-Policy", admit(policy, nonce=self._nonce, host=host_of(self.request)))
        self.set_header("Permissions-Policy", PERMISSIONS)

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        """Write the page, its scripts marked as its own."""
        super().write(add_nonce(chunk, self._nonce) if isinstance(chunk, str) else chunk)

    # Its decorators hide from mypy that the method of Panel's is a coroutine.
    async def get_session(self) -> ServerSession:  # type: ignore[override]
        """Return a new session of the visitor; an empty document means that its page could not be built."""
        if any(name in self.request.arguments for name in _BORROWED) or "Bokeh-Session-Id" in self.request.headers:
            raise HTTPError(400)
        application, context = self.application, self.application_context
        visits: Visits = application.settings["visits"]
        session_id = generate_session_id(secret_key=application.secret_key, signed=True)
        try:
            async with visits.building(
                session_id, self.request.remote_ip or "", lambda: {each.id for each in context.sessions}
            ):
                session = await create_session(context, session_id, self.request, self._token(session_id))
        except OverloadError as error:
            self._refusal = str(error)
            raise HTTPError(429 if isinstance(error, TooManyRequestsError) else 503) from None
        garbage: PageGarbage | None = application.settings["garbage"]
        if garbage is not None:
            garbage.note_built()
        if not session.document.roots:
            raise HTTPError(500)
        return session

    def _token(self, session_id: ID) -> str:
        """Return what the browser opens the websocket with: of the request it holds the query and the user alone."""
        payload: dict[str, Any] = {"headers": {}, "cookies": {}, "arguments": self.request.arguments}
        payload |= self.application_context.application.process_request(self.request)
        application = self.application
        return generate_jwt_token(
            session_id,
            secret_key=application.secret_key,
            signed=True,
            expiration=application.session_token_expiration,
            extra_payload=payload | {USER: principal_of(self.request).scope},
        )

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say one sentence: details are in the log."""
        sentence = _BROKEN if status_code >= 500 else f"The request could not be answered ({status_code})."
        if self._refusal:
            sentence = self._refusal
            self.set_header("Retry-After", _RETRY_AFTER_S)
        self.finish(f'<!doctype html><html lang="en"><title>Greenup</title><p>{sentence}</p></html>')


class IconHandler(RequestHandler):
    """``/favicon.ico``: what browsers ask for by themselves beside whatever is not the page."""

    def initialize(self, **_: Any) -> None:
        """Take the place of Bokeh's, which is given the server."""

    def get(self) -> None:
        """Answer the icon of the page."""
        for name, value in NO_DOCUMENT.items():
            self.set_header(name, value)
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", "max-age=86400")
        self.finish(ICON.read_bytes())
