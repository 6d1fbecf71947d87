"""Text from outside on every view of the page, in a real browser: shown letter by letter, never run or loaded."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import panel as pn
import pytest
from bokeh.document import Document
from panel.io.server import get_server
from tornado.ioloop import IOLoop

from compute.cluster import ClusterOption
from compute.errors import InputError
from compute.request.region import region_from_bytes
from dashboard.server import GatePolicy, SessionLimits, build_content_policy, install_gate, take_over
from dashboard.server.login import AccessControl
from dashboard.state import PageState, RequestState
from dashboard.views import build_page, result_map
from tests.fixtures.browser import Watch
from tests.fixtures.pages import WIDE

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser]

TOKEN = "ab" * 16


def canary(place: str) -> str:
    """Return a text that would run, load or reckon something wherever it were taken for more than text."""
    return (
        f"{place} <img src=x onerror=\"window.__canary='{place}'\"> [a](javascript:window.__canary=1) **b** "
        f'![c](http://canary.example/{place}) "><svg onload=window.__canary=2> <script>window.__canary=3</script> '
        "{{7*7}} ${7*7} &lt;i&gt;"
    )


@dataclass(kw_only=True)
class Stage:
    """A server of the page, whose state a test changes as a session would."""

    url: str = ""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    visits: list[tuple[PageState, Document]] = field(default_factory=list)

    def build(self) -> pn.viewable.Viewable:
        """Return the page of a visit, as the application builds it, without an index behind it."""
        state = PageState()
        map_ = result_map(state)
        page = build_page(state, map_)
        state.request.param.watch(lambda event: refuse_file(state.request, event.new), "region_file")
        update(state, BEGINNING)
        map_.basemap_attribution = canary("attribution")
        assert pn.state.curdoc
        self.visits.append((state, pn.state.curdoc))
        assert pn.state.location
        pn.state.location.sync(state.look, {"season": "season"})
        pn.state.location.sync(state.job, {"token": "result"})
        return page

    def show(self, changes: dict[str, Any]) -> None:
        """Change the state of the newest visit; keys are paths of parameters."""
        state, document = self.visits[-1]
        done = Future[None]()

        def change() -> None:
            try:
                update(state, changes)
            finally:
                done.set_result(None)

        self.loop.call_soon_threadsafe(document.add_next_tick_callback, change)
        done.result(30)


def update(state: PageState, changes: dict[str, Any]) -> None:
    """Set parameters by path, such as ``job.token``."""
    for path, value in changes.items():
        concern, _, name = path.partition(".")
        getattr(state, concern).update(**{name: value})


def refuse_file(request: RequestState, content: bytes) -> None:
    """Refuse an uploaded file as the session does."""
    try:
        region_from_bytes(content)
    except InputError as error:
        request.update(refusal={"field": error.field, "message": str(error)})


BEGINNING: dict[str, Any] = {
    "request.products": [canary("product"), canary("other product")],
    "request.product": canary("product"),
    "visit.notice": canary("notice"),
    "request.refusal": {"field": "time", "message": canary("refused time")},
    "cluster.has_gateway": True,
    "cluster.choices": {canary("cluster"): "own", canary("other cluster"): "other"},
    "cluster.status_text": canary("stage"),
    "cluster.notice": {"kind": "error", "text": canary("cluster notice")},
    "cluster.actions": ["start"],
    "cluster.options": [
        ClusterOption(name="a", label=canary("text option"), kind="str", default=canary("default")),
        ClusterOption(name="b", label=canary("number option"), kind="int", default=1),
        ClusterOption(name="c", label=canary("switch option"), kind="bool", default=True),
        ClusterOption(
            name="d", label=canary("choice option"), kind="str", default=canary("one"), choices=(canary("one"), "two")
        ),
    ],
    "cluster.option_values": {"a": "x"},
    "job_list.retention_notice": canary("kept"),
    "job_list.persistence_warning": canary("unkept"),
}

SEASON = canary("season")

RESULT: dict[str, Any] = {
    "visit.notice": "",
    "request.refusal": None,
    "request.region": {"type": "Polygon", "coordinates": [[[146, -42], [147, -42], [147, -41], [146, -42]]]},
    "request.estimate_token": TOKEN,
    "request.estimate": {
        "scenes": 3,
        "bytes_to_read": 1,
        "result_bytes": 1,
        "seasons": [{"label": canary("planned season"), "dates": 2, "missing_months": [canary("month")]}],
        "grid": {"shape": [2, 2], "resolution": [-30, 30], "crs": canary("crs")},
        "blocks": 1,
        "worker_bytes": 1,
        "notes": [canary("note")],
    },
    "job.state": "failed",
    "job.message": canary("failure"),
    "look.season": SEASON,
    "job.seasons": [SEASON],
    "job.missing_months": {SEASON: [canary("missing month")]},
    "job_list.jobs": [
        {
            "token": TOKEN,
            "title": canary("title"),
            "state": "done",
            "start": "2020-12-01",
            "end": "2021-11-30",
            "bbox": [146.6, -42.1, 148.4, -40.7],
            "grid": [5, 6],
            "done": 3,
            "total": 4,
            "kept_until": None,
        }
    ],
    "job.result": {
        "bbox": [146.0, -42.0, 147.0, -41.0],
        "max_zoom": 9,
        "layers": {"ndvi_mean": {"scale": 1e-4, "offset": 0.0, "units": canary("units"), "digits": 3}},
    },
    "pixel.series": {
        "location": (146.5, -41.5),
        "seasons": [
            {
                "label": SEASON,
                "state": "clear",
                "ndvi_mean": 0.45,
                "clear_count": 7,
                "clear_months": 3,
                "ndvi_std": 0.1,
                "unclear_count": {canary("mask class"): 2},
            }
        ],
    },
    "pixel.observations": [
        {
            "observations": [
                {
                    "time": datetime(2020, 1, 5, tzinfo=UTC).isoformat(),
                    "platform": canary("platform"),
                    "ndvi": 0.5,
                    "counted": False,
                    "why_not": canary("reason"),
                }
            ]
        }
    ],
    "region_summary.statistics": {
        "level": 0,
        "seasons": [
            {
                "label": canary("summed season"),
                "ndvi_mean": 0.5,
                "percentiles": {"5": 0.1, "95": 0.9},
                "clear_area_ha": 1.0,
                "outside_area_ha": 0.0,
                "error": None,
            }
        ],
    },
}

# Every text of the page, those of inputs included, through all shadow roots; and every element that no view has.
_READ = """() => {
  const texts = [], strangers = [];
  const visit = (node) => {
    if (node.nodeType === Node.TEXT_NODE) { texts.push(node.data); return; }
    if (node.shadowRoot) visit(node.shadowRoot);
    if (node.value && typeof node.value === "string") texts.push(node.value);
    const handlers = [...(node.attributes ?? [])].filter(({ name }) => name.startsWith("on"));
    const foreign = node.matches?.('[src="x"], [src*="canary"], [href^="javascript:" i], [href*="canary"]');
    if (handlers.length || foreign) strangers.push(node.outerHTML.slice(0, 200));
    if (!/^(SCRIPT|STYLE)$/.test(node.nodeName)) for (const child of node.childNodes) visit(child);
    else if (node.textContent.includes("__canary")) strangers.push(node.outerHTML.slice(0, 200));
  };
  visit(document.documentElement);
  return { texts, strangers, ran: window.__canary ?? null, refused: window.__refused };
}"""

_LISTEN = """
window.__refused = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.__refused.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The page on a server of its own, with the handlers and the policy of the application."""
    stage = Stage()
    started, stop = Future[None](), asyncio.Event()

    async def serve() -> None:
        server = get_server(
            stage.build,  # type: ignore[arg-type]  # Panel's type says that it returns a template
            port=0,
            address="127.0.0.1",
            content_policy=build_content_policy(),
            visits=SessionLimits(most=9, most_of_address=9),
            garbage=None,
            loop=IOLoop.current(),
            title="Greenup",
            sign_sessions=True,
            secret_key="the secret of this test",
            include_headers=[],
            include_cookies=[],
        )
        take_over(server)
        install_gate(server, GatePolicy(), AccessControl(None), most=100)
        server.start()
        stage.url = f"http://127.0.0.1:{server.port}/"
        started.set_result(None)
        await stop.wait()
        server.stop()

    def run() -> None:
        asyncio.set_event_loop(stage.loop)
        stage.loop.run_until_complete(serve())

    thread = threading.Thread(target=run)
    thread.start()
    started.result(60)
    yield stage
    stage.loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    stage.loop.close()


class Reader:
    """Reads a page, and holds it to what it may have."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def shows(self, *places: str) -> None:
        """Wait until the canaries of these places are shown, each letter of them."""
        missing = set(places)
        for _ in range(120):
            texts = "\n".join(self.read())
            missing = {place for place in places if canary(place) not in texts}
            if not missing:
                return
            self.page.wait_for_timeout(250)
        raise AssertionError(f"not shown as they are: {sorted(missing)}")

    def read(self) -> list[str]:
        """Return all texts of the page, which has run, loaded and let in nothing from outside."""
        found = self.page.evaluate(_READ)
        assert found["ran"] is None
        assert found["strangers"] == []
        assert found["refused"] == []
        return list[str](found["texts"])


def test_text_from_outside_is_shown_as_it_is_on_every_view(page: Page, stage: Stage, watch: Watch) -> None:
    watch.allowed.append("status of 404")  # of tiles: there is no result behind this page
    page.add_init_script(_LISTEN)
    page.set_viewport_size({"width": WIDE["width"], "height": 2400})
    page.goto(f"{stage.url}?season={quote(canary('address'))}&result={quote(canary('address'))}")
    reader = Reader(page)
    reader.shows("product", "notice", "refused time", "cluster", "stage", "cluster notice", "unkept", "kept")
    reader.shows("text option", "default", "number option", "switch option", "choice option", "one", "attribution")
    open_and_read(reader, "other product", "other cluster")

    upload_and_read(reader)
    for name in ("bbox", "crs", "resolution"):
        stage.show({"request.refusal": {"field": name, "message": canary(f"refused {name}")}})
        reader.shows(f"refused {name}")
    stage.show({"request.refusal": {"field": "plan", "message": canary("refused plan")}})
    reader.shows("refused plan")
    stage.show({"cluster.refusals": {"a": canary("refused option"), "workers": canary("refused workers")}})
    reader.shows("refused option", "refused workers")
    stage.show({"cluster.actions": ["stop"], "cluster.stop_warning": canary("question")})
    reader.shows("question")

    stage.show({"job.token": TOKEN, **RESULT})
    reader.shows("planned season", "month", "crs", "note", "failure", "season", "missing month", "title")
    reader.shows("mask class", "reason", "summed season")
    hover(reader, "season")
    hover(reader, "platform")
    stage.show({"job_list.pending_rename": TOKEN, "job_list.new_title": canary("new title")})
    reader.shows("new title")
    stage.show({"look.season": f"0 {SEASON}", "job.seasons": [f"{number} {SEASON}" for number in range(7)]})
    reader.shows("season")
    page.get_by_role("button", name="Toggle theme").click()
    page.wait_for_timeout(500)
    reader.shows("mask class", "reason", "title")


def open_and_read(reader: Reader, *places: str) -> None:
    """Open the lists of products and clusters, and read what there is to choose from."""
    for label, place in zip(("Product", "Compute on"), places, strict=True):
        reader.page.get_by_role("combobox", name=label).click()
        reader.shows(place)
        reader.page.keyboard.press("Escape")


def upload_and_read(reader: Reader) -> None:
    """Upload a file whose CRS, name and properties are canaries; what it is refused for is said with its CRS."""
    square = [[[146, -42], [147, -42], [147, -41], [146, -42]]]
    name = canary("file").replace("file ", "")[:50]
    document = {
        "type": "Feature",
        "properties": {canary("property"): canary("value")},
        "crs": {"type": "name", "properties": {"name": name}},
        "geometry": {"type": "Polygon", "coordinates": square},
    }
    upload = {"name": "<img src=x>.geojson", "mimeType": "", "buffer": json.dumps(document).encode()}
    reader.page.locator("input[type=file]").set_input_files(upload)
    reader.page.get_by_text("is not known; name it as EPSG:n").first.wait_for()
    assert any(name in text.replace("\\'", "'") for text in reader.read())


# Where on the screen the first point is that tells a text in its tooltip.
_POINT = """(text) => {
  for (const model of Bokeh.documents[0]._all_models.values()) {
    if (model.type !== "Figure") continue;
    const view = Bokeh.index.find_one_by_id(model.id);
    for (const { glyph, data_source } of model.renderers) {
      const { data } = data_source;
      const columns = data instanceof Map ? Object.fromEntries(data) : data;
      if (glyph.type !== "Scatter" || !Object.values(columns).some((column) => column[0] === text)) continue;
      const { x_scale, y_scale } = view.frame;
      const { left, top } = view.el.getBoundingClientRect();
      const place = [x_scale.compute(columns[glyph.x.field][0]), y_scale.compute(columns[glyph.y.field][0])];
      return [left + place[0], top + place[1]];
    }
  }
  return null;
}"""


def hover(reader: Reader, place: str) -> None:
    """Point at what a chart tells of a place, and read its tooltip."""
    for _ in range(240):
        point = reader.page.evaluate(_POINT, canary(place))
        if point:
            # A chart that has just come hears of a mouse that moves.
            reader.page.mouse.move(point[0] + 1, point[1] + 1)
            reader.page.mouse.move(*point)
            if any(canary(place) in tip for tip in reader.page.locator(".bk-tooltip-row-value").all_inner_texts()):
                reader.read()
                return
        reader.page.wait_for_timeout(250)
    raise AssertionError(f"no tooltip tells {place}")
