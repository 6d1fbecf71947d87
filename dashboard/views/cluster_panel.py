"""Cluster panel: choice, options, size and status of the cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from compute.cluster import ClusterOption
from dashboard.panel_workarounds.held_values import hold
from dashboard.state import ClusterState, VisitState
from dashboard.views.text import Text
from dashboard.views.worker_count import BELOW, FIELD, NUMBER, follow_choice, refusal_of, workers_input

_QUIET = {"color": "text.secondary"}


def cluster_choice(cluster: ClusterState, visit: VisitState) -> pmui.Column:
    """Return the cluster panel. Options and actions are visible only if a Gateway cluster is chosen.

    Parameters
    ----------
    cluster : ClusterState
        State of the cluster.
    visit : VisitState
        State of the visit, with the width of the window.
    """
    return pmui.Column(
        _where(cluster),
        _status(cluster, visit),
        _notice(cluster),
        _options(cluster),
        _doings(cluster),
        follow_choice(cluster, visible=_sized(cluster)),
        _warm(cluster),
        _dashboard(cluster),
        _progress(cluster),
        _question(cluster),
        sizing_mode="stretch_width",
        margin=(0, 16, 4, 16),
    )


# Choice of a cluster


def _where(cluster: ClusterState) -> pmui.Row:
    where = hold(
        pmui.Select.from_param(
            cluster.param.choice, options=cluster.param.choices, label="Compute on", margin=0, **FIELD
        ),
        disabled=pn.bind(_is_fixed, cluster.param.has_gateway, cluster.param.pending_action),
    )
    # The browser identifies options by label, and the label of a starting cluster changes while it is chosen.
    cluster.param.watch(lambda _: where.param.trigger("value"), "choices")
    refresh = pmui.IconButton(
        icon="refresh",
        label="Look for running clusters",
        size="small",
        margin=(0, 0, 0, 4),
        visible=cluster.param.has_gateway,
    )
    hold(refresh, disabled=cluster.param.refreshing)

    def look(*_: Any) -> None:
        cluster.param.trigger("refresh")

    refresh.on_click(look)
    where.param.watch(lambda event: look() if event.new else None, "dropdown_open")
    return pmui.Row(where, refresh, sizing_mode="stretch_width", margin=BELOW, sx={"alignItems": "center"})


def _is_fixed(offered: bool, busy: str) -> bool:
    return bool(busy) or not offered


# Options of a new cluster


def _options(cluster: ClusterState) -> pmui.Column:
    return pmui.Column(
        objects=pn.bind(partial(_inputs, cluster), cluster.param.options),
        visible=pn.bind(_can, cluster.param.actions, "start"),
        sizing_mode="stretch_width",
        margin=0,
    )


def _inputs(cluster: ClusterState, options: Sequence[ClusterOption]) -> list[Any]:
    return [_input(cluster, option) for option in options]


def _input(cluster: ClusterState, option: ClusterOption) -> Any:
    """Return the input of one option, with the Gateway's label; refusals appear as its helper text."""
    kind, more = _kind(option)
    field = kind(label=option.label, margin=BELOW, **more)
    if not isinstance(field, pmui.Switch):
        refused = refusal_of(cluster, option.name)
        hold(field, error_state=pn.bind(bool, refused), helper_text=refused)

    def take(event: Any) -> None:
        cluster.update(option_values=cluster.option_values | {option.name: _text(event.new)})

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
    """Format a value in the syntax of the command line."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool | dict) else str(value)


# Actions


def _doings(cluster: ClusterState) -> pmui.Row:
    return pmui.Row(
        workers_input(cluster, visible=_sized(cluster)),
        _start_text(cluster),
        _button(cluster, "start", "Start", variant="outlined"),
        _button(cluster, "connect", "Connect", variant="outlined", event="start"),
        _button(cluster, "scale", "Scale", variant="outlined"),
        _button(cluster, "disconnect", "Disconnect"),
        _button(cluster, "stop", "Stop"),
        visible=pn.bind(_is_open, cluster.param.actions, cluster.param.stop_warning),
        sizing_mode="stretch_width",
        margin=BELOW,
        sx={"alignItems": "flex-start"},
    )


def _start_text(cluster: ClusterState) -> Text:
    text = Text(
        variant="body2",
        visible=pn.bind(_is_starting, cluster.param.actions),
        sizing_mode="stretch_width",
        margin=(8, 8, 0, 0),
    )
    return hold(text, object=cluster.param.status_text)


def _sized(cluster: ClusterState) -> Any:
    return pn.bind(_can, cluster.param.actions, "start", "scale")


def _button(cluster: ClusterState, act: str, label: str, *, variant: str = "text", event: str = "") -> pmui.Button:
    button = pmui.Button(
        label=label,
        variant=variant,
        size="small",
        margin=(3, 0, 0, 0),
        visible=pn.bind(_can, cluster.param.actions, act),
    )
    button.on_click(lambda _: cluster.param.trigger(event or act))
    waits_for = cluster.param.pending_action, cluster.param.refreshing, cluster.param.refusals
    return hold(button, disabled=pn.bind(_is_held_up, act, *waits_for))


def _warm(cluster: ClusterState) -> pmui.Checkbox:
    shown = pn.bind(_can, cluster.param.actions, "keep_alive")
    return pmui.Checkbox.from_param(cluster.param.keep_alive, size="small", visible=shown, margin=0)


def _dashboard(cluster: ClusterState) -> pmui.Button:
    return pmui.Button(
        label="Dask dashboard",
        icon="open_in_new",
        href=cluster.param.dashboard_url,
        target="_blank",
        variant="text",
        size="small",
        visible=pn.bind(bool, cluster.param.dashboard_url),
        margin=BELOW,
    )


def _is_open(acts: list[str], question: str) -> bool:
    return bool(acts) and not question


def _can(possible: list[str], *acts: str) -> bool:
    return any(act in possible for act in acts)


def _is_starting(acts: list[str]) -> bool:
    return "stop" in acts and not _can(acts, "scale", "connect")


def _is_held_up(act: str, busy: str, asking: bool, refusals: dict[str, str]) -> bool:
    """Return whether a button is disabled.

    Every button is disabled during an action, Start also while options are listed or a field is refused, and Scale
    while a number of workers is refused.
    """
    if act == "start":
        return bool(busy) or asking or bool(refusals)
    return bool(busy) or (act == "scale" and not {"workers", "max_workers"}.isdisjoint(refusals))


# Status and messages


def _status(cluster: ClusterState, visit: VisitState) -> Text:
    """Return the status of the cluster for narrow windows, which have no cluster chip."""
    text = Text(
        variant="caption",
        sx=_QUIET,
        visible=pn.bind(_lacks_chip, visit.param.narrow, cluster.param.actions),
        margin=BELOW,
    )
    return hold(text, object=pn.bind(_without_name, cluster.param.status_text, cluster.param.status))


def _without_name(stage: str, status: str) -> str:
    """Return a status text without the name of the cluster, which the choice above already shows."""
    return stage if status == "starting" else stage.rpartition(" · ")[2]


def _lacks_chip(narrow: bool, acts: list[str]) -> bool:
    return narrow and not _is_starting(acts)


def _notice(cluster: ClusterState) -> Text:
    notice = cluster.param.notice
    text = Text(variant="caption", visible=pn.bind(bool, notice), margin=BELOW)
    return hold(text, object=pn.bind(_notice_text, notice), sx=pn.bind(_notice_look, notice))


def _notice_text(notice: dict[str, str] | None) -> str:
    return notice["text"] if notice else ""


def _notice_look(notice: dict[str, str] | None) -> dict[str, str]:
    return {"color": "error.main"} if notice and notice["kind"] == "error" else _QUIET


def _progress(cluster: ClusterState) -> pmui.LinearProgress:
    return pmui.LinearProgress(
        variant="indeterminate",
        visible=pn.bind(_is_moving, cluster.param.actions, cluster.param.pending_action, cluster.param.refreshing),
        sizing_mode="stretch_width",
        margin=BELOW,
    )


def _is_moving(acts: list[str], busy: str, asking: bool) -> bool:
    return _is_starting(acts) or bool(busy) or (asking and bool(acts))


def _question(cluster: ClusterState) -> pmui.Column:
    stop = pmui.Button(label="Stop it", variant="contained", color="error", size="small", margin=(0, 8, 0, 0))
    keep = pmui.Button(label="Keep it", variant="text", size="small", margin=0)
    stop.on_click(lambda _: cluster.param.trigger("stop"))
    keep.on_click(lambda _: cluster.param.trigger("cancel_stop"))
    return pmui.Column(
        hold(Text(variant="body2", margin=(0, 0, 6, 0)), object=cluster.param.stop_warning),
        pmui.Row(stop, keep, margin=0),
        visible=pn.bind(bool, cluster.param.stop_warning),
        sizing_mode="stretch_width",
        margin=BELOW,
    )
