"""Routes to the values of a place: its seasons, its series, and every observation of its pixel."""

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
from dashboard.server.api import Handler
from dashboard.services import Services


class _PlaceHandler(Handler):
    """Base of the routes to a place."""

    def place(self) -> tuple[float, float]:
        """Return longitude and latitude of the query; a longitude past 180 degrees is read either way."""
        return self._degrees("lon", 360.0), self._degrees("lat", 90.0)

    def _degrees(self, name: str, limit: float) -> float:
        text = self.get_query_argument(name, "")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) <= limit:
            raise InputError(name, f"The {name} {text[:40]!r} is not within -{limit:g} to {limit:g} degrees.")
        return value


class ValueHandler(_PlaceHandler):
    """``/api/results/{token}/value?lon=..&lat=..``: mean and clear count of one pixel in every season."""

    async def get(self, token: str) -> None:
        """Answer every season's value of the pixel at a place."""
        record = await self.record(token)
        lon, lat = self.place()
        values = await self.while_connected(self.services.answers.values(record, (lon, lat), self.asker))
        seasons = [{"label": label, **asdict(value)} for label, value in zip(record.plan.labels, values, strict=True)]
        self.write_json({"lon": lon, "lat": lat, "seasons": seasons})


class SeriesHandler(_PlaceHandler):
    """``/api/results/{token}/series?lon=..&lat=..``: one pixel through time, years without a scene included."""

    async def get(self, token: str) -> None:
        """Answer every season of every year that was asked for; see `compute.tiles.pixel_series`."""
        record = await self.record(token)
        lon, lat = self.place()
        values = await self.while_connected(self.services.answers.values(record, (lon, lat), self.asker))
        series = season_series(record.plan, values)
        self.write_json({"lon": lon, "lat": lat, "by": record.plan.request.by, "series": series})


class ObservationsHandler(_PlaceHandler):
    """``/api/results/{token}/observations?lon=..&lat=..[&season=..]``: every look at one pixel, counted or why not."""

    async def get(self, token: str) -> None:
        """Answer the observations of the pixel at a place; see `compute.jobs.run.observations`."""
        record = await self.record(token)
        lon, lat = self.place()
        pixel = tiles_of(record).geometry.pixel_of(lon, lat)
        seasons: Sequence[dict[str, Any]] = []
        if pixel is not None:
            season = self.get_query_argument("season", None)
            looks = self.services.answers.observations(record, pixel, season, asker=self.asker)
            seasons = await self.while_connected(looks)
        document = {"lon": lon, "lat": lat, "pixel": None if pixel is None else _pixel(record.plan, *pixel)}
        self.write_json(document | {"seasons": seasons})


class StretchHandler(Handler):
    """``/api/results/{token}/stretch/{layer}``: the ``span`` that suits a layer, for the ``span=`` of its tiles."""

    async def get(self, token: str, layer: str) -> None:
        """Answer low and high value of what is computed, null where nothing is."""
        record = await self.record(token)
        if layer not in LAYERS:
            raise NoScenesError("layer", f"There is no layer {layer[:40]!r}; there are {', '.join(LAYERS)}.")
        span = await self.while_connected(self.services.answers.stretch(record, layer, self.asker))
        self.write_json({"layer": layer, "span": span})


def _pixel(plan: NdviPlan, row: int, column: int) -> dict[str, Any]:
    """Return where a pixel lies, and what the red and nir of other grids mean in it."""
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


def routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes; see `dashboard.server.api.routes`."""
    shared, result = {"services": services}, r"/api/results/([0-9a-f]{32})"
    return [
        (rf"{result}/value", ValueHandler, shared),
        (rf"{result}/series", SeriesHandler, shared),
        (rf"{result}/observations", ObservationsHandler, shared),
        (rf"{result}/stretch/([^/]+)", StretchHandler, shared),
    ]
