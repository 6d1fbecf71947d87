"""Routes to tile metadata for other clients, such as QGIS, Leaflet and Terria."""

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
from dashboard.server.api import ApiHandler
from dashboard.server.forwarded_headers import HOST, read_forwarded_header
from dashboard.server.tile_documents import JSON, OPENAPI, TileDocuments
from dashboard.services import Services

_PREFIX = re.compile(r"(/[A-Za-z0-9._~@%-]+)+", re.ASCII)


def find_root_url(request: HTTPServerRequest) -> str:
    """Return the absolute root URL of the routes, as seen by the client.

    A trusted proxy sends it in ``X-Forwarded-Proto``, ``X-Forwarded-Host`` and ``X-Forwarded-Prefix``. The prefix of
    the server itself is part of the path.

    Parameters
    ----------
    request : tornado.httputil.HTTPServerRequest
        Request for a path below ``/api/results/``.
    """
    scheme = read_forwarded_header(request, "X-Forwarded-Proto", re.compile("https?")) or request.protocol
    host = read_forwarded_header(request, "X-Forwarded-Host", HOST) or request.host
    before = read_forwarded_header(request, "X-Forwarded-Prefix", _PREFIX)
    own = request.path[: request.path.index("/api/results/")]
    # Some proxies send the prefix in a header and keep it in the path as well.
    return f"{scheme}://{host}{own if own.startswith(before) else before + own}"


class _DocumentHandler(ApiHandler):
    """Base class of the routes to tile metadata."""

    async def find_documents(self, token: str) -> TileDocuments:
        """Return the tile metadata of a result. For errors, see `ApiHandler.find_job`."""
        plan = (await self.find_job(token)).plan
        return TileDocuments(plan=plan, token=token, root=find_root_url(self.request), style=self.request.query)


class TileJsonHandler(_DocumentHandler):
    """``/api/results/{token}/{layer}/{label}/tilejson.json``: one layer of one season; tile URLs keep the query."""

    async def get(self, token: str, layer: str, label: str) -> None:
        """Write the TileJSON 3.0 document."""
        documents = await self.find_documents(token)
        self.write_json(documents.build_tilejson(*_check_layer_and_season(documents.plan, layer, unquote(label))))


class OgcHandler(_DocumentHandler):
    """``/api/results/{token}/ogc/..``: OGC API - Tiles; links and tile URLs keep the query."""

    async def get(self, token: str, path: str = "") -> None:
        """Write the document at a path below the landing page."""
        documents = await self.find_documents(token)
        collection, _, rest = path.removeprefix("collections/").partition("/")
        if path.startswith("collections/"):
            layer, _, label = unquote(collection).partition(".")
            self._answer_collection(documents, *_check_layer_and_season(documents.plan, layer, label), rest)
        else:
            self._answer(documents, path)

    def _answer(self, documents: TileDocuments, path: str) -> None:
        answers: Mapping[str, Callable[[], Any]] = {
            "": documents.build_landing_page,
            "api": documents.build_api_definition,
            "conformance": documents.build_conformance,
            "collections": documents.build_collections,
            "tileMatrixSets": documents.build_matrix_sets,
            "tileMatrixSets/WebMercatorQuad": documents.build_matrix_set,
        }
        self.write_json(answers.get(path, _refuse_unknown_path)(), kind=OPENAPI if path == "api" else JSON)

    def _answer_collection(self, documents: TileDocuments, layer: str, label: str, rest: str) -> None:
        answers = {
            "": documents.build_collection,
            "map/tiles": documents.build_tilesets,
            "map/tiles/WebMercatorQuad": documents.build_tileset,
        }
        self.write_json(answers[rest](layer, label) if rest in answers else _refuse_unknown_path())


def _check_layer_and_season(plan: NdviPlan, layer: str, label: str) -> tuple[str, str]:
    """Return layer and label unchanged if the result has both.

    Raises
    ------
    NoScenesError
        The result does not have the layer or the season; the response is 404.
    """
    if layer not in LAYERS:
        raise NoScenesError("layer", f"There is no layer {layer[:40]!r}; there are {', '.join(LAYERS)}.")
    if label not in plan.labels:
        raise NoScenesError("label", f"The result has no season {label[:40]!r}.")
    return layer, label


def _refuse_unknown_path() -> Any:
    raise NoScenesError("path", "There is no such document; start at the landing page, whose path ends in /ogc.")


def list_routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of this module; see `dashboard.server.api.list_routes`."""
    shared, result = {"services": services}, r"/api/results/([0-9a-f]{32})"
    return [
        (rf"{result}/ogc/?", OgcHandler, shared),
        (rf"{result}/ogc/(.+?)/?", OgcHandler, shared),
        (rf"{result}/([^/]+)/([^/]+)/tilejson\.json", TileJsonHandler, shared),
    ]
