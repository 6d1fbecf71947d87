"""Observations of a pixel: table, chart and summary, including excluded observations with their reasons."""

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
    """Return the button that lists the observations of the clicked pixel, and their chart.

    Parameters
    ----------
    pixel : ClickedPixelState
        The clicked pixel.
    visit : VisitState
        State of the visit, with the theme.
    """
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
    """Return a table of the observations of a pixel.

    Returns
    -------
    pandas.DataFrame
        One row per observation, counted or excluded: ``date``, ``NDVI``, ``satellite``, ``why`` (reason for the
        exclusion, or ``"counts"``) and ``counted``.
    """
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
    """Return a text with the number of counted observations, and the excluded ones by reason, most frequent first."""
    why = Counter(table.loc[~table["counted"], "why"])
    reasons = ", ".join(f"{count} {name}" for name, count in why.most_common())
    counted = int(table["counted"].sum())
    return f"{counted} of {len(table)} looks count" + (f"; the others: {reasons}." if reasons else ".")


def scatter(table: pd.DataFrame, dark: bool) -> hv.Overlay:
    """Return a scatter plot of NDVI by date.

    Counted observations are filled, excluded ones are rings. The hover text has the reason for the exclusion.

    Parameters
    ----------
    table : pandas.DataFrame
        Table from `observations_table`.
    dark : bool
        Whether the page has its dark theme.
    """
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
        # Few ticks, because the labels of dates are long and the panel is narrow.
        xticks=DatetimeTicker(desired_num_ticks=3),
        show_legend=False,
        backend_opts=chart_look(dark),
    )
