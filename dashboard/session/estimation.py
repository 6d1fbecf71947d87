"""Estimate the cost of a request while it is edited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from compute.errors import CatalogError, GreenupError, InputError
from compute.jobs import Principal
from compute.plan import NdviPlan
from compute.request import NdviRequest
from compute.request.region import Region, parse_region, region_from_bbox, region_from_bytes
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.state import JobState, RequestState, VisitState

ESTIMATE_DELAY_S = 0.35
"""Delay between a change of the request and its estimate, in seconds. Another change restarts it."""

_ASK_AGAIN_S = 3.0
"""Interval between queries of an index that is unavailable, in seconds."""


class RequestEstimator:
    """Plan a request and estimate its cost whenever it is edited.

    Parameters
    ----------
    visit : VisitState
        Its notice shows that the index is unavailable.
    state : RequestState
        The request and its estimate.
    job : JobState
        The job on the page; its dates are not replaced by those of the product.
    services : Services
        Services of the server.
    tasks : BackgroundTasks
        Background tasks of the visit.
    principal : Principal
        The visitor.

    Attributes
    ----------
    plan : NdviPlan or None
        The plan that Compute would submit; None if there is no valid estimate.
    """

    def __init__(
        self,
        visit: VisitState,
        state: RequestState,
        job: JobState,
        services: Services,
        tasks: BackgroundTasks,
        principal: Principal,
    ) -> None:
        self.plan: NdviPlan | None = None
        self._visit = visit
        self._state = state
        self._job = job
        self._services = services
        self._principal = principal
        self._tasks = tasks
        self._estimate: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._typed: dict[str, Any] | None = None
        state.param.watch(self._region_changed, "region")
        state.param.watch(self._request_changed, ["region", "start", "end", "product", "draft", "rejected"])
        state.param.watch(self._text_changed, "region_text")
        state.param.watch(self._file_changed, "region_file")
        state.param.watch(lambda _: tasks.start(self._introduce), "product")
        state.param.watch(lambda _: state.update(region=None, region_text="", refusal=None), "clear_region")

    async def load_products(self) -> None:
        """Fill in the products to choose from; if the index is unavailable, retry in the background."""
        try:
            await self._fill_in()
        except CatalogError as error:
            notice = str(error)
            self._visit.update(notice=notice)
            self._tasks.start(lambda: self._fill_in_once_it_answers(notice))

    async def _fill_in_once_it_answers(self, notice: str) -> None:
        while True:
            await asyncio.sleep(_ASK_AGAIN_S)
            with suppress(CatalogError):
                await self._fill_in()
                break
        if self._visit.notice == notice:
            self._visit.update(notice="")

    async def _fill_in(self) -> None:
        products = await self._services.products()
        # An open result has already set the product.
        chosen = self._state.product or (products[0] if products else None)
        self._state.update(product=chosen, products=products)

    async def _introduce(self) -> None:
        """Fill in dates and map extent from the product's scenes, unless a region is drawn or a job is shown."""
        state, product = self._state, self._state.product
        if product is None or self._has_begun():
            return
        extent = await self._services.extent(product)
        if extent is not None and product == state.product and not self._has_begun():
            first, last = extent.time
            state.update(start=first, end=min(last, first + timedelta(days=364)), initial_bbox=extent.bbox)

    def _has_begun(self) -> bool:
        """Return whether a region is drawn or a job is shown."""
        return self._state.region is not None or bool(self._job.seasons)

    def _text_changed(self, *_: Any) -> None:
        text = self._state.region_text.strip()
        if not text:
            return
        self._take(lambda: parse_region(text))

    def _file_changed(self, *_: Any) -> None:
        content = self._state.region_file
        if content is None:
            return
        self._state.update(region_file=None, region_text="")
        self._take(lambda: region_from_bytes(content))

    def _take(self, read: Callable[[], Region]) -> None:
        self._stop_reading()
        self._reading = self._tasks.start(partial(self._read, read))

    async def _read(self, read: Callable[[], Region]) -> None:
        try:
            self._typed = await self._services.parse(lambda: read().geojson)
        except InputError as error:
            # A pending estimate of the previous region would replace this refusal.
            self._discard_estimate()
            self._state.update(
                refusal={"field": "region", "message": str(error)}, estimate=None, estimate_token="", estimating=False
            )
        else:
            if self._state.region == self._typed:
                self._request_changed()
            self._state.update(region=self._typed)

    def _discard_estimate(self) -> None:
        if self._estimate is not None:
            self._estimate.cancel()
        self.plan = None

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    def _region_changed(self, *_: Any) -> None:
        """Clear the typed text if another region is drawn."""
        if self._state.region != self._typed:
            self._stop_reading()
            self._state.update(region_text="")

    def _request_changed(self, *_: Any) -> None:
        self._discard_estimate()
        self._state.update(estimate_token="")
        if self._state.rejected:
            refusal = dict(next(iter(self._state.rejected.values())).refusal)
            self._state.update(estimate=None, estimating=False, refusal=refusal)
            return
        if self._state.region is None or not self._state.product:
            self._state.update(estimate=None, estimating=False, refusal=None)
            return
        self._state.update(estimating=True, refusal=None)
        self._estimate = self._tasks.start(self._make_estimate)

    async def _make_estimate(self) -> None:
        await asyncio.sleep(ESTIMATE_DELAY_S)
        try:
            self.plan = await self._services.plan(await self._services.parse(self._complete_draft()))
            token = self._services.jobs.token(self.plan, self._principal)
            self._state.update(estimate=self.plan.summary(), estimate_token=token, estimating=False)
        except InputError as error:
            refusal = {"field": error.field, "message": str(error)}
            self._state.update(refusal=refusal, estimate=None, estimating=False)
        except GreenupError:
            self._state.update(estimating=False)
            raise

    def _complete_draft(self) -> Callable[[], NdviRequest]:
        """Return a function that adds product, region and dates to the draft, which is slow for a large region."""
        state = self._state
        assert state.product is not None, "a plan is made once there is a product"
        assert state.region is not None, "and a region"
        draft, geometry = state.draft, state.region
        others: dict[str, Any] = {"products": (state.product,), "start": state.start, "end": state.end}
        return lambda: replace(draft, region=_region(geometry), **others)


def _region(geometry: dict[str, Any]) -> Region:
    """Return the region of a GeoJSON geometry; a rectangle along the axes becomes a bounding box, without a mask."""
    match geometry.get("type"), geometry.get("coordinates"):
        case "Polygon", [[[a, b], [c, d], [e, f], [g, h], [i, j]]] if (a, b) == (i, j):
            # Of any width: on the map, longitudes continue beyond 180 degrees.
            xs, ys = {a, c, e, g}, {b, d, f, h}
            if len(xs) == len(ys) == 2 and (a == c) != (b == d) and (c == e) != (d == f):
                return region_from_bbox(min(xs), min(ys), max(xs), max(ys))
    region = parse_region(json.dumps(geometry))
    envelope = region_from_bbox(*region.bbox)
    return envelope if region.geometry.equals(envelope.geometry) else region
