"""The visitor's jobs, newest first, to reopen."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from dashboard.state import VisitState

_ICONS = {
    "connecting": "hourglass_empty",
    "running": "autorenew",
    "done": "check_circle",
    "failed": "error",
    "cancelled": "cancel",
}


def jobs_list(state: VisitState) -> pmui.Column:
    """Return the list; choosing one shows it."""
    return pmui.Column(
        pmui.Typography("Results", variant="overline", margin=0),
        pn.bind(_rows, state.param.jobs, state.param.token, state=state),
        sizing_mode="stretch_width",
        margin=(8, 12),
    )


def _rows(jobs: list[dict[str, Any]], token: str, *, state: VisitState) -> pmui.Column | pmui.Typography:
    if not jobs:
        return pmui.Typography("None yet. What you compute stays here for as long as the server runs.", variant="body2")
    return pmui.Column(
        *(_row(job, chosen=job["token"] == token, state=state) for job in jobs), sizing_mode="stretch_width", margin=0
    )


def _row(job: dict[str, Any], *, chosen: bool, state: VisitState) -> pmui.Button:
    running = f" · {job['done']} of {job['total']}" if job["state"] == "running" else ""
    button = pmui.Button(
        label=f"{job['title']}{running}",
        description=job["detail"],
        icon=_ICONS[job["state"]],
        variant="outlined" if chosen else "text",
        size="small",
        sizing_mode="stretch_width",
        margin=2,
        sx={"justifyContent": "flex-start", "textTransform": "none"},
    )
    button.on_click(lambda _: state.show(token=job["token"]))
    return button
