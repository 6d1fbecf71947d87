"""Routes to the values of one pixel: seasons, time series and single observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tornado.web import RequestHandler

from compute.errors import InputError, NoScenesError
from compute.plan import NdviPlan
from compute.result.layers import LAYERS
from compute.tiles.pixel_series import season_series
from dashboard.result_queries import tiles_of
from dashboard.server.api import ApiHandler
from dashboard.services import Services


class _PlaceHandler(ApiHandler):
    """Base class of the routes with a location in the query."""

    def parse_place(self) -> tuple[float, float]:
        """Return longitude and latitude of the query in degrees; longitudes up to 360 degrees are allowed.

        Raises
        ------
        InputError
            A coordinate is missing or out of range.
        """
        return self._parse_degrees("lon", 360.0), self._parse_degrees("lat", 90.0)

    def _parse_degrees(self, name: str, limit: float) -> float:
        text = self.get_query_argument(name, "")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) <= limit:
            raise InputError(name, f"{name} is {text[:40]!r}; give degrees from -{limit:g} to {limit:g}.")
        return value


class ValueHandler(_PlaceHandler):
    """``/api/results/{token}/value?lon=..&lat=..``: mean and clear count of one pixel in every season."""

    async def get(self, token: str) -> None:
        """Write the values of the pixel at a location, one entry per season."""
        record = await self.find_job(token)
        lon, lat = self.parse_place()
        values = await self.cancel_on_disconnect(self.services.answers.values(record, (lon, lat), self.requester))
        seasons = [{"label": label, **asdict(value)} for label, value in zip(record.plan.labels, values, strict=True)]
        self.write_json({"lon": lon, "lat": lat, "seasons": seasons})


class SeriesHandler(_PlaceHandler):
    """``/api/results/{token}/series?lon=..&lat=..``: time series of one pixel, including seasons without scenes."""

    async def get(self, token: str) -> None:
        """Write the values of every season of every requested year; see `compute.tiles.pixel_series`."""
        record = await self.find_job(token)
        lon, lat = self.parse_place()
        values = await self.cancel_on_disconnect(self.services.answers.values(record, (lon, lat), self.requester))
        series = season_series(record.plan, values)
        self.write_json({"lon": lon, "lat": lat, "by": record.plan.request.by, "series": series})


class ObservationsHandler(_PlaceHandler):
    """``/api/results/{token}/observations?lon=..&lat=..[&season=..]``: all observations of one pixel.

    Excluded observations have the reason for their exclusion.
    """

    async def get(self, token: str) -> None:
        """Write the observations of the pixel at a location; see `compute.jobs.run.observations`."""
        record = await self.find_job(token)
        lon, lat = self.parse_place()
        pixel = tiles_of(record).geometry.pixel_of(lon, lat)
        seasons: Sequence[dict[str, Any]] = []
        if pixel is not None:
            season = self.get_query_argument("season", None)
            looks = self.services.answers.observations(record, pixel, season, requester=self.requester)
            seasons = await self.cancel_on_disconnect(looks)
        document = {"lon": lon, "lat": lat, "pixel": None if pixel is None else _describe_pixel(record.plan, *pixel)}
        self.write_json(document | {"seasons": seasons})


class StretchHandler(ApiHandler):
    """``/api/results/{token}/stretch/{layer}``: percentile range of a layer, for the ``span=`` parameter of tiles."""

    async def get(self, token: str, layer: str) -> None:
        """Write two percentiles of the computed pixels, or null if there are none; see `compute.tiles.colour_range`."""
        record = await self.find_job(token)
        if layer not in LAYERS:
            raise NoScenesError("layer", f"There is no layer {layer[:40]!r}; there are {', '.join(LAYERS)}.")
        span = await self.cancel_on_disconnect(self.services.answers.stretch(record, layer, self.requester))
        self.write_json({"layer": layer, "span": span})


def _describe_pixel(plan: NdviPlan, row: int, column: int) -> dict[str, Any]:
    """Return position, CRS, resolution (x, y) in CRS units, resampling and weighting of a pixel."""
    dx, _, left, _, dy, top = plan.grid.transform
    return {
        "row": row,
        "column": column,
        "crs": plan.grid.crs,
        "x": left + (column + 0.5) * dx,
        "y": top + (row + 0.5) * dy,
        "resolution": list(plan.grid.resolution),
        "resampling": plan.request.resampling,
        "weight": plan.request.weight,
    }


def list_routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of this module; see `dashboard.server.api.list_routes`."""
    shared, result = {"services": services}, r"/api/results/([0-9a-f]{32})"
    return [
        (rf"{result}/value", ValueHandler, shared),
        (rf"{result}/series", SeriesHandler, shared),
        (rf"{result}/observations", ObservationsHandler, shared),
        (rf"{result}/stretch/([^/]+)", StretchHandler, shared),
    ]
