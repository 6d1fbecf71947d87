"""Region statistics of the result on the page, computed on request."""

from __future__ import annotations

from compute.jobs import Principal
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.state import JobState, RegionSummaryState


class RegionSummariser:
    """Compute the seasonal statistics of the region of a result.

    Parameters
    ----------
    summary : RegionSummaryState
        The statistics.
    job : JobState
        The job on the page.
    services : Services
        Services of the server.
    tasks : BackgroundTasks
        Background tasks of the visit, also used as the key of the query limit.
    principal : Principal
        The visitor.
    """

    def __init__(
        self,
        summary: RegionSummaryState,
        job: JobState,
        services: Services,
        tasks: BackgroundTasks,
        principal: Principal,
    ) -> None:
        self._summary = summary
        self._job = job
        self._services = services
        self._tasks = tasks
        self._principal = principal
        summary.param.watch(lambda _: tasks.start(self._summarise), "summarise")
        job.param.watch(lambda *_: summary.update(statistics=None), ["token", "state"])

    async def _summarise(self) -> None:
        token = self._job.token
        record = self._services.jobs.get(token, self._principal) if token else None
        if record is None or record.tiles is None:
            return
        self._summary.update(computing=True)
        try:
            found = await self._services.answers.statistics(record, record.plan.request.region, self._tasks)
            if token == self._job.token:
                self._summary.update(statistics=found)
        finally:
            self._summary.update(computing=False)
