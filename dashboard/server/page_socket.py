"""Websocket of the page, restricted to the user who loaded the page and limited in rate."""

from __future__ import annotations

import asyncio
import binascii
import time
from typing import Any

from bokeh.protocol.message import Message
from bokeh.util.token import check_token_signature, get_session_id, get_token_payload
from panel.io.server import WSHandler

from dashboard.server.forwarded_headers import parse_origin_host
from dashboard.server.principals import USER, ForbiddenError, get_principal

MOST_SOCKETS = 4
"""Greatest number of websockets of one page. A broken network may leave some unclosed."""

MOST_BUFFERS = 8
"""Greatest number of buffers in one message. They stay in memory until the last has arrived. An upload has one."""

_UNREADABLE = "The message could not be handled."
_LARGE_BYTES = 64 * 2**10
"""Size from which messages are parsed one at a time."""

_PAUSE_S = 0.02
"""Pause after a large message, in seconds, for other tasks of the event loop."""

_FRAGMENT_BYTES = 16 * 2**10
"""Bytes of a fragment that count as one more fragment."""

_DOCUMENT_FRAGMENTS = 150
"""Fragments that a request for the whole document counts as."""


class FragmentRateLimit:
    """Rate limit of a websocket: a token bucket over message fragments.

    A message of the page consists of three fragments, and each 16 KiB of a fragment count as one more. Visitors send
    fewer than 100 fragments per second, except while they drag; the default capacity of 600 covers that. Fragments
    above the rate are delayed, not dropped.

    Parameters
    ----------
    most : float
        Capacity of the bucket, in fragments.
    per_s : float
        Fragments that are added per second.
    """

    def __init__(self, *, most: float = 600.0, per_s: float = 100.0) -> None:
        self._most, self._per_s = most, per_s
        self._left, self._at = most, time.monotonic()

    def reserve_fragments(self, fragments: float) -> float:
        """Reserve fragments, and return the seconds until they are available."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) * self._per_s, self._most) - fragments
        self._at = now
        return max(-self._left / self._per_s, 0.0)


class PageSocket(WSHandler):
    """Bokeh's websocket, for existing sessions of the same user.

    Bokeh would create a session for any valid token. Here an unknown session is refused, and the browser reloads the
    page.
    """

    def check_origin(self, origin: str) -> bool:
        """Return whether an origin is well-formed and allowed by Bokeh's rule."""
        return parse_origin_host(origin) != "" and bool(super().check_origin(origin))

    async def prepare(self) -> None:
        """Refuse the handshake with 403 unless the token belongs to an open page of this principal."""
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
            is_own = bool(user == get_principal(self.request).scope)
        except (ForbiddenError, ValueError, KeyError, TypeError, AttributeError, binascii.Error, RuntimeError):
            return False
        sessions = self.application_context.sessions
        return is_own and any(each.id == session and each.connection_count < MOST_SOCKETS for each in sessions)

    def initialize(self, *arguments: Any, **named: Any) -> None:
        """Initialise the handler and its rate limit."""
        super().initialize(*arguments, **named)  # type: ignore[no-untyped-call]  # not annotated in Bokeh either
        self._rate_limit = FragmentRateLimit()

    async def on_message(self, fragment: str | bytes) -> None:
        """Handle a fragment of a message, delayed by the rate limit."""
        await asyncio.sleep(self._rate_limit.reserve_fragments(1 + len(fragment) / _FRAGMENT_BYTES))
        if self.connection is None or self.ws_connection is None:
            return
        if len(fragment) < _LARGE_BYTES:
            await super().on_message(fragment)
            return
        # One at a time: parsing takes tens of milliseconds, and many pages may send large messages simultaneously.
        large: asyncio.Lock = self.application.settings["large_messages"]
        async with large:
            await super().on_message(fragment)
            await asyncio.sleep(_PAUSE_S)

    async def _receive(self, fragment: str | bytes) -> Message[Any] | None:
        message: Message[Any] | None = await super()._receive(fragment)
        receiver: Any = self.receiver
        partial = receiver._partial
        if message is None and partial is not None and partial.header.get("num_buffers", 0) > MOST_BUFFERS:
            self.close(1009)
        return message

    async def _handle(self, message: Message[Any]) -> Any | None:
        """Handle a message. Replacing the document is refused, and pulling it counts as many fragments."""
        if message.msgtype == "PUSH-DOC":
            self.close(1008)
            return None
        if message.msgtype == "PULL-DOC-REQ":
            await asyncio.sleep(self._rate_limit.reserve_fragments(_DOCUMENT_FRAGMENTS))
        return await super()._handle(message)

    async def send_message(self, message: Message[Any]) -> None:
        """Send a message; an error is sent without its traceback."""
        if message.msgtype == "ERROR":
            message.content = {"text": _UNREADABLE, "traceback": None}
        await super().send_message(message)
