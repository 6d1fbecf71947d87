"""Details of a result beside its tiles: observations of a pixel, statistics of the region."""

from __future__ import annotations

from compute.jobs import LiveJob, Principal
from dashboard.services import Services
from dashboard.session.background_tasks import Tasks
from dashboard.state import VisitState


class Looking:
    """Answers on demand: the first reads scenes, the second every pixel of the region."""

    def __init__(self, state: VisitState, services: Services, tasks: Tasks, principal: Principal) -> None:
        self._state = state
        self._services = services
        self._principal = principal
        # A visit is an asker of its own: people behind one proxy would share an address.
        self._asker = tasks
        state.param.watch(lambda _: tasks.start(self._observe), "observe")
        state.param.watch(lambda _: tasks.start(self._sum_up), "sum_up")
        state.param.watch(lambda _: state.show(observations=None), "place")
        state.param.watch(lambda *_: state.show(statistics=None), ["token", "job_state"])

    async def _observe(self) -> None:
        state, place, record = self._state, self._state.place, self._record()
        if place is None or record is None or record.tiles is None:
            return
        pixel = record.tiles.geometry.pixel_of(*place)
        if pixel is None:
            return
        state.show(observing=True)
        try:
            found = await self._services.answers.observations(record, pixel, asker=self._asker)
            if place == state.place:
                state.show(observations=found)
        finally:
            state.show(observing=False)

    async def _sum_up(self) -> None:
        state, token, record = self._state, self._state.token, self._record()
        if record is None or record.tiles is None:
            return
        state.show(summing_up=True)
        try:
            found = await self._services.answers.statistics(record, record.plan.request.region, self._asker)
            if token == state.token:
                state.show(statistics=found)
        finally:
            state.show(summing_up=False)

    def _record(self) -> LiveJob | None:
        return self._services.jobs.get(self._state.token, self._principal) if self._state.token else None
