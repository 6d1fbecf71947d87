"""Worker count: the number of workers of a new cluster or of one that is scaled."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from dashboard.panel_workarounds.held_values import hold
from dashboard.state import ClusterState

FIELD: dict[str, Any] = {"size": "small", "description": "", "sizing_mode": "stretch_width"}
"""Look of an input that concerns the cluster."""

# Less and more would be dark on dark.
NUMBER: dict[str, Any] = {**FIELD, "sx": {"& .MuiIconButton-root": {"color": "text.secondary"}}}
"""Look of one for a number."""

BELOW = (0, 0, 12, 0)
"""Margin that leaves room below."""


def workers_input(cluster: ClusterState, visible: Any) -> pmui.IntInput:
    """Return the input of the number of workers, the least where it follows the work."""
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
    """Return the choice whether the number of workers follows the work, and how far."""
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
    """Return what is wrong with a field, bound to the state; empty where nothing is."""
    return pn.bind(_sentence, cluster.param.refusals, name)


def _sentence(refusals: dict[str, str], name: str) -> str:
    return refusals.get(name, "")


def _not(value: bool) -> bool:
    return not value
