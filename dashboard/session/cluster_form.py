"""Cluster form: options of a new cluster, and of scaling one."""

from __future__ import annotations

from compute.cluster import ClusterSpec
from compute.errors import InputError
from dashboard.state import VisitState

CHECKED = ["workers", "workers_follow", "workers_most", "cluster_values", "cluster_options"]
"""What of the state is held to limits."""


def refusals_of(state: VisitState) -> dict[str, str]:
    """Return a sentence for each field that is not accepted, by its name."""
    refusals = {}
    limit = state.workers_limit
    if state.workers is None or not 1 <= state.workers <= limit:
        refusals["workers"] = f"It must be a whole number from 1 to {limit}."
    elif state.workers_follow and not state.workers <= (state.workers_most or 0) <= limit:
        refusals["workers_most"] = f"It must be a whole number from {state.workers} to {limit}."
    for option in state.cluster_options:
        if option.name in state.cluster_values and not option.takes(state.cluster_values[option.name]):
            refusals[option.name] = f"It must be {option.accepts}."
    return refusals


def new_cluster(state: VisitState, owner: str) -> ClusterSpec:
    """Return the cluster that the form describes.

    Raises
    ------
    InputError
        A field of it is not accepted.
    """
    if state.cluster_refusals:
        raise InputError("cluster", "A field of the new cluster is not accepted; correct it, or choose another.")
    options = {
        option.name: state.cluster_values[option.name]
        for option in state.cluster_options
        if option.name in state.cluster_values and option.read(state.cluster_values[option.name]) != option.default
    }
    most = state.workers_most if state.workers_follow else None
    return ClusterSpec(kind="gateway", workers=state.workers, most_workers=most, options=options, owner=owner)
