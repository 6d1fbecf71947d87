"""Websocket of the page: open to the browser that was given the page, and to nobody else."""

from __future__ import annotations

import asyncio
import binascii
import time
from typing import Any

from bokeh.protocol.message import Message
from bokeh.util.token import check_token_signature, get_session_id, get_token_payload
from panel.io.server import WSHandler

from dashboard.server.forwarded_headers import host_of_origin
from dashboard.server.principals import USER, ForbiddenError, principal_of

MOST_SOCKETS = 4
"""Websockets of one page: one, and those that a broken network has not closed yet."""

MOST_BUFFERS = 8
"""Buffers of one message, which are held until the last has come; an upload is one."""

_UNREADABLE = "The message could not be handled."
_LARGE_BYTES = 64 * 2**10
_BREATH_S = 0.02
_COST_BYTES = 16 * 2**10
_COST_OF_PAGE = 150


class Allowance:
    """Pace at which messages of a websocket are read.

    A message of the page is three fragments. A second earns a hundred, more than the quickest hand sends, and six
    hundred are saved for those who drag; 16 KiB cost as much as a fragment. Nothing is lost: who sends more waits.

    Parameters
    ----------
    most, per_s : float
        Fragments at once, and earned in a second.
    """

    def __init__(self, *, most: float = 600.0, per_s: float = 100.0) -> None:
        self._most, self._per_s = most, per_s
        self._left, self._at = most, time.monotonic()

    def spend(self, fragments: float) -> float:
        """Return the seconds until so many fragments are earned."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) * self._per_s, self._most) - fragments
        self._at = now
        return max(-self._left / self._per_s, 0.0)


class PageSocket(WSHandler):
    """Bokeh's websocket for sessions that are open already, and their own users.

    Bokeh would build a session for any token; a page that is lost here is loaded again by its browser.
    """

    def check_origin(self, origin: str) -> bool:
        """Let the hosts connect that Bokeh does; one that is no host is none of them."""
        return host_of_origin(origin) != "" and bool(super().check_origin(origin))

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
        sessions = self.application_context.sessions
        return is_own and any(each.id == session and each.connection_count < MOST_SOCKETS for each in sessions)

    def initialize(self, *arguments: Any, **named: Any) -> None:
        """Begin with a full allowance."""
        super().initialize(*arguments, **named)  # type: ignore[no-untyped-call]  # nor does Bokeh
        self._allowance = Allowance()

    async def on_message(self, fragment: str | bytes) -> None:
        """Handle a fragment of a message in its turn: others have theirs in between."""
        await asyncio.sleep(self._allowance.spend(1 + len(fragment) / _COST_BYTES))
        if self.connection is None or self.ws_connection is None:
            return
        if len(fragment) < _LARGE_BYTES:
            await super().on_message(fragment)
            return
        # Parsing takes tens of milliseconds, and a hundred pages could send theirs in one moment.
        large: asyncio.Lock = self.application.settings["large_messages"]
        async with large:
            await super().on_message(fragment)
            await asyncio.sleep(_BREATH_S)

    async def _receive(self, fragment: str | bytes) -> Message[Any] | None:
        message: Message[Any] | None = await super()._receive(fragment)
        receiver: Any = self.receiver
        partial = receiver._partial
        if message is None and partial is not None and partial.header.get("num_buffers", 0) > MOST_BUFFERS:
            self.close(1009)
        return message

    async def _handle(self, message: Message[Any]) -> Any | None:
        """Handle a message that a page sends; it never replaces its document, and seldom asks for all of it."""
        if message.msgtype == "PUSH-DOC":
            self.close(1008)
            return None
        if message.msgtype == "PULL-DOC-REQ":
            await asyncio.sleep(self._allowance.spend(_COST_OF_PAGE))
        return await super()._handle(message)

    async def send_message(self, message: Message[Any]) -> None:
        """Send a message; that something went wrong without where in our code."""
        if message.msgtype == "ERROR":
            message.content = {"text": _UNREADABLE, "traceback": None}
        await super().send_message(message)
