"""Composition root of the dashboard: the server, its services, and a session for each visit."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any
from urllib.parse import quote

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
from dashboard.panel_workarounds.garbage_collection import PageGarbage
from dashboard.panel_workarounds.interrupts import kept_interrupts
from dashboard.panel_workarounds.page_building import isolate_current_document
from dashboard.server import (
    GatePolicy,
    SessionLimits,
    build_content_policy,
    install_gate,
    list_all_routes,
    parse_host_names,
    parse_networks,
    take_over,
)
from dashboard.server.connections import compute_connection_limit
from dashboard.server.login import AccessControl, login_routes, make_provider
from dashboard.server.principals import get_principal
from dashboard.server.request_gate import MAX_HEADER_BYTES, MAX_REGION_BYTES, SLOWEST_S
from dashboard.server.unix_socket import UNIX_PEER, reserve_socket_path
from dashboard.server_address import Address
from dashboard.services import Services
from dashboard.session import Session
from dashboard.state import PageState, VisitState
from dashboard.views import build_page, result_map

POLL_MS = 400
"""Interval in milliseconds at which a page polls its job: short enough to seem immediate, at negligible cost."""

_FRAMES_HERE = ("http://localhost:*", "http://127.0.0.1:*", "vscode-webview:", "vscode-file:")
"""Origins of notebooks on this machine that may show the page in a frame: other ports and editors."""

_PARENT_S = 1.0

_SWITCH_S = 0.0005
"""Switch interval of Python threads in seconds. While a page is built in one thread, each system call of a response may
wait this long for the GIL; with Python's default of 5 ms, twenty calls take a tenth of a second longer."""

_log = logging.getLogger(__name__)


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
        Descriptions of products by name.
    cluster : ClusterSpec
        Default cluster of visitors.
    address : Address
        Address of the server.
    garbage : PageGarbage, optional
        Garbage collector of closed pages, for a process that runs only the server; by default, as in a notebook, Python
        and Panel collect garbage as usual.

    Yields
    ------
    str
        URL of the page.

    Raises
    ------
    CatalogError
        The index cannot be reached.
    OSError
        The port is in use.
    InputError
        The Unix socket cannot be used.
    """
    access_control = _make_access_control(settings, address)
    place = nullcontext() if address.unix_socket is None else reserve_socket_path(address.unix_socket)
    with place:
        services = Services(settings, profiles, cluster, is_local_only=address.is_local_only)
        try:
            await services.start()
            server = _listen(services, address, access_control, garbage)
            watching = asyncio.create_task(access_control.watch_logins())
            try:
                yield _url(server, address)
            finally:
                watching.cancel()
                server.stop()
        finally:
            await services.close()


def _url(server: Server, address: Address) -> str:
    if address.unix_socket is not None:
        return f"http+unix://{quote(str(address.unix_socket), safe='')}{server.prefix}/"
    return f"http://{address.host}:{server.port}{server.prefix}/"


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an unhandled error of the event loop, unless a browser closed its connection during a message."""
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
    """Run the dashboard until SIGINT or SIGTERM, or until its parent process ends.

    Parameters
    ----------
    settings, profiles, cluster, address
        See `running_server`.
    announce : callable
        Called with the URL of the page, once the server listens.
    parent : int, optional
        Id of the parent process; by default the end of the parent is ignored.

    Raises
    ------
    CatalogError, OSError, InputError
        See `running_server`.
    """
    sys.setswitchinterval(_SWITCH_S)
    asyncio.get_running_loop().set_exception_handler(_report)
    # Handlers are installed before the start, so that an interrupt during the start also stops index and workers.
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
    """Set `stopped` when the parent process has ended, also if it was killed and could not send a signal."""
    while parent in (None, os.getppid()):  # noqa: ASYNC110  # no event reports the end of a parent
        await asyncio.sleep(_PARENT_S)
    stopped.set()


def _make_access_control(settings: Settings, address: Address) -> AccessControl:
    token = settings.metrics_token
    return AccessControl(
        make_provider(settings, address.auth, has_proxies=bool(address.proxies)),
        prefix=address.prefix,
        hours=settings.login_hours,
        metrics_token=None if token is None else token.get_secret_value(),
        origins=address.origins,
    )


def _listen(services: Services, address: Address, access_control: AccessControl, garbage: PageGarbage | None) -> Server:
    settings = services.settings
    path = address.unix_socket
    proxies = address.proxies if path is None else (*address.proxies, UNIX_PEER)
    policy = GatePolicy(
        hosts=(address.host.lower(), *parse_host_names(address.origins)),
        proxies=parse_networks(proxies),
        user_header=settings.auth_header if address.auth == "header" else "",
    )
    with kept_interrupts():
        server: Server = get_server(
            lambda: _visit_or_nothing(services, can_sign_out=access_control.can_sign_out),  # type: ignore[arg-type]  # None leads to status 500
            port=address.port,
            address=address.host,
            unix_socket=None if path is None else str(path),
            websocket_origin=list(address.origins) or None,
            prefix=address.prefix,
            extra_patterns=[*login_routes(access_control), *list_all_routes(services)],
            content_policy=build_content_policy(frames=(*address.embed_in, *(() if address.origins else _FRAMES_HERE))),
            loop=IOLoop.current(),
            title="Greenup",
            keep_alive_milliseconds=20_000,
            websocket_max_message_size=4 * 2**20,
            sign_sessions=True,
            secret_key=derived_key(settings, "sessions"),
            include_headers=[],
            include_cookies=[],
            visits=SessionLimits(most=settings.max_visits, most_of_address=settings.max_visits_per_address),
            garbage=garbage,
            large_messages=asyncio.Lock(),
            http_server_kwargs={
                "max_header_size": MAX_HEADER_BYTES,
                "max_body_size": MAX_REGION_BYTES,
                "body_timeout": SLOWEST_S,
                "idle_connection_timeout": SLOWEST_S,
            },
        )
    isolate_current_document()
    take_over(server)
    install_gate(server, policy, access_control, most=compute_connection_limit(settings.max_connections))
    server.start()
    if garbage is not None:
        garbage.begin()
    return server


def _visit_or_nothing(services: Services, *, can_sign_out: bool) -> pn.viewable.Viewable | None:
    """Return the page of one visit; None, which leads to status 500, if building it fails.

    The error is logged and not raised, because Panel would show its traceback to the visitor.
    """
    try:
        return visit(services, can_sign_out=can_sign_out)
    except Exception:  # noqa: BLE001  # a bug of any kind
        _log.exception("The page of a visit could not be built.")
        return None


def visit(services: Services, *, can_sign_out: bool) -> pn.viewable.Viewable:
    """Build the page of one visit, with its own state and session."""
    principal = _principal()
    user = "" if principal == ANONYMOUS else principal.name
    state = PageState(visit=VisitState(user=user, can_sign_out=can_sign_out))
    map_ = result_map(state)
    session = Session(state, services, principal, map_.refresh)
    page = build_page(state, map_)
    pn.state.onload(partial(_start_session, session))
    pn.state.on_session_destroyed(lambda _: session.end())
    return page


async def _start_session(session: Session) -> None:
    """Start a session after its page has loaded, because earlier changes may not reach the browser."""
    await session.start()
    if pn.state.location is not None:
        # Season before token, so that the result opens with the season of the link.
        pn.state.location.sync(session.state.look, {"season": "season"})
        pn.state.location.sync(session.state.job, {"token": "result"})
    pn.state.add_periodic_callback(session.poll, POLL_MS)


def _principal() -> Principal:
    assert pn.state.curdoc is not None
    context: Any = pn.state.curdoc.session_context
    return get_principal(context.request)
