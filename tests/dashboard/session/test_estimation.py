"""The estimate of a visit follows the region that was given last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from compute.errors import InputError
from compute.jobs import Principal
from compute.plan import NdviPlan
from compute.request import NdviRequest
from dashboard.services import Services
from dashboard.session import estimation
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.session.estimation import RequestEstimator
from dashboard.state import JobState, RequestState, VisitState
from tests.strategies import request_of

pytestmark = pytest.mark.unit

BOX = "146,-42,147,-41"
NO_SCENE = "No scene of p meets the region"


class EmptyIndex:
    """Services over an index without a scene, which answers once it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def parse(self, parse: Callable[[], Any]) -> Any:
        return parse()

    async def extent(self, product: str) -> None:
        return None

    async def plan(self, request: NdviRequest) -> NdviPlan:
        self.request = request
        self.asked.set()
        await self.answers.wait()
        raise InputError("region", NO_SCENE)


def estimated(services: EmptyIndex) -> RequestState:
    """Return the state of a request that is estimated whenever it changes."""
    state, visit = RequestState(product="p"), VisitState()
    tasks, principal = BackgroundTasks(visit), Principal(name="", scope="")
    RequestEstimator(visit, state, JobState(), cast("Services", services), tasks, principal)
    return state


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def sentence(state: RequestState) -> Any:
    return state.refusal and state.refusal["message"]


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimation, "ESTIMATE_DELAY_S", 0)


def test_a_refused_region_is_not_answered_by_the_estimate_before() -> None:
    async def act() -> None:
        services = EmptyIndex()
        state = estimated(services)
        state.region_text = BOX
        await services.asked.wait()
        state.region_file = b""
        await settle()
        services.answers.set()
        await settle()
        assert "The region is empty" in sentence(state)
        assert not state.estimating

    asyncio.run(act())


def test_the_same_region_once_more_is_estimated_again() -> None:
    async def act() -> None:
        services = EmptyIndex()
        services.answers.set()
        state = estimated(services)
        for text, words in ((BOX, NO_SCENE), ("1,2", "four numbers"), (BOX, NO_SCENE)):
            state.region_text = text
            await settle()
            assert words in sentence(state)

    asyncio.run(act())


def test_a_rejected_entry_stands_in_place_of_the_estimate_until_it_is_corrected() -> None:
    async def act() -> None:
        services = EmptyIndex()
        services.answers.set()
        state = estimated(services)
        (min_clear,) = (each for each in state.fields if each.name == "min_clear")
        state.enter_value(min_clear, "many")
        state.region_text = BOX
        await settle()
        assert "not a whole number" in sentence(state)
        assert not services.asked.is_set()
        state.enter_value(min_clear, "2")
        await settle()
        assert NO_SCENE in sentence(state)
        assert services.request == request_of(BOX, products=("p",), start=state.start, end=state.end, min_clear=2)

    asyncio.run(act())
