"""Route to the statistics of a region of a result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tornado.web import RequestHandler

from compute.errors import InputError, TooLargeError
from compute.jobs import LiveJob
from compute.request.region import MAX_GEOJSON_BYTES, Region, parse_bbox, parse_geojson
from dashboard.server.api import Handler
from dashboard.services import Services

_JSON = ("application/json", "application/geo+json")
"""Types of a body. A page of another host cannot send them unasked, as it could send a form."""


class StatisticsHandler(Handler):
    """``/api/results/{token}/statistics``: what a region comes to in every season; see `compute.statistics`."""

    async def get(self, token: str) -> None:
        """Answer for the box ``?bbox=W,S,E,N``; without one for the whole region of the request."""
        record = await self.record(token)
        text = self.get_query_argument("bbox", None)
        region = record.plan.request.region if text is None else parse_bbox(text)
        await self._answer(record, lambda: region)

    async def post(self, token: str) -> None:
        """Answer for the polygons of a GeoJSON body."""
        record = await self.record(token)
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _JSON:
            raise InputError("region", f"The body is no GeoJSON; send it as {_JSON[1]}.")
        body = self.request.body
        if len(body) > MAX_GEOJSON_BYTES:
            raise TooLargeError("region", f"The GeoJSON is over {MAX_GEOJSON_BYTES // 1_000_000} MB; simplify it.")
        await self._answer(record, lambda: parse_geojson(body.decode(errors="replace")))

    async def _answer(self, record: LiveJob, read: Callable[[], Region]) -> None:
        region = partial(self.services.parse, read)
        self.write_json(await self.while_connected(self.services.answers.statistics(record, region, self.asker)))


def routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes; see `dashboard.server.api.routes`."""
    return [(r"/api/results/([0-9a-f]{32})/statistics", StatisticsHandler, {"services": services})]
