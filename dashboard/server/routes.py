"""Routes of the server other than the page."""

from __future__ import annotations

from typing import Any

from tornado.web import RequestHandler

from dashboard.server import api, dask_proxy, pixel_routes, statistics_route, tile_metadata, tile_route
from dashboard.services import Services


def list_all_routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return all routes other than the page, relative to the prefix of the page.

    Parameters
    ----------
    services : Services
        Shared by all routes.
    """
    return [
        route
        for module in (api, tile_route, pixel_routes, statistics_route, tile_metadata, dask_proxy)
        for route in module.list_routes(services)
    ]
