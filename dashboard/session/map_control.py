"""Map control: report the viewpoint of the map to the job, and fit the colours to the result."""

from __future__ import annotations

import secrets
from contextlib import suppress

from compute.errors import InputError
from compute.jobs import Principal, Viewpoint
from compute.tiles.tile_geometry import result_geometry
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.state import JobState, LookState


class MapController:
    """Report the viewpoint of the map, so that blocks near it are computed next, and fit the colours on request.

    Parameters
    ----------
    look : LookState
        Season, centre and colours of the map.
    job : JobState
        The job on the page.
    services : Services
        Services of the server.
    tasks : BackgroundTasks
        Background tasks of the visit.
    principal : Principal
        The visitor.
    """

    def __init__(
        self, look: LookState, job: JobState, services: Services, tasks: BackgroundTasks, principal: Principal
    ) -> None:
        self._look = look
        self._job = job
        self._services = services
        self._tasks = tasks
        self._principal = principal
        # Identifies the page, not the visitor: two tabs have two viewpoints.
        self._viewer = secrets.token_hex(8)
        self._reported_token = ""
        job.param.watch(lambda _: self._report_viewpoint(), "token")
        look.param.watch(lambda *_: self._report_viewpoint(), ["season", "centre"])
        look.param.watch(lambda _: tasks.start(self._fit_colours), "fit_colours")

    def withdraw_viewpoint(self) -> None:
        """Withdraw the reported viewpoint."""
        token, self._reported_token = self._reported_token, ""
        if token:
            with suppress(InputError):
                self._services.jobs.look_at(token, self._principal, self._viewer, None)

    def _report_viewpoint(self) -> None:
        token, season, centre = self._job.token, self._look.season, self._look.centre
        if self._reported_token != token:
            self.withdraw_viewpoint()
        if not (token and season and centre):
            return
        with suppress(InputError):
            plan = self._services.jobs.get(token, self._principal).plan
            if season in plan.labels:
                row, column = result_geometry(plan.grid).place_of(*centre)
                viewpoint = Viewpoint(season=plan.labels.index(season), row=row, column=column)
                self._services.jobs.look_at(token, self._principal, self._viewer, viewpoint)
                self._reported_token = token

    async def _fit_colours(self) -> None:
        """Set the span to the percentile range of the means computed so far; later blocks do not change it."""
        record = self._services.jobs.get(self._job.token, self._principal)
        span = None if record.tiles is None else await self._services.answers.stretch(record, "ndvi_mean", self._tasks)
        if span is not None:
            self._look.update(span=(max(span[0], -1.0), min(span[1], 1.0)))
