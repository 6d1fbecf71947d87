"""Websocket of the page: open to the browser that was given the page, and to nobody else."""

from __future__ import annotations

import binascii
from typing import Any

from bokeh.protocol.message import Message
from bokeh.util.token import check_token_signature, get_session_id, get_token_payload
from panel.io.server import WSHandler

from dashboard.server.principals import USER, ForbiddenError, principal_of

_UNREADABLE = "The message could not be handled."


class PageSocket(WSHandler):
    """Bokeh's websocket for sessions that are open already, and their own users.

    Bokeh would build a session for any token; a page that is lost here is loaded again by its browser.
    """

    async def prepare(self) -> None:
        """Refuse the handshake of who was not given the page."""
        await super().prepare()  # type: ignore[no-untyped-call]  # Panel annotates none of its handlers
        if not self._finished and not self._is_expected():
            self.set_status(403)
            self.finish()

    def _is_expected(self) -> bool:
        protocols = [text.strip() for text in self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if len(protocols) != 2 or protocols[0] != "bokeh":
            return False
        application: Any = self.application
        try:
            token = protocols[1]
            if not check_token_signature(token, secret_key=application.secret_key, signed=application.sign_sessions):
                return False
            session, user = get_session_id(token), get_token_payload(token).get(USER)
            is_own = bool(user == principal_of(self.request).scope)
        except (ForbiddenError, ValueError, KeyError, TypeError, AttributeError, binascii.Error, RuntimeError):
            return False
        return is_own and any(each.id == session for each in self.application_context.sessions)

    async def send_message(self, message: Message[Any]) -> None:
        """Send a message; that something went wrong without where in our code."""
        if message.msgtype == "ERROR":
            message.content = {"text": _UNREADABLE, "traceback": None}
        await super().send_message(message)
