"""Observation table: every look at a pixel by date, with the reason where it does not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import holoviews as hv
import hvplot.pandas  # noqa: F401  # registers .hvplot
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import DatetimeTicker

from dashboard.panel_workarounds.held_values import hold
from dashboard.state import ClickedPixelState, VisitState
from dashboard.views.text import Text
from dashboard.views.theme import chart_look

CHART_PX = 180
_COUNTED, _NOT = "#53903d", "#8a9399"


def observations_view(pixel: ClickedPixelState, visit: VisitState) -> pmui.Column:
    """Return the button that asks for them, and then their chart."""
    ask = pmui.Button(
        label="Show every observation",
        icon="scatter_plot",
        variant="text",
        size="small",
        margin=(4, 0),
        visible=pn.bind(_is_missing, pixel.param.observations, pixel.param.series),
    )
    ask.on_click(lambda _: pixel.param.trigger("list_observations"))
    hold(ask, loading=pixel.param.listing)
    return pmui.Column(
        ask,
        pn.bind(_content, pixel.param.observations, visit.param.dark),
        sizing_mode="stretch_width",
        margin=0,
    )


def _is_missing(observations: list[dict[str, Any]] | None, series: dict[str, Any] | None) -> bool:
    return observations is None and series is not None


def _content(observations: list[dict[str, Any]] | None, dark: bool) -> pmui.Column:
    if observations is None:
        return pmui.Column(margin=0)
    table = observations_table(observations)
    words = Text(summary(table), variant="caption", color="textSecondary", margin=0)
    if table["NDVI"].isna().all():
        return pmui.Column(words, margin=(8, 0))
    plot = pn.pane.HoloViews(scatter(table, dark), sizing_mode="stretch_width", height=CHART_PX, margin=(8, 0))
    return pmui.Column(plot, words, sizing_mode="stretch_width", margin=0)


def observations_table(seasons: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return date, NDVI, satellite, and why it does not count (empty where it does), a row for each look."""
    looks = [look for season in seasons for look in season["observations"]]
    rows = [
        {
            "date": pd.Timestamp(look["time"]).tz_localize(None),
            "NDVI": look["ndvi"],
            "satellite": look["platform"],
            "why": look["why_not"] or "counts",
            "counted": look["counted"],
        }
        for look in looks
    ]
    table = pd.DataFrame(rows, columns=["date", "NDVI", "satellite", "why", "counted"])
    return table.astype({"NDVI": float, "counted": bool})


def summary(table: pd.DataFrame) -> str:
    """Return in words how many looks count, and why the others do not, most frequent first."""
    why = Counter(table.loc[~table["counted"], "why"])
    reasons = ", ".join(f"{count} {name}" for name, count in why.most_common())
    counted = int(table["counted"].sum())
    return f"{counted} of {len(table)} looks count" + (f"; the others: {reasons}." if reasons else ".")


def scatter(table: pd.DataFrame, dark: bool) -> hv.Overlay:
    """Return NDVI by date: filled where a look counts, a ring where it does not; the reason in the hover."""
    frame = {
        "x": "date",
        "y": "NDVI",
        "responsive": True,
        "height": CHART_PX,
        "size": 36,
        "hover_cols": ["satellite", "why"],
    }
    rest = table[~table["counted"]].hvplot.scatter(**frame, color=_NOT, fill_alpha=0.0, line_width=1.2)
    counted = table[table["counted"]].hvplot.scatter(**frame, color=_COUNTED)
    return (rest * counted).opts(
        toolbar=None,
        xlabel="",
        ylabel="NDVI of a look",
        # Dates are long words, and the panel is narrow.
        xticks=DatetimeTicker(desired_num_ticks=3),
        show_legend=False,
        backend_opts=chart_look(dark),
    )
