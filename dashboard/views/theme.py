"""Theme of the page: colours and styles that the views share."""

from __future__ import annotations

from typing import Any

NARROW = "(max-width: 599.95px)"
"""Media query of a narrow window: below Material UI's breakpoint ``sm``, 600 px."""


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
"""Light and dark theme of Material UI."""

PAGE = {
    "& .header .logo": {"height": "1.9rem !important"},
    # The page of panel-material-ui has a white title in both themes.
    "& .header .title": {"color": "inherit !important", "fontSize": "1.3rem", "fontWeight": 700},
    "& .header a": {"color": "inherit"},
}
"""Style of the page header."""

FLOATING = {"padding": "10px 14px", "borderRadius": "10px"}
"""Style of a card above the map."""

HTML_STYLE = """
:host { color: inherit; font-family: inherit; }
p { margin: 4px 0; line-height: 1.45; font-size: 13px; }
.quiet { opacity: .72; }
.refusal { color: var(--mui-palette-error-main, #c0392b); }
"""
"""Style sheet of all HTML panes."""

TABLE_STYLE = """
table { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { font-size: 11px; font-weight: 500; opacity: .72; }
th, td { text-align: right; padding: 4px 2px; border-bottom: 1px solid rgba(128, 128, 128, .22); }
th:first-child, td:first-child { text-align: left; }
tr:has(+ .why) td { border-bottom: 0; padding-bottom: 0; }
.why td { font-size: 11px; opacity: .72; padding-top: 0; }
"""
"""Style sheet of HTML tables of numbers."""


def chart_look(dark: bool) -> dict[str, Any]:
    """Return the Bokeh style of the charts, as ``backend_opts`` for HoloViews."""
    ink = "#dfe7e2" if dark else "#1d2a24"
    axes = {f"plot.{axis}axis.major_label_text_color": ink for axis in "xy"}
    grids = {f"plot.{axis}grid.grid_line_alpha": 0.15 for axis in "xy"}
    return {
        # Few points need no WebGL, and its software implementation logs warnings in the console.
        "plot.output_backend": "canvas",
        "plot.background_fill_alpha": 0,
        "plot.border_fill_alpha": 0,
        "plot.outline_line_color": None,
        "plot.yaxis.axis_label_text_color": ink,
        **axes,
        **grids,
    }
