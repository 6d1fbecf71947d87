"""The visitor's jobs, newest first: to reopen, to link to, to delete."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from dashboard.state import VisitState
from dashboard.units import bbox_text
from dashboard.views.theme import HTML_STYLE

_WORDS = {
    "connecting": "waiting for its cluster",
    "running": "{done} of {total} blocks",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}


def jobs_list(state: VisitState) -> pmui.Column:
    """Return the list; choosing one shows it."""
    rows = pmui.Column(sizing_mode="stretch_width", margin=0)
    known: dict[str, pmui.Column] = {}

    def arrange(*_: Any) -> None:
        """Add and remove rows; what stands in one changes by itself, several times a second while a job runs."""
        tokens = [job["token"] for job in state.jobs]
        if tokens != list(known):
            kept = {token: known.get(token) or _row(state, token) for token in tokens}
            known.clear()
            known.update(kept)
            rows.objects = list(kept.values())

    state.param.watch(arrange, "jobs")
    arrange()
    return pmui.Column(
        pmui.Typography("Results", variant="overline", margin=0),
        pmui.Typography(
            "None yet. What you compute stays here for as long as the server runs.",
            variant="body2",
            color="textSecondary",
            margin=0,
            visible=pn.bind(_is_empty, state.param.jobs),
        ),
        rows,
        sizing_mode="stretch_width",
        margin=16,
    )


def _is_empty(jobs: list[dict[str, Any]]) -> bool:
    return not jobs


def _row(state: VisitState, token: str) -> pmui.Column:
    """Return one job: what it is, or the question whether to delete it."""

    def is_doomed(doomed: str) -> bool:
        return doomed == token

    def is_safe(doomed: str) -> bool:
        return doomed != token

    return pmui.Column(
        pmui.Column(_job(state, token), visible=pn.bind(is_safe, state.param.doomed), margin=0),
        pmui.Column(_question(state), visible=pn.bind(is_doomed, state.param.doomed), margin=0),
        sizing_mode="stretch_width",
        margin=(0, 0, 8, 0),
    )


def _job(state: VisitState, token: str) -> pmui.Paper:
    def is_chosen(chosen: str) -> bool:
        return chosen == token

    def frame(chosen: str) -> dict[str, str]:
        edge = "primary.main" if chosen == token else "divider"
        return {"padding": "6px 4px 6px 10px", "border": "1px solid", "borderColor": edge}

    def words(jobs: list[dict[str, Any]]) -> str:
        return next((job_html(job) for job in jobs if job["token"] == token), "")

    chosen = pn.bind(is_chosen, state.param.token)
    show = pmui.IconButton(icon="visibility", size="small", margin=0, description="Show on the map", disabled=chosen)
    delete = pmui.IconButton(icon="delete_outline", size="small", margin=0, description="Delete")
    show.on_click(lambda _: state.show(token=token))
    delete.on_click(lambda _: state.show(doomed=token))
    text = pn.bind(words, state.param.jobs)
    pane = pn.pane.HTML(text, sizing_mode="stretch_width", margin=0, stylesheets=[HTML_STYLE, _STYLE])
    return pmui.Paper(
        pmui.Row(pane, show, delete, sizing_mode="stretch_width", margin=0, sx={"alignItems": "center"}),
        elevation=0,
        sizing_mode="stretch_width",
        margin=0,
        sx=pn.bind(frame, state.param.token),
    )


def _question(state: VisitState) -> pmui.Paper:
    delete = pmui.Button(label="Delete", color="error", variant="contained", size="small", margin=(0, 8, 0, 0))
    keep = pmui.Button(label="Keep", variant="text", size="small", margin=0)
    delete.on_click(lambda _: state.param.trigger("delete"))
    keep.on_click(lambda _: state.show(doomed=""))
    words = "Delete it for everybody, and stop what still runs of it?"
    return pmui.Paper(
        pmui.Typography(words, variant="body2", margin=(0, 0, 8, 0)),
        pmui.Row(delete, keep, margin=0),
        elevation=0,
        sizing_mode="stretch_width",
        margin=0,
        sx={"padding": "10px", "border": "1px solid", "borderColor": "error.main"},
    )


def job_html(job: dict[str, Any]) -> str:
    """Return what a job is, as its link: dates, place, grid and state."""
    rows, columns = job["grid"]
    state = _WORDS[job["state"]].format(**job)
    return (
        f'<a href="?result={escape(job["token"])}" title="Link to this result">{job["start"]} to {job["end"]}</a>'
        f"<p>{escape(bbox_text(job['bbox']))}</p>"
        f"<p>{columns:,} by {rows:,} pixels · <b class={job['state']}>{state}</b></p>"
    )


_STYLE = """
a { color: inherit; font-size: 13px; font-weight: 600; text-decoration: none; }
a:hover { text-decoration: underline; }
p { font-size: 11px; margin: 1px 0; opacity: .8; }
b { font-weight: 600; } b.failed { color: #d0453a; }
"""
