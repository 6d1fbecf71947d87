"""The composition root: services once, a session for each visit, and the server that holds them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import panel as pn
from bokeh.server.server import Server
from panel.io.server import get_server
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from compute.cluster import ClusterSpec
from compute.jobs import ANONYMOUS, Principal, derived_key
from compute.products import ProductProfile
from compute.settings import Settings
from dashboard.server import GatePolicy, Visits, content_policy, guard, host_names, parse_networks, routes, take_over
from dashboard.server.building import isolate_current_document
from dashboard.server.connections import most_connections
from dashboard.server.garbage import PageGarbage
from dashboard.server.gate import MAX_BODY_BYTES, MAX_HEADER_BYTES, SLOWEST_S
from dashboard.services import Services
from dashboard.session import Session
from dashboard.state import VisitState
from dashboard.views import build_page, result_map

POLL_MS = 400
"""How often a page looks at its job: often enough to feel alive, rare enough to cost nothing."""

_FRAMES_HERE = ("http://localhost:*", "http://127.0.0.1:*", "vscode-webview:", "vscode-file:")
"""A notebook on this machine shows the page in a frame from another port, or from within an editor."""

_PARENT_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the server listens.

    Attributes
    ----------
    host : str
        Interface, ``127.0.0.1`` unless others may come.
    port : int
        0 for any free one.
    prefix : str
        Path below which everything lies, such as ``/user/name/greenup``.
    origins : tuple of str
        Hosts by which browsers reach the page, such as ``hub.example.org:443``; empty for this machine.
    proxies : tuple of str
        Addresses or networks of proxies whose ``X-Forwarded-*`` headers are believed.
    """

    host: str = "127.0.0.1"
    port: int = 5006
    prefix: str = ""
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()

    @property
    def only_here(self) -> bool:
        """Whether only browsers of this machine can use the page: no other interface, and no other host before it."""
        return self.host in ("127.0.0.1", "::1", "localhost") and not self.origins


@asynccontextmanager
async def running_server(
    settings: Settings,
    profiles: dict[str, ProductProfile],
    cluster: ClusterSpec,
    address: Address,
    garbage: PageGarbage | None = None,
) -> AsyncIterator[str]:
    """Run the dashboard in this event loop until the body ends.

    Parameters
    ----------
    settings : Settings
        Limits and addresses.
    profiles : dict of str to ProductProfile
        What products mean.
    cluster : ClusterSpec
        Where visitors compute unless they choose otherwise.
    address : Address
        Where the server listens.
    garbage : PageGarbage, optional
        Where the process is the server's own; in a notebook's, garbage is collected as ever.

    Yields
    ------
    str
        URL of the page.

    Raises
    ------
    CatalogError
        The index cannot be reached.
    OSError
        The port is taken.
    """
    services = Services(settings, profiles, cluster, only_here=address.only_here)
    try:
        await services.start()
        server = _listen(services, address, garbage)
        try:
            yield f"http://{address.host}:{server.port}{server.prefix}/"
        finally:
            server.stop()
    finally:
        await services.close()


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody waited for, but not that a browser went away while it was being told something."""
    if not isinstance(context.get("exception"), WebSocketClosedError | StreamClosedError):
        loop.default_exception_handler(context)


async def serve_until_stopped(
    settings: Settings,
    profiles: dict[str, ProductProfile],
    cluster: ClusterSpec,
    address: Address,
    announce: Callable[[str], None],
    parent: int | None = None,
) -> None:
    """Run the dashboard until SIGINT or SIGTERM, or until its parent ends; `announce` is told its URL.

    Parameters
    ----------
    settings, profiles, cluster, address
        As `running_server` takes them.
    announce : callable
        Called once with the URL of the page.
    parent : int, optional
        Process that has started this one.

    Raises
    ------
    CatalogError, OSError
        As `running_server` does.
    """
    asyncio.get_running_loop().set_exception_handler(_report)
    # All of it before the start: who gives up waiting for the page must not leave index and workers behind.
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    following = asyncio.ensure_future(_follow(parent, stopped))
    try:
        async with running_server(settings, profiles, cluster, address, PageGarbage()) as url:
            announce(url)
            await stopped.wait()
    finally:
        following.cancel()


async def _follow(parent: int | None, stopped: asyncio.Event) -> None:
    """Stop when the parent is gone, however it went: one that was killed could not tell."""
    while parent in (None, os.getppid()):  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(_PARENT_S)
    stopped.set()


def _listen(services: Services, address: Address, garbage: PageGarbage | None) -> Server:
    settings = services.settings
    policy = GatePolicy(
        hosts=(address.host.lower(), *host_names(address.origins)), proxies=parse_networks(address.proxies)
    )
    with _kept_interrupts():
        server: Server = get_server(
            lambda: _visit_or_nothing(services),  # type: ignore[arg-type]  # nothing is an answer, too
            port=address.port,
            address=address.host,
            websocket_origin=list(address.origins) or None,
            prefix=address.prefix,
            extra_patterns=routes(services),
            content_policy=content_policy(frames=() if address.origins else _FRAMES_HERE),
            loop=IOLoop.current(),
            title="Greenup",
            keep_alive_milliseconds=20_000,
            websocket_max_message_size=4 * 2**20,
            sign_sessions=True,
            secret_key=derived_key(settings, "sessions"),
            include_headers=[],
            include_cookies=[],
            visits=Visits(most=settings.max_visits, most_of_address=settings.max_visits_per_address),
            garbage=garbage,
            large_messages=asyncio.Lock(),
            http_server_kwargs={
                "max_header_size": MAX_HEADER_BYTES,
                "max_body_size": MAX_BODY_BYTES,
                "body_timeout": SLOWEST_S,
                "idle_connection_timeout": SLOWEST_S,
            },
        )
    isolate_current_document()
    take_over(server)
    guard(server, policy, most=most_connections(settings.max_connections))
    server.start()
    if garbage is not None:
        garbage.begin()
    return server


@contextmanager
def _kept_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to whoever had it: Panel would stop the event loop, which in a notebook is the kernel's own."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _visit_or_nothing(services: Services) -> pn.viewable.Viewable | None:
    """Return the page of one visit, or nothing, which is answered with a sentence: Panel would show the traceback."""
    try:
        return visit(services)
    except Exception:  # noqa: BLE001  # a bug of any kind
        _log.exception("The page of a visit could not be built.")
        return None


def visit(services: Services) -> pn.viewable.Viewable:
    """Return the page of one visit, with its own state and session."""
    state = VisitState()
    map_ = result_map(state)
    session = Session(state, services, _principal(), map_.refresh)
    page = build_page(state, map_)
    pn.state.onload(partial(_begin, session))
    pn.state.on_session_destroyed(lambda _: session.end())
    return page


async def _begin(session: Session) -> None:
    """Let a visit begin once its page stands: what changes earlier may never reach the browser."""
    await session.begin()
    if pn.state.location is not None:
        pn.state.location.sync(session.state, {"token": "result", "season": "season"})
    pn.state.add_periodic_callback(session.poll, POLL_MS)


def _principal() -> Principal:
    user = pn.state.user
    return ANONYMOUS if user in (None, "guest") else Principal(name=user, scope=user)
