"""A cluster of a real Dask Gateway, from the page: chosen, started, scaled, computed on, looked at and stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from compute.catalog import OdcCatalog
from compute.settings import Settings
from tests.fixtures.browser import Watch
from tests.fixtures.gateway import GatewayServer
from tests.fixtures.server import RunningDashboard, serve_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.gateway, pytest.mark.index]

_START_MS = 60_000
_REGION = "146.5,-42.3,147.6,-41.4"


@pytest.fixture
def opened(
    page: Page, synthetic: OdcCatalog, index_settings: Settings, gateway_settings: Settings
) -> Iterator[tuple[Page, RunningDashboard]]:
    """The page of a server that has its own cluster and a Gateway."""
    keys = ("gateway_address", "workers", "cluster_start_timeout_s")
    settings = index_settings.model_copy(update={key: getattr(gateway_settings, key) for key in keys})
    for dashboard in serve_in_thread(settings):
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(dashboard.url)
        choose(page, "Product", "ga_ls8c_ard_3")
        yield page, dashboard
        page.goto("about:blank")


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("menuitem", name=option).click()


def write(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True).first
    field.fill(text)
    field.press("Tab")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).locator("visible=true").click()


def shows(page: Page, words: str) -> None:
    """Wait until the page says something that matches."""
    page.get_by_text(re.compile(words)).locator("visible=true").first.wait_for(timeout=_START_MS)


def eventually(true: Callable[[], bool], within_s: float = 60.0) -> bool:
    deadline = time.monotonic() + within_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_a_gateway_cluster_is_started_scaled_used_and_stopped_from_the_page(
    opened: tuple[Page, RunningDashboard], gateway: GatewayServer, watch: Watch
) -> None:
    page, dashboard = opened
    tiles: list[int] = []
    page.on("response", lambda answer: tiles.append(answer.status) if "/tiles/" in answer.url else None)

    choose(page, "Compute on", "New Gateway cluster")
    write(page, "Threads of a worker", "3")
    shows(page, "It must be a whole number at least 1 and at most 2")
    write(page, "Threads of a worker", "2")
    press(page, "Start")
    shows(page, "^Gateway cluster [0-9a-f]{8} · 1 worker, 2 threads, 1 GiB(, let go in [0-9]+ (s|min))?$")

    write(page, "Workers", "2")
    press(page, "Scale")
    shows(page, "· 2 workers, 4 threads, 2 GiB(, let go in [0-9]+ (s|min))?$")

    write(page, "Region", _REGION)
    page.get_by_role("button", name="Compute").locator("visible=true").click()
    page.get_by_role("button", name="MAM").wait_for(timeout=_START_MS)
    assert eventually(lambda: dashboard.get("api/results")["results"][0]["state"] == "done", 60)
    page.wait_for_timeout(1000)
    assert 200 in tiles
    assert not [status for status in tiles if status >= 400]
    page.mouse.click(800, 480)
    place = page.get_by_text(re.compile(r"° S, .*° E")).locator("visible=true").first.inner_text()
    lat, lon = (float(part.split("°")[0]) for part in place.split(", "))
    token = dashboard.get("api/results")["results"][0]["token"]
    values = dashboard.get(f"api/results/{token}/value?lon={lon}&lat={-lat}")["seasons"]
    shows(page, rf"\b{values[0]['ndvi_mean']:.3f}\b")

    press(page, "Stop")
    shows(page, "Stopping it loses 1 result")
    # A tile that is asked for at that moment has no result any more, which the browser notes by itself.
    watch.allowed.append("status of 503")
    press(page, "Stop it")
    shows(page, "Gateway cluster [0-9a-f]{8} is stopped")
    shows(page, "stopped or lost; compute it again")
    page.get_by_role("button", name="Compute again").wait_for()
    assert eventually(lambda: not gateway.processes())
