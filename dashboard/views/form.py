"""The request form: where, when, what, and on which cluster."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui

from dashboard.map import NdviMap
from dashboard.state import VisitState

MAX_UPLOAD_BYTES = 2_000_000
"""Largest GeoJSON file, as `compute.region.MAX_GEOJSON_BYTES`."""


def request_form(state: VisitState, map_: NdviMap) -> pmui.Column:
    """Return the form; refusals stand at the field that they name."""
    return pmui.Column(
        _heading("1", "Region"),
        _region_tools(state, map_),
        _region_text(state),
        _upload(state),
        _heading("2", "Dates"),
        _dates(state),
        _heading("3", "Scenes"),
        _product(state),
        _mode(state),
        _heading("4", "Cluster"),
        _cluster(state),
        sizing_mode="stretch_width",
        margin=(4, 12),
    )


def _heading(number: str, text: str) -> pmui.Typography:
    return pmui.Typography(f"{number}  {text}", variant="overline", margin=(10, 0, 0, 0))


def _region_tools(state: VisitState, map_: NdviMap) -> pmui.Row:
    box = pmui.Button(label="Box", icon="crop_square", variant="outlined", size="small", margin=2)
    polygon = pmui.Button(label="Polygon", icon="polyline", variant="outlined", size="small", margin=2)
    empty = pn.bind(lambda region: region is None, state.param.region)
    clear = pmui.Button(label="Clear", icon="close", variant="text", size="small", margin=2, disabled=empty)
    box.on_click(lambda _: setattr(map_, "tool", "box"))
    polygon.on_click(lambda _: setattr(map_, "tool", "polygon"))
    clear.on_click(lambda _: state.param.trigger("clear"))
    return pmui.Row(box, polygon, clear, margin=0)


def _region_text(state: VisitState) -> pmui.TextInput:
    refused = pn.bind(lambda refusal: _at(refusal, "bbox", "region"), state.param.refusal)
    return pmui.TextInput.from_param(
        state.param.region_text,
        label="Or W,S,E,N in degrees, or GeoJSON",
        placeholder="146.6,-42.1,148.4,-40.7",
        size="small",
        error_state=pn.bind(bool, refused),
        helper_text=refused,
        description="",
        sizing_mode="stretch_width",
        margin=(6, 2),
    )


def _upload(state: VisitState) -> pmui.FileInput:
    upload = pmui.FileInput(
        label="Upload GeoJSON",
        accept=".geojson,.json",
        max_file_size=MAX_UPLOAD_BYTES,
        variant="text",
        size="small",
        margin=(0, 2),
    )

    def take(content: bytes | None) -> None:
        if content:
            state.region_text = bytes(content[:MAX_UPLOAD_BYTES]).decode("utf-8", errors="replace")

    upload.param.watch(lambda event: take(event.new), "value")
    return upload


def _dates(state: VisitState) -> pmui.Column:
    refused = pn.bind(lambda refusal: _at(refusal, "time"), state.param.refusal)
    pickers = [
        pmui.DatePicker.from_param(
            parameter, label=label, size="small", description="", sizing_mode="stretch_width", margin=(4, 2)
        )
        for parameter, label in ((state.param.start, "First day"), (state.param.end, "Last day"))
    ]
    return pmui.Column(pmui.Row(*pickers, sizing_mode="stretch_width", margin=0), _complaint(refused), margin=0)


def _product(state: VisitState) -> pmui.Select:
    return pmui.Select.from_param(
        state.param.product,
        options=state.param.products,
        label="Product",
        size="small",
        description="",
        sizing_mode="stretch_width",
        margin=(4, 2),
    )


def _mode(state: VisitState) -> pmui.RadioButtonGroup:
    return pmui.RadioButtonGroup.from_param(
        state.param.by,
        options={"Merge the years": "season", "Keep years apart": "season-year"},
        label="Seasons",
        size="small",
        description="",
        sizing_mode="stretch_width",
        margin=(4, 2),
    )


def _cluster(state: VisitState) -> pmui.Column:
    where = pmui.Select.from_param(
        state.param.cluster,
        options=state.param.clusters,
        label="Compute on",
        size="small",
        description="",
        sizing_mode="stretch_width",
        margin=(4, 2),
    )
    remote = pn.bind(lambda cluster: cluster != "own", state.param.cluster)
    workers = pmui.IntInput.from_param(
        state.param.workers,
        label="Workers",
        size="small",
        description="",
        visible=remote,
        sizing_mode="stretch_width",
        margin=(4, 2),
    )
    return pmui.Column(where, workers, sizing_mode="stretch_width", margin=0)


def _complaint(text: object) -> pmui.Typography:
    return pmui.Typography(text, color="error", variant="caption", margin=(0, 2))


def _at(refusal: dict[str, str] | None, *fields: str) -> str:
    return refusal["message"] if refusal and refusal["field"] in fields else ""
