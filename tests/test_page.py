"""The whole job in a real browser: draw, estimate, compute, watch, look, click, reopen."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageStat

from tests.fixtures.browser import Watch
from tests.fixtures.server import RunningDashboard

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.index]

WIDE = {"width": 1440, "height": 900}
PRODUCT = "ga_ls8c_ard_3"


@pytest.fixture
def opened(page: Page, dashboard: RunningDashboard) -> Page:
    """The page on a laptop screen, with the demo product chosen."""
    page.set_viewport_size(WIDE)
    page.goto(dashboard.url)
    choose_product(page)
    return page


def choose_product(page: Page) -> None:
    chosen = page.get_by_text(re.compile(r"^ga_ls\dt?e?c?_ard_3$")).first
    chosen.wait_for()
    if chosen.inner_text() != PRODUCT:
        chosen.click()
        page.get_by_text(PRODUCT, exact=True).last.click()
    page.wait_for_timeout(2000)  # the map moves to the product's scenes


def type_region(page: Page, text: str) -> None:
    field = page.get_by_label("Or W,S,E,N")
    field.fill(text)
    field.press("Enter")


def compute(page: Page) -> None:
    button = page.get_by_role("button", name="Compute")
    page.wait_for_function("b => !b.disabled", arg=button.element_handle())
    button.click()


def wait_for_state(page: Page, dashboard: RunningDashboard, state: str) -> str:
    """Wait until the newest job is in a state, and return its token."""
    for _ in range(400):
        results = dashboard.get("api/results")["results"]
        if results and results[0]["state"] == state:
            return str(results[0]["token"])
        page.wait_for_timeout(250)
    raise AssertionError(f"no job came to be {state}: {results}")


def brightness(page: Page) -> float:
    """Return the mean brightness of form and map."""
    with Image.open(BytesIO(page.screenshot(clip={"x": 0, "y": 80, "width": 1440, "height": 800}))) as picture:
        return ImageStat.Stat(picture.convert("L")).mean[0]


def test_an_empty_page_says_what_to_do(opened: Page) -> None:
    opened.get_by_text("Draw a region first.").wait_for()
    assert opened.get_by_role("button", name="Compute").is_disabled()


def test_a_box_drawn_by_mouse_is_estimated(opened: Page) -> None:
    opened.get_by_role("button", name="Draw a box").click()
    opened.mouse.move(800, 350)
    opened.mouse.down()
    opened.mouse.move(900, 450, steps=5)
    opened.mouse.up()
    opened.get_by_text("Dates a season").wait_for()
    opened.get_by_text(re.compile(r"^DJF")).first.wait_for()


def test_bad_input_is_refused_at_its_field(opened: Page) -> None:
    type_region(opened, "148,-42,146,-41")
    opened.get_by_text("west 148 east of east 146").first.wait_for()
    assert opened.get_by_role("button", name="Compute").is_disabled()


def test_compute_look_click_and_reopen(
    opened: Page, dashboard: RunningDashboard, browser: Browser, watch: Watch
) -> None:
    tiles: list[int] = []
    opened.on("response", lambda answer: tiles.append(answer.status) if "/tiles/" in answer.url else None)
    type_region(opened, "146.5,-42.3,147.6,-41.4")
    compute(opened)
    token = wait_for_state(opened, dashboard, "done")
    opened.get_by_role("button", name="MAM").wait_for()
    assert 200 in tiles

    with opened.expect_response(lambda answer: "/MAM/" in answer.url and answer.status == 200):
        opened.get_by_role("button", name="MAM").click()

    opened.mouse.click(800, 480)
    opened.get_by_text("state").first.wait_for()
    place = opened.get_by_text(re.compile(r"° S, .*° E")).first.inner_text()
    lat, lon = (float(part.split("°")[0]) for part in place.split(", "))
    values = dashboard.get(f"api/results/{token}/value?lon={lon}&lat={-lat}")["seasons"]
    shown = f"{values[1]['ndvi_mean']:.3f}"
    opened.get_by_text(shown).first.wait_for()

    other = browser.new_context(viewport=WIDE).new_page()
    watch.follow(other)
    other.goto(f"{dashboard.url}?result={token}")
    other.get_by_role("button", name="SON").wait_for()
    other.context.close()


def test_cancel_ends_the_job(opened: Page, dashboard: RunningDashboard) -> None:
    type_region(opened, "144.6,-43.6,148.4,-40.6")
    compute(opened)
    opened.get_by_role("button", name="Cancel").click()
    opened.get_by_text("Cancelled.").wait_for()
    wait_for_state(opened, dashboard, "cancelled")


def test_the_theme_turns_dark(opened: Page) -> None:
    light = brightness(opened)
    opened.get_by_role("button", name="Toggle theme").click()
    for _ in range(40):
        if brightness(opened) < 0.4 * light:
            return
        opened.wait_for_timeout(250)
    raise AssertionError("form and map stayed light")
