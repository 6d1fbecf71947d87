"""Routes of tile metadata for other clients, such as QGIS, Leaflet and Terria."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from compute.errors import NoScenesError
from compute.plan import NdviPlan
from compute.result.layers import LAYERS
from dashboard.server.api import Handler
from dashboard.server.forwarded_headers import HOST, forwarded
from dashboard.server.tile_documents import JSON, OPENAPI, TileDocuments
from dashboard.services import Services

_PREFIX = re.compile(r"(/[A-Za-z0-9._~@%-]+)+", re.ASCII)


def root_of(request: HTTPServerRequest) -> str:
    """Return the absolute address, as the client knows it, below which the routes lie.

    A proxy tells by X-Forwarded-Proto, -Host and -Prefix what it was asked for, which the gate lets through where it is
    believed; the server's own prefix is in the path.

    Parameters
    ----------
    request : tornado.httputil.HTTPServerRequest
        For a path below ``/api/results/``.
    """
    scheme = forwarded(request, "X-Forwarded-Proto", re.compile("https?")) or request.protocol
    host = forwarded(request, "X-Forwarded-Host", HOST) or request.host
    before = forwarded(request, "X-Forwarded-Prefix", _PREFIX)
    own = request.path[: request.path.index("/api/results/")]
    # Some proxies tell of the prefix and leave it in the path as well.
    return f"{scheme}://{host}{own if own.startswith(before) else before + own}"


class _DocumentHandler(Handler):
    """Base of the routes to tile metadata."""

    async def documents(self, token: str) -> TileDocuments:
        """Return the documents of a result of the principal."""
        plan = (await self.record(token)).plan
        return TileDocuments(plan=plan, token=token, root=root_of(self.request), style=self.request.query)


class TileJsonHandler(_DocumentHandler):
    """``/api/results/{token}/{layer}/{label}/tilejson.json``: a layer of a season; the query is passed on to tiles."""

    async def get(self, token: str, layer: str, label: str) -> None:
        """Answer TileJSON 3.0."""
        documents = await self.documents(token)
        self.write_json(documents.tilejson(*_held(documents.plan, layer, unquote(label))))


class OgcHandler(_DocumentHandler):
    """``/api/results/{token}/ogc/..``: OGC API - Tiles; the query is passed on to links and tiles."""

    async def get(self, token: str, path: str = "") -> None:
        """Answer one of its documents."""
        documents = await self.documents(token)
        collection, _, rest = path.removeprefix("collections/").partition("/")
        if path.startswith("collections/"):
            layer, _, label = unquote(collection).partition(".")
            self._answer_collection(documents, *_held(documents.plan, layer, label), rest)
        else:
            self._answer(documents, path)

    def _answer(self, documents: TileDocuments, path: str) -> None:
        answers: Mapping[str, Callable[[], Any]] = {
            "": documents.landing,
            "api": documents.definition,
            "conformance": documents.conformance,
            "collections": documents.collections,
            "tileMatrixSets": documents.matrix_sets,
            "tileMatrixSets/WebMercatorQuad": documents.matrix_set,
        }
        self.write_json(answers.get(path, _nothing)(), kind=OPENAPI if path == "api" else JSON)

    def _answer_collection(self, documents: TileDocuments, layer: str, label: str, rest: str) -> None:
        answers = {
            "": documents.collection,
            "map/tiles": documents.tilesets,
            "map/tiles/WebMercatorQuad": documents.tileset,
        }
        self.write_json(answers[rest](layer, label) if rest in answers else _nothing())


def _held(plan: NdviPlan, layer: str, label: str) -> tuple[str, str]:
    """Return layer and label where a result has them."""
    if layer not in LAYERS:
        raise NoScenesError("layer", f"There is no layer {layer[:40]!r}; there are {', '.join(LAYERS)}.")
    if label not in plan.labels:
        raise NoScenesError("label", f"The result has no season {label[:40]!r}.")
    return layer, label


def _nothing() -> Any:
    raise NoScenesError("path", "There is no such document; begin at the landing page, which ends in /ogc.")


def routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes; see `dashboard.server.api.routes`."""
    shared, result = {"services": services}, r"/api/results/([0-9a-f]{32})"
    return [
        (rf"{result}/ogc/?", OgcHandler, shared),
        (rf"{result}/ogc/(.+?)/?", OgcHandler, shared),
        (rf"{result}/([^/]+)/([^/]+)/tilejson\.json", TileJsonHandler, shared),
    ]
