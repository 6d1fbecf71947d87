"""Cost estimate of a request, and the Compute button."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup

from dashboard.formatting import size_text
from dashboard.panel_workarounds.held_values import hold
from dashboard.state import JobState, RequestState, reason_not_to_compute
from dashboard.views.request_form import FIELDS
from dashboard.views.text import Html, Text, join
from dashboard.views.theme import HTML_STYLE

_MOST_BARS = 8
"""Most seasons that are shown as bars; more are summarised in one line."""


def estimate_card(request: RequestState, job: JobState) -> pmui.Paper:
    """Return the card with the cost estimate and the Compute button; while disabled, the reason is shown below it.

    Parameters
    ----------
    request : RequestState
        Request with its estimate.
    job : JobState
        The job on the page.
    """
    figures = pn.bind(_figures, *request.get_parameters("estimate", "refusal", "estimating", "region"))
    followed = request.get_parameters("region", "refusal", "estimating", "estimate", "estimate_token")
    followed += job.get_parameters("token", "state")
    reason = pn.bind(lambda *_: reason_not_to_compute(request, job), *followed)
    compute = pmui.Button(
        label="Compute",
        icon="play_arrow",
        variant="contained",
        color="primary",
        sizing_mode="stretch_width",
        margin=(8, 0, 0, 0),
        sx={"textTransform": "none", "fontWeight": 600},
    )
    compute.on_click(lambda _: request.param.trigger("compute"))
    hold(compute, disabled=pn.bind(bool, reason))
    return pmui.Paper(
        Html(figures, sizing_mode="stretch_width", margin=0, stylesheets=[HTML_STYLE, _STYLE]),
        compute,
        hold(Text(variant="caption", color="textSecondary", margin=(4, 0, 0, 0)), object=reason),
        elevation=0,
        square=True,
        sizing_mode="stretch_width",
        margin=0,
        # Sticky, so that it stays visible below a long form.
        styles={"position": "sticky", "bottom": "0", "margin-top": "auto", "z-index": "2"},
        sx={"padding": "12px 16px 14px", "borderTop": "1px solid", "borderColor": "divider"},
    )


def _figures(
    estimate: dict[str, Any] | None, refusal: dict[str, str] | None, estimating: bool, region: dict[str, Any] | None
) -> Markup:
    if refusal is not None:
        # The form shows the refusals of its own fields.
        words = "" if refusal["field"] in FIELDS else refusal["message"]
        return Markup('<p class="refusal" role="alert">{}</p>').format(words) if words else Markup("")
    if region is None:
        return Markup('<p class="quiet">What a region would cost stands here before anything is spent.</p>')
    if estimating or estimate is None:
        return Markup('<p class="quiet">Asking the index …</p>')
    return _headline(estimate) + _seasons(estimate["seasons"]) + _details(estimate) + _notes(estimate["notes"])


def _headline(estimate: dict[str, Any]) -> Markup:
    figures = {
        "scenes": f"{estimate['scenes']:,}",
        "to read, about": size_text(estimate["bytes_to_read"]),
        "result": size_text(estimate["result_bytes"]),
    }
    items = (Markup("<div><dd>{}</dd><dt>{}</dt></div>").format(value, name) for name, value in figures.items())
    return Markup("<dl>{}</dl>").format(join(items))


def _seasons(seasons: list[dict[str, Any]]) -> Markup:
    """Return a bar chart of the number of dates in each season, or one line if there are many seasons."""
    dates = [season["dates"] for season in seasons]
    if len(seasons) > _MOST_BARS:
        partial = sum(bool(season["missing_months"]) for season in seasons)
        rest = f", {partial} of them incomplete" if partial else ""
        words = f"{len(seasons)} seasons with {min(dates)} to {max(dates)} dates each{rest}"
        return Markup('<p class="caption">{}</p>').format(words)
    rows = join(_season(season, max(1, *dates)) for season in seasons)
    return Markup('<p class="caption">Dates in each season</p><ul>{}</ul>').format(rows)


def _season(season: dict[str, Any], most: int) -> Markup:
    missing = ", ".join(season["missing_months"])
    note = Markup('<small title="incomplete">without {}</small>').format(missing) if missing else ""
    bar = Markup('<i class="{}" style="width:{:.0f}%"></i>').format(
        "partial" if missing else "", 100 * season["dates"] / most
    )
    row = Markup("<li><span>{}</span><div>{}{}</div><b>{}</b></li>")
    return row.format(season["label"], bar, note, season["dates"])


def _details(estimate: dict[str, Any]) -> Markup:
    rows, columns = estimate["grid"]["shape"]
    pixel = estimate["grid"]["resolution"][1]
    unit = "m" if pixel > 0.5 else "°"
    words = (
        f"{columns:,} by {rows:,} pixels of {pixel:g} {unit}, {estimate['grid']['crs']}",
        f"{estimate['blocks']:,} blocks, {size_text(estimate['worker_bytes'])} of memory for a worker of one thread",
    )
    return join(Markup('<p class="detail">{}</p>').format(line) for line in words)


def _notes(notes: list[str]) -> Markup:
    return join(Markup('<p class="note">{}</p>').format(note) for note in notes)


_STYLE = """
dl { display: grid; grid-template-columns: repeat(3, auto); justify-content: space-between; margin: 0 0 6px; }
dd { margin: 0; font-size: 18px; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
dt { font-size: 11px; opacity: .72; }
p.caption { font-size: 11px; opacity: .72; margin: 6px 0 2px; }
p.detail { font-size: 11px; opacity: .72; margin: 1px 0; }
ul { list-style: none; margin: 0 0 6px; padding: 0; font-size: 12px; }
li { display: grid; grid-template-columns: 66px 1fr 28px; align-items: center; line-height: 19px; }
li div { position: relative; }
li i { display: block; height: 8px; border-radius: 4px; background: #53903d; }
li i.partial { background: repeating-linear-gradient(45deg, #53903d 0 3px, #53903d66 3px 6px); }
li small { font-size: 10px; opacity: .8; }
li b { text-align: right; font-weight: 600; font-variant-numeric: tabular-nums; }
p.note { font-size: 11px; margin: 6px 0 0; padding: 3px 8px; border-radius: 6px; background: #e9a23b26; }
"""
