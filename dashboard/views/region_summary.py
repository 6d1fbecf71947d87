"""Region summary: seasonal statistics of the region of a result."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup

from dashboard.panel_workarounds.held_values import hold
from dashboard.state import JobState, RegionSummaryState
from dashboard.views.text import Html, Text, join
from dashboard.views.theme import HTML_STYLE, TABLE_STYLE


def region_summary(summary: RegionSummaryState, job: JobState) -> pmui.Column:
    """Return the card of a finished result: a button that computes the statistics, and their table.

    Parameters
    ----------
    summary : RegionSummaryState
        Statistics of the region.
    job : JobState
        The job on the page.
    """
    ask = pmui.Button(
        label="Sum up the region",
        icon="functions",
        variant="text",
        size="small",
        margin=(4, 0),
        visible=pn.bind(_is_missing, summary.param.statistics),
    )
    ask.on_click(lambda _: summary.param.trigger("summarise"))
    hold(ask, loading=summary.param.computing)
    numbers = Html(
        pn.bind(_html, summary.param.statistics),
        sizing_mode="stretch_width",
        margin=0,
        stylesheets=[HTML_STYLE, TABLE_STYLE],
    )
    return pmui.Column(
        Text("Region", variant="overline", margin=0),
        ask,
        numbers,
        sizing_mode="stretch_width",
        margin=(12, 16, 0, 16),
        visible=pn.bind(_is_done, job.param.state),
    )


def _is_missing(statistics: dict[str, Any] | None) -> bool:
    return statistics is None


def _is_done(job_state: str) -> bool:
    return job_state == "done"


def _html(statistics: dict[str, Any] | None) -> Markup:
    return Markup("") if statistics is None else summary_html(statistics)


def summary_html(statistics: dict[str, Any]) -> Markup:
    """Return an HTML table of mean, 5th and 95th percentile, and clear area of every season."""
    rows = join(_row(season) for season in statistics["seasons"])
    heads = Markup("<th>Season</th><th>Mean NDVI</th><th>5 to 95 %</th><th>Clear ha</th>")
    return Markup("<table><tr>{}</tr>{}</table>{}").format(heads, rows, _note(statistics))


def _row(season: dict[str, Any]) -> Markup:
    mean, spread = season["ndvi_mean"], season["percentiles"]
    values = ("never clear", "") if mean is None else (f"{mean:.3f}", f"{spread['5']:.2f} to {spread['95']:.2f}")
    cells = (season["label"], *values, f"{season['clear_area_ha']:,.0f}")
    return Markup("<tr>{}</tr>").format(join(Markup("<td>{}</td>").format(cell) for cell in cells))


def _note(statistics: dict[str, Any]) -> Markup:
    """Return notes on the table: the area with means outside -1 to 1, and the error of an overview level."""
    return _outside_note(statistics) + _level_note(statistics)


def _outside_note(statistics: dict[str, Any]) -> Markup:
    outside = sum(season["outside_area_ha"] for season in statistics["seasons"])
    words = Markup("<p>{:,.1f} ha have a mean outside -1 to 1, from negative reflectance.</p>")
    return words.format(outside) if outside else Markup("")


def _level_note(statistics: dict[str, Any]) -> Markup:
    if not statistics["level"]:
        return Markup("")
    errors = [season["error"]["percentile"] for season in statistics["seasons"] if season["error"]]
    off = f"; percentiles were off by {max(errors):.3f} at the most where both were compared" if errors else ""
    return Markup("<p>From pixels {} times as large{}.</p>").format(2 ** statistics["level"], off)
