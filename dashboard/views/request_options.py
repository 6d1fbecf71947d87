"""Request options beside region, dates and product, each with a word of help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from dashboard.panel_workarounds.held_values import hold
from dashboard.state import RequestState
from dashboard.views.text import Text

_FIELD: dict[str, Any] = {"size": "small", "description": "", "sizing_mode": "stretch_width"}
_BELOW = (0, 0, 12, 0)
_QUIET = {"color": "text.secondary"}
_MOST_NAMED = 2
"""More options than this are counted, not named: they would fill lines."""

_SWITCH = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Option:
    """A field of the request that has a default.

    Attributes
    ----------
    name : str
        Of the field, as a request's query string has it.
    label, words : str
        Its name for people, and what it does.
    usual : str
        Its default, as text; empty where that depends on the product or the scenes.
    choices : mapping of str to str
        Text by name for people, where there are few; of a switch, empty.
    refusal : str
        What refusals call it, where that is not its name.
    """

    name: str
    label: str
    words: str = ""
    usual: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""

    @property
    def refused_as(self) -> str:
        """Name of the field in refusals."""
        return self.refusal or self.name


WEIGHT = Option(
    name="weight",
    label="Mean of",
    words="What weighs alike in a season",
    usual="observation",
    choices={"all observations": "observation", "the means of months": "month", "the means of years": "year"},
)

GROUPS: Mapping[str, tuple[Option, ...]] = {
    "Seasons and grid": (
        Option(name="seasons", label="Seasons", words="Or by name: wet=11-4,dry=5-10", usual="DJF,MAM,JJA,SON"),
        Option(name="crs", label="Map projection", words="EPSG:n, or native: the scenes' own", usual="EPSG:3577"),
        Option(name="resolution", label="Pixel size", words="In its units; empty, the scenes' own"),
        Option(
            name="resampling",
            label="Resampling",
            words="Of red and nir",
            usual="average",
            choices={"average": "average", "bilinear": "bilinear", "nearest": "nearest"},
        ),
        Option(
            name="average",
            label="Averaged pixels",
            words="Under average and bilinear",
            usual="clear",
            choices={"clear pixels": "clear", "all, where the centre is clear": "all"},
        ),
        Option(
            name="min_area",
            label="Least clear area",
            words="Share of an output pixel, 0 to 1",
            usual="0.5",
            refusal="min-area",
        ),
    ),
    "What counts": (
        Option(name="clear", label="Clear classes", words="Of the mask; empty, the product's own"),
        Option(
            name="mask_filters",
            label="Mask filters",
            words="Such as cloud:opening=2,dilation=6",
            refusal="mask-filter",
        ),
        Option(
            name="valid_range",
            label="Valid range",
            words="LEAST,GREATEST stored value, or none",
            refusal="valid-range",
        ),
        Option(
            name="index_range",
            label="Index range",
            words="LEAST,GREATEST NDVI, such as -1,1; empty, every one",
            refusal="index-range",
        ),
        Option(
            name="min_clear",
            label="Fewest clear looks",
            words="That make a mean",
            usual="1",
            refusal="min-clear",
        ),
    ),
    "Sensors": (
        Option(
            name="landsat7",
            label="Landsat 7",
            words="Its scenes have gaps since June 2003",
            usual="all",
            choices={"all scenes": "all", "without gaps, to May 2003": "slc-on", "own orbit, to April 2022": "nominal"},
        ),
        Option(
            name="harmonise",
            label="Landsat 5 and 7",
            words="Their reflectance beside Landsat 8 and 9",
            usual="none",
            choices={"as measured": "none", "as Landsat 8 (Roy et al. 2016)": "roy2016"},
        ),
    ),
    "Keep for every pixel": (
        Option(name="months", label="Months with a clear look", usual="false"),
        Option(name="std", label="Standard deviation", usual="false"),
        Option(name="reasons", label="Why looks are not clear", usual="false"),
    ),
}
"""All others, under the headings that they stand below."""

_FOLDED = tuple(option for group in GROUPS.values() for option in group)

REFUSED_AS = tuple(option.refused_as for option in (WEIGHT, *_FOLDED) if option.usual not in _SWITCH)
"""What a refusal may name that has a place here: a box to tick has no room for a sentence."""


def weight_choice(state: RequestState) -> pn.viewable.Viewable:
    """Return the field for what weighs alike, which stands in plain sight."""
    return _input(state, WEIGHT)


def more_options(state: RequestState) -> pmui.Column:
    """Return the list, folded until it is opened or holds what is refused, and what of it is set."""
    folded = pmui.Accordion(
        ("More options", pmui.Column(*_contents(state), sizing_mode="stretch_width", margin=(0, 4))),
        active=[],
        elevation=0,
        disable_gutters=True,
        title_variant="body2",
        sizing_mode="stretch_width",
        margin=0,
        sx=_FRAME,
    )

    def unfold(refusal: dict[str, str] | None) -> None:
        if refusal and refusal["field"] in {option.refused_as for option in _FOLDED}:
            folded.active = [0]

    state.param.watch(lambda event: unfold(event.new), "refusal")
    return pmui.Column(folded, _summary(state), sizing_mode="stretch_width", margin=_BELOW)


def _contents(state: RequestState) -> list[Any]:
    contents: list[Any] = []
    for heading, options in GROUPS.items():
        contents.append(Text(heading, variant="overline", sx=_QUIET, margin=0))
        contents += [_input(state, option) for option in options]
    return contents


def _summary(state: RequestState) -> pmui.Row:
    """Return which options are set, with a way back to the usual."""
    reset = pmui.Button(label="Reset", variant="text", size="small", margin=0)
    reset.on_click(lambda _: state.update(options={}))
    words = Text(
        variant="caption",
        sx=_QUIET,
        sizing_mode="stretch_width",
        margin=(6, 8, 0, 4),
    )
    hold(words, object=pn.bind(_set_words, state.param.options))
    return pmui.Row(words, reset, visible=pn.bind(bool, state.param.options), sizing_mode="stretch_width", margin=0)


def _set_words(options: dict[str, str]) -> str:
    labels = [option.label for option in (WEIGHT, *_FOLDED) if option.name in options]
    return f"Set: {', '.join(labels)}" if len(labels) <= _MOST_NAMED else f"{len(labels)} options are set"


def _input(state: RequestState, option: Option) -> pn.viewable.Viewable:
    """Return the field of an option: it shows what the state says, and says what is entered."""
    made: pn.widgets.Widget = _widget(option)
    if option.usual not in _SWITCH:
        refused = pn.bind(partial(_refused, option), state.param.refusal)
        hold(made, error_state=pn.bind(bool, refused), helper_text=pn.bind(partial(_help, option), refused))

    def show(options: dict[str, str]) -> None:
        made.value = _shown(option, options)

    def take(event: Any) -> None:
        state.update(options=_changed(state.options, option, event.new))
        show(state.options)

    show(state.options)
    made.param.watch(take, "value")
    state.param.watch(lambda event: show(event.new), "options")
    return made


def _widget(option: Option) -> Any:
    if option.choices:
        return pmui.Select(options=dict(option.choices), label=option.label, margin=_BELOW, **_FIELD)
    if option.usual in _SWITCH:
        return pmui.Checkbox(label=option.label, size="small", margin=0)
    return pmui.TextInput(label=option.label, margin=_BELOW, **_FIELD)


def _shown(option: Option, options: dict[str, str]) -> Any:
    text = options.get(option.name, option.usual)
    return _SWITCH.get(text, text)


def _changed(options: dict[str, str], option: Option, value: Any) -> dict[str, str]:
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    others = {name: kept for name, kept in options.items() if name != option.name}
    return others if text in ("", option.usual) else others | {option.name: text}


def _refused(option: Option, refusal: dict[str, str] | None) -> str:
    return refusal["message"] if refusal and refusal["field"] == option.refused_as else ""


def _help(option: Option, refused: str) -> str:
    return refused or option.words


_FRAME = {
    "border": "1px solid",
    "borderColor": "divider",
    "borderRadius": "8px",
    "backgroundColor": "transparent",
    "backgroundImage": "none",
    "&::before": {"display": "none"},
    "& .MuiAccordionSummary-root": {"minHeight": "40px", "padding": "0 12px"},
    "& .MuiAccordionSummary-content": {"margin": "8px 0"},
}
"""A folded list that looks like the fields around it."""
