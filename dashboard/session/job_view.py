"""Job view: the job on the page, its progress, and the chosen pixel."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from compute.cluster import ClusterSpec
from compute.errors import InputError, JobError, ResultGoneError
from compute.jobs import JobRow, LiveJob, Principal, Viewpoint, participant_of
from compute.plan import NdviPlan
from compute.request import NdviRequest
from compute.tiles import block_bbox, geometry_of, result_info
from dashboard.services import Services
from dashboard.session.background_tasks import Tasks
from dashboard.session.estimation import options_of
from dashboard.state import VisitState

Refresh = Callable[[list[tuple[float, float, float, float]]], None]
"""Told the boxes (west, south, east, north in degrees) whose pixels have changed."""


_GOES_ON = "It goes on for others who have asked for it; delete it to stop it for everybody."


class Watching:
    """Keeps the job state in step with the registry."""

    def __init__(
        self, state: VisitState, services: Services, tasks: Tasks, principal: Principal, refresh: Refresh
    ) -> None:
        self._state = state
        self._services = services
        self._principal = principal
        self._tasks = tasks
        self._refresh = refresh
        self._opened = ""
        self._seen_blocks = 0
        self._seen_previews: frozenset[int] = frozenset()
        # A visitor with two tabs looks at two things.
        self._viewer = secrets.token_hex(8)
        self._looks_at = ""
        state.param.watch(lambda _: tasks.start(self._cancel), "cancel")
        state.param.watch(lambda _: tasks.start(self._inspect), "place")
        state.param.watch(lambda _: tasks.start(self._stretch), "stretch")
        state.param.watch(lambda _: self._token_changed(), "token")
        state.param.watch(lambda *_: self._look(), ["token", "season", "centre"])
        state.param.watch(lambda _: state.show(token=""), "leave")
        state.param.watch(lambda _: tasks.start(self._delete), "delete")
        state.param.watch(lambda _: tasks.start(self._rename), "rename")
        state.show(kept=services.retention_words)

    @property
    def _participant(self) -> str:
        return participant_of(self._principal, self._state.visitor)

    async def submit(self, plan: NdviPlan, cluster: ClusterSpec) -> None:
        """Start a computation, or join one, and look at it."""
        record = await self._services.jobs.submit(plan, cluster, self._principal, self._participant)
        self._opened = record.token
        self._state.show(token=record.token)

    def poll(self) -> None:
        """Show how the visitor's jobs do, and what is new of the one that is looked at."""
        jobs, token = self._services.jobs, self._state.token
        self._state.show(jobs=[self._summary(row) for row in jobs.list(self._principal)], unkept=jobs.trouble)
        if not token:
            return
        try:
            self._show(jobs.get(token, self._principal))
        except InputError:
            # It lives elsewhere and has changed there, or is gone.
            if self._opened == token:
                self._opened = ""
                self._tasks.start(self._open)

    def end(self) -> None:
        """Look at nothing any more."""
        self._look_away()

    def _look(self) -> None:
        """Have the blocks first that the map shows."""
        state = self._state
        if self._looks_at != state.token:
            self._look_away()
        if not (state.token and state.season and state.centre):
            return
        with suppress(InputError):
            plan = self._services.jobs.get(state.token, self._principal).plan
            if state.season in plan.labels:
                row, column = geometry_of(plan.grid).place_of(*state.centre)
                viewpoint = Viewpoint(season=plan.labels.index(state.season), row=row, column=column)
                self._services.jobs.look_at(state.token, self._principal, self._viewer, viewpoint)
                self._looks_at = state.token

    def _look_away(self) -> None:
        token, self._looks_at = self._looks_at, ""
        if token:
            with suppress(InputError):
                self._services.jobs.look_at(token, self._principal, self._viewer, None)

    async def _cancel(self) -> None:
        with suppress(InputError):
            if await self._services.jobs.withdraw(self._state.token, self._principal, self._participant):
                self._state.show(notice=_GOES_ON)
        self.poll()

    async def _delete(self) -> None:
        state, token = self._state, self._state.doomed
        state.show(doomed="")
        with suppress(InputError):
            await self._services.jobs.delete(token, self._principal)
        if state.token == token:
            state.show(token="")
        self.poll()

    async def _rename(self) -> None:
        state, token = self._state, self._state.renaming
        await self._services.jobs.rename(token, self._principal, state.title)
        state.show(renaming="")
        self.poll()

    def _token_changed(self) -> None:
        state = self._state
        self._seen_blocks, self._seen_previews = 0, frozenset()
        state.show(place=None, pixel=None, result=None, seasons=[], job_state="", job_message="")
        if not state.token:
            return
        try:
            self._begin(self._services.jobs.get(state.token, self._principal))
        except InputError:
            self._tasks.start(self._open)

    async def _open(self) -> None:
        """Look at a result that nobody has opened here since the server started."""
        state, token = self._state, self._state.token
        try:
            record = await self._services.jobs.open(token, self._principal)
        except (InputError, ResultGoneError) as error:
            await self._show_missing(token, str(error))
        except JobError as error:
            if token == state.token:
                state.show(job_state="failed", job_message=str(error))
        else:
            if token == state.token:
                self._begin(record)

    async def _show_missing(self, token: str, reason: str) -> None:
        """Say why there is no result; of one that has expired there is still what was asked for."""
        state, request = self._state, None
        with suppress(InputError):
            request = NdviRequest.from_json(await self._services.jobs.recipe(token, self._principal))
        if token != state.token:
            return
        if request is not None and token != state.estimate_token:
            self._take_over(request)
        state.show(job_state="failed" if request is None else "expired", job_message=reason)

    def _begin(self, record: LiveJob) -> None:
        self._opened = record.token
        if record.token != self._state.estimate_token:
            self._take_over(record.plan.request)
        self._show(record)

    def _take_over(self, request: NdviRequest) -> None:
        """Fill the form with the request of a result."""
        self._state.show(
            region=request.region.geojson,
            region_text="",
            start=request.start,
            end=request.end,
            product=request.products[0],
            by=request.by,
            options=options_of(request),
        )

    def _show(self, record: LiveJob) -> None:
        state, labels = self._state, list(record.plan.labels)
        season = state.season if state.season in labels else labels[0]
        previews = frozenset() if record.preview is None else record.preview.seasons
        state.show(
            result=None if record.tiles is None else result_info(record.plan),
            seasons=labels,
            incomplete={season.label: list(season.missing) for season in record.plan.seasons if season.missing},
            season=season,
            preview=labels.index(season) in previews and _is_unfinished(record, labels.index(season)),
            synthetic=record.plan.synthetic,
            min_clear=record.plan.request.min_clear,
            job_state=record.state,
            job_message=record.message,
            blocks_done=self._blocks_done(record),
            blocks_total=record.total,
            seconds_left=record.seconds_left,
        )
        self._refresh_map(record, labels.index(season), previews)

    def _blocks_done(self, record: LiveJob) -> int:
        """Return how many blocks are there, as the list has it where another server computes them."""
        row = self._services.jobs.ledger.rows.get(record.token)
        return len(record.finished) if row is None else row.done

    def _refresh_map(self, record: LiveJob, shown: int, previews: frozenset[int]) -> None:
        """Have the pixels drawn anew that have changed since the last time."""
        # A job that is taken up again begins with none.
        seen = min(self._seen_blocks, len(record.finished))
        fresh, self._seen_blocks = record.finished[seen:], len(record.finished)
        boxes = [block_bbox(record.plan, *block) for block in fresh if block[0] == shown]
        if previews - self._seen_previews:
            boxes = [geometry_of(record.plan.grid).bbox()]
        self._seen_previews = previews
        if boxes:
            self._refresh(boxes)

    async def _stretch(self) -> None:
        """Let the colours span the means that there are; once the result is done, they stay the same."""
        record = self._services.jobs.get(self._state.token, self._principal)
        span = None if record.tiles is None else await self._services.answers.stretch(record, "ndvi_mean", self._tasks)
        if span is not None:
            self._state.show(span=(max(span[0], -1.0), min(span[1], 1.0)))

    async def _inspect(self) -> None:
        state, place = self._state, self._state.place
        if place is None:
            state.show(pixel=None)
            return
        record = self._services.jobs.get(state.token, self._principal)
        if record.tiles is None:
            return
        state.show(inspecting=True)
        try:
            values = await self._services.answers.values(record, place, self._tasks)
            seasons = [
                {"label": label, **asdict(value)} for label, value in zip(record.plan.labels, values, strict=True)
            ]
            if place == state.place:
                state.show(pixel={"place": place, "seasons": seasons})
        finally:
            state.show(inspecting=False)

    def _summary(self, row: JobRow) -> dict[str, Any]:
        return {
            "token": row.token,
            "title": row.title,
            "state": row.state,
            **row.about,
            "created": row.created.isoformat(timespec="seconds"),
            "done": row.done,
            "total": row.total,
            "kept_until": self._services.kept_until(row),
        }


def _is_unfinished(record: LiveJob, season: int) -> bool:
    """Return whether a season of a running job lacks blocks: each has as many."""
    done = sum(block[0] == season for block in record.finished)
    return record.state == "running" and done * len(record.plan.labels) < record.total
