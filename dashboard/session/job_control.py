"""Job control: submit, open, monitor and cancel the job on the page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from compute.cluster import ClusterSpec
from compute.errors import InputError, JobError, ResultGoneError
from compute.jobs import LiveJob, Principal, participant_of
from compute.plan import NdviPlan
from compute.request import NdviRequest
from compute.tiles.tile_geometry import result_geometry
from compute.tiles.tile_service import block_bbox, result_info
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.state import JobState, LookState, RequestState, VisitState

RefreshTiles = Callable[[list[tuple[float, float, float, float]]], None]
"""Callback for bounding boxes (west, south, east, north in degrees) in which pixels have changed."""

_STILL_WANTED = "It goes on for others who have asked for it; delete it to stop it for everybody."


class JobController:
    """Submit, open and cancel the job on the page, and update its state.

    Parameters
    ----------
    job : JobState
        The job on the page.
    look : LookState
        Appearance of the map. A season that the result does not have is replaced by the first one.
    request : RequestState
        The form, which shows the request of an opened result.
    visit : VisitState
        Identifier and notice of the visitor.
    services : Services
        Services of the server.
    tasks : BackgroundTasks
        Background tasks of the visit.
    principal : Principal
        The visitor.
    refresh : callable
        Called with bounding boxes (west, south, east, north in degrees) in which pixels have changed.
    """

    def __init__(
        self,
        job: JobState,
        look: LookState,
        request: RequestState,
        visit: VisitState,
        services: Services,
        tasks: BackgroundTasks,
        principal: Principal,
        refresh: RefreshTiles,
    ) -> None:
        self._job = job
        self._look = look
        self._request = request
        self._visit = visit
        self._services = services
        self._tasks = tasks
        self._principal = principal
        self._refresh = refresh
        self._opened = ""
        self._seen_blocks = 0
        self._seen_previews: frozenset[int] = frozenset()
        job.param.watch(lambda _: tasks.start(self._cancel), "cancel")
        job.param.watch(lambda _: self._load(), "token")
        job.param.watch(lambda _: job.update(token=""), "close")

    @property
    def _participant(self) -> str:
        return participant_of(self._principal, self._visit.visitor)

    async def submit(self, plan: NdviPlan, cluster: ClusterSpec) -> None:
        """Submit a plan, or join its existing job, and show the job.

        Parameters
        ----------
        plan : NdviPlan
            The plan.
        cluster : ClusterSpec
            Cluster to compute on.
        """
        record = await self._services.jobs.submit(plan, cluster, self._principal, self._participant)
        self._opened = record.token
        self._job.update(token=record.token)

    def poll(self) -> None:
        """Update the state of the job on the page."""
        token = self._job.token
        if not token:
            return
        try:
            self._show(self._services.jobs.get(token, self._principal))
        except InputError:
            # The job runs on another server and has changed there, or it no longer exists.
            if self._opened == token:
                self._opened = ""
                self._tasks.start(self._open)

    async def _cancel(self) -> None:
        with suppress(InputError):
            if await self._services.jobs.withdraw(self._job.token, self._principal, self._participant):
                self._visit.update(notice=_STILL_WANTED)
        self.poll()

    def _load(self) -> None:
        """Show the job of the token; open it from the store if this server does not hold it."""
        self._seen_blocks, self._seen_previews = 0, frozenset()
        self._job.update(result=None, seasons=[], state="", message="")
        if not self._job.token:
            return
        try:
            self._show_opened(self._services.jobs.get(self._job.token, self._principal))
        except InputError:
            self._tasks.start(self._open)

    async def _open(self) -> None:
        """Open a result from the store of the server."""
        job, token = self._job, self._job.token
        try:
            record = await self._services.jobs.open(token, self._principal)
        except (InputError, ResultGoneError) as error:
            await self._show_missing(token, str(error))
        except JobError as error:
            if token == job.token:
                job.update(state="failed", message=str(error))
        else:
            if token == job.token:
                self._show_opened(record)

    async def _show_missing(self, token: str, reason: str) -> None:
        """Show the reason for a missing result, and the request of an expired one."""
        request = None
        with suppress(InputError):
            request = NdviRequest.from_json(await self._services.jobs.recipe(token, self._principal))
        if token != self._job.token:
            return
        if request is not None and token != self._request.estimate_token:
            self._fill_form(request)
        self._job.update(state="failed" if request is None else "expired", message=reason)

    def _show_opened(self, record: LiveJob) -> None:
        self._opened = record.token
        if record.token != self._request.estimate_token:
            self._fill_form(record.plan.request)
        self._show(record)

    def _fill_form(self, request: NdviRequest) -> None:
        """Fill the form with the request of a result."""
        self._request.update(
            region=request.region.geojson,
            region_text="",
            start=request.start,
            end=request.end,
            product=request.products[0],
            draft=request,
            rejected={},
        )

    def _show(self, record: LiveJob) -> None:
        labels = list(record.plan.labels)
        season = self._look.season if self._look.season in labels else labels[0]
        shown = labels.index(season)
        previews = frozenset() if record.preview is None else record.preview.seasons
        # Before the result, because the map requests tiles of the season as soon as a result is set.
        self._look.update(season=season)
        self._job.update(
            result=None if record.tiles is None else result_info(record.plan),
            seasons=labels,
            missing_months={season.label: list(season.missing) for season in record.plan.seasons if season.missing},
            has_preview=shown in previews and _is_unfinished(record, shown),
            synthetic=record.plan.synthetic,
            min_clear=record.plan.request.min_clear,
            state=record.state,
            message=record.message,
            blocks_done=self._services.jobs.listed_row(record).done,
            blocks_total=record.total,
            seconds_left=record.seconds_left,
        )
        self._refresh_map(record, shown, previews)

    def _refresh_map(self, record: LiveJob, shown: int, previews: frozenset[int]) -> None:
        """Refresh the tiles of the shown season that have changed since the last call."""
        # A resumed job starts again without finished blocks.
        seen = min(self._seen_blocks, len(record.finished))
        fresh, self._seen_blocks = record.finished[seen:], len(record.finished)
        boxes = [block_bbox(record.plan, *block) for block in fresh if block[0] == shown]
        if previews - self._seen_previews:
            boxes = [result_geometry(record.plan.grid).bbox()]
        self._seen_previews = previews
        if boxes:
            self._refresh(boxes)


def _is_unfinished(record: LiveJob, season: int) -> bool:
    """Return whether a season of a running job has unfinished blocks. All seasons have the same number of blocks."""
    done = sum(block[0] == season for block in record.finished)
    return record.state == "running" and done * len(record.plan.labels) < record.total
