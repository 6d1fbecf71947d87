"""Form fields of the request's options, generated from the table of request fields."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import Any

import panel as pn
import panel_material_ui as pmui

from compute.request import NdviRequest, RequestField, field_table
from compute.request.field_kinds import Choice, Flag
from compute.request.record import AVERAGING
from dashboard.panel_workarounds.held_values import hold
from dashboard.state import RequestState
from dashboard.views.text import Text

_FIELD: dict[str, Any] = {"size": "small", "description": "", "sizing_mode": "stretch_width"}
_BELOW = (0, 0, 12, 0)
_QUIET = {"color": "text.secondary"}
_MOST_NAMED = 2
"""Most options that the summary lists by name; more are counted."""

_MOST_BUTTONS = 2
"""Most choices of an always visible field that are shown as a group of buttons, which has no label."""


def _shows_refusals(each: RequestField) -> bool:
    """Return whether the form field can show a refusal; a checkbox cannot."""
    return not isinstance(each.kind, Flag)


REFUSED_AT = tuple(each.option for each in field_table(NdviRequest) if each.setter == "user" and _shows_refusals(each))
"""Options whose refusals are shown at their form field."""


def averaging_fields(state: RequestState) -> list[pn.viewable.Viewable]:
    """Return the form fields that are always visible."""
    return [_form_field(state, each) for each in state.fields if each.group == AVERAGING]


def more_options(state: RequestState) -> pmui.Column:
    """Return the other form fields in an accordion, which opens if one is refused, and a summary of set options."""
    folded = pmui.Accordion(
        ("More options", pmui.Column(*_contents(state), sizing_mode="stretch_width", margin=(0, 4))),
        active=[],
        elevation=0,
        disable_gutters=True,
        title_variant="body2",
        sizing_mode="stretch_width",
        margin=0,
        sx=_FRAME,
    )
    options = {each.option for each in _folded(state)}

    def unfold(refusal: dict[str, str] | None) -> None:
        if refusal and refusal["field"] in options:
            folded.active = [0]

    state.param.watch(lambda event: unfold(event.new), "refusal")
    return pmui.Column(folded, _summary(state), sizing_mode="stretch_width", margin=_BELOW)


def _folded(state: RequestState) -> list[RequestField]:
    return [each for each in state.fields if each.group != AVERAGING]


def _contents(state: RequestState) -> list[Any]:
    contents: list[Any] = []
    for heading, members in groupby(sorted(_folded(state), key=partial(_place, state)), lambda each: each.group):
        contents.append(Text(heading, variant="overline", sx=_QUIET, margin=0))
        contents += [_form_field(state, each) for each in members]
    return contents


def _place(state: RequestState, each: RequestField) -> int:
    """Return the position of a field's group, by the first field of that group."""
    return [other.group for other in state.fields].index(each.group)


def _summary(state: RequestState) -> pmui.Row:
    """Return the summary of set options, with a button that resets them."""
    reset = pmui.Button(label="Reset", variant="text", size="small", margin=0)
    reset.on_click(lambda _: state.reset_fields(*filter(_is_button_group, state.fields)))
    words = Text(
        variant="caption",
        sx=_QUIET,
        sizing_mode="stretch_width",
        margin=(6, 8, 0, 4),
    )
    changes = state.get_parameters("draft", "rejected")
    hold(words, object=pn.bind(lambda *_: _summary_text(state), *changes))
    visible = pn.bind(lambda *_: bool(_summarised(state)), *changes)
    return pmui.Row(words, reset, visible=visible, sizing_mode="stretch_width", margin=0)


def _summarised(state: RequestState) -> list[RequestField]:
    """Return the fields that differ from their defaults, except those shown as a group of buttons."""
    return [each for each in state.changed_fields if not _is_button_group(each)]


def _summary_text(state: RequestState) -> str:
    labels = [each.label for each in _summarised(state)]
    return f"Set: {', '.join(labels)}" if len(labels) <= _MOST_NAMED else f"{len(labels)} options are set"


def _form_field(state: RequestState, each: RequestField) -> pn.viewable.Viewable:
    """Return a widget for a field, bound to the state in both directions."""
    made: pn.widgets.Widget = _widget(each)
    if _shows_refusals(each) and not _is_button_group(each):
        refused = pn.bind(partial(_refusal_text, each), state.param.refusal)
        hold(made, error_state=pn.bind(bool, refused), helper_text=pn.bind(partial(_helper_text, each), refused))

    def show(*_: Any) -> None:
        made.value = shown_value(state, each)

    def enter(event: Any) -> None:
        state.enter_value(each, event.new)
        show()

    show()
    made.param.watch(enter, "value")
    state.param.watch(show, ["draft", "rejected"])
    return made


def _is_button_group(each: RequestField) -> bool:
    return each.group == AVERAGING and isinstance(each.kind, Choice) and len(each.kind.labels) <= _MOST_BUTTONS


def _widget(each: RequestField) -> Any:
    if _is_button_group(each):
        buttons = {"textTransform": "none", "& .MuiToggleButton-root": {"textTransform": "none", "flex": 1}}
        return pmui.RadioButtonGroup(options=_choices(each), label="", margin=(0, 0, 14, 0), sx=buttons, **_FIELD)
    if isinstance(each.kind, Choice):
        return pmui.Select(options=_choices(each), label=each.label, margin=_BELOW, **_FIELD)
    if isinstance(each.kind, Flag):
        return pmui.Checkbox(label=each.label, size="small", margin=0)
    return pmui.TextInput(label=each.label, margin=_BELOW, **_FIELD)


def _choices(each: RequestField) -> dict[str, str]:
    assert isinstance(each.kind, Choice), "only these have choices"
    return {label: word for word, label in each.kind.labels.items()}


def shown_value(state: RequestState, each: RequestField) -> Any:
    """Return the value of a field's widget: the rejected entry, if any, else the value of the draft.

    Parameters
    ----------
    state : RequestState
        The request that the form edits.
    each : RequestField
        Field of the widget.
    """
    if each.name in state.rejected:
        return state.rejected[each.name].text
    value = each.value_in(state.draft)
    if isinstance(each.kind, Flag):
        return value
    return each.default_text if value == each.default else each.kind.format(value)


def _helper_text(each: RequestField, refused: str) -> str:
    return refused or each.hint


def _refusal_text(each: RequestField, refusal: dict[str, str] | None) -> str:
    return refusal["message"] if refusal and refusal["field"] == each.option else ""


_FRAME = {
    "border": "1px solid",
    "borderColor": "divider",
    "borderRadius": "8px",
    "backgroundColor": "transparent",
    "backgroundImage": "none",
    "&::before": {"display": "none"},
    "& .MuiAccordionSummary-root": {"minHeight": "40px", "padding": "0 12px"},
    "& .MuiAccordionSummary-content": {"margin": "8px 0"},
}
"""Style of the accordion, similar to the form fields."""
