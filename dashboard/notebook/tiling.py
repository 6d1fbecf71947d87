"""Map tiles of a result in a notebook, as HoloViews elements in Web Mercator."""

from __future__ import annotations

import secrets
from dataclasses import replace
from socket import socket
from urllib.parse import quote, unquote

import holoviews as hv
from distributed import Client
from holoviews.util.transform import lon_lat_to_easting_northing
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from compute.errors import InputError
from compute.result.stack import SeasonStack
from compute.tiles.png_encoding import png
from compute.tiles.styles import Style
from compute.tiles.tile_geometry import result_geometry
from compute.tiles.tile_service import ResultTiles
from compute.tiles.web_mercator import parse_tile
from dashboard.notebook.cell import format_proxy_url
from dashboard.notebook.viewing import Span, check_stack_and_client
from dashboard.server.response_policy import NO_DOCUMENT


class TiledResult:
    """Tile server of a persisted result on this machine; runs until it is closed.

    Attributes
    ----------
    url : str
        URL of the tiles for a browser, without a trailing slash.
    """

    def __init__(self, stack: SeasonStack, client: Client, base_url: str | None) -> None:
        self._stack = stack
        self._client = client
        # The unguessable path protects the tiles from other users of this machine.
        name = secrets.token_hex(16)
        sockets = bind_sockets(0, "127.0.0.1")
        here = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
        self.url = f"{here if base_url is None else format_proxy_url(here, base_url)}{name}"
        pattern = rf"/{name}/([^/]+)/([^/]+)/([^/]+)/([^/]+)/([^/]+)\.png"
        tiles = ResultTiles.on_workers(stack, client)
        self._server = HTTPServer(Application([(pattern, _TileHandler, {"tiles": tiles})]))
        client.sync(self._start, sockets)

    async def _start(self, sockets: list[socket]) -> None:
        self._server.add_sockets(sockets)

    async def _stop(self) -> None:
        self._server.stop()

    def close(self) -> None:
        """Stop the tile server; the result stays on the workers."""
        self._client.sync(self._stop)

    def tiles(
        self, season: str, *, layer: str = "ndvi_mean", palette: str | None = None, span: Span | None = None
    ) -> hv.Tiles:
        """Return a HoloViews element of a layer of a season, whose tiles the browser requests while showing the map.

        Parameters
        ----------
        season : str
            Label of the season.
        layer : str
            ``"ndvi_mean"`` (unitless) or ``"clear_count"`` (observations).
        palette : str, optional
            One of `compute.tiles.styles.PALETTES`; by default the layer's own.
        span : (float, float), optional
            Values at the two ends of the palette, in the layer's units; by default the layer's own.

        Returns
        -------
        holoviews.Tiles
            Element with the extent of the result in metres of Web Mercator; can be overlaid on any basemap.

        Raises
        ------
        InputError
            The layer, season or palette is not known, or the span is not valid.
        """
        if season not in self._stack.labels:
            labels = ", ".join(self._stack.labels)
            raise InputError("season", f"The result has no season {season[:40]!r}; it has {labels}.")
        own = Style.for_layer(layer)
        style = replace(own, palette=palette or own.palette, span=span or own.span)
        query = f"palette={style.palette}&span={style.span[0]:g},{style.span[1]:g}"
        west, south, east, north = result_geometry(self._stack.grid).bbox()
        left, bottom = lon_lat_to_easting_northing(west, south)
        right, top = lon_lat_to_easting_northing(east, north)
        url = f"{self.url}/{layer}/{quote(season)}/{{Z}}/{{X}}/{{Y}}.png?{query}"
        return hv.Tiles(url, name=season, extents=(left, bottom, right, top))


def serve_tiles(stack: SeasonStack, client: Client, *, base_url: str | None = None) -> TiledResult:
    """Serve tiles of a persisted result from the notebook's process, with pixels from the workers.

    Parameters
    ----------
    stack : SeasonStack
        Result of `persist`, finished or not.
    client : distributed.Client
        Synchronous client that persisted the stack; its event loop handles the requests for tiles.
    base_url : str, optional
        Path of the Jupyter server; see `dashboard.notebook.app`. By default tiles are for browsers on this machine.

    Returns
    -------
    TiledResult
        The running tile server, whose method `tiles` returns HoloViews elements.

    Raises
    ------
    InputError
        The stack is not persisted, or by another client, or the client is asynchronous.
    """
    check_stack_and_client(stack, client)
    return TiledResult(stack, client, base_url)


class _TileHandler(RequestHandler):
    """Request handler of ``{layer}/{season}/{z}/{x}/{y}.png``."""

    def initialize(self, tiles: ResultTiles) -> None:
        self._tiles = tiles

    def set_default_headers(self) -> None:
        for name, value in NO_DOCUMENT.items():
            self.set_header(name, value)

    async def get(self, layer: str, season: str, z: str, x: str, y: str) -> None:
        try:
            style = Style.from_query(
                {name: self.get_query_argument(name) for name in self.request.query_arguments}, layer
            )
            label, labels = unquote(season), self._tiles.stack.labels
            place = labels.index(label) if label in labels else -1
            tile = await self._tiles.tile(layer, place, parse_tile(z, x, y))
        except InputError as error:
            self.set_status(400)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(str(error))
            return
        # Incomplete tiles are not cached, so that they are requested again when the map moves.
        self.set_header("Cache-Control", "private, max-age=3600" if tile and tile.complete else "no-store")
        if tile is None:
            self.set_status(204)
            return
        self.set_header("Content-Type", "image/png")
        self.finish(png(tile.values, style))
