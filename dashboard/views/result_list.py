"""Result list: the visitor's jobs, newest first, with buttons to show, rename and delete each."""

from __future__ import annotations

from datetime import date
from typing import Any

import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup

from compute.jobs import MOST_TITLE
from dashboard.formatting import bbox_text, day_text
from dashboard.panel_workarounds.held_values import hold
from dashboard.state import JobListState, JobState
from dashboard.views.text import Html, Text, join
from dashboard.views.theme import HTML_STYLE

_WORDS = {
    "queued": "waiting",
    "connecting": "waiting for its cluster",
    "running": "{done} of {total} blocks",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


def jobs_list(job_list: JobListState, job: JobState) -> pmui.Column:
    """Return the result list.

    Parameters
    ----------
    job_list : JobListState
        The visitor's jobs.
    job : JobState
        The job on the page.
    """
    rows = pmui.Column(sizing_mode="stretch_width", margin=0)
    known: dict[str, pmui.Column] = {}

    def arrange(*_: Any) -> None:
        """Add and remove rows. The content of a row is bound to the state and updates itself."""
        tokens = [job["token"] for job in job_list.jobs]
        if tokens != list(known):
            kept = {token: known.get(token) or _row(job_list, job, token) for token in tokens}
            known.clear()
            known.update(kept)
            rows.objects = list(kept.values())

    job_list.param.watch(arrange, "jobs")
    arrange()
    return pmui.Column(
        Text("Results", variant="overline", margin=0),
        Text(
            pn.bind(_none_yet, job_list.param.retention_notice),
            variant="body2",
            color="textSecondary",
            margin=0,
            visible=pn.bind(_is_empty, job_list.param.jobs),
        ),
        Text(
            job_list.param.persistence_warning,
            variant="body2",
            color="error",
            margin=0,
            visible=pn.bind(bool, job_list.param.persistence_warning),
        ),
        rows,
        sizing_mode="stretch_width",
        margin=16,
    )


def _none_yet(kept: str) -> str:
    return f"None yet. {kept}"


def _is_empty(jobs: list[dict[str, Any]]) -> bool:
    return not jobs


def _row(job_list: JobListState, job: JobState, token: str) -> pmui.Column:
    """Return the row of one job: its card, the confirmation of its deletion, or the form for its title."""

    def is_it(chosen: str) -> bool:
        return chosen == token

    def is_neither(deletion: str, rename: str) -> bool:
        return token not in (deletion, rename)

    return pmui.Column(
        pmui.Column(
            _job(job_list, job, token),
            visible=pn.bind(is_neither, *job_list.get_parameters("pending_deletion", "pending_rename")),
            margin=0,
        ),
        pmui.Column(_question(job_list), visible=pn.bind(is_it, job_list.param.pending_deletion), margin=0),
        pmui.Column(_title_form(job_list), visible=pn.bind(is_it, job_list.param.pending_rename), margin=0),
        sizing_mode="stretch_width",
        margin=(0, 0, 8, 0),
    )


def _job(job_list: JobListState, job: JobState, token: str) -> pmui.Paper:
    def is_chosen(chosen: str) -> bool:
        return chosen == token

    def frame(chosen: str) -> dict[str, str]:
        edge = "primary.main" if chosen == token else "divider"
        return {"padding": "6px 4px 6px 10px", "border": "1px solid", "borderColor": edge}

    def words(jobs: list[dict[str, Any]]) -> Markup:
        return next((job_html(job) for job in jobs if job["token"] == token), Markup(""))

    chosen = pn.bind(is_chosen, job.param.token)
    show = pmui.IconButton(icon="visibility", size="small", margin=0, description="Show on the map")
    hold(show, disabled=chosen)
    rename = pmui.IconButton(icon="edit", size="small", margin=0, description="Rename")
    delete = pmui.IconButton(icon="delete_outline", size="small", margin=0, description="Delete")
    rename.on_click(
        lambda _: job_list.update(pending_rename=token, pending_deletion="", new_title=_title_of(job_list, token))
    )
    show.on_click(lambda _: job.update(token=token))
    delete.on_click(lambda _: job_list.update(pending_deletion=token, pending_rename=""))
    text = pn.bind(words, job_list.param.jobs)
    pane = Html(text, sizing_mode="stretch_width", margin=0, stylesheets=[HTML_STYLE, _STYLE])
    card = pmui.Paper(
        pmui.Row(pane, show, rename, delete, sizing_mode="stretch_width", margin=0, sx={"alignItems": "center"}),
        elevation=0,
        sizing_mode="stretch_width",
        margin=0,
    )
    return hold(card, sx=pn.bind(frame, job.param.token))


def _title_of(job_list: JobListState, token: str) -> str:
    return next((job["title"] for job in job_list.jobs if job["token"] == token), "")


def _title_form(job_list: JobListState) -> pmui.Paper:
    title = pmui.TextInput.from_param(
        job_list.param.new_title,
        label="Title",
        description="",
        max_length=MOST_TITLE,
        size="small",
        sizing_mode="stretch_width",
        margin=0,
    )
    save = pmui.Button(label="Save", variant="contained", size="small", margin=(0, 8, 0, 0))
    keep = pmui.Button(label="Cancel", variant="text", size="small", margin=0)
    save.on_click(lambda _: job_list.param.trigger("rename"))
    keep.on_click(lambda _: job_list.update(pending_rename=""))
    return pmui.Paper(
        title,
        pmui.Row(save, keep, margin=(8, 0, 0, 0)),
        elevation=0,
        sizing_mode="stretch_width",
        margin=0,
        sx={"padding": "10px", "border": "1px solid", "borderColor": "divider"},
    )


def _question(job_list: JobListState) -> pmui.Paper:
    delete = pmui.Button(label="Delete", color="error", variant="contained", size="small", margin=(0, 8, 0, 0))
    keep = pmui.Button(label="Keep", variant="text", size="small", margin=0)
    delete.on_click(lambda _: job_list.param.trigger("delete"))
    keep.on_click(lambda _: job_list.update(pending_deletion=""))
    words = "Delete it for everybody, and stop what still runs of it?"
    return pmui.Paper(
        Text(words, variant="body2", margin=(0, 0, 8, 0)),
        pmui.Row(delete, keep, margin=0),
        elevation=0,
        sizing_mode="stretch_width",
        margin=0,
        sx={"padding": "10px", "border": "1px solid", "borderColor": "error.main"},
    )


def job_html(job: dict[str, Any]) -> Markup:
    """Return a job as HTML: title or dates as a link, bounding box, grid size, state, and expiry date."""
    rows, columns = job["grid"]
    state, dates = _WORDS[job["state"]].format(**job), f"{job['start']} to {job['end']}"
    link = Markup('<a href="?result={}" title="Link to this result">{}</a>').format(job["token"], job["title"] or dates)
    lines = [dates] if job["title"] else []
    lines += [
        bbox_text(job["bbox"]),
        Markup('{:,} by {:,} pixels · <b class="{}">{}</b>').format(columns, rows, job["state"], state),
    ]
    if job["kept_until"]:
        lines.append(f"kept until {day_text(date.fromisoformat(job['kept_until']))}")
    return link + join(Markup("<p>{}</p>").format(line) for line in lines)


_STYLE = """
a { color: inherit; font-size: 13px; font-weight: 600; text-decoration: none; }
a:hover { text-decoration: underline; }
p { font-size: 11px; margin: 1px 0; opacity: .8; }
b { font-weight: 600; } b.failed { color: #d0453a; }
"""
