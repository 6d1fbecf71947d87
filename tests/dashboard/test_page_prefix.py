"""The page below a path: of a proxy, and of a real Jupyter server that starts it from its launcher."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from compute.catalog import OdcCatalog
from compute.settings import Settings
from tests.fixtures.browser import Watch
from tests.fixtures.jupyter import jupyter
from tests.fixtures.pages import (
    WIDE,
    choose_product,
    compute,
    drag,
    token_of,
    wait_for_state,
)
from tests.fixtures.server import RunningDashboard, serve_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.index]

_START_MS = 90_000


class Framing(BaseHTTPRequestHandler):
    """A page with a frame to fill."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<link rel="icon" href="data:,"><iframe width="900" height="600"></iframe>')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def framing(host: str) -> Iterator[str]:
    """Serve the page of another site, and yield its URL."""
    with ThreadingHTTPServer((host, 0), Framing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{host}:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def portal() -> Iterator[str]:
    """URL of a site that may show the page in a frame."""
    with framing("127.0.0.2") as url:
        yield url


@pytest.fixture(scope="module")
def below(synthetic: OdcCatalog, index_settings: Settings, portal: str) -> Iterator[RunningDashboard]:
    """The dashboard below a path, which another site may show in a frame."""
    yield from serve_in_thread(index_settings, prefix="/some/where", embed_in=(portal.rstrip("/"),))


def addresses(page: Page) -> list[str]:
    """Return a list that grows by whatever the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda websocket: asked.append(websocket.url))
    return asked


def draw_compute_and_click(page: Page, dashboard: RunningDashboard) -> None:
    """Do the whole job on a page that is open."""
    choose_product(page)
    page.get_by_role("button", name="Draw a box").first.click()
    drag(page, (800, 350), (900, 450))
    page.get_by_text("Dates in each season").wait_for()
    compute(page)
    token = token_of(page)
    wait_for_state(page, dashboard, "done")
    with page.expect_response(lambda answer: f"/tiles/{token}/" in answer.url and answer.status == 200) as tile:
        page.get_by_role("button", name="MAM", exact=True).click()
    assert tile.value.url.startswith(f"{dashboard.url}tiles/")
    page.mouse.click(800, 480)
    place = page.get_by_text(re.compile(r"° S, .*° E$")).last
    place.wait_for()
    lat, lon = (float(part.split("°")[0]) for part in place.inner_text().split(", "))
    for season in dashboard.get(f"api/results/{token}/value?lon={lon}&lat={-lat}")["seasons"]:
        words = f"{season['label']} {season['ndvi_mean']:.3f} {season['clear_count']}"
        page.get_by_role("row", name=words).wait_for()


def assert_all_below(asked: list[str], url: str) -> None:
    """Hold every request, the websocket among them, to lie below the page."""
    place = url.partition("://")[2]
    sent = [each for each in asked if not each.startswith(("data:", "blob:"))]
    assert [each for each in sent if not each.partition("://")[2].startswith(place)] == []
    assert any(each.startswith("ws://") for each in asked)


def test_below_a_path_the_whole_job_is_done_and_nothing_is_asked_elsewhere(page: Page, below: RunningDashboard) -> None:
    assert below.url.endswith("/some/where/")
    asked = addresses(page)
    page.set_viewport_size(WIDE)
    page.goto(below.url)
    draw_compute_and_click(page, below)
    assert_all_below(asked, below.url)


def test_below_a_path_dasks_dashboard_opens_from_the_page_and_keeps_itself_up_to_date(
    page: Page, below: RunningDashboard, watch: Watch
) -> None:
    page.set_viewport_size(WIDE)
    page.goto(below.url)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Dask dashboard").click()
    dask = opened.value
    watch.follow(dask)
    watch.allowed.append("could not set initial ranges")  # of plots that have nothing to show yet
    asked, told = addresses(dask), Counter[str]()
    dask.on("websocket", lambda websocket: websocket.on("framereceived", lambda _: told.update("m")))
    dask.reload()
    dask.locator("canvas").first.wait_for()
    drawn = told.total()
    page.wait_for_timeout(1500)
    assert told.total() > drawn
    assert_all_below(asked, below.url)
    dask.goto(dask.url.replace("status", "graph"))
    dask.locator("canvas").first.wait_for()
    dask.close()


def test_jupyter_starts_the_page_from_its_launcher_carries_it_and_takes_it_down(
    page: Page, synthetic: OdcCatalog, index_settings: Settings, tmp_path: Path
) -> None:
    with jupyter(tmp_path, index_settings) as (server, url):
        greenup = RunningDashboard(url=f"{url}greenup/")
        launcher = RunningDashboard(url=url).get("server-proxy/servers-info")["server_processes"]
        assert [each["launcher_entry"]["title"] for each in launcher if each["name"] == "greenup"] == ["Greenup"]

        asked = addresses(page)
        page.set_viewport_size(WIDE)
        page.goto(greenup.url, timeout=_START_MS)
        draw_compute_and_click(page, greenup)
        assert_all_below(asked, greenup.url)
        assert any("greenup serve" in command for command in server.commands())

        page.goto("about:blank")
        server.head.terminate()
        assert server.survivors() == []


@pytest.mark.soak  # Jupyter once more, which takes half a minute to start
def test_jupyter_carries_the_port_of_a_server_in_a_notebook(
    page: Page, synthetic: OdcCatalog, index_settings: Settings, tmp_path: Path
) -> None:
    notebooks = contextmanager(serve_in_thread)(index_settings, origins=("*",))
    with jupyter(tmp_path, index_settings) as (_, url), notebooks as served:
        carried = RunningDashboard(url=f"{url}proxy/{urlsplit(served.url).port}/")
        asked = addresses(page)
        page.set_viewport_size(WIDE)
        page.goto(carried.url)
        draw_compute_and_click(page, carried)
        assert_all_below(asked, carried.url)
        page.goto("about:blank")


def test_the_browser_refuses_whatever_would_reach_another_host(
    page: Page, below: RunningDashboard, watch: Watch
) -> None:
    page.goto(below.url)
    refused = page.evaluate("""async () => {
        const refused = [];
        document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
        const load = (name, where) => new Promise((done) => {
            const element = document.createElement(name);
            element.onload = element.onerror = done;
            Object.assign(element, where);
            document.head.append(element);
        });
        await load("img", { src: "http://192.0.2.1/a.png" });
        await load("script", { src: "http://192.0.2.1/a.js" });
        await load("link", { rel: "stylesheet", href: "http://192.0.2.1/a.css" });
        await fetch("http://192.0.2.1/").catch(() => new Promise((done) => setTimeout(done, 200)));
        return refused;
    }""")
    assert refused == ["img-src", "script-src-elem", "style-src-elem", "connect-src"]
    watch.allowed += ["Content Security Policy"]
    watch.strangers.clear()  # named before they are refused


def test_a_notebook_on_this_machine_shows_the_page_in_a_frame(page: Page, dashboard: RunningDashboard) -> None:
    with framing("localhost") as url:
        page.goto(url)
        page.evaluate("url => { document.querySelector('iframe').src = url; }", dashboard.url)
        page.frame_locator("iframe").get_by_role("button", name="Draw a box").last.wait_for()


def test_a_page_of_another_host_shows_it_in_no_frame(page: Page, dashboard: RunningDashboard, watch: Watch) -> None:
    with framing("127.0.0.2") as url:
        page.goto(url)
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.evaluate("url => { document.querySelector('iframe').src = url; }", dashboard.url)
    watch.allowed.append("frame-ancestors")
    watch.strangers.clear()  # the notebook itself


def test_a_site_that_the_operator_names_shows_the_page_in_a_frame(
    page: Page, below: RunningDashboard, portal: str, watch: Watch
) -> None:
    page.goto(portal)
    page.evaluate("url => { document.querySelector('iframe').src = url; }", below.url)
    page.frame_locator("iframe").get_by_role("button", name="Draw a box").last.wait_for()
    watch.strangers.clear()  # the site itself
