"""The options of the form without a browser: entries change the request, and a request fills the entries."""

from __future__ import annotations

from typing import Any

import panel_material_ui as pmui
import pytest
from hypothesis import given

from compute.request import NdviRequest, RequestField, field_table
from compute.request.drafts import draft_request
from compute.request.field_kinds import Choice
from dashboard.state import RequestState
from dashboard.views.request_form import FIELDS, request_form
from dashboard.views.request_options import shown_value
from tests.compute.request.test_field_table import WiderRequest
from tests.strategies import requests

pytestmark = pytest.mark.unit

FORM_FIELDS = RequestState().fields
ELSEWHERE = {"products", "region", "time"}
"""Fields of a request that have state of their own."""

WIDGETS = (pmui.TextInput, pmui.Select, pmui.Checkbox, pmui.RadioButtonGroup)


def labelled(state: RequestState) -> dict[str, Any]:
    """The fields of the form, by label."""
    return {widget.label: widget for widget in request_form(state).select(lambda view: isinstance(view, WIDGETS))}


def headings(state: RequestState) -> list[str]:
    """The headings of the folded options, in order."""
    texts = request_form(state).select(lambda view: isinstance(view, pmui.Typography))
    return [text.object for text in texts if text.variant == "overline"]


def test_the_form_offers_every_field_of_a_request() -> None:
    elsewhere = {each.name for each in field_table(NdviRequest) if each.setter != "user"}
    assert elsewhere == {"reader"}
    known = {each.name for each in field_table(NdviRequest)}
    assert {each.name for each in FORM_FIELDS} == known - ELSEWHERE - elsewhere


@pytest.mark.parametrize("each", FORM_FIELDS, ids=lambda each: each.name)
def test_what_stands_in_a_field_unasked_is_the_default(each: RequestField) -> None:
    state = RequestState()
    state.enter_value(each, each.default_text)
    assert (state.draft, state.rejected) == (draft_request(), {})


@pytest.mark.parametrize(
    ("each", "word"),
    [(each, word) for each in FORM_FIELDS if isinstance(each.kind, Choice) for word in each.kind.labels],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_choice_is_one_of_the_request(each: RequestField, word: str) -> None:
    state = RequestState()
    state.enter_value(each, word)
    assert getattr(state.draft, each.name) == word


@given(requests())
def test_what_fields_show_of_a_request_is_that_request(asked: NdviRequest) -> None:
    state = RequestState(draft=asked)
    for each in FORM_FIELDS:
        state.enter_value(each, shown_value(state, each))
    assert (state.draft, state.rejected) == (asked, {})


def test_fields_change_the_request_and_show_it() -> None:
    state = RequestState()
    fields = labelled(state)
    assert (fields["Seasons"].value, fields["Valid range"].value) == ("DJF,MAM,JJA,SON", "")
    fields["Seasons"].value = " wet=11-4 "
    fields["Mean of"].value = "month"
    fields["Standard deviation"].value = True
    fields[""].value = "season-year"
    assert state.draft == draft_request(seasons=state.draft.seasons, weight="month", std=True, by="season-year")
    assert [each.name for each in state.changed_fields] == ["by", "weight", "seasons", "std"]
    assert fields["Seasons"].value == "wet=11-4"
    fields["Mean of"].value = "observation"
    fields["Standard deviation"].value = False
    fields["Seasons"].value = ""
    assert state.draft == draft_request(by="season-year")
    assert fields["Seasons"].value == "DJF,MAM,JJA,SON"
    state.draft = draft_request(reasons=True, min_clear=3)
    assert (fields["Why looks are not clear"].value, fields["Fewest clear looks"].value) == (True, "3")
    assert fields[""].value == "season"


def test_an_entry_that_is_refused_stays_until_it_is_corrected() -> None:
    state = RequestState()
    fields = labelled(state)
    fields["Fewest clear looks"].value = "many"
    fields["Pixel size"].value = "30"
    assert state.draft == draft_request(resolution=30)
    assert fields["Fewest clear looks"].value == "many"
    assert state.rejected["min_clear"].refusal == {
        "field": "min-clear",
        "message": "The min clear 'many' is not a whole number; give one from 1 to 65,535.",
    }
    fields["Fewest clear looks"].value = "2"
    assert (state.draft, state.rejected) == (draft_request(resolution=30, min_clear=2), {})


@pytest.mark.parametrize("entry", ["\ud800", "\x00", "9" * 5000])
def test_no_entry_breaks_the_form(entry: str) -> None:
    state = RequestState()
    for each in FORM_FIELDS:
        state.enter_value(each, entry)
    assert set(state.rejected) | {"clear"} >= {each.name for each in FORM_FIELDS} - {"months"}
    state.draft.to_query()


def test_reset_returns_folded_options_to_their_defaults() -> None:
    state = RequestState(draft=draft_request(by="season-year", reader="odc", resampling="mode", weight="year"))
    (reset,) = request_form(state).select(lambda view: isinstance(view, pmui.Button) and view.label == "Reset")
    labelled(state)["Seasons"].value = "often"
    assert "seasons" in state.rejected
    reset.clicks += 1
    assert (state.draft, state.rejected) == (draft_request(by="season-year"), {})


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


def test_a_field_that_is_added_to_the_record_is_in_the_form() -> None:
    state = RequestState(draft=draft_request(WiderRequest))
    fields = labelled(state)
    assert (fields["Most cloud"].value, fields["Most cloud"].helper_text) == ("100.0", "Per cent of a scene")
    assert fields["Orbit"].options == {"both orbits": "both", "ascending orbits": "ascending"}
    assert fields["Median"].value is False
    assert "Batch" not in fields
    fields["Most cloud"].value = "20"
    fields["Orbit"].value = "ascending"
    fields["Median"].value = True
    assert state.draft == draft_request(WiderRequest, max_cloud=20, orbit="ascending", median=True)


def test_every_group_has_one_heading() -> None:
    groups = ["Seasons and grid", "Observations", "Sensors", "Further layers"]
    assert headings(RequestState()) == groups
    assert headings(RequestState(draft=draft_request(WiderRequest))) == groups
