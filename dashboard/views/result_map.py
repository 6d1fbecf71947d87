"""Result map: the map component, linked to the state in both directions."""

from __future__ import annotations

from typing import Any

from compute.tiles.styles import hex_colours
from dashboard.map import NdviMap
from dashboard.state import JobState, LookState, PageState
from dashboard.views.map_legend import style_of


def result_map(state: PageState) -> NdviMap:
    """Return the map of a visit.

    Parameters
    ----------
    state : PageState
        State of the page, which the map shows, and to which drawings, clicks and the map centre are written.
    """
    map_ = NdviMap(sizing_mode="stretch_both")
    _follow(state, map_)
    visit = state.visit
    map_.param.watch(lambda event: state.request.update(region=event.new), "region")
    map_.param.watch(lambda event: state.pixel.update(location=_location(event.new)), "clicked")
    map_.param.watch(lambda event: state.look.update(centre=tuple(event.new["center"])), "view")
    map_.param.watch(lambda event: visit.update(narrow=event.new), "narrow")
    map_.param.watch(lambda event: visit.update(prefers_dark=event.new), "prefers_dark")
    map_.param.watch(lambda event: visit.update(visitor=event.new or visit.visitor), "visitor")
    return map_


def _follow(state: PageState, map_: NdviMap) -> None:
    request, job, look = state.request, state.job, state.look

    def show_layer(*_: Any) -> None:
        map_.layer = layer_of(job, look)

    def colour(*_: Any) -> None:
        style = style_of(look.layer, look.palette, look.span)
        map_.param.update(colours=hex_colours(style), span=style.ends)

    colour()
    job.param.watch(show_layer, ["token", "result", "state"])
    look.param.watch(show_layer, ["season", "layer"])
    look.param.watch(colour, ["layer", "palette", "span"])
    job.param.watch(lambda event: map_.fit(event.new["bbox"]) if event.new else None, "result")
    request.param.watch(lambda event: map_.fit(event.new) if event.new else None, "initial_bbox")
    request.param.watch(lambda event: map_.param.update(region=event.new), "region")
    state.pixel.param.watch(lambda event: map_.param.update(pin=event.new), "location")
    state.visit.param.watch(lambda event: map_.param.update(dark=event.new), "dark")
    request.param.watch(lambda _: map_.param.update(tool="box"), "draw_box")
    state.visit.param.watch(lambda event: map_.param.update(flush_counter=event.new), "flush_counter")


def _location(clicked: dict[str, Any] | None) -> tuple[float, float] | None:
    return None if clicked is None else (clicked["lon"], clicked["lat"])


def layer_of(job: JobState, look: LookState) -> dict[str, Any] | None:
    """Return the value of `NdviMap.layer` for the shown result and season; None without a result.

    Parameters
    ----------
    job : JobState
        The job on the page.
    look : LookState
        Season and layer of the map.
    """
    if not (job.token and look.season and job.result):
        return None
    result = job.result
    return {
        "tiles": f"tiles/{job.token}/{look.layer}/{{label}}/{{z}}/{{x}}/{{y}}.i16?preview=1",
        "label": look.season,
        "extent": result["bbox"],
        "min_zoom": 0,
        "max_zoom": result["max_zoom"],
        **result["layers"][look.layer],
        "complete": job.state == "done",
    }
