"""How the page itself is answered: under a policy for the browser, or as one sentence where it cannot be built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bokeh.server.server import Server
from bokeh.server.session import ServerSession
from bokeh.server.views.ico_handler import IcoHandler
from panel.io.server import DocHandler
from tornado.web import HTTPError, RequestHandler

ICON = Path(__file__).parent.parent / "icon.svg"
"""Greenup's leaf."""

PRIVATE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
"""Headers of an answer that is one visitor's own."""

_BROKEN = (
    "This page could not be built. Reload it; if that does not help, whoever runs Greenup finds the reason in its log."
)


def content_policy(*, images: Sequence[str] = (), frames: Sequence[str] = ()) -> str:
    """Return the Content-Security-Policy of the page: what Panel needs, and nothing of another host.

    Parameters
    ----------
    images : sequence of str
        Sources of images besides this server, such as the host of an online basemap.
    frames : sequence of str
        Sources of pages that may show this one in a frame, besides those of its own host.

    Returns
    -------
    str
        Value of the header.
    """
    directives = {
        "default-src": ("'self'",),
        # Bokeh starts the page by a script within it and compiles code; Panel imports its components from blobs.
        "script-src": ("'self'", "blob:", "'unsafe-inline'", "'unsafe-eval'"),
        "style-src": ("'self'", "'unsafe-inline'"),
        "img-src": ("'self'", "data:", "blob:", *images),
        "font-src": ("'self'", "data:"),
        # Not every browser takes 'self' for the page's own websocket; modules are fetched from the blobs.
        "connect-src": ("'self'", "blob:", "ws:", "wss:"),
        "object-src": ("'none'",),
        "base-uri": ("'self'",),
        "form-action": ("'self'",),
        "frame-ancestors": ("'self'", *frames),
    }
    return "; ".join(" ".join((name, *sources)) for name, sources in directives.items())


class PageHandler(DocHandler):
    """The page: Panel's, under the policy that the server's setting ``content_policy`` holds."""

    def set_default_headers(self) -> None:
        """Send them with every answer, those of errors included."""
        for name, value in PRIVATE.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", self.application.settings["content_policy"])

    # Its decorators hide from mypy that the method of Panel's is a coroutine.
    async def get_session(self) -> ServerSession:  # type: ignore[override]
        """Return the session of a visit; an empty document means that its page could not be built."""
        session: ServerSession = await super().get_session()  # type: ignore[misc]
        if not session.document.roots:
            raise HTTPError(500)
        return session

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say one sentence: details are in the log."""
        sentence = _BROKEN if status_code >= 500 else f"The request could not be answered ({status_code})."
        self.finish(f'<!doctype html><html lang="en"><title>Greenup</title><p>{sentence}</p></html>')


class IconHandler(RequestHandler):
    """``/favicon.ico``: what browsers ask for by themselves beside whatever is not the page."""

    def initialize(self, **_: Any) -> None:
        """Take the place of Bokeh's, which is given the server."""

    def get(self) -> None:
        """Answer the icon of the page."""
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", "max-age=86400")
        self.finish(ICON.read_bytes())


def take_over(server: Server) -> None:
    """Answer with our page and icon where a server would with Panel's and Bokeh's own.

    Panel has no setting for it but a list that all servers of the process share, a notebook's others included.

    Parameters
    ----------
    server : bokeh.server.server.Server
        Made with a setting ``content_policy``, and not started yet.
    """
    ours = {DocHandler: PageHandler, IcoHandler: IconHandler}
    for rule in server._tornado.wildcard_router.rules:
        rule.target = ours.get(rule.target, rule.target)
