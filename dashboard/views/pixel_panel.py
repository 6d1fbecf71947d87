"""Pixel panel: seasonal values of the clicked pixel as a table and a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import hvplot.pandas  # noqa: F401  # registers .hvplot
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup

from dashboard.formatting import place_text
from dashboard.state import ClickedPixelState, JobState, VisitState
from dashboard.views.observation_table import observations_view
from dashboard.views.text import Html, Text, join
from dashboard.views.theme import HTML_STYLE, TABLE_STYLE, chart_look

_CHART_PX = 200
_FURTHER = {"ndvi_std": "Deviation", "clear_months": "Months"}
"""Column headings of optional layers."""


def inspect_panel(pixel: ClickedPixelState, job: JobState, visit: VisitState) -> pmui.Column:
    """Return the panel of the clicked pixel.

    Parameters
    ----------
    pixel : ClickedPixelState
        The clicked pixel.
    job : JobState
        The job on the page.
    visit : VisitState
        State of the visit, with the theme.
    """
    return pmui.Column(
        Text("Pixel", variant="overline", margin=0),
        pn.bind(_content, pixel.param.series, job.param.result, visit.param.dark, job.param.min_clear),
        observations_view(pixel, visit),
        sizing_mode="stretch_width",
        margin=(12, 16, 0, 16),
    )


def _content(
    series: dict[str, Any] | None, result: dict[str, Any] | None, dark: bool, min_clear: int
) -> pmui.Column | Text:
    if series is None:
        words = "Click the map to see one pixel through the seasons." if result else "Compute a region, then click it."
        return Text(words, variant="body2", color="textSecondary", margin=0)
    lon, lat = series["location"]
    return pmui.Column(
        Text(place_text(lon, lat), variant="body2", margin=0),
        pn.pane.HoloViews(
            chart(pixel_table(series), dark), sizing_mode="stretch_width", height=_CHART_PX, margin=(8, 0)
        ),
        Html(
            table_html(series, min_clear),
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[HTML_STYLE, TABLE_STYLE],
        ),
        sizing_mode="stretch_width",
        margin=0,
    )


def table_html(series: dict[str, Any], min_clear: int = 1) -> Markup:
    """Return an HTML table of season, mean NDVI, clear count and the requested optional layers of a pixel.

    Parameters
    ----------
    series : dict
        ``seasons``, each with the fields of `compute.tiles.pixel_sources.PixelValue`.
    min_clear : int
        Fewest observations that make a mean.
    """
    further = [name for name in _FURTHER if any(season[name] is not None for season in series["seasons"])]
    heads = join(Markup("<th>{}</th>").format(_FURTHER[name]) for name in further)
    rows = join(_row(season, further, min_clear) for season in series["seasons"])
    table = Markup("<table><tr><th>Season</th><th>Mean NDVI</th><th>Clear</th>{}</tr>{}</table>")
    return table.format(heads, rows)


def _row(season: dict[str, Any], further: Sequence[str], min_clear: int) -> Markup:
    mean, clear = season["ndvi_mean"], _number(season["clear_count"])
    value = season["state"] if mean is None else f"{mean:.3f}"
    of = f" of {min_clear}" if season["state"] == "too few clear" else ""
    cells = [season["label"], value, clear + of, *(_number(season[name]) for name in further)]
    row = join(Markup("<td>{}</td>").format(cell) for cell in cells)
    why = ", ".join(f"{count} {name}" for name, count in (season["unclear_count"] or {}).items() if count)
    words = Markup('<tr class="why"><td colspan="{}">not clear: {}</td></tr>').format(len(cells), why) if why else ""
    return Markup("<tr>{}</tr>{}").format(row, words)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def pixel_table(series: dict[str, Any]) -> pd.DataFrame:
    """Return a table of season, mean NDVI and clear count of a pixel, one row per season."""
    rows = [
        {"season": each["label"], "NDVI": each["ndvi_mean"], "clear": each["clear_count"]} for each in series["seasons"]
    ]
    return pd.DataFrame(rows).astype({"NDVI": float, "clear": float})


def chart(table: pd.DataFrame, dark: bool) -> hv.Overlay:
    """Return the chart of a pixel: mean NDVI by season, with the clear count in the hover text.

    Parameters
    ----------
    table : pandas.DataFrame
        Table from `pixel_table`.
    dark : bool
        Whether the page has its dark theme.
    """
    frame = {"x": "season", "y": "NDVI", "color": "#53903d", "responsive": True, "height": _CHART_PX}
    line = table.hvplot.line(**frame, line_width=2, hover=False)
    dots = table.hvplot.scatter(**frame, size=64, hover_cols=["clear"])
    low, high = table["NDVI"].min(), table["NDVI"].max()
    return (line * dots).opts(
        toolbar=None,
        xlabel="",
        ylabel="mean NDVI",
        # A fixed range makes charts of two pixels comparable; it is widened only for values outside.
        ylim=(min(-0.1, low - 0.05), max(1.0, high + 0.05)) if pd.notna(low) else (-0.1, 1.0),
        backend_opts=chart_look(dark),
    )
