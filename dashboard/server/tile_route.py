"""Route to the map tiles of a result, as PNG or int16 values."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tornado.web import RequestHandler

from compute.errors import NoScenesError
from compute.jobs import LiveJob, Preview
from compute.result.layers import LAYERS
from compute.tiles.styles import Style
from compute.tiles.tile_service import Tile
from compute.tiles.web_mercator import TILE_PX, TileAddress, parse_tile
from dashboard.result_queries import tiles_of
from dashboard.server.api import ApiHandler
from dashboard.server.tile_encoding import EncodedTile, encode_tile
from dashboard.services import Services

IMMUTABLE = "private, max-age=31536000, immutable"
"""Cache-Control of a complete tile. A tile whose blocks are all done never changes; new scenes lead to a new token."""


@dataclass(frozen=True, kw_only=True)
class _TileRequest:
    """Parameters of one requested tile.

    Attributes
    ----------
    layer : str
        Layer of the result.
    season : int
        Position of the season in the result.
    address : TileAddress
        Zoom, column and row.
    size : int
        Pixels along each edge.
    preview : bool
        Whether the values of the preview are appended to those of the result.
    """

    layer: str
    season: int
    address: TileAddress
    size: int
    preview: bool


class TileHandler(ApiHandler):
    """``/tiles/{token}/{layer}/{label}/{z}/{x}/{y}``: tiles of 256 px, or of 512 px with ``{y}@2x``.

    The suffix ``.i16`` selects int16 values for the map of the page, ``.png`` an image for any XYZ client.
    """

    async def get(self, token: str, layer: str, label: str, z: str, x: str, y: str, dense: str, kind: str) -> None:
        """Write one tile, or 204 if the tile lies outside the result.

        With ``?preview=1``, the int16 values of the preview, if any, are appended to an incomplete tile of means.

        Parameters
        ----------
        token : str
            Token of the result.
        layer : str
            Layer, such as ``ndvi_mean``.
        label : str
            Label of the season, percent-encoded.
        z, x, y : str
            Zoom, column and row of the tile in WebMercatorQuad.
        dense : str
            ``@2x`` for 512 px along each edge, else empty.
        kind : str
            ``i16`` or ``png``.
        """
        address = parse_tile(z, x, y)
        record = await self.find_job(token)
        tile_request = _TileRequest(
            layer=layer,
            season=_find_season(record, layer, unquote(label)),
            address=address,
            size=TILE_PX * (2 if dense else 1),
            preview=kind == "i16" and layer == "ndvi_mean" and bool(self.get_query_argument("preview", "")),
        )
        style = self._parse_style(layer) if kind == "png" else None
        tile = await self.cancel_on_disconnect(self._make_tile(record, tile_request))
        if tile is None:
            self.set_status(204)
            return
        compress = style is None and "gzip" in self.request.headers.get("Accept-Encoding", "")
        # In a thread, because compression releases the GIL and would otherwise block the event loop.
        self._send_tile(await asyncio.to_thread(encode_tile, tile, style, compress=compress), complete=tile.complete)

    async def _make_tile(self, record: LiveJob, tile_request: _TileRequest) -> Tile | None:
        tiles, preview = tiles_of(record), record.preview if tile_request.preview else None

        async def make() -> Tile | None:
            tile = await tiles.tile(
                tile_request.layer, tile_request.season, tile_request.address, size=tile_request.size
            )
            return await _fill_from_preview(tile, preview, tile_request) if tile and preview else tile

        # The key includes the run: a repeated run may read a scene that an earlier one could not read.
        run = record.token, record.row.created, record.row.started
        return await self.services.tiles.tile(
            (run, tile_request.layer, tile_request.season, tile_request.address, tile_request.size),
            make,
            requester=self.requester,
            state=(len(record.finished), preview and preview.seasons),
        )

    def _parse_style(self, layer: str) -> Style:
        return Style.from_query({name: self.get_query_argument(name) for name in self.request.query_arguments}, layer)

    def _send_tile(self, encoded: EncodedTile, *, complete: bool) -> None:
        self.set_header("Content-Type", encoded.content_type)
        if complete:
            self.set_header("Cache-Control", IMMUTABLE)
            self.set_header("Etag", encoded.etag)
            if self.check_etag_header():
                self.set_status(304)
                self.finish()
                return
        if encoded.is_compressed:
            self.set_header("Content-Encoding", "gzip")
        self.finish(encoded.body)

    def compute_etag(self) -> str | None:
        """Return None: `_send_tile` sets the ETag of complete tiles, and unfinished tiles have none."""
        return None


def _find_season(record: LiveJob, layer: str, label: str) -> int:
    """Return the position of a season in a result.

    Raises
    ------
    NoScenesError
        The result does not have the season or the layer; the response is 404.
    """
    if layer not in LAYERS:
        raise NoScenesError("layer", f"There is no layer {layer[:40]!r}; there are {', '.join(LAYERS)}.")
    if label not in record.plan.labels:
        raise NoScenesError("label", f"The result has no season {label[:40]!r}.")
    return record.plan.labels.index(label)


async def _fill_from_preview(tile: Tile, preview: Preview, tile_request: _TileRequest) -> Tile:
    if tile.complete or tile_request.season not in preview.seasons:
        return tile
    return await preview.fill_tile(tile, tile_request.season, tile_request.address, tile_request.size)


def list_routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of this module; see `dashboard.server.api.list_routes`."""
    token, number, dense = r"([0-9a-f]{32})", r"([^/]+)", r"([^/]+?)(@2x)?"
    pattern = rf"/tiles/{token}/([^/]+)/([^/]+)/{number}/{number}/{dense}\.(i16|png)"
    return [(pattern, TileHandler, {"services": services})]
