"""Session of a visit: its controllers, and their common start, poll and end."""

from __future__ import annotations

import secrets

from compute.jobs import Principal
from dashboard.panel_workarounds.message_flush import MessageFlush
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.session.cluster_control import ClusterController
from dashboard.session.estimation import RequestEstimator
from dashboard.session.job_control import JobController, RefreshTiles
from dashboard.session.job_list import JobListController
from dashboard.session.map_control import MapController
from dashboard.session.pixel_inspection import PixelInspector
from dashboard.session.region_statistics import RegionSummariser
from dashboard.state import PageState, reason_not_to_compute


class Session:
    """Session of a visit: watch its state, call the services, and write their results to the state.

    Parameters
    ----------
    state : PageState
        State of the page.
    services : Services
        Services of the server, shared by all visits.
    principal : Principal
        The visitor.
    refresh : callable
        Called with bounding boxes (west, south, east, north in degrees) in which pixels have changed.
    """

    def __init__(self, state: PageState, services: Services, principal: Principal, refresh: RefreshTiles) -> None:
        self.state = state
        visit, request, job, look = state.visit, state.request, state.job, state.look
        # A temporary identifier, until the browser sends its own.
        visit.update(visitor=secrets.token_hex(16))
        self._tasks = BackgroundTasks(visit)
        common = services, self._tasks, principal
        self._estimator = RequestEstimator(visit, request, job, *common)
        self._cluster = ClusterController(state.cluster, *common)
        self._pixel = PixelInspector(state.pixel, job, *common)
        self._region_summary = RegionSummariser(state.region_summary, job, *common)
        self._job_list = JobListController(state.job_list, job, *common)
        self._job = JobController(job, look, request, visit, *common, refresh)
        self._map = MapController(look, job, *common)
        self._flush = MessageFlush(state)
        request.param.watch(lambda _: self._tasks.start(self._submit), "compute")
        visit.param.watch(lambda _: visit.update(notice=""), "dismiss_notice")

    async def start(self) -> None:
        """Fill in products, clusters and jobs."""
        await self._estimator.load_products()
        self.poll()

    def end(self) -> None:
        """Cancel the background tasks and withdraw the viewpoint; jobs continue."""
        self._tasks.cancel_all()
        self._map.withdraw_viewpoint()

    def poll(self) -> None:
        """Update the state of clusters and jobs; called a few times a second."""
        self._flush.send_pending()
        self._cluster.poll()
        self._job_list.poll()
        self._job.poll()

    async def _submit(self) -> None:
        plan = self._estimator.plan
        if plan is not None and not reason_not_to_compute(self.state.request, self.state.job):
            await self._job.submit(plan, self._cluster.open_spec())
