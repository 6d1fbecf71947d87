"""State of one visit: plain parameters, without an array, a client or a widget."""

from __future__ import annotations

from datetime import date
from typing import Any

import param

from compute.cluster import ClusterOption

LAYERS = {"NDVI": "ndvi_mean", "Clear count": "clear_count"}
"""Names of the layers for people."""

OWN_CLUSTER = "own"
"""The choice that stands for the cluster that the server was started with."""

NEW_CLUSTER = "gateway"
"""The choice that stands for a new cluster of the Gateway."""


class VisitState(param.Parameterized):
    """The state of one visit.

    Views bind to it and the session watches it; whatever a visitor can do is a change of one of these.
    """

    visitor = param.String(doc="Name of the browser, the same at its next visit.")
    user = param.String(doc="Name of the user; empty where there is no login.")
    signs_out = param.Boolean(doc="Whether the user can sign out here.")
    notice = param.String(doc="One sentence that stands for no field; empty for none.")
    pulse = param.Integer(doc="Counts what is sent for no other reason than that something was sent before.")

    # The request
    region = param.Dict(default=None, allow_None=True, doc="GeoJSON geometry in longitude and latitude.")
    region_text = param.String(doc="W,S,E,N or GeoJSON, as typed or pasted.")
    region_file = param.Bytes(default=None, allow_None=True, doc="An uploaded region file, until it is read.")
    start = param.CalendarDate(default=date(2020, 12, 1), doc="First day, included.")
    end = param.CalendarDate(default=date(2021, 11, 30), doc="Last day, included.")
    product = param.String(default=None, allow_None=True, doc="ODC product; None until one is chosen.")
    products = param.List(default=[], item_type=str, doc="Products to choose from.")
    home = param.Tuple(default=None, length=4, allow_None=True, doc="W,S,E,N of the product's scenes, to begin with.")
    by: param.Selector[str] = param.Selector(
        default="season", objects=["season", "season-year"], doc="Climatology, or years apart."
    )

    options = param.Dict(
        default={}, doc="Other fields of the request, by name, as its query string has them; the rest has defaults."
    )

    # Where
    cluster = param.String(
        default=OWN_CLUSTER, doc="own (the server's), gateway (a new one), gateway:NAME, or the id of one held here."
    )
    clusters = param.Dict(default={"This machine": OWN_CLUSTER}, doc="Clusters to choose from, by name for people.")
    cluster_offered = param.Boolean(default=False, doc="Whether a Gateway is configured, so that there is a choice.")
    cluster_options = param.List(default=[], item_type=ClusterOption, doc="What a new cluster can be given.")
    cluster_values = param.Dict(default={}, doc="Values of cluster options as texts, by name; the rest has defaults.")
    cluster_refusals = param.Dict(default={}, doc="Sentence by name of the option, or workers, that is not accepted.")
    workers = param.Integer(default=4, allow_None=True, doc="Workers to start a cluster with, or to scale it to.")
    workers_follow = param.Boolean(
        default=False, label="More as needed, up to", doc="Whether the cluster grows and shrinks with its work."
    )
    workers_most = param.Integer(default=8, allow_None=True, doc="Workers to grow to, where it does.")
    workers_limit = param.Integer(default=64, doc="Most workers of one cluster.")
    cluster_acts = param.List(default=[], item_type=str, doc="What can be done: start, connect, scale, leave, stop.")
    cluster_busy = param.String(doc="What is being done, such as Stopping; empty for nothing.")
    cluster_asking = param.Boolean(default=False, doc="Whether the Gateway is being asked what there is.")
    cluster_question = param.String(doc="What Stop would lose, until the visitor confirms; empty for nothing.")
    cluster_notice = param.Dict(default=None, allow_None=True, doc="kind (error or info) and text of a sentence.")
    cluster_stage = param.String(doc="A few words about the cluster that is chosen.")
    cluster_state: param.Selector[str] = param.Selector(
        default="none", objects=["none", "starting", "idle", "working", "failed"], doc="The same for a machine."
    )
    cluster_start = param.Event(doc="Start, or connect to, the cluster that is chosen.")
    cluster_scale = param.Event(doc="Give it so many workers.")
    cluster_leave = param.Event(doc="Disconnect from it and let it run.")
    cluster_stop = param.Event(doc="Shut it down; asked a second time where that would lose something.")
    cluster_warm = param.Boolean(
        default=False, label="Keep it while nobody needs it", doc="Whether the chosen cluster stays all the same."
    )
    cluster_keep = param.Event(doc="Think better of stopping it.")
    cluster_dashboard = param.String(doc="Where Dask's dashboard of it is, relative to the page; empty for nowhere.")
    cluster_refresh = param.Event(doc="Ask the Gateway what runs and what it offers.")

    # The estimate
    estimate = param.Dict(default=None, allow_None=True, doc="Figures of the plan; None before there is one.")
    estimate_token = param.String(doc="Token of the job that Compute would start, or join; empty without an estimate.")
    refusal = param.Dict(default=None, allow_None=True, doc="field and message of what cannot be accepted.")
    estimating = param.Boolean(default=False)

    # The job that is looked at
    token = param.String(doc="Token of the job; empty for none.")
    job_state = param.String(doc="queued, connecting, running, done, failed, cancelled, expired; empty for none.")
    job_message = param.String()
    blocks_done = param.Integer(default=0)
    blocks_total = param.Integer(default=0)
    seconds_left = param.Number(default=None, allow_None=True)
    result = param.Dict(default=None, allow_None=True, doc="Extent, zooms and layers of the result.")
    seasons = param.List(default=[], item_type=str, doc="Season labels of the result.")
    preview = param.Boolean(default=False, doc="Whether the season shown has a preview where nothing is computed yet.")
    synthetic = param.Boolean(default=False, doc="Whether the result shown was made of synthetic scenes.")
    incomplete = param.Dict(default={}, doc="Missing months by season label.")
    min_clear = param.Integer(default=1, doc="Fewest observations that make a mean of the result shown.")
    jobs = param.List(default=[], item_type=dict, doc="The visitor's jobs, newest first.")
    doomed = param.String(doc="Token of the result about to be deleted, until the visitor confirms.")
    renaming = param.String(doc="Token of the result that is being given a title; empty for none.")
    title = param.String(doc="The title that it is to have.")
    kept = param.String(doc="How long results are kept, as a sentence.")
    unkept = param.String(doc="Why jobs would not survive a restart of the server now; empty where they would.")

    # The look
    season = param.String(default=None, allow_None=True, doc="Season label shown; None while there is none.")
    layer: param.Selector[str] = param.Selector(default="ndvi_mean", objects=list(LAYERS.values()))
    palette = param.String(default="land")
    span = param.Range(default=(-0.1, 0.9), bounds=(-1.0, 1.0), doc="NDVI at the two ends of the palette.")
    opacity = param.Number(default=1.0, bounds=(0.0, 1.0))
    dark = param.Boolean(default=False)
    prefers_dark = param.Boolean(default=False, doc="Whether the visitor's system is set to dark.")
    narrow = param.Boolean(default=False, doc="Whether the window is as narrow as a telephone.")

    centre = param.Tuple(default=None, length=2, allow_None=True, doc="Longitude and latitude of the map's centre.")

    # A look at one pixel
    place = param.Tuple(default=None, length=2, allow_None=True, doc="Longitude and latitude clicked.")
    pixel = param.Dict(default=None, allow_None=True, doc="Seasons, means and counts of that pixel.")
    inspecting = param.Boolean(default=False)
    observations = param.List(default=None, allow_None=True, doc="Seasons of that pixel with every look at it.")
    observing = param.Boolean(default=False, doc="Whether they are being listed.")

    # A look at the region
    statistics = param.Dict(default=None, allow_None=True, doc="What the region comes to in every season.")
    summing_up = param.Boolean(default=False, doc="Whether that is being worked out.")

    # What a visitor does
    draw = param.Event(doc="Draw a box on the map.")
    compute = param.Event(doc="Start the computation that is estimated.")
    cancel = param.Event(doc="Withdraw from the computation that is looked at.")
    clear = param.Event(doc="Forget the region.")
    observe = param.Event(doc="List every observation of the pixel.")
    sum_up = param.Event(doc="Work out what the region comes to.")
    leave = param.Event(doc="Look at no result any more.")
    delete = param.Event(doc="Delete the doomed result.")
    rename = param.Event(doc="Give the result that is being renamed its title.")
    stretch = param.Event(doc="Let the colours span the values of the result.")
    dismiss = param.Event(doc="Put the notice away.")

    @property
    def reason_not_to_compute(self) -> str:
        """One sentence saying why Compute is disabled; empty when it is not."""
        if self.refusal is not None:
            return "The request cannot be computed as it is; see above."
        if self.region is None:
            return "Draw a region first."
        if self.estimating or self.estimate is None:
            return "The estimate is being made."
        if self.token != self.estimate_token or self.job_state in ("failed", "cancelled", "expired"):
            return ""
        return "This is the result on the map." if self.job_state == "done" else "It is being computed."

    def show(self, **changes: Any) -> None:
        """Change several parameters at once, and only those that differ."""
        self.param.update(**{name: value for name, value in changes.items() if getattr(self, name) != value})
