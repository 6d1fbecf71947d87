"""The options of the form without a browser: what they say to the request, and what a request says to them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import panel_material_ui as pmui
import pytest
from hypothesis import given

from compute.request import NdviRequest
from dashboard.session.estimation import options_of
from dashboard.state import RequestState
from dashboard.views.request_form import FIELDS, request_form
from dashboard.views.request_options import GROUPS, WEIGHT, Option
from tests.strategies import request_of, requests

pytestmark = pytest.mark.unit

OPTIONS = (WEIGHT, *(option for group in GROUPS.values() for option in group))
ELSEWHERE = {"products", "region", "time", "by"}
"""Fields of a request that the form has always had."""

NOT_OFFERED = {"reader"}


def labelled(state: RequestState) -> dict[str, Any]:
    """The fields of the form, by label."""
    widgets = request_form(state).select(lambda view: isinstance(view, pmui.TextInput | pmui.Select | pmui.Checkbox))
    return {widget.label: widget for widget in widgets}


def test_the_form_offers_every_field_of_a_request() -> None:
    known = set(json.loads(request_of().to_json()))
    assert {option.name for option in OPTIONS} == known - ELSEWHERE - NOT_OFFERED


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_what_stands_in_a_field_unasked_is_the_default(option: Option) -> None:
    words = urlencode({option.name: option.usual} if option.usual else {})
    assert NdviRequest.from_query(f"{request_of().to_query()}&{words}") == request_of()


@pytest.mark.parametrize(
    ("option", "text"),
    [(option, text) for option in OPTIONS for text in option.choices.values()],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_choice_is_one_of_the_request(option: Option, text: str) -> None:
    asked = NdviRequest.from_query(f"{request_of().to_query()}&{urlencode({option.name: text})}")
    assert getattr(asked, option.name) == text


@given(requests())
def test_a_request_comes_back_through_the_form(asked: NdviRequest) -> None:
    form = NdviRequest(
        products=asked.products, region=asked.region, start=asked.start, end=asked.end, by=asked.by
    ).to_query()
    assert NdviRequest.from_query(f"{form}&{urlencode(options_of(asked))}") == asked


def test_fields_say_what_is_entered_and_show_what_is_asked() -> None:
    state = RequestState()
    fields = labelled(state)
    assert (fields["Seasons"].value, fields["Valid range"].value) == ("DJF,MAM,JJA,SON", "")
    fields["Seasons"].value = " wet=11-4 "
    fields["Mean of"].value = "month"
    fields["Standard deviation"].value = True
    assert state.options == {"seasons": "wet=11-4", "weight": "month", "std": "true"}
    fields["Mean of"].value = "observation"
    fields["Standard deviation"].value = False
    fields["Seasons"].value = ""
    assert state.options == {}
    assert fields["Seasons"].value == "DJF,MAM,JJA,SON"
    state.options = {"reasons": "true", "min_clear": "3"}
    assert (fields["Why looks are not clear"].value, fields["Fewest clear looks"].value) == (True, "3")


def test_a_refusal_that_has_no_place_in_the_form_is_left_to_the_estimate() -> None:
    assert "min-clear" in FIELDS
    assert "reasons" not in FIELDS


def test_a_refusal_unfolds_the_list_and_stands_at_its_field() -> None:
    state = RequestState()
    form = request_form(state)
    (folded,) = form.select(pmui.Accordion)
    assert folded.active == []
    state.refusal = {"field": "bbox", "message": "Elsewhere."}
    assert folded.active == []
    state.refusal = {"field": "min-clear", "message": "Too few."}
    assert folded.active == [0]
    at_fault = [widget for widget in form.select(pmui.TextInput) if widget.error_state]
    assert [(widget.label, widget.helper_text) for widget in at_fault] == [("Fewest clear looks", "Too few.")]
