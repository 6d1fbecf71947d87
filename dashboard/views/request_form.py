"""Request form: region, dates, product and options."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from compute.request.region import MAX_GEOJSON_BYTES
from dashboard.formatting import bbox_text
from dashboard.panel_workarounds.file_upload import watch_uploads
from dashboard.panel_workarounds.held_values import hold
from dashboard.state import RequestState
from dashboard.views.request_options import REFUSED_AT, averaging_fields, more_options
from dashboard.views.text import Text

_MOST_BYTES = MAX_GEOJSON_BYTES + 1
"""Size limit in the browser: one byte above the limit of regions, whose error message is that of the command line."""

_FORMATS = (".geojson", ".json", ".kml", ".kmz", ".gml", ".zip", ".shp", ".gpkg", ".fgb", ".gz", ".txt", ".csv")
"""File name extensions that the file dialog offers, including formats that are refused with a helpful message."""

FIELDS = ("bbox", "region", "time", *REFUSED_AT)
"""Fields whose refusals the form shows; the cost estimate shows all others."""

_FIELD: dict[str, Any] = {"size": "small", "description": "", "sizing_mode": "stretch_width"}


def request_form(state: RequestState) -> pmui.Column:
    """Return the request form. Refusals are shown at their field."""
    return pmui.Column(
        _region_text(state),
        _region_tools(state),
        _dates(state),
        _product(state),
        *averaging_fields(state),
        more_options(state),
        sizing_mode="stretch_width",
        margin=(16, 16, 0, 16),
    )


def _region_text(state: RequestState) -> pmui.TextInput:
    refused = pn.bind(lambda refusal: _at(refusal, "bbox", "region"), state.param.refusal)
    text = pmui.TextInput.from_param(
        state.param.region_text,
        label="Region",
        placeholder="W,S,E,N in degrees, or GeoJSON",
        margin=(4, 0, 0, 0),
        **_FIELD,
    )
    helped = pn.bind(_region_help, refused, state.param.region)
    return hold(text, error_state=pn.bind(bool, refused), helper_text=helped)


def _region_help(refused: str, region: dict[str, Any] | None) -> str:
    if refused:
        return refused
    return "Draw it on the map, type it, or upload it." if region is None else region_words(region)


def region_words(region: dict[str, Any]) -> str:
    """Return the bounding box of a GeoJSON geometry as a text."""
    parts = region["coordinates"] if region["type"] == "MultiPolygon" else [region["coordinates"]]
    x, y = zip(*((place[0], place[1]) for part in parts for ring in part for place in ring), strict=True)
    return bbox_text((min(x), min(y), max(x), max(y)))


def _region_tools(state: RequestState) -> pmui.Row:
    empty = pn.bind(lambda region: region is None, state.param.region)
    clear = pmui.Button(label="Clear", icon="close", variant="text", size="small", margin=0, disabled=empty)
    clear.on_click(lambda _: state.param.trigger("clear_region"))
    return pmui.Row(_upload(state), clear, margin=(2, 0, 10, 0), sizing_mode="stretch_width")


def _upload(state: RequestState) -> pmui.FileInput:
    upload = pmui.FileInput(
        label="Upload GeoJSON",
        accept=",".join(_FORMATS),
        max_file_size=_MOST_BYTES,
        variant="text",
        size="small",
        margin=0,
        sx={"padding": "4px 8px", "fontSize": "0.8125rem"},
    )

    def receive(content: bytes) -> None:
        state.region_file = content

    watch_uploads(upload, receive)
    return upload


def _dates(state: RequestState) -> pmui.Column:
    refused = pn.bind(lambda refusal: _at(refusal, "time"), state.param.refusal)
    first, last = (
        pmui.DatePicker.from_param(parameter, label=label, margin=margin, **_FIELD)
        for parameter, label, margin in (
            (state.param.start, "First day", (0, 8, 0, 0)),
            (state.param.end, "Last day", 0),
        )
    )
    return pmui.Column(
        pmui.Row(first, last, sizing_mode="stretch_width", margin=0),
        hold(
            Text(color="error", variant="caption", margin=0, visible=pn.bind(bool, refused)),
            object=refused,
        ),
        sizing_mode="stretch_width",
        margin=(0, 0, 14, 0),
    )


def _product(state: RequestState) -> pmui.Select:
    return pmui.Select.from_param(
        state.param.product, options=state.param.products, label="Product", margin=(0, 0, 12, 0), **_FIELD
    )


def _at(refusal: dict[str, str] | None, *fields: str) -> str:
    return refusal["message"] if refusal and refusal["field"] in fields else ""
