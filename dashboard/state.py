"""What one visitor asks and sees: plain parameters, without an array, a client or a widget."""

from __future__ import annotations

from datetime import date
from typing import Any

import param

LAYERS = {"NDVI": "ndvi_mean", "Clear count": "clear_count"}
"""Names of the layers for people."""


class VisitState(param.Parameterized):
    """The state of one visit.

    Views bind to it and the session watches it; whatever a visitor can do is a change of one of these.
    """

    # The request
    region = param.Dict(default=None, allow_None=True, doc="GeoJSON geometry in longitude and latitude.")
    region_text = param.String(doc="W,S,E,N or GeoJSON, as typed or pasted.")
    start = param.CalendarDate(default=date(2020, 12, 1), doc="First day, included.")
    end = param.CalendarDate(default=date(2021, 11, 30), doc="Last day, included.")
    product = param.String(default=None, allow_None=True, doc="ODC product; None until one is chosen.")
    products = param.List(default=[], item_type=str, doc="Products to choose from.")
    home = param.Tuple(default=None, length=4, allow_None=True, doc="W,S,E,N of the product's scenes, to begin with.")
    by: param.Selector[str] = param.Selector(
        default="season", objects=["season", "season-year"], doc="Climatology, or years apart."
    )

    # Where
    cluster = param.String(default="own", doc="own (the server's), gateway, or gateway:NAME.")
    clusters = param.Dict(default={"This machine": "own"}, doc="Clusters to choose from, by name for people.")
    workers = param.Integer(default=2, bounds=(1, None), doc="Workers of a Gateway cluster.")
    cluster_stage = param.String(doc="One sentence about the cluster.")
    cluster_ready = param.Boolean(default=False)

    # The estimate
    estimate = param.Dict(default=None, allow_None=True, doc="Figures of the plan; None before there is one.")
    refusal = param.Dict(default=None, allow_None=True, doc="field and message of what cannot be accepted.")
    estimating = param.Boolean(default=False)

    # The job that is looked at
    token = param.String(doc="Token of the job; empty for none.")
    job_state = param.String(doc="connecting, running, done, failed, cancelled; empty for none.")
    job_message = param.String()
    blocks_done = param.Integer(default=0)
    blocks_total = param.Integer(default=0)
    seconds_left = param.Number(default=None, allow_None=True)
    result = param.Dict(default=None, allow_None=True, doc="Extent, zooms and layers of the result.")
    seasons = param.List(default=[], item_type=str, doc="Season labels of the result.")
    incomplete = param.Dict(default={}, doc="Missing months by season label.")
    jobs = param.List(default=[], item_type=dict, doc="The visitor's jobs, newest first.")

    # The look
    season = param.String(default=None, allow_None=True, doc="Season label shown; None while there is none.")
    layer: param.Selector[str] = param.Selector(default="ndvi_mean", objects=list(LAYERS.values()))
    palette = param.String(default="land")
    span = param.Range(default=(-0.1, 0.9), bounds=(-1.0, 1.0), doc="NDVI at the two ends of the palette.")
    opacity = param.Number(default=1.0, bounds=(0.0, 1.0))
    dark = param.Boolean(default=False)

    # A look at one pixel
    place = param.Tuple(default=None, length=2, allow_None=True, doc="Longitude and latitude clicked.")
    pixel = param.Dict(default=None, allow_None=True, doc="Seasons, means and counts of that pixel.")
    inspecting = param.Boolean(default=False)

    # What a visitor does
    compute = param.Event(doc="Start the computation that is estimated.")
    cancel = param.Event(doc="Stop the computation that is looked at.")
    clear = param.Event(doc="Forget the region.")

    @property
    def reason_not_to_compute(self) -> str:
        """One sentence saying why Compute is disabled; empty when it is not."""
        if self.region is None:
            return "Draw a region first."
        if self.refusal is not None:
            return "The request cannot be computed as it is; see above."
        if self.estimating or self.estimate is None:
            return "The estimate is being made."
        if self.job_state in ("connecting", "running"):
            return "A computation is running; cancel it or wait."
        return ""

    def show(self, **changes: Any) -> None:
        """Change several parameters at once, and only those that differ."""
        self.param.update(**{name: value for name, value in changes.items() if getattr(self, name) != value})
