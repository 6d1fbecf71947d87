"""Cluster chip in the header: name, size and status of the cluster."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui

from dashboard.panel_workarounds.held_values import hold
from dashboard.state import ClusterState

_ICONS = {
    "none": "cloud_queue",
    "starting": "hourglass_empty",
    "idle": "check_circle",
    "working": "autorenew",
    "failed": "error_outline",
}


def cluster_chip(cluster: ClusterState) -> pmui.Chip:
    """Return the chip with the status text of the cluster."""
    chip = pmui.Chip(
        variant="outlined", size="small", sx={"maxWidth": "46vw", "&.MuiChip-colorDefault": {"color": "inherit"}}
    )
    return hold(
        chip,
        label=cluster.param.status_text,
        icon=pn.bind(_ICONS.__getitem__, cluster.param.status),
        color=pn.bind(_chip_colour, cluster.param.status),
    )


def _chip_colour(status: str) -> str:
    return {"failed": "error", "idle": "success", "working": "success"}.get(status, "default")
