"""Inputs for the number of workers of a new or a running cluster."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from dashboard.panel_workarounds.held_values import hold
from dashboard.state import ClusterState

FIELD: dict[str, Any] = {"size": "small", "description": "", "sizing_mode": "stretch_width"}
"""Style of the inputs of the cluster panel."""

# The colour of the step buttons would be dark in the dark theme.
NUMBER: dict[str, Any] = {**FIELD, "sx": {"& .MuiIconButton-root": {"color": "text.secondary"}}}
"""Style of the number inputs of the cluster panel."""

BELOW = (0, 0, 12, 0)
"""Margin below an element of the cluster panel."""


def workers_input(cluster: ClusterState, visible: Any) -> pmui.IntInput:
    """Return the input for the number of workers, or for the minimum of an adaptive cluster.

    Parameters
    ----------
    cluster : ClusterState
        State of the cluster.
    visible : reference
        Boolean reference: whether the input is visible.
    """
    refused = refusal_of(cluster, "workers")
    number = pmui.IntInput.from_param(
        cluster.param.workers,
        label="Workers",
        start=1,
        end=cluster.param.workers_limit,
        visible=visible,
        margin=(0, 8, 0, 0),
        **NUMBER,
    )
    return hold(number, error_state=pn.bind(bool, refused), helper_text=refused)


def follow_choice(cluster: ClusterState, visible: Any) -> pmui.Row:
    """Return the checkbox of an adaptive cluster, and the input for its maximum number of workers.

    Parameters
    ----------
    cluster : ClusterState
        State of the cluster.
    visible : reference
        Boolean reference: whether the inputs are visible.
    """
    refused = refusal_of(cluster, "max_workers")
    most = pmui.IntInput.from_param(
        cluster.param.max_workers,
        label="At most",
        start=1,
        end=cluster.param.workers_limit,
        margin=0,
        **NUMBER,
    )
    fixed = pn.bind(_not, cluster.param.adaptive)
    hold(most, disabled=fixed, error_state=pn.bind(bool, refused), helper_text=refused)
    return pmui.Row(
        pmui.Checkbox.from_param(cluster.param.adaptive, size="small", margin=(0, 8, 0, 0)),
        most,
        visible=visible,
        sizing_mode="stretch_width",
        margin=BELOW,
        sx={"alignItems": "center"},
    )


def refusal_of(cluster: ClusterState, name: str) -> Any:
    """Return the refusal of a field as a bound function; its value is empty if the field is accepted.

    Parameters
    ----------
    cluster : ClusterState
        State of the cluster.
    name : str
        Name of the field.
    """
    return pn.bind(_sentence, cluster.param.refusals, name)


def _sentence(refusals: dict[str, str], name: str) -> str:
    return refusals.get(name, "")


def _not(value: bool) -> bool:
    return not value
