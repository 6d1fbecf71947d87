"""Result map: the map component, bound to the state in both directions."""

from __future__ import annotations

from typing import Any

from compute.tiles.styles import hex_colours
from dashboard.map import NdviMap
from dashboard.state import VisitState
from dashboard.views.map_legend import style_of


def result_map(state: VisitState) -> NdviMap:
    """Return the map of a visit.

    Parameters
    ----------
    state : VisitState
        Followed, and told of drawings and clicks.
    """
    map_ = NdviMap(sizing_mode="stretch_both")
    _follow(state, map_)
    map_.param.watch(lambda event: state.show(region=event.new), "region")
    map_.param.watch(lambda event: state.show(place=_place(event.new)), "clicked")
    map_.param.watch(lambda event: state.show(centre=tuple(event.new["center"])), "view")
    map_.param.watch(lambda event: state.show(narrow=event.new), "narrow")
    map_.param.watch(lambda event: state.show(prefers_dark=event.new), "prefers_dark")
    map_.param.watch(lambda event: state.show(visitor=event.new or state.visitor), "visitor")
    return map_


def _follow(state: VisitState, map_: NdviMap) -> None:
    def show_layer(*_: Any) -> None:
        map_.layer = layer_of(state)

    def colour(*_: Any) -> None:
        style = style_of(state.layer, state.palette, state.span)
        map_.param.update(colours=hex_colours(style), span=style.ends)

    colour()
    state.param.watch(show_layer, ["token", "season", "layer", "result", "job_state"])
    state.param.watch(colour, ["layer", "palette", "span"])
    state.param.watch(lambda event: map_.fit(event.new["bbox"]) if event.new else None, "result")
    state.param.watch(lambda event: map_.fit(event.new) if event.new else None, "home")
    state.param.watch(lambda event: map_.param.update(region=event.new), "region")
    state.param.watch(lambda event: map_.param.update(pin=event.new), "place")
    state.param.watch(lambda event: map_.param.update(dark=event.new), "dark")
    state.param.watch(lambda _: map_.param.update(tool="box"), "draw")
    state.param.watch(lambda event: map_.param.update(pulse=event.new), "pulse")


def _place(clicked: dict[str, Any] | None) -> tuple[float, float] | None:
    return None if clicked is None else (clicked["lon"], clicked["lat"])


def layer_of(state: VisitState) -> dict[str, Any] | None:
    """Return what the map must know of the layer that is shown; None while there is none."""
    if not (state.token and state.season and state.result):
        return None
    result = state.result
    return {
        "tiles": f"tiles/{state.token}/{state.layer}/{{label}}/{{z}}/{{x}}/{{y}}.i16?preview=1",
        "label": state.season,
        "extent": result["bbox"],
        "min_zoom": 0,
        "max_zoom": result["max_zoom"],
        **result["layers"][state.layer],
        "complete": state.job_state == "done",
    }
