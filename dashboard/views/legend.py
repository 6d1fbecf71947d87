"""What the map shows: season, layer, colours, and the legend that explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import panel as pn
import panel_material_ui as pmui

from compute.tiles.colours import PALETTES, Style, hex_colours
from dashboard.state import LAYERS, VisitState

_MOST_BUTTONS = 5


def legend_card(state: VisitState) -> pmui.Paper:
    """Return the card with season, layer, palette, stretch and legend; shown once there is a result."""
    return pmui.Paper(
        pn.bind(_season_choice, state.param.seasons, state.param.incomplete, state=state),
        pmui.Row(
            pmui.Select.from_param(
                state.param.layer,
                options=LAYERS,
                label="Layer",
                size="small",
                description="",
                width=130,
                margin=(6, 8, 4, 0),
            ),
            pmui.Select.from_param(
                state.param.palette,
                options=list(PALETTES),
                label="Colours",
                size="small",
                description="",
                width=124,
                margin=(6, 0, 4, 0),
            ),
            margin=0,
            sizing_mode="stretch_width",
        ),
        pmui.RangeSlider.from_param(
            state.param.span,
            label="NDVI at the ends",
            step=0.05,
            size="small",
            description="",
            visible=pn.bind(_has_span, state.param.layer),
            sizing_mode="stretch_width",
            margin=(0, 6),
        ),
        pn.pane.HTML(
            pn.bind(legend_html, state.param.layer, state.param.palette, state.param.span),
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[_STYLE],
        ),
        elevation=3,
        visible=pn.bind(bool, state.param.seasons),
        margin=0,
        sx={"padding": "10px 14px", "borderRadius": "10px"},
        css_classes=["legend-card"],
    )


def _season_choice(
    seasons: Sequence[str], incomplete: Mapping[str, Sequence[str]], *, state: VisitState
) -> pmui.RadioButtonGroup | pmui.Select | None:
    if not seasons:
        return None
    options = {f"{label} *" if label in incomplete else label: label for label in seasons}
    kind = pmui.RadioButtonGroup if len(seasons) <= _MOST_BUTTONS else pmui.Select
    return kind.from_param(
        state.param.season,
        options=options,
        label="Season",
        size="small",
        description="",
        sizing_mode="stretch_width",
        margin=(2, 0),
    )


def _has_span(layer: str) -> bool:
    return layer == "ndvi_mean"


def style_of(layer: str, palette: str, span: tuple[float, float]) -> Style:
    """Return the style that is shown: the visitor's for NDVI, the layer's own for any other."""
    return Style(layer=layer, palette=palette, span=span) if layer == "ndvi_mean" else Style.for_layer(layer)


def legend_html(layer: str, palette: str, span: tuple[float, float]) -> str:
    """Return the colour bar with its units, and what the three other looks mean."""
    style = style_of(layer, palette, span)
    stops = ", ".join(hex_colours(style)[::16])
    low, high = style.span
    unit = "NDVI, unitless" if layer == "ndvi_mean" else "clear observations"
    return (
        f'<div class="bar" style="background:linear-gradient(90deg, {stops})"></div>'
        f'<div class="ends"><span>{low:g}</span><span>{unit}</span><span>{high:g}</span></div>'
        '<div class="keys"><span><i class="never"></i>never clear</span>'
        '<span><i class="pending"></i>not computed yet</span></div>'
    )


_STYLE = """
:host { color: inherit; font-family: inherit; font-size: 11px; }
.bar { height: 12px; border-radius: 3px; margin-top: 4px; }
.ends { display: flex; justify-content: space-between; opacity: .75; margin-top: 2px; }
.keys { display: flex; gap: 14px; margin-top: 4px; opacity: .75; }
.keys i { display: inline-block; width: 14px; height: 10px; margin-right: 5px; border-radius: 2px; }
.never { background: #c9ced0; }
.pending { background: repeating-linear-gradient(45deg, #8a949933, #8a949933 2px, #8a949988 2px, #8a949988 4px); }
"""
