"""Cluster form: validation of its fields, and specification of a new cluster."""

from __future__ import annotations

from compute.cluster import ClusterSpec
from compute.errors import InputError
from dashboard.state import ClusterState

VALIDATED = ["workers", "adaptive", "max_workers", "option_values", "options"]
"""Parameters of the state that `find_refusals` validates."""


def find_refusals(state: ClusterState) -> dict[str, str]:
    """Return an error message for each field that is not accepted, by field name."""
    refusals = {}
    limit = state.workers_limit
    if state.workers is None or not 1 <= state.workers <= limit:
        refusals["workers"] = f"It must be a whole number from 1 to {limit}."
    elif state.adaptive and not state.workers <= (state.max_workers or 0) <= limit:
        refusals["max_workers"] = f"It must be a whole number from {state.workers} to {limit}."
    for option in state.options:
        if option.name in state.option_values and not option.is_valid(state.option_values[option.name]):
            refusals[option.name] = f"It must be {option.accepts}."
    return refusals


def build_spec(state: ClusterState, owner: str) -> ClusterSpec:
    """Return the specification of the new cluster in the form.

    Parameters
    ----------
    state : ClusterState
        The form.
    owner : str
        Scope of the visitor, who owns the cluster.

    Raises
    ------
    InputError
        A field of the form is not accepted.
    """
    if state.refusals:
        raise InputError("cluster", "A field of the new cluster is not accepted; correct it, or choose another.")
    options = {
        option.name: state.option_values[option.name]
        for option in state.options
        if option.name in state.option_values and option.parse_value(state.option_values[option.name]) != option.default
    }
    most = state.max_workers if state.adaptive else None
    return ClusterSpec(kind="gateway", workers=state.workers, most_workers=most, options=options, owner=owner)
