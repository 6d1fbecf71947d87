"""The composition root: services once, a session for each visit, and the server that holds them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import panel as pn
from bokeh.server.server import Server
from panel.io.server import get_server
from tornado.ioloop import IOLoop

from compute.cluster import ClusterSpec
from compute.jobs import ANONYMOUS, Principal
from compute.products import ProductProfile
from compute.settings import Settings
from compute.tiles.colours import hex_colours
from dashboard.map import NdviMap
from dashboard.server import routes
from dashboard.services import Services
from dashboard.session import Session
from dashboard.state import VisitState
from dashboard.views import build_page
from dashboard.views.legend import style_of

POLL_MS = 400
"""How often a page looks at its job: often enough to feel alive, rare enough to cost nothing."""


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
        Hosts from which a browser may open the websocket; empty for this machine.
    """

    host: str = "127.0.0.1"
    port: int = 5006
    prefix: str = ""
    origins: tuple[str, ...] = ()


@asynccontextmanager
async def running_server(
    settings: Settings, profiles: dict[str, ProductProfile], cluster: ClusterSpec, address: Address
) -> AsyncIterator[str]:
    """Run the dashboard in this event loop until the body ends.

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
    services = Services(settings, profiles, cluster)
    try:
        await services.start()
        server = _listen(services, address)
        try:
            yield f"http://{address.host}:{server.port}{server.prefix}/"
        finally:
            server.stop()
    finally:
        await services.close()


async def serve_until_stopped(
    settings: Settings,
    profiles: dict[str, ProductProfile],
    cluster: ClusterSpec,
    address: Address,
    announce: Callable[[str], None],
) -> None:
    """Run the dashboard until SIGINT or SIGTERM; `announce` is told its URL."""
    async with running_server(settings, profiles, cluster, address) as url:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        announce(url)
        await stopped.wait()


def _listen(services: Services, address: Address) -> Server:
    server: Server = get_server(
        lambda: visit(services),
        port=address.port,
        address=address.host,
        websocket_origin=list(address.origins) or None,
        prefix=address.prefix,
        extra_patterns=routes(services),
        loop=IOLoop.current(),
        title="Greenup",
        keep_alive_milliseconds=20_000,
        websocket_max_message_size=4 * 2**20,
    )
    server.start()
    return server


def visit(services: Services) -> pn.viewable.Viewable:
    """Return the page of one visit, with its own state and session."""
    state = VisitState()
    map_ = NdviMap(sizing_mode="stretch_both")
    session = Session(state, services, _principal(), map_.refresh)
    _link(state, map_)
    page = build_page(state, map_)
    if pn.state.location is not None:
        pn.state.location.sync(state, {"token": "result", "season": "season"})
    pn.state.onload(session.begin)
    pn.state.add_periodic_callback(session.poll, POLL_MS)
    pn.state.on_session_destroyed(lambda _: session.end())
    return page


def _principal() -> Principal:
    user = pn.state.user
    return ANONYMOUS if user in (None, "guest") else Principal(name=user, scope=user)


def _link(state: VisitState, map_: NdviMap) -> None:
    """Let the map follow the state, and the state what is done on the map."""

    def show_layer(*_: Any) -> None:
        map_.layer = layer_of(state)

    def colour(*_: Any) -> None:
        style = style_of(state.layer, state.palette, state.span)
        map_.param.update(colours=hex_colours(style), span=style.span)

    state.param.watch(show_layer, ["token", "season", "layer", "result", "job_state"])
    state.param.watch(lambda event: map_.fit(event.new["bbox"]) if event.new else None, "result")
    state.param.watch(lambda event: map_.fit(event.new) if event.new else None, "home")
    state.param.watch(colour, ["layer", "palette", "span"])
    colour()
    state.param.watch(lambda event: map_.param.update(region=event.new), "region")
    map_.param.watch(lambda event: state.show(region=event.new), "region")
    map_.param.watch(lambda event: state.show(place=_place(event.new)), "clicked")
    state.param.watch(lambda event: map_.param.update(pin=event.new), "place")
    state.param.watch(lambda event: map_.param.update(dark=event.new), "dark")


def _place(clicked: dict[str, Any] | None) -> tuple[float, float] | None:
    return None if clicked is None else (clicked["lon"], clicked["lat"])


def layer_of(state: VisitState) -> dict[str, Any] | None:
    """Return what the map must know of the layer that is shown; None while there is none."""
    if not (state.token and state.season and state.result):
        return None
    result = state.result
    encoding = result["layers"][state.layer]
    return {
        "tiles": f"tiles/{state.token}/{state.layer}/{{label}}/{{z}}/{{x}}/{{y}}.i16",
        "label": state.season,
        "extent": result["bbox"],
        "min_zoom": 0,
        "max_zoom": result["max_zoom"],
        **encoding,
        "complete": state.job_state == "done",
    }
