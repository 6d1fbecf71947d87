"""State of the cluster: choice, options, size, permitted actions and status."""

from __future__ import annotations

import param

from compute.cluster import ClusterOption
from dashboard.state.parameters import ConcernState

OWN_CLUSTER = "own"
"""Value of `ClusterState.choice` for the cluster that the server was started with."""

NEW_CLUSTER = "gateway"
"""Value of `ClusterState.choice` for a new Gateway cluster."""


class ClusterState(ConcernState):
    """The cluster to compute on."""

    choice = param.String(
        default=OWN_CLUSTER, doc="own (the server's), gateway (a new one), gateway:NAME, or the id of a held cluster."
    )
    choices = param.Dict(default={"This machine": OWN_CLUSTER}, doc="Clusters to choose from, by label.")
    has_gateway = param.Boolean(default=False, doc="Whether a Gateway is configured, so that there is a choice.")

    options = param.List(default=[], item_type=ClusterOption, doc="Options of a new Gateway cluster.")
    option_values = param.Dict(default={}, doc="Values of options as texts, by name; those left out have defaults.")
    workers = param.Integer(default=4, allow_None=True, doc="Number of workers, the least where adaptive.")
    adaptive = param.Boolean(
        default=False, label="More as needed, up to", doc="Whether the number of workers follows the work."
    )
    max_workers = param.Integer(default=8, allow_None=True, doc="Most workers of an adaptive cluster.")
    workers_limit = param.Integer(default=64, doc="Most workers that the server allows for one cluster.")
    refusals = param.Dict(default={}, doc="Message by name of the option, or of workers and max_workers.")

    actions = param.List(
        default=[], item_type=str, doc="Permitted actions: start, connect, scale, keep_alive, disconnect, stop."
    )
    pending_action = param.String(doc="Action under way, such as Stopping; empty for none.")
    refreshing = param.Boolean(default=False, doc="Whether the Gateway's clusters and options are being listed.")
    stop_warning = param.String(doc="What Stop would lose, until the visitor confirms; empty for nothing.")
    keep_alive = param.Boolean(
        default=False, label="Keep it while nobody needs it", doc="Whether the cluster stays open while idle."
    )
    notice = param.Dict(default=None, allow_None=True, doc="Kind (error or info) and text of a message.")
    status_text = param.String(doc="Name, size and status of the cluster in a few words.")
    status: param.Selector[str] = param.Selector(
        default="none", objects=["none", "starting", "idle", "working", "failed"], doc="Status of the cluster."
    )
    dashboard_url = param.String(doc="URL of Dask's dashboard, relative to the page; empty for none.")

    start = param.Event(doc="Start the chosen cluster, or connect to it.")
    scale = param.Event(doc="Scale the cluster to the number of workers.")
    disconnect = param.Event(doc="Disconnect from the cluster, which goes on running.")
    stop = param.Event(doc="Shut the cluster down; to be confirmed where that would lose something.")
    cancel_stop = param.Event(doc="Answer the stop warning with no.")
    refresh = param.Event(doc="List the Gateway's clusters and options.")
