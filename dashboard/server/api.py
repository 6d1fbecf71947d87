"""API routes: tiles, results, health, and the table from error to HTTP status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

from tornado.web import RequestHandler

from compute.errors import (
    CatalogError,
    ClusterError,
    GreenupError,
    InputError,
    JobStoreError,
    NoScenesError,
    OverloadError,
    ResultAwayError,
    ResultGoneError,
    TooLargeError,
    TooManyRequestsError,
)
from compute.jobs import LiveJob, Principal
from compute.jobs.run.preview import Preview
from compute.result.layers import LAYERS
from compute.tiles.styles import Style
from compute.tiles.tile_service import Tile, result_info
from compute.tiles.web_mercator import TILE_PX, TileAddress, parse_tile
from dashboard.result_queries import tiles_of
from dashboard.server.metrics import MetricsHandler
from dashboard.server.page import PRIVATE, IconHandler
from dashboard.server.principals import ForbiddenError, get_principal
from dashboard.server.tile_encoding import EncodedTile, encode_tile
from dashboard.services import Services

STATUS: tuple[tuple[type[GreenupError], int], ...] = (
    (NoScenesError, 404),
    (TooLargeError, 413),
    (InputError, 400),
    (CatalogError, 503),
    (JobStoreError, 503),
    (ClusterError, 503),
    (ResultGoneError, 410),
    (ResultAwayError, 503),
    (TooManyRequestsError, 429),
    (OverloadError, 503),
    (GreenupError, 500),
)
"""HTTP status of each error. The first class that an error is an instance of applies."""

IMMUTABLE = "private, max-age=31536000, immutable"
"""Cache-Control of a complete tile. A tile whose blocks are all done never changes: new scenes make a new token."""

_RETRY_AFTER_S = "1"


_CLIENT_CLOSED_REQUEST = 499, "Client Closed Request"
"""Status of a request whose client has disconnected, as nginx logs it. It appears in the log only."""

Answer = TypeVar("Answer")


class ApiHandler(RequestHandler):
    """Base class of the API routes: services, principal, and errors as one sentence of JSON."""

    _work: asyncio.Task[Any] | None = None

    def initialize(self, services: Services) -> None:
        """Store the services that all routes share."""
        self.services = services

    def set_default_headers(self) -> None:
        """Set the headers of private data on every response, errors included."""
        for name, value in PRIVATE.items():
            self.set_header(name, value)

    def get_principal(self) -> Principal:
        """Return the principal of this request; see `dashboard.server.principals.get_principal`."""
        return get_principal(self.request)

    async def find_job(self, token: str) -> LiveJob:
        """Return the job of a token.

        Parameters
        ----------
        token : str
            Token of a result, 32 hexadecimal digits.

        Returns
        -------
        LiveJob
            The job.

        Raises
        ------
        NoScenesError
            The principal has no job with this token; answered as 404.
        """
        try:
            return await self.services.jobs.open(token, self.get_principal())
        except InputError as error:
            raise NoScenesError(error.field, str(error)) from None

    @property
    def requester(self) -> tuple[str, str]:
        """Key of the per-user limits: the scope of the principal, and the address of the client."""
        return self.get_principal().scope, self.request.remote_ip or ""

    async def cancel_on_disconnect(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Await a coroutine, and cancel it when the client disconnects."""
        self._work = task = asyncio.ensure_future(work)
        return await task

    def on_connection_close(self) -> None:
        """Cancel the running work after the client has disconnected."""
        if self._work is not None:
            self._work.cancel()

    def write_json(self, document: Any, status: int = 200, kind: str = "application/json") -> None:
        """Finish the response with a JSON document.

        Parameters
        ----------
        document : object
            Anything that `json.dumps` accepts. NaN and infinity are refused.
        status : int
            HTTP status.
        kind : str
            Media type of the response.
        """
        self.set_status(status)
        self.set_header("Content-Type", kind)
        self.finish(json.dumps(document, allow_nan=False))

    def _handle_request_exception(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.set_status(*_CLIENT_CLOSED_REQUEST)
            self.finish()
        elif isinstance(error, ForbiddenError):
            self.write_json({"error": "Log in first."}, 403)
        elif isinstance(error, GreenupError):
            status = next(code for kind, code in STATUS if isinstance(error, kind))
            if status in (429, 503):
                self.set_header("Retry-After", _RETRY_AFTER_S)
            self.write_json({"error": str(error)}, status)
        else:
            super()._handle_request_exception(error)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Write the status only; details are in the log."""
        self.write_json({"error": f"The request could not be answered ({status_code})."}, status_code)


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
        Whether values of the preview follow those of the result.
    """

    layer: str
    season: int
    address: TileAddress
    size: int
    preview: bool


class TileHandler(ApiHandler):
    """``/tiles/{token}/{layer}/{label}/{z}/{x}/{y}``: tiles of 256 px, or of 512 px with ``{y}@2x``.

    The suffix ``.i16`` selects values for the map of the page, ``.png`` a picture for any XYZ client.
    """

    async def get(self, token: str, layer: str, label: str, z: str, x: str, y: str, dense: str, kind: str) -> None:
        """Write one tile, or 204 where the tile lies outside the result.

        With ``?preview=1``, the values of a mean that is not complete are followed by those of the preview, if there is
        one.

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
            ``@2x`` for twice the pixels along each edge, else empty.
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
        # In a thread: compression releases the GIL, and the event loop stays free.
        self._send_tile(await asyncio.to_thread(encode_tile, tile, style, compress=compress), complete=tile.complete)

    async def _make_tile(self, record: LiveJob, tile_request: _TileRequest) -> Tile | None:
        tiles, preview = tiles_of(record), record.preview if tile_request.preview else None

        async def make() -> Tile | None:
            tile = await tiles.tile(
                tile_request.layer, tile_request.season, tile_request.address, size=tile_request.size
            )
            return await _fill_from_preview(tile, preview, tile_request) if tile and preview else tile

        # The key includes the run: a repeated run may read a scene that an earlier one could not read.
        run = record.token, record.created, record.started
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
        The result does not have the season or the layer; answered as 404.
    """
    if layer not in LAYERS:
        raise NoScenesError("layer", f"There is no layer {layer[:40]!r}; there are {', '.join(LAYERS)}.")
    if label not in record.plan.labels:
        raise NoScenesError("label", f"The result has no season {label[:40]!r}.")
    return record.plan.labels.index(label)


async def _fill_from_preview(tile: Tile, preview: Preview, tile_request: _TileRequest) -> Tile:
    if tile.complete or tile_request.season not in preview.seasons:
        return tile
    return await preview.under(tile, tile_request.season, tile_request.address, tile_request.size)


class ResultsHandler(ApiHandler):
    """``/api/results``: results of the principal."""

    def get(self) -> None:
        """Write the token and the state of each result."""
        rows = self.services.jobs.list(self.get_principal())
        self.write_json({"results": [{"token": each.token, "state": each.state} for each in rows]})


class ResultHandler(ApiHandler):
    """``/api/results/{token}``: metadata of one result, enough to draw and label it."""

    async def get(self, token: str) -> None:
        """Write extent, zooms, layers, seasons, state, progress and expiry date of a result."""
        record = await self.find_job(token)
        row = await self.services.jobs.find(token, self.get_principal())
        document = {
            "token": token,
            "state": record.state,
            "message": record.message,
            "scenes_failed": [asdict(each) for each in record.failed_scenes],
            "done": row.done,
            "total": record.total,
            "title": row.title,
            "kept_until": self.services.kept_until(row),
        }
        self.write_json(document | result_info(record.plan))


class HealthHandler(ApiHandler):
    """``/healthz``: liveness probe."""

    def get(self) -> None:
        """Write 200 as long as this process answers."""
        self.write_json({"status": "ok"})


class ReadyHandler(ApiHandler):
    """``/readyz``: readiness probe, for the connection to a cluster."""

    def get(self) -> None:
        """Write 200 when a cluster is connected, else 503."""
        ready = any(pooled.connection is not None for pooled in self.services.clusters.clusters())
        self.write_json({"ready": ready}, 200 if ready else 503)


def list_routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of tiles, results, health and metrics, relative to the prefix of the page.

    Parameters
    ----------
    services : Services
        Shared by all routes.
    """
    shared = {"services": services}
    token, number, dense = r"([0-9a-f]{32})", r"([^/]+)", r"([^/]+?)(@2x)?"
    return [
        (rf"/tiles/{token}/([^/]+)/([^/]+)/{number}/{number}/{dense}\.(i16|png)", TileHandler, shared),
        (r"/api/results/?", ResultsHandler, shared),
        (rf"/api/results/{token}", ResultHandler, shared),
        (r"/favicon\.ico", IconHandler, {}),
        (r"/healthz", HealthHandler, shared),
        (r"/readyz", ReadyHandler, shared),
        (r"/metrics", MetricsHandler, shared),
    ]
