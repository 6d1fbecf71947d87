"""Route to the statistics of a region of a result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tornado.web import RequestHandler

from compute.errors import InputError, TooLargeError
from compute.jobs import LiveJob
from compute.request.region import MAX_GEOJSON_BYTES, Region, parse_bbox, parse_geojson
from dashboard.server.api import ApiHandler
from dashboard.services import Services

_JSON = ("application/json", "application/geo+json")
"""Allowed media types of a body. Pages of other origins cannot send them without a preflight request, unlike forms."""


class StatisticsHandler(ApiHandler):
    """``/api/results/{token}/statistics``: seasonal statistics of a region; see `compute.statistics`."""

    async def get(self, token: str) -> None:
        """Write the statistics of the box ``?bbox=W,S,E,N``, or of the whole region of the request."""
        record = await self.find_job(token)
        text = self.get_query_argument("bbox", None)
        region = record.plan.request.region if text is None else parse_bbox(text)
        await self._answer(record, lambda: region)

    async def post(self, token: str) -> None:
        """Write the statistics of the polygons of a GeoJSON body.

        Raises
        ------
        InputError
            The media type is not JSON, or the GeoJSON is not valid.
        TooLargeError
            The body exceeds the limit of regions.
        """
        record = await self.find_job(token)
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _JSON:
            raise InputError("region", f"The body is not GeoJSON; send it as {_JSON[1]}.")
        body = self.request.body
        if len(body) > MAX_GEOJSON_BYTES:
            raise TooLargeError("region", f"The GeoJSON is over {MAX_GEOJSON_BYTES // 1_000_000} MB; simplify it.")
        await self._answer(record, lambda: parse_geojson(body.decode(errors="replace")))

    async def _answer(self, record: LiveJob, read: Callable[[], Region]) -> None:
        region = partial(self.services.parse, read)
        self.write_json(
            await self.cancel_on_disconnect(self.services.answers.statistics(record, region, self.requester))
        )


def list_routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of this module; see `dashboard.server.api.list_routes`."""
    return [(r"/api/results/([0-9a-f]{32})/statistics", StatisticsHandler, {"services": services})]
