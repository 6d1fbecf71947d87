"""The views without a browser: what they keep, and what they say."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import panel_material_ui as pmui
import pytest

from compute.result.ndvi_classes import CLASSES
from compute.tiles.styles import Style, hex_colours
from dashboard.formatting import size_text
from dashboard.state import ClusterState, JobState, LookState, PageState, RequestState, VisitState
from dashboard.views import build_page, result_map
from dashboard.views.account import account_button
from dashboard.views.action_bar import current_message
from dashboard.views.cluster_chip import cluster_chip
from dashboard.views.cluster_panel import cluster_choice
from dashboard.views.map_legend import legend_card, legend_html
from dashboard.views.observation_table import observations_table, scatter, summary
from dashboard.views.pixel_panel import table_html
from dashboard.views.region_summary import summary_html
from dashboard.views.result_list import job_html

pytestmark = pytest.mark.unit


def test_nothing_keeps_a_page_once_its_visit_has_ended() -> None:
    state = PageState()
    ended = [weakref.ref(concern) for concern in state]
    page = build_page(state, result_map(state))
    del state, page
    gc.collect()
    assert [concern() for concern in ended] == [None] * len(ended)


def test_what_the_state_says_is_not_changed_by_what_a_browser_sends_back() -> None:
    cluster = ClusterState(status_text="This machine", pending_action="Scaling")
    choice = cluster_choice(cluster, VisitState())
    stop = next(button for button in choice.select(pmui.Button) if button.label == "Stop")
    chip = cluster_chip(cluster)
    for busy, stage in (("", "2 workers"), ("Stopping", "no worker")):
        cluster.update(pending_action=busy, status_text=stage)
        # As of a browser that draws the state before, and is told of this one in that moment.
        stop._process_events({"disabled": not busy})
        chip._process_events({"label": "1 worker"})
        assert (stop.disabled, chip.label) == (bool(busy), stage)
    cluster.update(pending_action="", status_text="3 workers")
    assert (stop.disabled, chip.label) == (False, "3 workers")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "0.977 KiB"),
        (2**20 * 52.34, "52.3 MiB"),
        (2**20 * 1012.6, "0.989 GiB"),
        (2**30 * 64, "64 GiB"),
        (2**40 * 5000, "5e+03 TiB"),
    ],
)
def test_sizes_have_three_digits(count: float, text: str) -> None:
    assert size_text(count) == text


def season(**fields: Any) -> dict[str, Any]:
    usual = {"label": "DJF", "state": "clear", "ndvi_mean": 0.5, "clear_count": 7}
    return usual | dict.fromkeys(("clear_months", "ndvi_std", "unclear_count")) | fields


def test_a_pixel_tells_what_was_asked_for_and_no_more() -> None:
    plain = table_html({"seasons": [season()]})
    assert "<td>DJF</td><td>0.500</td><td>7</td></tr></table>" in plain
    asked = season(ndvi_std=0.0625, clear_months=3, unclear_count={"cloud": 4, "shadow": 0, "<i>": 1})
    rich = table_html({"seasons": [asked, season(state="not computed yet", ndvi_mean=None, clear_count=None)]})
    assert "<td>7</td><td>0.062</td><td>3</td>" in rich
    assert "not clear: 4 cloud, 1 &lt;i&gt;" in rich
    few = season(state="too few clear", ndvi_mean=None, clear_count=1)
    assert "<td>too few clear</td><td>1 of 2</td>" in table_html({"seasons": [few]}, min_clear=2)


def test_too_few_looks_have_a_key_where_a_mean_needs_several() -> None:
    for layer, least, told in (("ndvi_mean", 1, False), ("ndvi_mean", 4, True), ("clear_count", 4, False)):
        legend = legend_html(layer, "land", (0.0, 1.0), min_clear=least)
        assert ("fewer than 4 clear looks" in legend) == told


def test_a_preview_is_called_one_wherever_it_is_seen() -> None:
    state = PageState(job=JobState(token="t", state="running", blocks_done=3, blocks_total=36, has_preview=True))
    assert current_message(state).text == "3 of 36 blocks are done. Hatched areas are a coarse preview."
    state.look.layer = "clear_count"
    assert current_message(state).text == "3 of 36 blocks are done."
    for layer, preview, words in (
        ("ndvi_mean", True, "coarse preview"),
        ("clear_count", True, "not computed yet"),
        ("ndvi_mean", False, "not computed yet"),
    ):
        assert f"</i>{words}</span>" in legend_html(layer, "land", (0.0, 1.0), preview=preview)


def test_classes_are_steps_of_the_map_and_leave_no_span_to_choose() -> None:
    state = PageState(look=LookState(span=(0.2, 0.4)))
    map_, card = result_map(state), legend_card(state.job, state.look)
    (row,) = (row for row in card.select(pmui.Row) if any(isinstance(each, pmui.RangeSlider) for each in row))
    for palette, colours, span, has_span in (
        ("classes", [each.colour for each in CLASSES], Style(palette="classes").ends, False),
        ("land", hex_colours(Style(span=(0.2, 0.4))), (0.2, 0.4), True),
    ):
        state.look.palette = palette
        assert (map_.colours, map_.span, row.visible) == (colours, span, has_span)


JOB: dict[str, Any] = {
    "token": "0" * 32,
    "title": "",
    "state": "done",
    "start": "2020-12-01",
    "end": "2021-11-30",
    "bbox": [146.6, -42.1, 148.4, -40.7],
    "grid": [5, 6000],
    "done": 3,
    "total": 4,
    "kept_until": None,
}


def test_a_result_is_told_by_its_title_or_its_dates_and_until_when_it_is_kept() -> None:
    plain = job_html(JOB)
    assert ">2020-12-01 to 2021-11-30</a>" in plain
    assert "kept" not in plain
    named = job_html(JOB | {"title": "<b>Hay</b>", "kept_until": "2026-12-26"})
    assert ">&lt;b&gt;Hay&lt;/b&gt;</a><p>2020-12-01 to 2021-11-30</p>" in named
    assert '<b class="done">done</b></p><p>kept until 26 December 2026</p>' in named
    assert "3 of 4 blocks" in job_html(JOB | {"state": "running"})


def test_a_job_that_is_taken_up_again_says_so_and_what_would_not_survive_a_restart() -> None:
    state = PageState(job=JobState(token="t", state="queued", message="The cluster was lost."))
    assert current_message(state).text == "The cluster was lost."
    state.job.state, state.job_list.persistence_warning = "connecting", "The disk is full."
    assert current_message(state).text == (
        "The cluster was lost. A cluster is being made ready. "
        "It would not survive a restart of the server. The disk is full."
    )


def test_what_has_expired_can_be_computed_again_once_its_request_is_estimated() -> None:
    job = JobState(token="t", state="expired", message="It has expired; compute it again.")
    state = PageState(job=job, request=RequestState(products=["p"]))
    assert (current_message(state).event, current_message(state).failed) == ("job.close", False)
    state.request.update(region={"type": "Polygon"}, estimate={"scenes": 1}, estimate_token="t")
    assert (current_message(state).action, current_message(state).event) == ("Compute again", "request.compute")


def look(day: str, ndvi: float | None, why_not: str | None) -> dict[str, Any]:
    time = f"2020-{day}T00:00:10+00:00"
    return {"time": time, "platform": "landsat-8", "ndvi": ndvi, "counted": why_not is None, "why_not": why_not}


def test_every_look_is_told_and_those_that_do_not_count_with_their_reason() -> None:
    first = [look("01-05", 0.5, None), look("01-21", 0.1, "cloud"), look("02-06", None, "nodata")]
    seasons = [{"observations": first}, {"observations": [look("03-09", 0.2, "cloud")]}]
    table = observations_table(seasons)
    assert summary(table) == "1 of 4 looks count; the others: 2 cloud, 1 nodata."
    assert table["NDVI"].isna().tolist() == [False, False, True, False]
    rest, counted = scatter(table, dark=False)
    assert (len(rest), len(counted)) == (3, 1)
    assert summary(observations_table([])) == "0 of 0 looks count."


def test_a_region_is_told_with_where_its_numbers_come_from() -> None:
    clear = {"label": "DJF", "ndvi_mean": 0.51234, "percentiles": {"5": 0.1, "95": 0.8}, "clear_area_ha": 1234.4}
    clear |= {"outside_area_ha": 0.0}
    cloudy = {"label": "JJA", "ndvi_mean": None, "percentiles": {"5": None, "95": None}, "clear_area_ha": 0.0}
    cloudy |= {"outside_area_ha": 0.0}
    seasons = [clear | {"error": {"percentile": 0.004}}, cloudy | {"error": None}]
    fine, coarse = (summary_html({"level": level, "seasons": seasons}) for level in (0, 2))
    assert "<td>DJF</td><td>0.512</td><td>0.10 to 0.80</td><td>1,234</td>" in fine
    assert "<td>JJA</td><td>never clear</td><td></td><td>0</td>" in fine
    assert "<p>" not in fine
    assert "From pixels 4 times as large; percentiles were off by 0.004 at the most" in coarse


def test_the_header_names_the_user_and_the_way_out() -> None:
    assert account_button(VisitState()) is None
    button = account_button(VisitState(user="alice", can_sign_out=True))
    assert button is not None
    assert (button.label, button.href) == ("alice", "logout")
    long = account_button(VisitState(user="a" * 60))
    assert long is not None
    assert len(long.label) == 24
    assert long.href is None
