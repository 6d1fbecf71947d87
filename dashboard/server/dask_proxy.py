"""Proxy of Dask's dashboard below ``/dask/{cluster}/``, for the owner of the cluster alone.

The target is fixed by the cluster. Nothing that says who visits goes there, and no address or credential comes back.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from bokeh.server.util import check_allowlist
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.netutil import DefaultLoopResolver, Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, WebSocketHandler, websocket_connect

from compute.errors import ClusterError, InputError, NoScenesError
from dashboard.server.api import Handler
from dashboard.server.forwarded_headers import host_of, host_of_origin
from dashboard.server.response_policy import add_nonce, admit, content_policy
from dashboard.services import Services

_ASKED = ("Accept", "If-None-Match")
"""Headers of the visitor that the dashboard is told."""

_ANSWERED = ("Content-Type", "Etag")
"""Headers of the dashboard that the visitor is told."""

_POLICY = content_policy(
    # Its charts compile code of their own, and a button of its pages has an event handler: myFunction().
    scripts=("'unsafe-eval'",),
    attributes=("'unsafe-hashes'", "'sha256-DLsspdO65egz8GmJ7gT7AHNirrsTFzKLBvF8tcsc82Y='"),
)
"""Policy of the pages, before `admit`."""

_CONNECT_S, _ANSWER_S = 5.0, 30.0

_PING_S = 20.0
"""How soon a browser that went away without a word shows."""

_FROM_ROOT = b'="/static/'
"""Begins a link of Bokeh's to what an extension brings along, where all other links are relative."""

_AWAY = "Dask's dashboard of this cluster does not answer; the cluster may be busy or gone, so try again."


_BROKEN = "Dask's dashboard could not build this page; the scheduler's log says why."


class _DaskHandler(Handler):
    """Base of the proxied pages and their websockets."""

    def dashboard(self, cluster: str) -> str:
        """Return the URL of a dashboard of the principal's, without a slash at its end; 404 where there is none."""
        try:
            return self.services.dashboard(cluster, self.principal())
        except InputError as error:
            raise NoScenesError(error.field, str(error)) from None

    def query(self) -> str:
        """Return the query as it was asked, with its mark."""
        return f"?{self.request.query}" if self.request.query else ""


class DaskPageHandler(_DaskHandler):
    """``/dask/{cluster}/..``: the pages and their files."""

    async def get(self, cluster: str, path: str) -> None:
        """Answer what the dashboard does."""
        base, inner = self.dashboard(cluster), _checked(path)
        answer = await self._ask(f"{base}/{inner}{self.query()}")
        if answer.code >= 500:
            raise ClusterError(_BROKEN)
        self.set_status(answer.code)
        for name in _ANSWERED:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        if "Location" in answer.headers:
            self.set_header("Location", _within(base, inner, answer.headers["Location"]))
        self.set_header("Cache-Control", "private, no-cache")
        if answer.code != 304:
            self.write(self._page(answer) if _is_page(answer) else answer.body)

    def _page(self, answer: HTTPResponse) -> str:
        """Return a page with links that hold below any prefix, and give it the policy of a page."""
        nonce = secrets.token_urlsafe(16)
        # A page that a browser keeps would outlive its nonce.
        self.clear_header("Etag")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("X-Frame-Options")
        self.set_header("Content-Security-Policy", admit(_POLICY, nonce=nonce, host=host_of(self.request)))
        return add_nonce(answer.body.replace(_FROM_ROOT, b'="static/').decode(errors="replace"), nonce)

    async def _ask(self, url: str) -> HTTPResponse:
        headers = {name: self.request.headers[name] for name in _ASKED if name in self.request.headers}
        url, resolver = _reached(url)
        request = HTTPRequest(
            url, headers=headers, follow_redirects=False, connect_timeout=_CONNECT_S, request_timeout=_ANSWER_S
        )
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=resolver)
        try:
            return await client.fetch(request, raise_error=False)
        except (HTTPClientError, OSError):
            raise ClusterError(_AWAY) from None
        finally:
            client.close()

    def compute_etag(self) -> str | None:
        """Leave the ETag to the dashboard."""
        return None


class DaskSocketHandler(_DaskHandler, WebSocketHandler):
    """``/dask/{cluster}/../ws``: what keeps a page up to date."""

    _url = ""
    _subprotocols: Sequence[str] = ()
    _dashboard: WebSocketClientConnection | None = None
    _passing: asyncio.Task[None] | None = None

    async def get(self, cluster: str, path: str) -> None:
        """Shake hands, unless it is somebody else's."""
        self._url = f"{self.dashboard(cluster)}/{_checked(path)}{self.query()}".replace("http", "ws", 1)
        await super().get(cluster, path)

    @property
    def ping_interval(self) -> float:
        """Seconds between two signs of life."""
        return _PING_S

    def check_origin(self, origin: str) -> bool:
        """Let those pages connect that may connect to the websocket of ours."""
        allowed = list[str](getattr(self.application, "websocket_origins", ()))
        return bool(check_allowlist(host_of_origin(origin), allowed))

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Take the first, as Bokeh does; the second is the token of the page's session there."""
        self._subprotocols = subprotocols
        return subprotocols[0] if subprotocols else None

    async def open(self, *_: str, **__: str) -> None:
        """Connect to the dashboard; what the browser says meanwhile waits."""
        url, resolver = _reached(self._url)
        request = HTTPRequest(url, connect_timeout=_CONNECT_S)
        try:
            self._dashboard = await websocket_connect(request, subprotocols=list(self._subprotocols), resolver=resolver)
        except (HTTPClientError, OSError):
            self.close(1011)
            return
        self._passing = asyncio.create_task(self._pass_on(self._dashboard))

    async def on_message(self, message: str | bytes) -> None:
        """Tell the dashboard what the browser says."""
        if self._dashboard is not None:
            with suppress(WebSocketClosedError):  # it is gone, which `_pass_on` notices
                await self._dashboard.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        """Let go of the dashboard."""
        if self._dashboard is not None:
            self._dashboard.close()

    async def _pass_on(self, dashboard: WebSocketClientConnection) -> None:
        with suppress(WebSocketClosedError):  # the browser is gone, which closes both
            while (message := await dashboard.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        dashboard.close()
        self.close()


def _checked(path: str) -> str:
    """Return a path that stays below the dashboard.

    Not that of its own proxy either, which leads to every worker's.

    Raises
    ------
    NoScenesError
        It does not.
    """
    plain = path
    while plain != (once := unquote(plain)):
        plain = once
    if plain.startswith("proxy/") or "\\" in plain or not {".", ".."}.isdisjoint(plain.split("/")):
        raise NoScenesError("path", "Dask's dashboard has no such page; begin at its page status.")
    return path


class _SocketResolver(Resolver):
    """Finds one Unix socket, whatever the host."""

    def initialize(self, path: str) -> None:
        self._path = path

    async def resolve(self, *_: Any, **__: Any) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self._path)]


def _reached(url: str) -> tuple[str, Resolver]:
    """Return a URL as Tornado asks for it, and what finds its host: a Unix socket where it names one."""
    scheme, _, rest = url.partition("+unix://")
    if not rest:
        return url, DefaultLoopResolver()
    path, slash, page = rest.partition("/")
    return f"{scheme}://localhost{slash}{page}", _SocketResolver(unquote(path))


def _within(base: str, path: str, location: str) -> str:
    """Return where a redirect leads, relative to the page that it is of, so that any prefix may be before both."""
    target = urljoin(f"/{path}", urlsplit(location).path).removeprefix(urlsplit(base).path)
    return "../" * path.count("/") + target.lstrip("/")


def _is_page(answer: HTTPResponse) -> bool:
    return answer.headers.get("Content-Type", "").startswith("text/html")


def routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes; see `dashboard.server.api.routes`."""
    shared, cluster = {"services": services}, r"/dask/([0-9a-f]{8})"
    return [
        (rf"{cluster}/(.+/ws)", DaskSocketHandler, shared),
        (rf"{cluster}/(.*)", DaskPageHandler, shared),
    ]
