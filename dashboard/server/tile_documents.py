"""Tile metadata documents: TileJSON 3.0, and OGC API - Tiles 1.0 for WebMercatorQuad.

Pure functions of a plan and of the root URL of the routes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asinh, floor, pi, radians, tan
from typing import Any
from urllib.parse import quote

from compute.plan import NdviPlan
from compute.request.region import Bbox
from compute.result.layers import LAYERS
from compute.tiles.tile_geometry import result_geometry
from compute.tiles.web_mercator import HALF_WORLD_M, MAX_ZOOM, TILE_PX, pixel_m

JSON, OPENAPI = "application/json", "application/vnd.oai.openapi+json;version=3.0"

_REL = "http://www.opengis.net/def/rel/ogc/1.0/"
_TMS = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"
_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_PIXEL_M = 0.00028
"""Pixel size of a standard display in metres, from which OGC defines scale denominators (OGC 17-083r4, 6.1.1)."""

_TITLES = {"ndvi_mean": "Mean NDVI", "clear_count": "Clear observations"}

CONFORMS_TO = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/landing-page",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/png",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilesetmetadata",
)


@dataclass(frozen=True, kw_only=True)
class TileDocuments:
    """Tile metadata documents of one result.

    TileJSON 3.0: https://github.com/mapbox/tilejson-spec/tree/master/3.0.0. OGC API - Tiles - Part 1 (OGC 20-057):
    https://docs.ogc.org/is/20-057/20-057.html. Landing page: OGC API - Common - Part 1 (OGC 19-072).

    Attributes
    ----------
    plan : NdviPlan
        Plan of the result.
    token : str
        Token of the result.
    root : str
        Root URL of the routes, without a trailing slash.
    style : str
        Query string that is added to links and tile URLs; empty for the default style of each layer.
    """

    plan: NdviPlan
    token: str
    root: str
    style: str = ""

    def build_tilejson(self, layer: str, label: str) -> dict[str, Any]:
        """Return the TileJSON 3.0 of one layer of one season.

        Parameters
        ----------
        layer : str
            Layer of the result.
        label : str
            Label of the season.
        """
        west, _, east, _ = self._bbox
        bounds = _widen_over_antimeridian(self._bbox)
        zoom = result_geometry(self.plan.grid).native_zoom
        return {
            "tilejson": "3.0.0",
            "name": f"{_TITLES[layer]}, {label}",
            "description": self._description,
            "version": "1.0.0",
            "scheme": "xyz",
            "tiles": [self._format_tile_url(layer, label, "{z}/{x}/{y}")],
            "minzoom": 0,
            "maxzoom": zoom,
            "bounds": list(bounds),
            "center": [_wrap_longitude((west + east) / 2), (bounds[1] + bounds[3]) / 2, max(0, zoom - 3)],
        }

    def build_landing_page(self) -> dict[str, Any]:
        """Return the landing page (OGC 19-072, /req/core/root-success)."""
        links = [
            self._build_link("self", "", "This document"),
            self._build_link("service-desc", "/api", "Definition of the API", OPENAPI),
            self._build_link("conformance", "/conformance", "What it conforms to"),
            self._build_link(f"{_REL}conformance", "/conformance", "What it conforms to"),
            self._build_link("data", "/collections", "Layers of every season"),
            self._build_link(f"{_REL}data", "/collections", "Layers of every season"),
            self._build_link(f"{_REL}tiling-schemes", "/tileMatrixSets", "Tile matrix sets"),
        ]
        return {"title": "Greenup: seasonal mean NDVI", "description": self._description, "links": links}

    def build_conformance(self) -> dict[str, Any]:
        """Return the conformance declaration."""
        return {"conformsTo": list(CONFORMS_TO)}

    def build_collections(self) -> dict[str, Any]:
        """Return the list of collections: every layer of every season."""
        found = [self.build_collection(layer, label) for layer in LAYERS for label in self.plan.labels]
        return {"links": [self._build_link("self", "/collections", "This document")], "collections": found}

    def build_collection(self, layer: str, label: str) -> dict[str, Any]:
        """Return the collection of one layer of one season; for the parameters, see `build_tilejson`."""
        west, south, east, north = self._bbox
        start, end = (day.isoformat() for day in (self.plan.request.start, self.plan.request.end))
        path = _format_collection_path(layer, label)
        return {
            "id": f"{layer}.{label}",
            "title": f"{_TITLES[layer]}, {label}",
            "extent": {
                "spatial": {"bbox": [[west, south, _wrap_longitude(east), north]], "crs": _CRS84},
                "temporal": {"interval": [[f"{start}T00:00:00Z", f"{end}T23:59:59Z"]]},
            },
            "crs": [_CRS84],
            "links": [
                self._build_link("self", path, "This document"),
                self._build_link(f"{_REL}tilesets-map", f"{path}/map/tiles", "Tilesets"),
            ],
        }

    def build_tilesets(self, layer: str, label: str) -> dict[str, Any]:
        """Return the list of tilesets of a collection, which has one entry."""
        path = f"{_format_collection_path(layer, label)}/map/tiles"
        whole = self.build_tileset(layer, label)
        listed = {name: whole[name] for name in ("title", "dataType", "crs", "tileMatrixSetURI", "links")}
        return {"links": [self._build_link("self", path, "This document")], "tilesets": [listed]}

    def build_tileset(self, layer: str, label: str) -> dict[str, Any]:
        """Return the metadata of the WebMercatorQuad tileset of a collection."""
        west, south, east, north = _widen_over_antimeridian(self._bbox)
        item = {
            "rel": "item",
            "href": self._format_tile_url(layer, label, "{tileMatrix}/{tileCol}/{tileRow}"),
            "type": "image/png",
            "templated": True,
            "title": "Tiles",
        }
        zooms = range(result_geometry(self.plan.grid).native_zoom + 1)
        return {
            "title": f"{_TITLES[layer]}, {label}",
            "dataType": "map",
            "crs": _MERCATOR,
            "tileMatrixSetId": "WebMercatorQuad",
            "tileMatrixSetURI": _TMS,
            "tileMatrixSetLimits": [compute_matrix_limits((west, south, east, north), zoom) for zoom in zooms],
            "boundingBox": {"lowerLeft": [west, south], "upperRight": [east, north], "crs": _CRS84},
            "links": [
                self._build_link(
                    "self", f"{_format_collection_path(layer, label)}/map/tiles/WebMercatorQuad", "This document"
                ),
                self._build_link(f"{_REL}tiling-scheme", "/tileMatrixSets/WebMercatorQuad", "WebMercatorQuad"),
                item,
            ],
        }

    def build_matrix_sets(self) -> dict[str, Any]:
        """Return the list of tile matrix sets, which has one entry."""
        link = self._build_link("self", "/tileMatrixSets/WebMercatorQuad", "WebMercatorQuad")
        return {"tileMatrixSets": [{"id": "WebMercatorQuad", "uri": _TMS, "crs": _MERCATOR, "links": [link]}]}

    def build_matrix_set(self) -> dict[str, Any]:
        """Return the definition of WebMercatorQuad (OGC 17-083r4, annex D.1)."""
        return {
            "id": "WebMercatorQuad",
            "title": "Google Maps Compatible for the World",
            "uri": _TMS,
            "crs": _MERCATOR,
            "orderedAxes": ["X", "Y"],
            "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
            "tileMatrices": [_build_matrix(zoom) for zoom in range(MAX_ZOOM + 1)],
        }

    def build_api_definition(self) -> dict[str, Any]:
        """Return the OpenAPI 3.0 definition of these documents."""
        collection, answer = "/collections/{collectionId}", {"200": {"description": "JSON"}}
        name = {"name": "collectionId", "in": "path", "required": True, "schema": {"type": "string"}}
        fixed = ("/", "/api", "/conformance", "/collections", "/tileMatrixSets", "/tileMatrixSets/WebMercatorQuad")
        named = [collection + more for more in ("", "/map/tiles", "/map/tiles/WebMercatorQuad")]
        paths: dict[str, dict[str, Any]] = {path: {"get": {"responses": answer}} for path in fixed}
        paths |= {path: {"get": {"parameters": [name], "responses": answer}} for path in named}
        return {
            "openapi": "3.0.3",
            "info": {"title": "Greenup: tiles of a result", "version": "1.0.0"},
            "servers": [{"url": self._home}],
            "paths": paths,
        }

    @property
    def _home(self) -> str:
        return f"{self.root}/api/results/{self.token}/ogc"

    @property
    def _bbox(self) -> Bbox:
        return result_geometry(self.plan.grid).bbox()

    @property
    def _description(self) -> str:
        request = self.plan.request
        return f"{', '.join(request.products)}, {request.start} to {request.end}"

    def _format_tile_url(self, layer: str, label: str, place: str) -> str:
        query = f"?{self.style}" if self.style else ""
        return f"{self.root}/tiles/{self.token}/{layer}/{quote(label)}/{place}.png{query}"

    def _build_link(self, rel: str, path: str, title: str, kind: str = JSON) -> dict[str, str]:
        query = f"?{self.style}" if self.style else ""
        return {"rel": rel, "href": f"{self._home}{path}{query}", "type": kind, "title": title}


def _widen_over_antimeridian(bbox: Bbox) -> Bbox:
    """Return a box in degrees, widened to the whole globe if it crosses 180 degrees, which TileJSON cannot express."""
    return (-180.0, bbox[1], 180.0, bbox[3]) if bbox[2] > 180.0 else bbox


def _wrap_longitude(longitude: float) -> float:
    """Return a longitude from -180 to 180 degrees, so that a box across 180 degrees has east < west (RFC 7946, 5.2)."""
    return longitude - 360.0 if longitude > 180.0 else longitude


def compute_matrix_limits(bbox: Bbox, zoom: int) -> dict[str, Any]:
    """Return the tile matrix limits of a box at one zoom (OGC 17-083r4, tileMatrixSetLimits).

    Parameters
    ----------
    bbox : tuple of float
        (west, south, east, north) in degrees.
    zoom : int
        Zoom of WebMercatorQuad.
    """
    west, south, east, north = bbox
    first_column, last_column = (_find_tile_index(0.5 + lon / 360, zoom) for lon in (west, east))
    first_row, last_row = (_find_tile_index(0.5 - asinh(tan(radians(lat))) / (2 * pi), zoom) for lat in (north, south))
    return {
        "tileMatrix": str(zoom),
        "minTileRow": first_row,
        "maxTileRow": last_row,
        "minTileCol": first_column,
        "maxTileCol": last_column,
    }


def _find_tile_index(share: float, zoom: int) -> int:
    """Return the column or row at a fraction of the edge of the world, counted from the west or the north."""
    count = 1 << zoom
    return min(max(floor(share * count), 0), count - 1)


def _build_matrix(zoom: int) -> dict[str, Any]:
    return {
        "id": str(zoom),
        "scaleDenominator": pixel_m(zoom) / _PIXEL_M,
        "cellSize": pixel_m(zoom),
        "cornerOfOrigin": "topLeft",
        "pointOfOrigin": [-HALF_WORLD_M, HALF_WORLD_M],
        "tileWidth": TILE_PX,
        "tileHeight": TILE_PX,
        "matrixWidth": 2**zoom,
        "matrixHeight": 2**zoom,
    }


def _format_collection_path(layer: str, label: str) -> str:
    return f"/collections/{layer}.{quote(label)}"
