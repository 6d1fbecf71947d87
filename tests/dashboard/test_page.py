"""The whole job in a real browser: draw, estimate, compute, watch, look, click, reopen."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageStat

from compute.catalog import OdcCatalog
from compute.settings import Settings
from tests.fixtures.browser import Watch
from tests.fixtures.pages import (
    SMALL,
    WIDE,
    await_answer,
    choose_product,
    compute,
    delete_result,
    drag,
    states,
    token_of,
    type_region,
    wait_for_state,
)
from tests.fixtures.processes import slow_workers
from tests.fixtures.server import RunningDashboard

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

pytestmark = [pytest.mark.browser, pytest.mark.index]

NARROW = {"width": 390, "height": 844}
ISLAND = "144.6,-43.6,148.4,-40.6"


@pytest.fixture
def opened(page: Page, dashboard: RunningDashboard) -> Page:
    """The page on a laptop screen, with the demo product chosen."""
    page.set_viewport_size(WIDE)
    page.goto(dashboard.url)
    choose_product(page)
    return page


def brightness(page: Page) -> float:
    """Return the mean brightness of form and map."""
    with Image.open(BytesIO(page.screenshot(clip={"x": 0, "y": 80, "width": 1440, "height": 800}))) as picture:
        return ImageStat.Stat(picture.convert("L")).mean[0]


def test_an_empty_page_says_what_to_do_and_a_box_drawn_by_mouse_is_estimated(opened: Page) -> None:
    compute_button = opened.get_by_role("button", name="Compute", exact=True).first
    assert compute_button.is_disabled()
    opened.get_by_role("button", name="Draw a box").last.click()
    opened.locator('.gm[data-tool="box"]').wait_for()
    drag(opened, (800, 350), (900, 450))
    opened.get_by_text("Dates in each season").wait_for()
    opened.get_by_text("DJF", exact=True).first.wait_for()
    compute_button.and_(opened.locator(":enabled")).wait_for()

    opened.get_by_role("button", name="Clear", exact=True).first.click()
    opened.get_by_text("Dates in each season").wait_for(state="hidden")
    opened.get_by_role("button", name="Draw a box").first.click()
    drag(opened, (800, 350), (900, 450))
    opened.get_by_text("Dates in each season").wait_for()


def test_a_box_is_drawn_with_the_keyboard_alone(opened: Page) -> None:
    opened.locator(".gm-map").focus()
    for key in ("b", "Enter", *["ArrowRight"] * 2, *["ArrowDown"] * 2, "Enter"):
        opened.keyboard.press(key)
        opened.wait_for_timeout(100)
    opened.get_by_text("Dates in each season").wait_for()


def test_a_result_is_given_a_title(opened: Page, dashboard: RunningDashboard) -> None:
    type_region(opened, "146.6,-42.2,147.3,-41.6")
    compute(opened)
    wait_for_state(opened, dashboard, "done")
    opened.get_by_role("button", name="Open contextbar").click()
    opened.get_by_role("button", name="Rename").first.click()
    opened.get_by_role("textbox", name="Title").fill("<i>Hay</i> meadows")
    opened.get_by_role("button", name="Save", exact=True).click()
    opened.get_by_role("link", name="<i>Hay</i> meadows").wait_for()
    delete_result(opened)


def test_geojson_is_pasted_and_uploaded(opened: Page) -> None:
    ring = [[146.6, -42.0], [147.2, -42.0], [146.9, -41.6], [146.6, -42.0]]
    polygon = json.dumps({"type": "Polygon", "coordinates": [ring]})
    type_region(opened, polygon)
    opened.get_by_text("146.60° to 147.20° E, 41.60° to 42.00° S").wait_for()

    opened.get_by_role("button", name="Clear", exact=True).first.click()
    opened.get_by_text("Draw it on the map").wait_for()
    over = {"type": "MultiPolygon", "coordinates": [square_at(179.9, 180), square_at(-180, -179.9)]}
    for name, content, words in (
        ("field.geojson", polygon.encode(), "146.60° to 147.20° E, 41.60° to 42.00° S"),
        ("fields.kml", b'<kml xmlns="http://www.opengis.net/kml/2.2"/>', "The region is KML, not GeoJSON"),
        ("over.geojson", json.dumps(over).encode("utf-16"), "179.90° E to 179.90° W, 16.00° to 17.00° S"),
        ("empty.geojson", b"", "The region is empty"),
        ("field.json", polygon.encode("utf-8-sig"), "146.60° to 147.20° E, 41.60° to 42.00° S"),
    ):
        opened.locator("input[type=file]").set_input_files({"name": name, "mimeType": "", "buffer": content})
        opened.get_by_text(words).first.wait_for()


def square_at(west: float, east: float) -> list[list[list[float]]]:
    return [[[west, -17], [east, -17], [east, -16], [west, -16], [west, -17]]]


def test_bad_input_is_refused_at_its_field(opened: Page) -> None:
    for text, sentence in (
        ("148,-42,146,-41", "west 148 east of east 146"),
        ("<script>alert(1)</script>", "is XML, not GeoJSON"),
        ("100,-42,101,-41", "No scene of ga_ls8c_ard_3 meets the region"),
    ):
        type_region(opened, text)
        opened.get_by_text(sentence).first.wait_for()
        opened.get_by_role("button", name="Compute", exact=True).first.and_(opened.locator(":disabled")).wait_for()


def test_compute_look_click_and_reopen(
    opened: Page, dashboard: RunningDashboard, browser: Browser, watch: Watch
) -> None:
    type_region(opened, SMALL)
    compute(opened)
    token = token_of(opened)
    wait_for_state(opened, dashboard, "done")

    with opened.expect_response(lambda answer: "/MAM/" in answer.url and answer.status == 200):
        opened.get_by_role("button", name="MAM", exact=True).click()

    opened.mouse.click(800, 480)
    place = opened.get_by_text(re.compile(r"° S, .*° E$")).last
    place.wait_for()
    lat, lon = (float(part.split("°")[0]) for part in place.inner_text().split(", "))
    values = dashboard.get(f"api/results/{token}/value?lon={lon}&lat={-lat}")["seasons"]
    for season in values:
        opened.get_by_role(
            "row", name=f"{season['label']} {season['ndvi_mean']:.3f} {season['clear_count']}"
        ).wait_for()
    assert opened.get_by_text("Synthetic demo data").is_visible()

    opened.get_by_role("button", name="Show every observation").click()
    counted = sum(season["clear_count"] for season in values)
    opened.get_by_text(re.compile(rf"^{counted} of \d+ looks count")).wait_for()
    opened.get_by_role("button", name="Sum up the region").click()
    for season in dashboard.get(f"api/results/{token}/statistics")["seasons"]:
        words = f"{season['label']} {season['ndvi_mean']:.3f} {season['percentiles']['5']:.2f} to"
        opened.get_by_role("row", name=words).wait_for()

    other = browser.new_context(viewport=WIDE).new_page()
    watch.follow(other)
    assert "season=MAM" in opened.url
    other.goto(opened.url)
    other.get_by_role("button", name="MAM", exact=True).wait_for()
    # The form shows what was asked for, and Compute would only repeat it.
    other.get_by_text("146.50° to 147.60° E").first.wait_for()
    other.get_by_text("This is the result on the map.").wait_for()
    other.context.close()
    delete_result(opened)


def test_options_are_refused_at_their_field_and_come_back_with_the_result(
    opened: Page, dashboard: RunningDashboard, browser: Browser, watch: Watch
) -> None:
    heading = opened.get_by_role("button", name="More options")
    heading.focus()
    opened.keyboard.press("Enter")
    fewest = opened.get_by_label("Fewest clear looks")
    type_region(opened, SMALL)
    enter(opened, "Fewest clear looks", "many")
    heading.and_(opened.locator('[aria-expanded="true"]')).wait_for()
    opened.get_by_text("The min clear 'many' is not a whole number; give one from 1 to 65,535.").first.wait_for()
    fewest.and_(opened.locator('[aria-invalid="true"]')).wait_for()
    enter(opened, "Fewest clear looks", "2")
    enter(opened, "Seasons", "wet=11-4,dry=5-10")
    opened.get_by_label("Why looks are not clear").check()
    opened.get_by_text("3 options are set").wait_for()
    opened.get_by_text("wet", exact=True).first.wait_for()
    compute(opened)
    token = token_of(opened)
    wait_for_state(opened, dashboard, "done")
    opened.mouse.click(800, 480)
    opened.get_by_text(re.compile(r"^not clear: \d+ ")).first.wait_for()

    other = browser.new_context(viewport=WIDE).new_page()
    watch.follow(other)
    other.goto(f"{dashboard.url}?result={token}")
    other.get_by_text("3 options are set").wait_for()
    other.get_by_role("button", name="More options").click()
    assert other.get_by_label("Seasons", exact=True).input_value() == "wet=11-4,dry=5-10"
    assert other.get_by_label("Fewest clear looks").input_value() == "2"
    assert other.get_by_label("Why looks are not clear").is_checked()
    other.get_by_text("This is the result on the map.").wait_for()
    other.get_by_role("button", name="Reset").click()
    other.get_by_text("3 options are set").wait_for(state="hidden")
    seasons = other.get_by_label("Seasons", exact=True)
    for _ in range(240):
        if seasons.input_value() == "DJF,MAM,JJA,SON":
            break
        other.wait_for_timeout(250)
    assert seasons.input_value() == "DJF,MAM,JJA,SON"
    other.context.close()
    delete_result(opened)


def enter(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Enter")


def test_tiles_appear_while_the_rest_is_running(opened: Page, dashboard: RunningDashboard) -> None:
    early: list[str] = []

    def note(answer: Response) -> None:
        if "/tiles/" in answer.url and answer.status == 200 and "running" in states(dashboard).values():
            early.append(answer.url)

    opened.on("response", note)
    type_region(opened, ISLAND)
    with slow_workers():
        compute(opened)
        token_of(opened)
        opened.get_by_text(re.compile(r"^[1-9]\d* of \d+ blocks are done")).wait_for()
        for _ in range(240):
            if early:
                break
            opened.wait_for_timeout(250)
        assert early
    wait_for_state(opened, dashboard, "done")
    delete_result(opened)


def test_a_killed_tab_changes_nothing_for_another(
    opened: Page, dashboard: RunningDashboard, browser: Browser, watch: Watch
) -> None:
    other = browser.new_context(viewport=WIDE).new_page()
    watch.follow(other)
    other.goto(dashboard.url)
    choose_product(other)
    type_region(other, ISLAND)
    with slow_workers():
        compute(other)
        opened.goto(f"{dashboard.url}?result={token_of(other)}")
        opened.get_by_text(re.compile(r"^[1-9]\d* of \d+ blocks are done")).wait_for()
        other.context.close()
    wait_for_state(opened, dashboard, "done")
    with opened.expect_response(lambda answer: "/MAM/" in answer.url and answer.status == 200):
        opened.get_by_role("button", name="MAM", exact=True).click()
    delete_result(opened)


def test_cancel_ends_the_job(opened: Page, dashboard: RunningDashboard, watch: Watch) -> None:
    watch.allowed += ["status of 503"]  # of a tile that the map asked for in the same moment
    type_region(opened, ISLAND)
    with slow_workers():
        compute(opened)
        opened.get_by_role("button", name="Cancel").last.click()
    opened.get_by_text("The computation was cancelled.").wait_for()
    wait_for_state(opened, dashboard, "cancelled")
    opened.get_by_role("button", name="Compute again").wait_for()
    delete_result(opened)


def test_an_unknown_result_is_said_and_left(opened: Page, dashboard: RunningDashboard) -> None:
    opened.goto(f"{dashboard.url}?result={'ab' * 16}")
    opened.get_by_text("There is no such result here").wait_for()
    opened.get_by_role("button", name="Start anew").click()
    opened.get_by_text("Draw a region to see its cost.").wait_for()


def test_the_theme_turns_dark(opened: Page) -> None:
    light = brightness(opened)
    opened.get_by_role("button", name="Toggle theme").click()
    assert becomes(lambda: brightness(opened) < 0.4 * light)


def test_who_prefers_dark_begins_with_it(
    browser: Browser, opened: Page, dashboard: RunningDashboard, watch: Watch
) -> None:
    other = browser.new_context(viewport=WIDE, color_scheme="dark").new_page()
    watch.follow(other)
    other.goto(dashboard.url)
    assert becomes(lambda: brightness(other) < 0.4 * brightness(opened))
    other.context.close()


def becomes(true: Callable[[], bool]) -> bool:
    """Wait until the page looks as it should."""
    return any(true() or time.sleep(0.25) for _ in range(240))


def test_a_telephone_sees_the_map_first_and_computes_from_it(page: Page, dashboard: RunningDashboard) -> None:
    page.set_viewport_size(NARROW)
    page.goto(dashboard.url)
    page.get_by_role("button", name="Draw a box").last.wait_for()
    assert not page.get_by_label("Region", exact=True).is_visible()
    page.get_by_role("button", name="Open drawer").click()
    choose_product(page)
    type_region(page, SMALL)
    page.get_by_text("Dates in each season").wait_for()
    page.get_by_role("button", name="Compute", exact=True).last.click()
    token_of(page)
    page.get_by_label("Region", exact=True).wait_for(state="hidden")
    wait_for_state(page, dashboard, "done")
    page.get_by_role("button", name="MAM", exact=True).wait_for()
    delete_result(page)


@contextmanager
def own_process(settings: Settings, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the page from a process that a test may kill."""
    greenup = Path(sys.executable).with_name("greenup")
    environment = os.environ | {"GREENUP_HOME": str(settings.home)}
    command = [str(greenup), "serve", "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        await_answer(f"http://127.0.0.1:{port}/healthz")
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_a_lost_server_is_said_in_words_and_found_again(
    page: Page, synthetic: OdcCatalog, index_settings: Settings, watch: Watch
) -> None:
    watch.allowed += ["WebSocket", "ERR_CONNECTION_REFUSED", "Lost websocket", "Failed to load resource"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lost = page.get_by_text("The connection to Greenup was lost.")
    with own_process(index_settings, port):
        page.goto(f"http://127.0.0.1:{port}/")
        choose_product(page)
    lost.wait_for()
    with own_process(index_settings, port):
        lost.wait_for(state="hidden")
        choose_product(page)
