"""Cluster panel: choice, options, size and state of the cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from compute.cluster import ClusterOption
from dashboard.panel_workarounds.held_values import hold
from dashboard.state import VisitState
from dashboard.views.text import Text
from dashboard.views.worker_count import BELOW, FIELD, NUMBER, follow_choice, refusal_of, workers_input

_QUIET = {"color": "text.secondary"}


def cluster_choice(state: VisitState) -> pmui.Column:
    """Return where to compute; what a Gateway offers unfolds when one of its clusters is chosen."""
    return pmui.Column(
        _where(state),
        _status(state),
        _notice(state),
        _options(state),
        _doings(state),
        follow_choice(state, visible=_sized(state)),
        _warm(state),
        _dashboard(state),
        _progress(state),
        _question(state),
        sizing_mode="stretch_width",
        margin=0,
    )


# Which one


def _where(state: VisitState) -> pmui.Row:
    where = hold(
        pmui.Select.from_param(
            state.param.cluster, options=state.param.clusters, label="Compute on", margin=0, **FIELD
        ),
        disabled=pn.bind(_is_fixed, state.param.cluster_offered, state.param.cluster_busy),
    )
    # The browser knows an option by its label, and a cluster gets its name while it is chosen.
    state.param.watch(lambda _: where.param.trigger("value"), "clusters")
    refresh = pmui.IconButton(
        icon="refresh",
        label="Look for running clusters",
        size="small",
        margin=(0, 0, 0, 4),
        visible=state.param.cluster_offered,
    )
    hold(refresh, disabled=state.param.cluster_asking)

    def look(*_: Any) -> None:
        state.param.trigger("cluster_refresh")

    refresh.on_click(look)
    where.param.watch(lambda event: look() if event.new else None, "dropdown_open")
    return pmui.Row(where, refresh, sizing_mode="stretch_width", margin=BELOW, sx={"alignItems": "center"})


def _is_fixed(offered: bool, busy: str) -> bool:
    return bool(busy) or not offered


# With what


def _options(state: VisitState) -> pmui.Column:
    return pmui.Column(
        objects=pn.bind(partial(_inputs, state), state.param.cluster_options),
        visible=pn.bind(_can, state.param.cluster_acts, "start"),
        sizing_mode="stretch_width",
        margin=0,
    )


def _inputs(state: VisitState, options: Sequence[ClusterOption]) -> list[Any]:
    return [_input(state, option) for option in options]


def _input(state: VisitState, option: ClusterOption) -> Any:
    """Return the input of one option, with the Gateway's own words; a refusal stands at it."""
    kind, more = _kind(option)
    field = kind(label=option.label, margin=BELOW, **more)
    if not isinstance(field, pmui.Switch):
        refused = refusal_of(state, option.name)
        hold(field, error_state=pn.bind(bool, refused), helper_text=refused)

    def take(event: Any) -> None:
        state.show(cluster_values=state.cluster_values | {option.name: _text(event.new)})

    field.param.watch(take, "value")
    return field


def _kind(option: ClusterOption) -> tuple[Callable[..., Any], dict[str, Any]]:
    if option.choices:
        return pmui.Select, {"options": list(option.choices), "value": option.default, **FIELD}
    if option.kind == "bool":
        return pmui.Switch, {"value": option.default, "size": "small"}
    if option.kind in ("int", "float"):
        kind, step = (pmui.IntInput, 1) if option.kind == "int" else (pmui.FloatInput, 0.5)
        limits = {"start": option.minimum, "end": option.maximum}
        return kind, {"value": option.default, "step": step, **limits, **NUMBER}
    return pmui.TextInput, {"value": _text(option.default), **FIELD}


def _text(value: Any) -> str:
    """Return a value as the command line would take it."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool | dict) else str(value)


# What can be done


def _doings(state: VisitState) -> pmui.Row:
    return pmui.Row(
        workers_input(state, visible=_sized(state)),
        _start_text(state),
        _button(state, "start", "Start", variant="outlined"),
        _button(state, "connect", "Connect", variant="outlined", event="cluster_start"),
        _button(state, "scale", "Scale", variant="outlined"),
        _button(state, "leave", "Leave"),
        _button(state, "stop", "Stop"),
        visible=pn.bind(_is_open, state.param.cluster_acts, state.param.cluster_question),
        sizing_mode="stretch_width",
        margin=BELOW,
        sx={"alignItems": "flex-start"},
    )


def _start_text(state: VisitState) -> Text:
    text = Text(
        variant="body2",
        visible=pn.bind(_is_starting, state.param.cluster_acts),
        sizing_mode="stretch_width",
        margin=(8, 8, 0, 0),
    )
    return hold(text, object=state.param.cluster_stage)


def _sized(state: VisitState) -> Any:
    return pn.bind(_can, state.param.cluster_acts, "start", "scale")


def _button(state: VisitState, act: str, label: str, *, variant: str = "text", event: str = "") -> pmui.Button:
    button = pmui.Button(
        label=label,
        variant=variant,
        size="small",
        margin=(3, 0, 0, 0),
        visible=pn.bind(_can, state.param.cluster_acts, act),
    )
    button.on_click(lambda _: state.param.trigger(event or f"cluster_{act}"))
    waits_for = state.param.cluster_busy, state.param.cluster_asking, state.param.cluster_refusals
    return hold(button, disabled=pn.bind(_is_held_up, act, *waits_for))


def _warm(state: VisitState) -> pmui.Checkbox:
    shown = pn.bind(_can, state.param.cluster_acts, "warm")
    return pmui.Checkbox.from_param(state.param.cluster_warm, size="small", visible=shown, margin=0)


def _dashboard(state: VisitState) -> pmui.Button:
    return pmui.Button(
        label="Dask dashboard",
        icon="open_in_new",
        href=state.param.cluster_dashboard,
        target="_blank",
        variant="text",
        size="small",
        visible=pn.bind(bool, state.param.cluster_dashboard),
        margin=BELOW,
    )


def _is_open(acts: list[str], question: str) -> bool:
    return bool(acts) and not question


def _can(possible: list[str], *acts: str) -> bool:
    return any(act in possible for act in acts)


def _is_starting(acts: list[str]) -> bool:
    return "stop" in acts and not _can(acts, "scale", "connect")


def _is_held_up(act: str, busy: str, asking: bool, refusals: dict[str, str]) -> bool:
    """Return whether a button waits: for what is being done, for the Gateway's options, or for a field it needs."""
    if act == "start":
        return bool(busy) or asking or bool(refusals)
    return bool(busy) or (act == "scale" and not {"workers", "workers_most"}.isdisjoint(refusals))


# What is said


def _status(state: VisitState) -> Text:
    """Return what the chip says, for a telephone, which has no room for a chip."""
    text = Text(
        variant="caption",
        sx=_QUIET,
        visible=pn.bind(_lacks_chip, state.param.narrow, state.param.cluster_acts),
        margin=BELOW,
    )
    return hold(text, object=pn.bind(_without_name, state.param.cluster_stage, state.param.cluster_state))


def _without_name(stage: str, cluster_state: str) -> str:
    """Return the chip's words without the name, which stands above them."""
    return stage if cluster_state == "starting" else stage.rpartition(" · ")[2]


def _lacks_chip(narrow: bool, acts: list[str]) -> bool:
    return narrow and not _is_starting(acts)


def _notice(state: VisitState) -> Text:
    notice = state.param.cluster_notice
    text = Text(variant="caption", visible=pn.bind(bool, notice), margin=BELOW)
    return hold(text, object=pn.bind(_notice_text, notice), sx=pn.bind(_notice_look, notice))


def _notice_text(notice: dict[str, str] | None) -> str:
    return notice["text"] if notice else ""


def _notice_look(notice: dict[str, str] | None) -> dict[str, str]:
    return {"color": "error.main"} if notice and notice["kind"] == "error" else _QUIET


def _progress(state: VisitState) -> pmui.LinearProgress:
    return pmui.LinearProgress(
        variant="indeterminate",
        visible=pn.bind(_is_moving, state.param.cluster_acts, state.param.cluster_busy, state.param.cluster_asking),
        sizing_mode="stretch_width",
        margin=BELOW,
    )


def _is_moving(acts: list[str], busy: str, asking: bool) -> bool:
    return _is_starting(acts) or bool(busy) or (asking and bool(acts))


def _question(state: VisitState) -> pmui.Column:
    stop = pmui.Button(label="Stop it", variant="contained", color="error", size="small", margin=(0, 8, 0, 0))
    keep = pmui.Button(label="Keep it", variant="text", size="small", margin=0)
    stop.on_click(lambda _: state.param.trigger("cluster_stop"))
    keep.on_click(lambda _: state.param.trigger("cluster_keep"))
    return pmui.Column(
        hold(Text(variant="body2", margin=(0, 0, 6, 0)), object=state.param.cluster_question),
        pmui.Row(stop, keep, margin=0),
        visible=pn.bind(bool, state.param.cluster_question),
        sizing_mode="stretch_width",
        margin=BELOW,
    )
