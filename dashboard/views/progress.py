"""How far a computation is: cluster, blocks, time left, and one next action."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui

from dashboard.state import VisitState

_ACTIVE = ("connecting", "running")


def cluster_chip(state: VisitState) -> pmui.Chip:
    """Return the chip that says which cluster is there, or what it is waiting for."""
    return pmui.Chip(
        label=state.param.cluster_stage,
        icon=pn.bind(_cluster_icon, state.param.cluster_ready),
        variant="outlined",
        size="small",
        color="default",
    )


def progress_strip(state: VisitState) -> pmui.Paper:
    """Return the strip over the map while a job runs, and its last word when it has failed."""
    text = pn.bind(
        progress_text,
        state.param.job_state,
        state.param.job_message,
        state.param.blocks_done,
        state.param.blocks_total,
        state.param.seconds_left,
    )
    share = pn.bind(_percent, state.param.blocks_done, state.param.blocks_total)
    running = pn.bind(_is_active, state.param.job_state)
    cancel = pmui.Button(label="Cancel", icon="stop", variant="text", size="small", visible=running, margin=0)
    cancel.on_click(lambda _: state.param.trigger("cancel"))
    return pmui.Paper(
        pmui.Row(
            pmui.Typography(text, variant="body2", margin=(4, 0), sizing_mode="stretch_width"),
            cancel,
            sizing_mode="stretch_width",
            margin=0,
        ),
        pmui.LinearProgress(
            value=share, variant="determinate", visible=running, sizing_mode="stretch_width", margin=(2, 0)
        ),
        elevation=3,
        visible=pn.bind(_has_news, state.param.job_state),
        margin=0,
        sx={"padding": "8px 14px", "borderRadius": "10px"},
        css_classes=["progress-strip"],
    )


def _cluster_icon(ready: bool) -> str:
    return "cloud_done" if ready else "hourglass_empty"


def _is_active(job: str) -> bool:
    return job in _ACTIVE


def _has_news(job: str) -> bool:
    return job not in ("", "done")


def _percent(done: int, total: int) -> int:
    return round(100 * done / total) if total else 0


def progress_text(job: str, message: str, done: int, total: int, seconds: float | None) -> str:
    """Return one sentence about the state of a job.

    Parameters
    ----------
    job : str
        State of the job.
    message : str
        What the registry says of it.
    done, total : int
        Blocks.
    seconds : float or None
        Time left, in seconds.
    """
    if job == "connecting":
        return message or "A cluster is being made ready."
    if job == "running":
        left = f", about {duration_text(seconds)} left" if seconds is not None else ""
        return f"{done} of {total} blocks are done{left}."
    if job == "cancelled":
        return "Cancelled. Change the request or compute it again."
    if job == "failed":
        return f"{message} Change the request or try again."
    return ""


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
