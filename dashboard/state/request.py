"""State of the request: fields of the form, its estimate, and its refusal."""

from __future__ import annotations

from datetime import date

import param

from dashboard.state.parameters import State


class RequestState(State):
    """The request that the form edits, with its estimate."""

    region = param.Dict(default=None, allow_None=True, doc="GeoJSON geometry in longitude and latitude.")
    region_text = param.String(doc="W,S,E,N or GeoJSON, as typed or pasted.")
    region_file = param.Bytes(default=None, allow_None=True, doc="Content of an uploaded region file, until parsed.")
    start = param.CalendarDate(default=date(2020, 12, 1), doc="First day, included.")
    end = param.CalendarDate(default=date(2021, 11, 30), doc="Last day, included.")
    product = param.String(default=None, allow_None=True, doc="ODC product; None until one is chosen.")
    products = param.List(default=[], item_type=str, doc="Products to choose from.")
    initial_bbox = param.Tuple(
        default=None, length=4, allow_None=True, doc="W,S,E,N of the product's scenes, which the map shows at first."
    )
    by: param.Selector[str] = param.Selector(
        default="season", objects=["season", "season-year"], doc="Seasons over all years, or of every year."
    )
    options = param.Dict(
        default={},
        doc="Other fields of the request by name, as texts of its query string; others have defaults.",
    )

    estimate = param.Dict(default=None, allow_None=True, doc="Summary of the plan; None before there is one.")
    estimate_token = param.String(doc="Token of the job that Compute would start or join; empty without an estimate.")
    estimating = param.Boolean(default=False, doc="Whether an estimate is under way.")
    refusal = param.Dict(default=None, allow_None=True, doc="Field and message of a refusal; None for none.")

    draw_box = param.Event(doc="Draw a box on the map.")
    clear_region = param.Event(doc="Remove the region.")
    compute = param.Event(doc="Submit the request.")
