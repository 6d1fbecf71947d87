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
from compute.tiles import TILE_PX, Tile, TileAddress, parse_tile, result_info
from compute.tiles.styles import Style
from dashboard.result_queries import tiles_of
from dashboard.server.metrics import MetricsHandler
from dashboard.server.page import PRIVATE, IconHandler
from dashboard.server.principals import ForbiddenError, principal_of
from dashboard.server.tile_encoding import Packed, pack
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
"""The first class that an error is an instance of gives its status."""

IMMUTABLE = "private, max-age=31536000, immutable"
"""A tile whose blocks are all done never changes: new scenes make a new token."""

_RETRY_AFTER_S = "1"


_HUNG_UP = 499, "Client Closed Request"
"""For the log alone: nobody is there to be told."""

Answer = TypeVar("Answer")


class Handler(RequestHandler):
    """Base of all routes: services, principal, errors as one sentence of JSON."""

    _work: asyncio.Task[Any] | None = None

    def initialize(self, services: Services) -> None:
        """Receive what the composition root built."""
        self.services = services

    def set_default_headers(self) -> None:
        """Send them with every answer, those of errors included."""
        for name, value in PRIVATE.items():
            self.set_header(name, value)

    def principal(self) -> Principal:
        """Return the principal of this request; see `principal_of`."""
        return principal_of(self.request)

    async def record(self, token: str) -> LiveJob:
        """Return the job of a token; 404 where there is none of this principal's."""
        try:
            return await self.services.jobs.open(token, self.principal())
        except InputError as error:
            raise NoScenesError(error.field, str(error)) from None

    @property
    def asker(self) -> tuple[str, str]:
        """Key of the limits: the user, or the address where there is no login."""
        return self.principal().scope, self.request.remote_ip or ""

    async def while_connected(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Wait for work that is cancelled, and with it this request, when its asker hangs up."""
        self._work = task = asyncio.ensure_future(work)
        return await task

    def on_connection_close(self) -> None:
        """Want the answer no more."""
        if self._work is not None:
            self._work.cancel()

    def write_json(self, document: Any, status: int = 200, kind: str = "application/json") -> None:
        """Finish with a JSON document."""
        self.set_status(status)
        self.set_header("Content-Type", kind)
        self.finish(json.dumps(document, allow_nan=False))

    def _handle_request_exception(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.set_status(*_HUNG_UP)
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
        """Say no more than the status: details are in the log."""
        self.write_json({"error": f"The request could not be answered ({status_code})."}, status_code)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """A tile of a result that was asked for: the season by its position, `size` in pixels along each edge."""

    layer: str
    season: int
    address: TileAddress
    size: int
    preview: bool


class TileHandler(Handler):
    """``/tiles/{token}/{layer}/{label}/{z}/{x}/{y}.i16`` and ``.png``, and ``{y}@2x`` of twice the pixels."""

    async def get(self, token: str, layer: str, label: str, z: str, x: str, y: str, dense: str, kind: str) -> None:
        """Answer one tile: values for our map, a picture for any other; 204 where it lies outside the result.

        With ``?preview=1``, values of means not computed yet are followed by those of the preview, if there is one.
        """
        address = parse_tile(z, x, y)
        record = await self.record(token)
        wanted = _Wanted(
            layer=layer,
            season=_season(record, layer, unquote(label)),
            address=address,
            size=TILE_PX * (2 if dense else 1),
            preview=kind == "i16" and layer == "ndvi_mean" and bool(self.get_query_argument("preview", "")),
        )
        style = self._style(layer) if kind == "png" else None
        tile = await self.while_connected(self._tile(record, wanted))
        if tile is None:
            self.set_status(204)
            return
        squeeze = style is None and "gzip" in self.request.headers.get("Accept-Encoding", "")
        # Compression lets go of the GIL, and the event loop has others to serve.
        self._send(await asyncio.to_thread(pack, tile, style, squeeze=squeeze), complete=tile.complete)

    async def _tile(self, record: LiveJob, wanted: _Wanted) -> Tile | None:
        tiles, preview = tiles_of(record), record.preview if wanted.preview else None

        async def make() -> Tile | None:
            tile = await tiles.tile(wanted.layer, wanted.season, wanted.address, size=wanted.size)
            return await _with_preview(tile, preview, wanted) if tile and preview else tile

        # Named by the run as well: one that is repeated may read a scene that could not be read before.
        run = record.token, record.created, record.started
        return await self.services.tiles.tile(
            (run, wanted.layer, wanted.season, wanted.address, wanted.size),
            make,
            asker=self.asker,
            state=(len(record.finished), preview and preview.seasons),
        )

    def _style(self, layer: str) -> Style:
        return Style.from_query({name: self.get_query_argument(name) for name in self.request.query_arguments}, layer)

    def _send(self, packed: Packed, *, complete: bool) -> None:
        self.set_header("Content-Type", packed.content_type)
        if complete:
            self.set_header("Cache-Control", IMMUTABLE)
            self.set_header("Etag", packed.etag)
            if self.check_etag_header():
                self.set_status(304)
                self.finish()
                return
        if packed.squeezed:
            self.set_header("Content-Encoding", "gzip")
        self.finish(packed.body)

    def compute_etag(self) -> str | None:
        """Leave the ETag to `_send`: unfinished tiles have none."""
        return None


def _season(record: LiveJob, layer: str, label: str) -> int:
    """Return the position of a season; 404 where the result lacks it or the layer."""
    if layer not in LAYERS:
        raise NoScenesError("layer", f"There is no layer {layer[:40]!r}; there are {', '.join(LAYERS)}.")
    if label not in record.plan.labels:
        raise NoScenesError("label", f"The result has no season {label[:40]!r}.")
    return record.plan.labels.index(label)


async def _with_preview(tile: Tile, preview: Preview, wanted: _Wanted) -> Tile:
    if tile.complete or wanted.season not in preview.seasons:
        return tile
    return await preview.under(tile, wanted.season, wanted.address, wanted.size)


class ResultsHandler(Handler):
    """``/api/results``: the principal's results."""

    def get(self) -> None:
        """Answer tokens and states."""
        rows = self.services.jobs.list(self.principal())
        self.write_json({"results": [{"token": each.token, "state": each.state} for each in rows]})


class ResultHandler(Handler):
    """``/api/results/{token}``: what a client must know to draw and to name it."""

    async def get(self, token: str) -> None:
        """Answer extent, zooms, layers, seasons, state, progress, and until when it is kept."""
        record = await self.record(token)
        row = await self.services.jobs.find(token, self.principal())
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


class HealthHandler(Handler):
    """``/healthz``: this process answers."""

    def get(self) -> None:
        """Answer that it does."""
        self.write_json({"status": "ok"})


class ReadyHandler(Handler):
    """``/readyz``: the default cluster is ready for work."""

    def get(self) -> None:
        """Answer 200 once it is, 503 before."""
        ready = any(pooled.connection is not None for pooled in self.services.clusters.clusters())
        self.write_json({"ready": ready}, 200 if ready else 503)


def routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of tiles, results and health, relative to whatever prefix the page has.

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
