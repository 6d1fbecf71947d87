"""Cluster chip in the header: the cluster's state or its progress."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui

from dashboard.panel_workarounds.held_values import hold
from dashboard.state import VisitState

_ICONS = {
    "none": "cloud_queue",
    "starting": "hourglass_empty",
    "idle": "check_circle",
    "working": "autorenew",
    "failed": "error_outline",
}


def cluster_chip(state: VisitState) -> pmui.Chip:
    """Return the chip that says which cluster is there, or how far it is."""
    chip = pmui.Chip(
        variant="outlined", size="small", sx={"maxWidth": "46vw", "&.MuiChip-colorDefault": {"color": "inherit"}}
    )
    return hold(
        chip,
        label=state.param.cluster_stage,
        icon=pn.bind(_ICONS.__getitem__, state.param.cluster_state),
        color=pn.bind(_chip_colour, state.param.cluster_state),
    )


def _chip_colour(cluster_state: str) -> str:
    return {"failed": "error", "idle": "success", "working": "success"}.get(cluster_state, "default")
