"""Soak of a server in a process of its own: made-up requests, ten times overload, and pages that stay open.

Live visitors ask for tiles of a result that its workers hold.

``GREENUP_SOAK`` scales all of it: 1 is the full run, an hour; what is measured is printed (``pytest -m soak -s``).
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from compute.catalog import OdcCatalog
from compute.settings import Settings
from tests.fixtures.pages import SMALL, WIDE, choose_product, compute, token_of, type_region
from tests.fixtures.processes import Family, family
from tests.fixtures.server import RunningDashboard

if TYPE_CHECKING:
    from playwright.sync_api import Browser

GREENUP = str(Path(sys.executable).with_name("greenup"))
SHARE = float(os.environ.get("GREENUP_SOAK", "1"))
MOST_GROWTH = 0.05
LEAKS = (
    b"Traceback",
    b"site-packages",
    str(Path.cwd()).encode(),
    str(Path.home()).encode(),
    b"/tmp/",
    b'.py"',
    b"File ",
)

pytestmark = [pytest.mark.soak, pytest.mark.index, pytest.mark.browser, pytest.mark.timeout(7200)]


@dataclass(frozen=True, kw_only=True)
class Soaked:
    """The server, and what it takes."""

    process: Family
    url: str
    token: str

    @property
    def tiles(self) -> list[str]:
        """Return paths of tiles at the result, from zoom 8 to 11."""
        return [
            f"/tiles/{self.token}/ndvi_mean/{season}/{zoom}/{x}/{y}.i16"
            for zoom in range(8, 12)
            for x in range(int(465.0 * 2 ** (zoom - 9)), int(465.0 * 2 ** (zoom - 9)) + 3)
            for y in range(int(323.0 * 2 ** (zoom - 9)), int(323.0 * 2 ** (zoom - 9)) + 3)
            for season in ("DJF", "MAM")
        ]

    @property
    def netloc(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def memory_mib(self) -> float:
        return float(psutil.Process(self.process.head.pid).memory_info().rss / 2**20)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.netloc, timeout=60)

    def settled_mib(self, within_s: float) -> float:
        """Return the least memory within some seconds, in MiB: pages end half a minute after their visitor."""
        ends, least = time.monotonic() + within_s, self.memory_mib
        while time.monotonic() < ends:
            time.sleep(1)
            least = min(least, self.memory_mib)
        return least


@pytest.fixture
def server(synthetic: OdcCatalog, index_settings: Settings, browser: Browser, tmp_path: Path) -> Iterator[Soaked]:
    command = [GREENUP, "serve", "--port", "0", "--workers", "1"]
    # All visitors of these tests come from one address.
    own = {"GREENUP_HOME": str(index_settings.home), "GREENUP_MAX_VISITS_PER_ADDRESS": "100"}
    with family(command, tmp_path, **own) as started:
        started.await_words("Greenup is at")
        found = re.search(r"Greenup is at (\S+)", started.log.read_text())
        assert found is not None
        yield Soaked(process=started, url=found[1], token=finished_result(browser, found[1]))
        assert "Traceback" not in started.log.read_text()


def finished_result(browser: Browser, url: str) -> str:
    """Compute a result on the page, and return its token once it is done."""
    with closing(browser.new_context(viewport=WIDE)) as context:
        page = context.new_page()
        page.goto(url)
        choose_product(page)
        type_region(page, SMALL)
        page.get_by_text("Dates in each season").wait_for()
        compute(page)
        token = token_of(page)
        while RunningDashboard(url=url).get(f"api/results/{token}")["state"] != "done":
            page.wait_for_timeout(500)
        return token


TEXT = st.text(max_size=40) | st.sampled_from(["nan", "1e999", "-0", "9" * 5000, "../../etc/passwd", "%00", "\ud7ff"])
TOKEN = st.sampled_from(["0" * 32, "f" * 32]) | TEXT
PLACE = st.fixed_dictionaries({}, optional={"lon": TEXT, "lat": TEXT, "season": TEXT, "bbox": TEXT, "span": TEXT})
PATHS = st.one_of(
    st.sampled_from(["", "healthz", "readyz", "metrics", "api/results", "favicon.ico", "ws"]),
    st.builds(lambda token, route: f"api/results/{token}/{route}", TOKEN, st.sampled_from(
        ["", "value", "series", "observations", "statistics", "stretch/x", "ogc", "ogc/api", "ogc/collections/x"]
    )),
    st.builds(lambda *parts: "tiles/" + "/".join(parts) + ".i16", TOKEN, TEXT, TEXT, TEXT, TEXT, TEXT),
    st.builds("/".join, st.lists(TEXT, max_size=5)),
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["type", "coordinates", "geometry", "features", "crs"]) | TEXT, inner, max_size=4),
)  # fmt: skip
BODIES = st.binary(max_size=300) | JSON.map(lambda each: json.dumps(each).encode(errors="replace"))
METHODS = st.sampled_from(["GET"] * 6 + ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])


def test_made_up_requests_are_answered_without_a_slip(server: Soaked) -> None:
    statuses, slowest = Counter[int](), [0.0]

    @settings(
        max_examples=1000,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(METHODS, PATHS, PLACE, BODIES, st.sampled_from(["application/json", "multipart/form-data; boundary=x", "a"]))
    def ask(method: str, path: str, query: dict[str, str], body: bytes, kind: str) -> None:
        if not path and method == "GET":
            path = "healthz"  # pages are floods of their own
        target = "/" + quote(path, errors="replace") + ("?" + urlencode(query, errors="replace") if query else "")
        with closing(server.connection()) as connection:
            began = time.monotonic()
            connection.request(method, target, body if method != "GET" else None, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
            slowest[0] = max(slowest[0], time.monotonic() - began)
            statuses[answer.status] += 1
            assert answer.status < 500 or answer.status == 503, (method, target, content[:300])
            assert not [leak for leak in LEAKS if leak in content], (method, target, content[:300])

    ask()
    before = server.memory_mib
    for _ in range(max(int(19 * SHARE), 1)):
        ask()
    after = server.memory_mib
    print(
        f"\nrequests {statuses.total()}, {dict(statuses)}, slowest {slowest[0]:.2f} s, {before:.0f} -> {after:.0f} MiB"
    )
    assert slowest[0] < 5
    assert after < before * (1 + MOST_GROWTH)


def quantile(seconds: Sequence[float], share: float) -> float:
    """Return a quantile in milliseconds."""
    return 1000 * sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)] if seconds else float("nan")


class Asking(threading.Thread):
    """Asks for paths again and again, and notes how long that took."""

    def __init__(self, netloc: str, paths: Sequence[str], pause_s: float) -> None:
        super().__init__()
        self.seconds, self.statuses = list[float](), Counter[int]()
        self.over = threading.Event()
        self._netloc, self._paths, self._pause_s = netloc, cycle(paths), pause_s

    def run(self) -> None:
        while not self.over.wait(self._pause_s):
            began = time.monotonic()
            with suppress(OSError, http.client.HTTPException):
                with closing(http.client.HTTPConnection(self._netloc, timeout=60)) as connection:
                    connection.request("GET", next(self._paths))
                    answer = connection.getresponse()
                    answer.read()
                self.statuses[answer.status] += 1
                self.seconds.append(time.monotonic() - began)


def ask_all(clients: Sequence[Asking], meanwhile: Callable[[], None]) -> None:
    """Let clients ask while something else is done."""
    for each in clients:
        each.start()
    try:
        meanwhile()
    finally:
        for each in clients:
            each.over.set()
        for each in clients:
            each.join()


def flood(netloc: str, seconds: float, counted: Queue[Counter[int]]) -> None:
    """Ask for pages and observations in 24 threads; in a process of its own, so that nobody else waits for its GIL.

    The machine that floods a server is another one: this process takes what the server leaves of the cores.
    """
    os.nice(19)
    clients = [Asking(netloc, ["/"], 0.0) for _ in range(16)]
    clients += [Asking(netloc, [f"/api/results/{'0' * 32}/observations?lon=1&lat=1"], 0.0) for _ in range(8)]
    ask_all(clients, lambda: time.sleep(seconds))
    counted.put(sum((each.statuses for each in clients), Counter[int]()))


def test_a_server_that_is_asked_ten_times_too_much_answers_its_health(server: Soaked) -> None:
    """One page takes a second: sixteen that come again at once are over ten times what it can build."""
    health = Asking(server.netloc, ["/healthz"], 0.02)
    tiles = [Asking(server.netloc, server.tiles[first:] + server.tiles[:first], 0.2) for first in (0, 20)]
    spawned = get_context("spawn")
    counted: Queue[Counter[int]] = spawned.Queue()
    flooding = spawned.Process(target=flood, args=(server.netloc, max(60 * SHARE, 10), counted))
    flooding.start()
    ask_all([health, *tiles], flooding.join)
    answered = counted.get()
    seconds = [second for each in tiles for second in each.seconds]
    print(
        f"\nhealthz n={len(health.seconds)} p50 {quantile(health.seconds, 0.5):.0f} p99 "
        f"{quantile(health.seconds, 0.99):.0f} max {quantile(health.seconds, 1):.0f} ms; tiles n={len(seconds)} p50 "
        f"{quantile(seconds, 0.5):.0f} p95 {quantile(seconds, 0.95):.0f} ms; flood {answered}"
    )
    assert set(health.statuses) == {200}
    assert set(answered) <= {200, 404, 503}
    assert {status for each in tiles for status in each.statuses} <= {200, 204, 404}


async def page_of(server: Soaked) -> WebSocketClientConnection:
    """Open a page as a browser does; again after a second where the server has no room for it."""

    def load() -> bytes:
        with closing(server.connection()) as connection:
            connection.request("GET", "/")
            return connection.getresponse().read()

    token = rb'"token":"([^"]+)"'
    while (found := re.search(token, await asyncio.to_thread(load))) is None:  # noqa: ASYNC110  # it sends no event
        await asyncio.sleep(1)
    request = HTTPRequest(server.url.replace("http", "ws", 1) + "ws", headers={"Origin": server.url.rstrip("/")})
    socket = await websocket_connect(request, subprotocols=["bokeh", found[1].decode()])
    for _ in range(3):
        await socket.read_message()
    for fragment in ('{"msgtype":"PULL-DOC-REQ","msgid":"1"}', "{}", "{}"):
        await socket.write_message(fragment)
    return socket


async def visit(server: Soaked, count: int, seconds: float) -> None:
    """Hold so many pages open for a while."""
    sockets = [await page_of(server) for _ in range(count)]
    print(f"\n{count} pages: {server.memory_mib:.0f} MiB")
    await asyncio.sleep(seconds)
    for socket in sockets:
        socket.close()
        while await socket.read_message() is not None:
            pass


def in_thread(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end; Playwright has an event loop in this thread."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, coroutine).result()


def test_memory_is_back_once_all_visitors_have_left(server: Soaked) -> None:
    count = max(int(100 * SHARE), 5)

    def panning() -> list[Asking]:
        return [Asking(server.netloc, server.tiles[first:] + server.tiles[:first], 0.5) for first in range(count // 5)]

    ask_all(panning(), lambda: in_thread(visit(server, count, 1)))
    before = server.settled_mib(60)
    clients = panning()
    ask_all(clients, lambda: in_thread(visit(server, count, max(600 * SHARE, 5))))
    after = server.settled_mib(60)
    seconds = [second for each in clients for second in each.seconds]
    print(
        f"memory {before:.0f} -> {after:.0f} MiB once they have left; tiles n={len(seconds)} p50 "
        f"{quantile(seconds, 0.5):.0f} p95 {quantile(seconds, 0.95):.0f} ms"
    )
    assert after < before * (1 + MOST_GROWTH)
