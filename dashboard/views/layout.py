"""The page: form on the left, map in the middle, pixel and results on the right."""

from __future__ import annotations

import panel as pn
from panel_material_ui.template.base import Page

from dashboard.map import NdviMap
from dashboard.state import VisitState
from dashboard.views.estimate import estimate_card
from dashboard.views.form import request_form
from dashboard.views.inspect import inspect_panel
from dashboard.views.jobs import jobs_list
from dashboard.views.legend import legend_card
from dashboard.views.progress import cluster_chip, progress_strip

_BAR = {"MuiAppBar": {"styleOverrides": {"root": {"backgroundColor": "#1d4a2a", "color": "#ffffff"}}}}
_THEME = {
    "light": {
        "palette": {"primary": {"main": "#256a33"}, "background": {"default": "#f6f5f0", "paper": "#ffffff"}},
        "components": _BAR,
    },
    "dark": {
        "palette": {"primary": {"main": "#7cc08a"}, "background": {"default": "#12181a", "paper": "#1a2225"}},
        "components": _BAR,
    },
}


def build_page(state: VisitState, map_: NdviMap) -> Page:
    """Return the page of one visit.

    Parameters
    ----------
    state : VisitState
        What the views bind to.
    map_ : NdviMap
        The map, already linked to the state.
    """
    page = Page(
        title="Greenup",
        header=[pn.layout.HSpacer(), cluster_chip(state)],
        sidebar=[request_form(state, map_), estimate_card(state)],
        sidebar_width=360,
        main=[_stage(state, map_)],
        contextbar=[inspect_panel(state), jobs_list(state)],
        contextbar_open=False,
        contextbar_width=340,
        contextbar_variant="persistent",
        theme_config=_THEME,
        meta_description="Seasonal NDVI larger than your machine",
    )
    page.param.watch(lambda event: state.show(dark=bool(event.new)), "dark_theme")
    state.show(dark=bool(page.dark_theme))
    state.param.watch(lambda event: page.param.update(contextbar_open=event.new is not None), "pixel")
    return page


def _stage(state: VisitState, map_: NdviMap) -> pn.Column:
    """Return the map with what floats above it."""
    strip = pn.Column(progress_strip(state), css_classes=["over-bottom"], sizing_mode="stretch_width", margin=0)
    legend = pn.Column(legend_card(state), css_classes=["over-right"], width=300, margin=0)
    return pn.Column(
        map_, strip, legend, css_classes=["stage"], sizing_mode="stretch_both", margin=0, stylesheets=[_OVER]
    )


_OVER = """
:host(.stage) { position: relative; height: calc(100vh - 64px); }
.over-bottom { position: absolute; left: 16px; right: 16px; bottom: 28px; z-index: 3; }
.over-bottom { max-width: 560px; margin: 0 auto; }
.over-right { position: absolute; right: 16px; top: 16px; z-index: 3; }
@media (max-width: 700px) { .over-right { right: 8px; left: 8px; top: auto; bottom: 96px; width: auto; } }
"""
