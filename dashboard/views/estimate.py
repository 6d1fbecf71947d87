"""The estimate: what a request would cost, before anything is spent, and the one button that spends it."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from dashboard.state import VisitState

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def estimate_card(state: VisitState) -> pmui.Paper:
    """Return the card with the figures of the plan and Compute, disabled with its reason until it is possible."""
    figures = pn.bind(_figures, state.param.estimate, state.param.refusal, state.param.estimating, state.param.region)
    reason = pn.bind(
        lambda *_: state.reason_not_to_compute,
        state.param.region,
        state.param.refusal,
        state.param.estimating,
        state.param.estimate,
        state.param.job_state,
    )
    compute = pmui.Button(
        label="Compute",
        icon="play_arrow",
        variant="contained",
        color="primary",
        disabled=pn.bind(bool, reason),
        sizing_mode="stretch_width",
        margin=(8, 2, 2, 2),
    )
    compute.on_click(lambda _: state.param.trigger("compute"))
    return pmui.Paper(
        pmui.Typography("Estimate", variant="overline", margin=0),
        pn.pane.HTML(figures, sizing_mode="stretch_width", margin=0, stylesheets=[_STYLE]),
        compute,
        pmui.Typography(reason, variant="caption", color="textSecondary", margin=(0, 2)),
        elevation=0,
        variant="outlined",
        sizing_mode="stretch_width",
        margin=(12, 12),
        sx={"padding": "12px"},
    )


def _figures(
    estimate: dict[str, Any] | None, refusal: dict[str, str] | None, estimating: bool, region: dict[str, Any] | None
) -> str:
    if region is None and refusal is None:
        return "<p>Draw a box or a polygon on the map, and see here what it would take.</p>"
    if refusal is not None:
        return f'<p class="refusal" role="alert">{escape(refusal["message"])}</p>'
    if estimating or estimate is None:
        return '<p class="waiting">Asking the index …</p>'
    return _table(estimate) + _seasons(estimate)


def _table(estimate: dict[str, Any]) -> str:
    rows, columns = estimate["grid"]["shape"]
    pixel = estimate["grid"]["resolution"][1]
    figures = {
        "Scenes": f"{estimate['scenes']:,}",
        "To read": size_text(estimate["bytes_to_read"]),
        "Grid": f"{columns:,} by {rows:,} px of {pixel:g}",
        "Result": size_text(estimate["result_bytes"]),
        "Blocks": f"{estimate['blocks']:,}",
        "Memory": f"{size_text(estimate['task_bytes'])} a thread",
    }
    cells = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in figures.items())
    return f"<dl>{cells}</dl>"


def _seasons(estimate: dict[str, Any]) -> str:
    chips = "".join(
        f'<li class="{"partial" if season["missing_months"] else ""}" title="{_season_title(season)}">'
        f"{escape(season['label'])} <b>{season['dates']}</b></li>"
        for season in estimate["seasons"]
    )
    return f'<p class="caption">Dates a season</p><ul>{chips}</ul>'


def _season_title(season: dict[str, Any]) -> str:
    missing = ", ".join(season["missing_months"])
    return f"incomplete, without {missing}" if missing else "complete"


def size_text(count: float) -> str:
    """Return a number of bytes in the largest binary unit that keeps it at least 1."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


_STYLE = """
:host { color: inherit; font-family: inherit; }
p { margin: 4px 0; line-height: 1.4; font-size: 13px; opacity: .85; }
p.refusal { color: #c0392b; opacity: 1; }
p.caption { font-size: 11px; opacity: .65; margin-top: 8px; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 3px 14px; margin: 4px 0; font-size: 13px; }
dt { opacity: .65; } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px; margin: 2px 0 0; padding: 0; }
li { font-size: 11px; padding: 2px 8px; border-radius: 10px; border: 1px solid rgba(128,128,128,.35); }
li.partial { border-style: dashed; opacity: .8; }
"""
