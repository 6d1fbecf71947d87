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
