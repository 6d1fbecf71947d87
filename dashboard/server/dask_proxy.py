"""Proxy of Dask's dashboard below ``/dask/{cluster}/``, only for the owner of the cluster.

The identifier of the cluster determines the target. The proxy does not forward the identity of the visitor to the
dashboard, nor addresses or credentials of the cluster to the visitor.
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
from dashboard.server.api import ApiHandler
from dashboard.server.forwarded_headers import find_request_host, parse_origin_host
from dashboard.server.response_policy import add_nonce, build_content_policy, complete_content_policy
from dashboard.services import Services

_REQUEST_HEADERS = ("Accept", "If-None-Match")
"""Request headers that are forwarded to the dashboard."""

_RESPONSE_HEADERS = ("Content-Type", "Etag")
"""Response headers that are forwarded to the visitor."""

_POLICY = build_content_policy(
    # Bokeh's charts compile code, and a button of Dask's pages has an inline event handler: myFunction().
    scripts=("'unsafe-eval'",),
    attributes=("'unsafe-hashes'", "'sha256-DLsspdO65egz8GmJ7gT7AHNirrsTFzKLBvF8tcsc82Y='"),
)
"""Content security policy of the pages, for `complete_content_policy`."""

_CONNECT_S, _ANSWER_S = 5.0, 30.0

_PING_S = 20.0
"""Interval between pings, which detect an unresponsive browser, in seconds."""

_ROOT_RELATIVE = b'="/static/'
"""Start of the one kind of absolute link in these pages: files of Bokeh extensions. All other links are relative."""

_UNREACHABLE = "Dask's dashboard of this cluster does not answer; try again, or connect to another cluster."


_BROKEN = "Dask's dashboard could not build this page; the scheduler's log has the reason."


class _DaskHandler(ApiHandler):
    """Base class of the proxied pages and websockets."""

    def find_dashboard_url(self, cluster: str) -> str:
        """Return the URL of the dashboard of a cluster, without a trailing slash.

        Raises
        ------
        NoScenesError
            The principal has no cluster with this identifier; the response is 404.
        """
        try:
            return self.services.dashboard(cluster, self.get_principal())
        except InputError as error:
            raise NoScenesError(error.field, str(error)) from None

    def format_query(self) -> str:
        """Return the query string of the request with its leading ``?``, or an empty string."""
        return f"?{self.request.query}" if self.request.query else ""


class DaskPageHandler(_DaskHandler):
    """``/dask/{cluster}/..``: pages of the dashboard and their files."""

    async def get(self, cluster: str, path: str) -> None:
        """Forward a request to the dashboard, and write its response."""
        base, inner = self.find_dashboard_url(cluster), _check_path(path)
        answer = await self._fetch(f"{base}/{inner}{self.format_query()}")
        if answer.code >= 500:
            raise ClusterError(_BROKEN)
        self.set_status(answer.code)
        for name in _RESPONSE_HEADERS:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        if "Location" in answer.headers:
            self.set_header("Location", _make_redirect_relative(base, inner, answer.headers["Location"]))
        self.set_header("Cache-Control", "private, no-cache")
        if answer.code != 304:
            self.write(self._render_page(answer) if _is_page(answer) else answer.body)

    def _render_page(self, answer: HTTPResponse) -> str:
        """Return a page with relative links and a nonce, and set its content security policy."""
        nonce = secrets.token_urlsafe(16)
        # A cached page would have an outdated nonce.
        self.clear_header("Etag")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("X-Frame-Options")
        self.set_header(
            "Content-Security-Policy",
            complete_content_policy(_POLICY, nonce=nonce, host=find_request_host(self.request)),
        )
        return add_nonce(answer.body.replace(_ROOT_RELATIVE, b'="static/').decode(errors="replace"), nonce)

    async def _fetch(self, url: str) -> HTTPResponse:
        headers = {name: self.request.headers[name] for name in _REQUEST_HEADERS if name in self.request.headers}
        url, resolver = _resolve_url(url)
        request = HTTPRequest(
            url, headers=headers, follow_redirects=False, connect_timeout=_CONNECT_S, request_timeout=_ANSWER_S
        )
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=resolver)
        try:
            return await client.fetch(request, raise_error=False)
        except (HTTPClientError, OSError):
            raise ClusterError(_UNREACHABLE) from None
        finally:
            client.close()

    def compute_etag(self) -> str | None:
        """Return None, so that Tornado computes no ETag; the ETag of the dashboard is forwarded."""
        return None


class DaskSocketHandler(_DaskHandler, WebSocketHandler):
    """``/dask/{cluster}/../ws``: websockets that update the pages."""

    _url = ""
    _subprotocols: Sequence[str] = ()
    _dashboard: WebSocketClientConnection | None = None
    _forwarding: asyncio.Task[None] | None = None

    async def get(self, cluster: str, path: str) -> None:
        """Accept the websocket handshake for the owner of the cluster."""
        self._url = f"{self.find_dashboard_url(cluster)}/{_check_path(path)}{self.format_query()}".replace(
            "http", "ws", 1
        )
        await super().get(cluster, path)

    @property
    def ping_interval(self) -> float:
        """Seconds between two pings."""
        return _PING_S

    def check_origin(self, origin: str) -> bool:
        """Return whether a page of this origin may connect; the same origins are allowed as for Greenup's websocket."""
        allowed = list[str](getattr(self.application, "websocket_origins", ()))
        return bool(check_allowlist(parse_origin_host(origin), allowed))

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Return the first subprotocol, as Bokeh does; the second is the session token of the page."""
        self._subprotocols = subprotocols
        return subprotocols[0] if subprotocols else None

    async def open(self, *_: str, **__: str) -> None:
        """Connect to the dashboard. Until then, Tornado queues the messages of the browser."""
        url, resolver = _resolve_url(self._url)
        request = HTTPRequest(url, connect_timeout=_CONNECT_S)
        try:
            self._dashboard = await websocket_connect(request, subprotocols=list(self._subprotocols), resolver=resolver)
        except (HTTPClientError, OSError):
            self.close(1011)
            return
        self._forwarding = asyncio.create_task(self._forward_messages(self._dashboard))

    async def on_message(self, message: str | bytes) -> None:
        """Forward a message of the browser to the dashboard."""
        if self._dashboard is not None:
            with suppress(WebSocketClosedError):  # `_forward_messages` handles the closed dashboard
                await self._dashboard.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        """Close the connection to the dashboard."""
        if self._dashboard is not None:
            self._dashboard.close()

    async def _forward_messages(self, dashboard: WebSocketClientConnection) -> None:
        with suppress(WebSocketClosedError):  # the browser has disconnected; both connections are closed below
            while (message := await dashboard.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        dashboard.close()
        self.close()


def _check_path(path: str) -> str:
    """Return a path unchanged if it stays within the dashboard of the scheduler.

    The proxy of the dashboard itself is also excluded, because it gives access to every worker.

    Raises
    ------
    NoScenesError
        The path leaves the dashboard or leads to its proxy; the response is 404.
    """
    plain = path
    while plain != (once := unquote(plain)):
        plain = once
    if plain.startswith("proxy/") or "\\" in plain or not {".", ".."}.isdisjoint(plain.split("/")):
        raise NoScenesError("path", "Dask's dashboard has no such page; start at its page 'status'.")
    return path


class _SocketResolver(Resolver):
    """Tornado resolver that returns one Unix socket for every host."""

    def initialize(self, path: str) -> None:
        self._path = path

    async def resolve(self, *_: Any, **__: Any) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self._path)]


def _resolve_url(url: str) -> tuple[str, Resolver]:
    """Return a URL that Tornado can fetch, and the resolver of its host.

    ``http+unix://PATH/page`` is the URL of a page behind a Unix socket with the percent-encoded path PATH.
    """
    scheme, _, rest = url.partition("+unix://")
    if not rest:
        return url, DefaultLoopResolver()
    path, slash, page = rest.partition("/")
    return f"{scheme}://localhost{slash}{page}", _SocketResolver(unquote(path))


def _make_redirect_relative(base: str, path: str, location: str) -> str:
    """Return the target of a redirect relative to the current page, so that it works below any prefix.

    Parameters
    ----------
    base : str
        URL of the dashboard.
    path : str
        Path of the page below it.
    location : str
        ``Location`` header of the dashboard's response.
    """
    target = urljoin(f"/{path}", urlsplit(location).path).removeprefix(urlsplit(base).path)
    return "../" * path.count("/") + target.lstrip("/")


def _is_page(answer: HTTPResponse) -> bool:
    return answer.headers.get("Content-Type", "").startswith("text/html")


def list_routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes; see `dashboard.server.api.list_routes`."""
    shared, cluster = {"services": services}, r"/dask/([0-9a-f]{8})"
    return [
        (rf"{cluster}/(.+/ws)", DaskSocketHandler, shared),
        (rf"{cluster}/(.*)", DaskPageHandler, shared),
    ]
