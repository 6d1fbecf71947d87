"""Map legend: choice of season, layer and colours, and explanation of the colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup

from compute.result.ndvi_classes import CLASSES, NdviClass
from compute.tiles.styles import CLASSED, PALETTES, Style, hex_colours
from dashboard.map.component import HATCH, NEVER_CLEAR
from dashboard.state import LAYERS, JobState, LookState
from dashboard.views.text import Html, join
from dashboard.views.theme import FLOATING, HTML_STYLE

_MOST_BUTTONS = 5
_FIELD: dict[str, Any] = {"size": "small", "description": "", "sizing_mode": "stretch_width"}
_UNITS = {"ndvi_mean": "mean NDVI", "clear_count": "clear observations"}


def legend_card(job: JobState, look: LookState) -> pmui.Paper:
    """Return the card with season, legend and, behind a button, the style; visible if there is a result.

    Parameters
    ----------
    job : JobState
        The job on the page.
    look : LookState
        Season, layer and colours of the map.
    """
    shown = look.get_parameters("layer", "palette", "span")
    shown += job.get_parameters("missing_months", "synthetic", "has_preview", "min_clear")
    bar = pn.bind(legend_html, *shown)
    tune = pmui.ToggleIcon(icon="tune", value=False, size="small", margin=(0, 0, 0, 6), description="Layer and colours")
    return pmui.Paper(
        pmui.Row(
            pn.bind(_season_choice, *job.get_parameters("seasons", "missing_months"), look=look),
            tune,
            sizing_mode="stretch_width",
            margin=0,
            sx={"alignItems": "center", "flexWrap": "nowrap"},
        ),
        Html(bar, sizing_mode="stretch_width", margin=(8, 0, 0, 0), stylesheets=[HTML_STYLE, _STYLE]),
        _style_controls(look, tune),
        elevation=4,
        visible=pn.bind(bool, job.param.result),
        margin=0,
        sx=FLOATING,
    )


def _style_controls(look: LookState, tune: pmui.ToggleIcon) -> pmui.Column:
    return pmui.Column(
        pmui.Row(
            pmui.Select.from_param(look.param.layer, options=LAYERS, label="Layer", margin=(0, 8, 0, 0), **_FIELD),
            pmui.Select.from_param(look.param.palette, options=list(PALETTES), label="Colours", margin=0, **_FIELD),
            margin=0,
            sizing_mode="stretch_width",
        ),
        pmui.Row(
            pmui.RangeSlider.from_param(look.param.span, label="Span", step=0.01, margin=(10, 10, 0, 10), **_FIELD),
            _fit_button(look),
            visible=pn.bind(_has_span, look.param.layer, look.param.palette),
            margin=0,
            sizing_mode="stretch_width",
            sx={"alignItems": "center", "flexWrap": "nowrap"},
        ),
        visible=tune.param.value,
        sizing_mode="stretch_width",
        margin=(12, 0, 0, 0),
    )


def _fit_button(look: LookState) -> pmui.IconButton:
    button = pmui.IconButton(icon="contrast", size="small", margin=0, description="Fit colours to data")
    button.on_click(lambda _: look.param.trigger("fit_colours"))
    return button


def _season_choice(
    seasons: Sequence[str], incomplete: Mapping[str, Sequence[str]], *, look: LookState
) -> pmui.RadioButtonGroup | pmui.Select | None:
    if not seasons:
        return None
    options = {f"{label} *" if label in incomplete else label: label for label in seasons}
    kind = pmui.RadioButtonGroup if len(seasons) <= _MOST_BUTTONS else pmui.Select
    return kind.from_param(
        look.param.season,
        options=options,
        label="",
        margin=0,
        sx={"& .MuiToggleButton-root": {"flex": 1, "paddingTop": "4px", "paddingBottom": "4px"}},
        **_FIELD,
    )


def _has_span(layer: str, palette: str) -> bool:
    return layer == "ndvi_mean" and palette != CLASSED


def style_of(layer: str, palette: str, span: tuple[float, float]) -> Style:
    """Return the style of the shown layer.

    NDVI has the visitor's palette, with the span unless the palette is that of the classes. Other layers have their
    default style.

    Parameters
    ----------
    layer : str
        Shown layer.
    palette : str
        Palette for NDVI.
    span : tuple of float
        NDVI at the two ends of the palette.
    """
    if not _has_span(layer, palette):
        return Style(palette=CLASSED) if layer == "ndvi_mean" else Style.for_layer(layer)
    return Style(palette=palette, span=span)


def legend_html(
    layer: str,
    palette: str,
    span: tuple[float, float],
    incomplete: Mapping[str, Sequence[str]] | None = None,
    synthetic: bool = False,
    preview: bool = False,
    min_clear: int = 1,
) -> Markup:
    """Return the legend as HTML: colour bar with units, or classes, and keys of never clear and pending pixels.

    Parameters
    ----------
    layer : str
        Shown layer.
    palette : str
        Palette for NDVI.
    span : tuple of float
        NDVI at the two ends of the palette.
    incomplete : mapping of str to sequence of str, optional
        Missing months by label of the incomplete season.
    synthetic : bool
        Whether the result comes from synthetic scenes.
    preview : bool
        Whether a preview is shown for pending blocks.
    min_clear : int
        Fewest observations that make a mean.
    """
    style = style_of(layer, palette, span)
    missing = join(
        Markup("<p>* {} is incomplete: without {}</p>").format(season, ", ".join(months))
        for season, months in (incomplete or {}).items()
    )
    label = Markup('<p class="synthetic">Synthetic demo data</p>') if synthetic else ""
    of_means = layer == "ndvi_mean"
    pending = "coarse preview" if preview and of_means else "not computed yet"
    keys = [_key(_rgba(NEVER_CLEAR), "never clear"), _key(_hatch(), pending)]
    if of_means and min_clear > 1:
        keys.insert(1, _key(_stripes(), f"fewer than {min_clear} clear looks"))
    foot = Markup('<div class="keys">{}</div><div class="missing">{}</div>{}').format(join(keys), missing, label)
    return (_classes() if style.palette == CLASSED else _bar(style)) + foot


def _bar(style: Style) -> Markup:
    low, high = style.span
    bar = Markup('<div class="bar" style="background:linear-gradient(90deg, {})"></div>')
    ends = Markup('<div class="ends"><span>{:g}</span><span>{}</span><span>{:g}</span></div>')
    return bar.format(", ".join(hex_colours(style)[::16])) + ends.format(low, _UNITS[style.layer], high)


def _classes() -> Markup:
    item = Markup("<li>{}<span>{}</span></li>")
    items = join(item.format(_key(each.colour, each.name), _borders(each)) for each in CLASSES)
    return Markup('<ul class="keys" aria-label="Classes of {}">{}</ul>').format(_UNITS["ndvi_mean"], items)


def _borders(each: NdviClass) -> str:
    if each.low is None:
        return f"< {each.below:g}"
    if each.below is None:
        return f"≥ {each.low:g}"
    return Markup("{:g}&ndash;{:g}").format(each.low, each.below)


def _key(background: str, words: str) -> Markup:
    return Markup('<span><i style="background:{}"></i>{}</span>').format(background, words)


def _rgba(colour: Sequence[int]) -> str:
    red, green, blue, opacity = colour
    return f"rgba({red}, {green}, {blue}, {opacity / 255:.2f})"


def _hatch() -> str:
    return f"repeating-linear-gradient(135deg, transparent 0 4px, {_rgba(HATCH)} 4px 6px)"


def _stripes() -> str:
    return f"repeating-linear-gradient(45deg, {_rgba(NEVER_CLEAR)} 0 3px, transparent 3px 6px)"


_STYLE = """
:host { font-size: 11px; }
.bar { height: 10px; border-radius: 5px; }
.ends { display: flex; justify-content: space-between; opacity: .85; margin-top: 3px; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 5px 0 0; padding: 0; opacity: .85; }
ul.keys { display: grid; grid: repeat(3, auto) / auto-flow 1fr; list-style: none; }
ul.keys li { display: flex; justify-content: space-between; gap: 8px; white-space: nowrap; }
.keys i { display: inline-block; width: 18px; height: 10px; margin-right: 5px; border-radius: 2px; }
.keys i { box-shadow: inset 0 0 0 1px rgba(128, 128, 128, .4); vertical-align: -1px; }
p.synthetic { font-size: 11px; margin: 8px 0 0; padding: 2px 8px; border-radius: 6px; background: #e9a23b33; }
.missing { max-height: 64px; overflow-y: auto; }
.missing p { font-size: 11px; margin: 4px 0 0; opacity: .85; }
"""
