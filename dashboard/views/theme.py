"""The look that all views share."""

from __future__ import annotations

from typing import Any

NARROW = "(max-width: 599.95px)"
"""Media query of a telephone, the same as Material UI's smallest breakpoint."""


def _bar(paper: str, ink: str, edge: str) -> dict[str, Any]:
    root = {"backgroundColor": paper, "color": ink, "boxShadow": "none", "borderBottom": f"1px solid {edge}"}
    return {"MuiAppBar": {"styleOverrides": {"root": root}}}


THEME = {
    "light": {
        "palette": {
            "primary": {"main": "#1f6b3a"},
            "background": {"default": "#f4f5f1", "paper": "#ffffff"},
        },
        "shape": {"borderRadius": 8},
        "components": _bar("#ffffff", "#17301f", "#dfe4dc"),
    },
    "dark": {
        "palette": {
            "primary": {"main": "#86c995"},
            "background": {"default": "#11171a", "paper": "#1a2226"},
        },
        "shape": {"borderRadius": 8},
        "components": _bar("#1a2226", "#e4efe7", "#2c373c"),
    },
}
"""Light and dark, for Material UI."""

PAGE = {
    "& .header .logo": {"height": "1.9rem !important"},
    # Material UI's page knows white titles only.
    "& .header .title": {"color": "inherit !important", "fontSize": "1.3rem", "fontWeight": 700},
    "& .header a": {"color": "inherit"},
}
"""What the header looks like."""

FLOATING = {"padding": "10px 14px", "borderRadius": "10px"}
"""A card that floats over the map."""

HTML_STYLE = """
:host { color: inherit; font-family: inherit; }
p { margin: 4px 0; line-height: 1.45; font-size: 13px; }
.quiet { opacity: .72; }
.refusal { color: var(--mui-palette-error-main, #c0392b); }
"""
"""What every pane of HTML begins with."""

TABLE_STYLE = """
table { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { font-size: 11px; font-weight: 500; opacity: .72; }
th, td { text-align: right; padding: 4px 2px; border-bottom: 1px solid rgba(128, 128, 128, .22); }
th:first-child, td:first-child { text-align: left; }
tr:has(+ .why) td { border-bottom: 0; padding-bottom: 0; }
.why td { font-size: 11px; opacity: .72; padding-top: 0; }
"""
"""Of tables of numbers."""


def chart_look(dark: bool) -> dict[str, Any]:
    """Return what Bokeh makes a chart of a panel look like."""
    ink = "#dfe7e2" if dark else "#1d2a24"
    axes = {f"plot.{axis}axis.major_label_text_color": ink for axis in "xy"}
    grids = {f"plot.{axis}grid.grid_line_alpha": 0.15 for axis in "xy"}
    return {
        # A handful of points need no GPU, and software GL complains of itself in the console.
        "plot.output_backend": "canvas",
        "plot.background_fill_alpha": 0,
        "plot.border_fill_alpha": 0,
        "plot.outline_line_color": None,
        "plot.yaxis.axis_label_text_color": ink,
        **axes,
        **grids,
    }
