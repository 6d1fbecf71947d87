"""Page layout: form on the left, map in the middle, pixel values and result list on the right."""

from __future__ import annotations

from pathlib import Path

import panel as pn
from panel_material_ui.template.base import Page

from dashboard.map import NdviMap
from dashboard.panel_workarounds.busy_indicator import bind_busy
from dashboard.state import PageState, VisitState
from dashboard.views.account import account_button
from dashboard.views.action_bar import action_bar
from dashboard.views.cluster_chip import cluster_chip
from dashboard.views.cluster_panel import cluster_choice
from dashboard.views.cost_estimate import estimate_card
from dashboard.views.map_legend import legend_card
from dashboard.views.pixel_panel import inspect_panel
from dashboard.views.region_summary import region_summary
from dashboard.views.request_form import request_form
from dashboard.views.result_list import jobs_list
from dashboard.views.theme import NARROW, PAGE, THEME

_LOGO = Path(__file__).parent.parent / "icon.svg"


def build_page(state: PageState, map_: NdviMap) -> Page:
    """Return the page of one visit.

    Parameters
    ----------
    state : PageState
        State that the views bind to.
    map_ : NdviMap
        Map from `result_map`.
    """
    visit, request, job = state.visit, state.request, state.job
    page = Page(
        title="Greenup",
        logo=str(_LOGO),
        favicon=str(_LOGO),
        header=[
            pn.layout.HSpacer(),
            _wide_only(visit, cluster_chip(state.cluster)),
            *filter(None, [account_button(visit)]),
        ],
        sidebar=[request_form(request), cluster_choice(state.cluster, visit), estimate_card(request, job)],
        sidebar_width=340,
        sidebar_resizable=False,
        main=[_stage(state, map_)],
        contextbar=[
            inspect_panel(state.pixel, job, visit),
            region_summary(state.region_summary, job),
            jobs_list(state.job_list, job),
        ],
        contextbar_open=False,
        contextbar_width=320,
        contextbar_variant="auto",
        site_url="./",
        theme_config=THEME,
        sx=PAGE,
        busy_indicator=None,
        meta_description="Seasonal NDVI larger than your machine",
    )
    bind_busy(page, request.param.estimating)
    page.param.watch(lambda event: visit.update(dark=bool(event.new)), "dark_theme")
    visit.update(dark=bool(page.dark_theme))
    visit.param.watch(lambda event: page.param.update(dark_theme=event.new), "prefers_dark")
    state.pixel.param.watch(lambda event: page.param.update(contextbar_open=event.new is not None), "series")
    # In a narrow window, the open sidebar would hide the map.
    visit.param.watch(lambda event: page.param.update(sidebar_open=not event.new), "narrow")
    state.request.param.watch(
        lambda _: page.param.update(sidebar_open=page.sidebar_open and not visit.narrow), "compute"
    )
    return page


def _stage(state: PageState, map_: NdviMap) -> pn.Column:
    """Return the map, with the action bar and the legend above it."""
    foot = pn.Column(action_bar(state), css_classes=["over-foot"], sizing_mode="stretch_width", margin=0)
    legend = pn.Column(legend_card(state.job, state.look), css_classes=["over-right"], margin=0)
    return pn.Column(
        map_, foot, legend, css_classes=["stage"], sizing_mode="stretch_both", margin=0, stylesheets=[_OVER]
    )


def _wide_only(visit: VisitState, view: pn.viewable.Viewable) -> pn.Row:
    """Return a view that is hidden in a narrow window."""
    return pn.Row(view, visible=pn.bind(_not, visit.param.narrow), margin=0)


def _not(value: bool) -> bool:
    return not value


_OVER = f"""
:host(.stage) {{ position: relative; height: calc(100vh - 64px); height: calc(100dvh - 64px); }}
.over-foot {{ position: absolute; left: 16px; right: 16px; bottom: 28px; z-index: 3; pointer-events: none; }}
.over-foot {{ max-width: 520px; margin: 0 auto; }}
.over-foot > * {{ pointer-events: auto; }}
.over-right {{ position: absolute; right: 16px; top: 16px; width: 284px; z-index: 3; }}
@media {NARROW} {{
  :host(.stage) {{ height: calc(100vh - 56px); height: calc(100dvh - 56px); }}
  .over-right {{ right: 8px; left: 64px; top: 8px; width: auto; }}
  .over-foot {{ left: 8px; right: 8px; bottom: 40px; }}
}}
"""
