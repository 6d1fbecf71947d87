"""One pixel through the seasons: numbers and a chart."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import hvplot.pandas  # noqa: F401  # registers .hvplot
import pandas as pd
import panel as pn
import panel_material_ui as pmui

from dashboard.state import VisitState

_CHART_PX = 220


def inspect_panel(state: VisitState) -> pmui.Column:
    """Return the panel for the pixel that was clicked."""
    return pmui.Column(
        pmui.Typography("Pixel", variant="overline", margin=0),
        pn.bind(_content, state.param.pixel, state.param.dark),
        sizing_mode="stretch_width",
        margin=(8, 12),
    )


def _content(pixel: dict[str, Any] | None, dark: bool) -> pmui.Column | pmui.Typography:
    if pixel is None:
        return pmui.Typography("Click the map to see one pixel through the seasons.", variant="body2")
    table = pixel_table(pixel)
    lon, lat = pixel["place"]
    shown = table.astype(object).where(table.notna(), "").assign(NDVI=[_ndvi_text(value) for value in table["NDVI"]])
    return pmui.Column(
        pmui.Typography(place_text(lon, lat), variant="body2", margin=0),
        pn.pane.HoloViews(chart(table, dark), sizing_mode="stretch_width", height=_CHART_PX, margin=(4, 0)),
        pn.pane.DataFrame(shown.set_index("season"), sizing_mode="stretch_width", margin=0),
        sizing_mode="stretch_width",
        margin=0,
    )


def _ndvi_text(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"


def place_text(lon: float, lat: float) -> str:
    """Return a place in degrees as people write it."""
    return f"{abs(lat):.5f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.5f}° {'E' if lon >= 0 else 'W'}"


def pixel_table(pixel: dict[str, Any]) -> pd.DataFrame:
    """Return season, mean NDVI and clear count of a pixel, one row a season."""
    rows = [
        {"season": each["label"], "NDVI": each["ndvi_mean"], "clear": each["clear_count"], "state": each["state"]}
        for each in pixel["seasons"]
    ]
    return pd.DataFrame(rows).astype({"NDVI": "Float64", "clear": "Int64"})


def chart(table: pd.DataFrame, dark: bool) -> hv.Overlay:
    """Return the chart of a pixel: mean NDVI by season, the clear count in the hover."""
    ink = "#dfe7e2" if dark else "#1d2a24"
    table = table.astype({"NDVI": float, "clear": float})
    frame = {"x": "season", "y": "NDVI", "color": "#3f8f4f", "responsive": True, "height": _CHART_PX}
    line = table.hvplot.line(**frame, line_width=2, hover=False)
    dots = table.hvplot.scatter(**frame, size=60, hover_cols=["clear"])
    return (line * dots).opts(
        toolbar=None,
        xlabel="",
        ylabel="mean NDVI",
        backend_opts={
            # A handful of points need no GPU, and software GL complains of itself in the console.
            "plot.output_backend": "canvas",
            "plot.background_fill_alpha": 0,
            "plot.border_fill_alpha": 0,
            "plot.outline_line_alpha": 0,
            "plot.xaxis.major_label_text_color": ink,
            "plot.yaxis.major_label_text_color": ink,
            "plot.yaxis.axis_label_text_color": ink,
            "plot.xgrid.grid_line_alpha": 0.15,
            "plot.ygrid.grid_line_alpha": 0.15,
        },
    )
