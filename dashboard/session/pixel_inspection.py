"""Pixel inspection: seasonal values and observations of the clicked pixel."""

from __future__ import annotations

from dataclasses import asdict

from compute.jobs import Principal
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.state import ClickedPixelState, JobState


class PixelInspector:
    """Read the seasonal values of the clicked pixel, and list its observations on request.

    Parameters
    ----------
    pixel : ClickedPixelState
        The pixel.
    job : JobState
        The job on the page.
    services : Services
        Services of the server.
    tasks : BackgroundTasks
        Background tasks of the visit, also used as the key of the query limit: an address is not suitable, because
        visitors behind one proxy share it.
    principal : Principal
        The visitor.
    """

    def __init__(
        self, pixel: ClickedPixelState, job: JobState, services: Services, tasks: BackgroundTasks, principal: Principal
    ) -> None:
        self._pixel = pixel
        self._job = job
        self._services = services
        self._tasks = tasks
        self._principal = principal
        pixel.param.watch(lambda _: tasks.start(self._read_series), "location")
        pixel.param.watch(lambda _: pixel.update(observations=None), "location")
        pixel.param.watch(lambda _: tasks.start(self._list_observations), "list_observations")
        job.param.watch(lambda _: pixel.update(location=None, series=None), "token")

    async def _read_series(self) -> None:
        location = self._pixel.location
        if location is None:
            self._pixel.update(series=None)
            return
        record = self._services.jobs.get(self._job.token, self._principal)
        if record.tiles is None:
            return
        values = await self._services.answers.values(record, location, self._tasks)
        seasons = [asdict(value) for value in values]
        if location == self._pixel.location:
            self._pixel.update(series={"location": location, "seasons": seasons})

    async def _list_observations(self) -> None:
        pixel, location, token = self._pixel, self._pixel.location, self._job.token
        record = self._services.jobs.get(token, self._principal) if token else None
        if location is None or record is None or record.tiles is None:
            return
        index = record.tiles.geometry.pixel_of(*location)
        if index is None:
            return
        pixel.update(listing=True)
        try:
            found = await self._services.answers.observations(record, index, requester=self._tasks)
            if location == pixel.location:
                pixel.update(observations=found)
        finally:
            pixel.update(listing=False)
