"""The only place with effects: changes of a visit's state become calls of the services, and answers become state."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from compute.cluster import ClusterSpec, Connection, parse_cluster
from compute.errors import GreenupError, InputError
from compute.jobs import JobRecord, Principal
from compute.plan import NdviPlan
from compute.region import Region, region_from_bbox
from compute.request import NdviRequest, parse_region
from compute.tiles import block_bbox, result_info
from dashboard.services import OWN_CLUSTER, Services
from dashboard.state import VisitState

ESTIMATE_DELAY_S = 0.35
"""Wait for a drawing or a date to settle before the index is asked."""

Refresh = Callable[[list[tuple[float, float, float, float]]], None]


class Session:
    """One visit: watches its state, asks the services, writes the answers back.

    Parameters
    ----------
    state : VisitState
        The state of the visit.
    services : Services
        Shared by all visits.
    principal : Principal
        Who visits.
    refresh : callable
        Told the boxes (west, south, east, north in degrees) whose pixels have changed.
    """

    def __init__(self, state: VisitState, services: Services, principal: Principal, refresh: Refresh) -> None:
        self.state = state
        self._services = services
        self._principal = principal
        self._refresh = refresh
        self._participant = secrets.token_hex(8)
        self._plan: NdviPlan | None = None
        self._estimate: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._seen_blocks = 0
        request = ["region", "start", "end", "product", "by"]
        state.param.watch(self._request_changed, request)
        state.param.watch(self._text_changed, "region_text")
        state.param.watch(lambda _: self._start_task(self._introduce()), "product")
        state.param.watch(lambda _: self._start_task(self._submit()), "compute")
        state.param.watch(lambda _: self._start_task(self._cancel()), "cancel")
        state.param.watch(lambda _: state.show(region=None, region_text="", refusal=None), "clear")
        state.param.watch(lambda _: self._start_task(self._inspect()), "place")
        state.param.watch(lambda _: self._token_changed(), "token")

    async def begin(self) -> None:
        """Fill in what the visitor can choose from, and what is going on."""
        products = await self._services.products()
        self.state.show(product=products[0] if products else None, products=products)
        self.state.show(clusters=await self._services.cluster_choices())
        self.poll()

    def end(self) -> None:
        """Stop what this visit alone was waiting for; jobs go on."""
        for task in self._background:
            task.cancel()

    def poll(self) -> None:
        """Bring the state up to date with cluster and job; called a few times a second."""
        self._show_cluster()
        self.state.show(jobs=[_summary(record) for record in self._services.jobs.list(self._principal)])
        if self.state.token:
            with suppress(InputError):
                self._show_job(self._services.jobs.get(self.state.token, self._principal))

    # The request and its estimate

    async def _introduce(self) -> None:
        """Show where and when the product has scenes, unless a region is drawn or a result is looked at already."""
        product = self.state.product
        if product is None or self.state.region is not None or self.state.token:
            return
        extent = await self._services.extent(product)
        if extent is not None and product == self.state.product:
            first, last = extent.time
            self.state.show(start=first, end=min(last, first + timedelta(days=364)), home=extent.bbox)

    def _text_changed(self, *_: Any) -> None:
        text = self.state.region_text.strip()
        if not text:
            return
        try:
            region = parse_region(text)
        except InputError as error:
            self.state.show(refusal={"field": "region", "message": str(error)}, estimate=None)
            return
        self.state.show(region=region.geojson)

    def _request_changed(self, *_: Any) -> None:
        if self._estimate is not None:
            self._estimate.cancel()
        self._plan = None
        if self.state.region is None or not self.state.product:
            self.state.show(estimate=None, estimating=False, refusal=None)
            return
        self.state.show(estimating=True, refusal=None)
        self._estimate = self._start_task(self._make_estimate())

    async def _make_estimate(self) -> None:
        await asyncio.sleep(ESTIMATE_DELAY_S)
        try:
            self._plan = await self._services.plan(self._request())
            self.state.show(estimate=self._plan.summary(), estimating=False)
        except InputError as error:
            refusal = {"field": error.field, "message": str(error)}
            self.state.show(refusal=refusal, estimate=None, estimating=False)

    def _request(self) -> NdviRequest:
        product, region = self.state.product, self.state.region
        assert product is not None, "a plan is made once there is a product"
        assert region is not None, "and a region"
        return NdviRequest(
            products=(product,),
            region=_region(region),
            start=self.state.start,
            end=self.state.end,
            by=self.state.by,
        )

    # The job

    async def _submit(self) -> None:
        if self._plan is None or self.state.reason_not_to_compute:
            return
        record = self._services.jobs.submit(self._plan, self._cluster(), self._principal, self._participant)
        self.state.show(token=record.token)

    def _cluster(self) -> ClusterSpec:
        if self.state.cluster == OWN_CLUSTER:
            return self._services.cluster
        return parse_cluster(self.state.cluster, workers=self.state.workers)

    async def _cancel(self) -> None:
        with suppress(InputError):
            await self._services.jobs.cancel(self.state.token, self._principal)
        self.poll()

    def _token_changed(self) -> None:
        self._seen_blocks = 0
        self.state.show(place=None, pixel=None)
        if not self.state.token:
            self.state.show(job_state="", job_message="", seasons=[], season=None)
            return
        try:
            self._show_job(self._services.jobs.get(self.state.token, self._principal))
        except InputError as error:
            self.state.show(job_state="failed", job_message=str(error), seasons=[], season=None)

    def _show_job(self, record: JobRecord) -> None:
        labels = list(record.plan.labels)
        self.state.show(
            result=None if record.tiles is None else result_info(record.plan),
            seasons=labels,
            incomplete={season.label: list(season.missing) for season in record.plan.seasons if season.missing},
            season=self.state.season if self.state.season in labels else labels[0],
            job_state=record.state,
            job_message=record.message,
            blocks_done=len(record.finished),
            blocks_total=record.total,
            seconds_left=record.seconds_left,
        )
        fresh, self._seen_blocks = record.finished[self._seen_blocks :], len(record.finished)
        shown = labels.index(self.state.season or labels[0])
        boxes = [block_bbox(record.plan, *block) for block in fresh if block[0] == shown]
        if boxes:
            self._refresh(boxes)

    def _show_cluster(self) -> None:
        wanted = self._cluster()
        for pooled in self._services.clusters.clusters():
            if _identity(pooled.spec) == _identity(wanted):
                stage = pooled.error or (pooled.stage.detail if pooled.stage else "")
                ready = pooled.connection is not None
                self.state.show(cluster_ready=ready, cluster_stage=_ready_text(pooled.connection) if ready else stage)
                return
        self.state.show(cluster_ready=False, cluster_stage="No cluster is running; Compute starts one.")

    # One pixel

    async def _inspect(self) -> None:
        if self.state.place is None:
            self.state.show(pixel=None)
            return
        record = self._services.jobs.get(self.state.token, self._principal)
        if record.tiles is None:
            return
        self.state.show(inspecting=True)
        try:
            values = await record.tiles.point(*self.state.place)
            seasons = [
                {"label": label, **asdict(value)} for label, value in zip(record.plan.labels, values, strict=True)
            ]
            self.state.show(pixel={"place": self.state.place, "seasons": seasons})
        finally:
            self.state.show(inspecting=False)

    # Tasks

    def _start_task(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._guarded(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Show an error that no field stands for as the message of the visit."""
        try:
            await work
        except GreenupError as error:
            self.state.show(job_message=str(error), estimating=False)


def _region(geometry: dict[str, Any]) -> Region:
    """Return the region of a drawing; a rectangle along the axes is a box, which masks nothing."""
    region = parse_region(json.dumps(geometry))
    envelope = region_from_bbox(*region.bbox)
    return envelope if region.geometry.equals(envelope.geometry) else region


def _identity(spec: ClusterSpec) -> tuple[str, str | None, str | None]:
    return spec.kind, spec.name, spec.address


def _ready_text(connection: Connection | None) -> str:
    if connection is None:
        return ""
    return f"{connection.name}: {connection.workers} workers, {connection.threads} threads"


def _summary(record: JobRecord) -> dict[str, Any]:
    request = record.plan.request
    west, south, east, north = request.region.bbox
    return {
        "token": record.token,
        "state": record.state,
        "title": f"{request.start} to {request.end}",
        "detail": f"{', '.join(request.products)} · {west:.2f} to {east:.2f} E, {south:.2f} to {north:.2f} N",
        "created": record.created.isoformat(timespec="seconds"),
        "done": len(record.finished),
        "total": record.total,
    }
