"""The clicked pixel of a visit: its series and its observations follow the location."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from compute.jobs import ANONYMOUS
from compute.tiles.pixel_sources import PixelValue
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.session.pixel_inspection import PixelInspector
from dashboard.state import ClickedPixelState, JobState, VisitState

pytestmark = pytest.mark.unit

LOOKS = [{"label": "DJF", "observations": []}]


class OneResult:
    """Services with one result of one season."""

    def __init__(self) -> None:
        geometry = SimpleNamespace(pixel_of=lambda lon, lat: (0, 0))
        job = SimpleNamespace(tiles=SimpleNamespace(geometry=geometry))
        self.jobs = SimpleNamespace(get=lambda token, principal: job)
        self.answers = self

    async def values(self, *_: Any) -> list[PixelValue]:
        return [PixelValue(label="DJF", state="clear", ndvi_mean=0.5, clear_count=7)]

    async def observations(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return LOOKS


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_series_and_observations_are_those_of_the_clicked_pixel() -> None:
    async def act() -> None:
        pixel, job, tasks = ClickedPixelState(), JobState(token="a"), BackgroundTasks(VisitState())
        PixelInspector(pixel, job, cast("Services", OneResult()), tasks, ANONYMOUS)
        pixel.location = (147.0, -42.0)
        await settle()
        assert pixel.series is not None
        assert (pixel.series["location"], pixel.series["seasons"][0]["ndvi_mean"]) == ((147.0, -42.0), 0.5)
        pixel.param.trigger("list_observations")
        await settle()
        assert (pixel.observations, pixel.listing) == (LOOKS, False)
        pixel.location = (147.1, -42.0)
        assert pixel.observations is None
        job.token = "b"
        assert (pixel.location, pixel.series) == (None, None)

    asyncio.run(act())
