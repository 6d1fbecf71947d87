"""The map in a real browser: what it draws, what it asks the server for, and what reaches Python."""

from __future__ import annotations

import asyncio
import io
import math
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from compute.errors import InputError
from compute.result.ndvi_classes import CLASSES
from compute.tiles.styles import Style, hex_colours
from tests.fixtures.browser import Watch
from tests.require import require

pn = pytest.importorskip("panel")

from tornado.web import RequestHandler  # noqa: E402  # comes with panel

from dashboard.map import NdviMap  # noqa: E402  # needs panel

if TYPE_CHECKING:
    from playwright.sync_api import Page

WORLD_M = 2 * 20037508.342789244
SEASONS = ["DJF", "MAM", "JJA", "SON"]
NEVER_CLEAR, OUTSIDE, PENDING, TOO_FEW = -32768, -32767, -32766, -32765
COLOURS = [f"#{i:02x}{255 - i:02x}40" for i in range(256)]
# Open sea, where whatever is opaque on a canvas is a tile.
CENTRE, ZOOM = (90.3, -39.7), 8
SEA = (0xDF, 0xE9, 0xEC)
LAYER: dict[str, Any] = {
    "tiles": "tiles/token/ndvi_mean/{label}/{z}/{x}/{y}.i16",
    "label": "DJF",
    "extent": [80.0, -46.0, 100.0, -34.0],
    "min_zoom": 2,
    "max_zoom": 10,
    "scale": 1e-4,
    "offset": 0.0,
    "units": "NDVI",
    "digits": 3,
    "complete": False,
}
Tile = tuple[str, int, int, int]


def stored(label: str, z: int, x: int, y: int) -> np.ndarray:
    """Values of a synthetic tile: one number for each sixteenth of it, and the codes in its first row."""
    base = SEASONS.index(label) * 2000 + (x % 4) * 400 + (y % 4) * 100 + z
    row, column = np.divmod(np.arange(256 * 256, dtype="<i2").reshape(256, 256).view("<u2"), 256)
    values = (base + (row // 64) * 20 + (column // 64) * 5).astype("<i2")
    for place, code in enumerate([NEVER_CLEAR, PENDING, OUTSIDE, TOO_FEW]):
        values[:32, place * 32 : place * 32 + 32] = code
    return values


@dataclass(kw_only=True)
class Sky:
    """The tile server's side: what was asked, and what goes wrong."""

    asked: list[Tile] = field(default_factory=list)
    given_up: list[Tile] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    """Statuses of the next answers, before any tile is given."""
    delay_s: float = 0.0
    added: int = 0
    """Added to every value: the server's pixels have changed."""
    preview: int | None = None
    """What follows the values, for every pixel."""

    def since(self, mark: int) -> list[Tile]:
        return self.asked[mark:]


@dataclass(kw_only=True)
class Site:
    """One running server with its newest map."""

    url: str
    sky: Sky
    maps: list[NdviMap] = field(default_factory=list)
    columns: list[Any] = field(default_factory=list)
    setup: dict[str, Any] = field(default_factory=dict)


def tile_handler(site: Callable[[], Site]) -> type[RequestHandler]:
    class TileHandler(RequestHandler):  # type: ignore[misc]  # tornado ships no types
        async def get(self, label: str, *place: str) -> None:
            sky = site().sky
            z, x, y = (int(part) for part in place)
            self.tile = (label, z, x, y)
            sky.asked.append(self.tile)
            if sky.failures:
                self.set_status(sky.failures.pop(0))
                self.set_header("Retry-After", "1")
                return
            await asyncio.sleep(sky.delay_s)
            values = stored(*self.tile)
            self.write(np.where(values < -32000, values, values + sky.added).astype("<i2").tobytes())
            if sky.preview is not None:
                self.write(np.full_like(values, sky.preview).tobytes())

        def on_connection_close(self) -> None:
            site().sky.given_up.append(self.tile)

    return TileHandler


def setup() -> dict[str, Any]:
    view = {"center": list(CENTRE), "zoom": float(ZOOM)}
    return {"layer": LAYER, "colours": COLOURS, "span": (0.0, 1.0), "view": view}


@contextmanager
def serve(prefix: str = "") -> Iterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = Site(url=f"http://localhost:{port}{prefix}/map", sky=Sky())

    def app() -> pn.Column:
        site.maps.append(NdviMap(**site.setup, sizing_mode="stretch_both"))
        site.columns.append(pn.Column(site.maps[-1], sizing_mode="stretch_both"))
        return site.columns[-1]

    pattern = r"/tiles/token/ndvi_mean/([^/]+)/(\d+)/(\d+)/(\d+)\.i16"
    server = pn.serve(
        {"map": app},
        port=port,
        prefix=prefix,
        threaded=True,
        show=False,
        verbose=False,
        extra_patterns=[(pattern, tile_handler(lambda: site))],
    )
    await_listening(port)
    yield site
    server.stop()


def await_listening(port: int) -> None:
    """Wait for a server in a thread, which may not have come to listen when it is returned."""
    deadline = time.monotonic() + 30
    while True:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with serve() as site:
        yield site


@pytest.fixture
def site(server: Site) -> Site:
    """The server as new: a quiet sky, and a map over open sea."""
    server.sky = Sky()
    server.setup = setup()
    return server


@dataclass(kw_only=True)
class Visit:
    """One visitor before the map."""

    page: Page
    site: Site
    map: NdviMap

    @property
    def sky(self) -> Sky:
        return self.site.sky

    def until(self, holds: Callable[[], object], timeout_s: float = 45.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            self.page.wait_for_timeout(30)

    def quiet(self) -> int:
        """Wait until no tile is asked for; the number of requests so far."""
        self.page.wait_for_selector(".gm[data-state=idle]")
        seen = -1
        while seen != len(self.sky.asked):
            seen = len(self.sky.asked)
            self.page.wait_for_timeout(120)
        return seen

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=4)
        self.page.mouse.up()

    def pixel(self, x: float, y: float) -> tuple[int, ...]:
        shot = Image.open(io.BytesIO(self.page.screenshot()))
        return tuple(shot.getpixel((int(x), int(y)))[:3])

    def readout(self, x: float, y: float) -> str:
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(60)
        return self.page.locator(".gm-readout").inner_text()

    def tool(self, name: str) -> None:
        self.page.get_by_role("button", name=name).click()


@pytest.fixture
def visit(site: Site, page: Page) -> Visit:
    return open_map(site, page)


def open_map(site: Site, page: Page) -> Visit:
    page.goto(site.url)
    page.wait_for_selector(".gm canvas")
    visit = Visit(page=page, site=site, map=site.maps[-1])
    visit.quiet()
    return visit


def mercator(lon: float, lat: float) -> tuple[float, float]:
    """Position in the world's square, 0 to 1 from the north-west."""
    return (lon + 180) / 360, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2


def on_screen(visit: Visit, z: int, x: int, y: int, column: float, row: float) -> tuple[float, float]:
    """Where a pixel of a tile lies on the page, for the view of the start."""
    box = visit.page.locator(".gm").bounding_box()
    assert box is not None
    centre = mercator(*CENTRE)
    world = 256 * 2**ZOOM
    place = ((x + column / 256) / 2**z, (y + row / 256) / 2**z)
    return (
        box["x"] + box["width"] / 2 + (place[0] - centre[0]) * world,
        box["y"] + box["height"] / 2 + (place[1] - centre[1]) * world,
    )


def lonlat(visit: Visit, x: float, y: float) -> tuple[float, float]:
    """Longitude and latitude under a point of the page, for the view of the start."""
    box = visit.page.locator(".gm").bounding_box()
    assert box is not None
    centre = mercator(*CENTRE)
    world = 256 * 2**ZOOM
    east = centre[0] + (x - box["x"] - box["width"] / 2) / world
    south = centre[1] + (y - box["y"] - box["height"] / 2) / world
    return east * 360 - 180, math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * south))))


def middle_tile() -> tuple[int, int]:
    east, south = mercator(*CENTRE)
    return int(east * 2**ZOOM), int(south * 2**ZOOM)


def corners(region: dict[str, Any] | None) -> set[tuple[float, float]]:
    assert region is not None
    assert region["type"] == "Polygon"
    return {(round(lon, 2), round(lat, 2)) for lon, lat in region["coordinates"][0]}


def expected_box(visit: Visit, start: tuple[float, float], end: tuple[float, float]) -> set[tuple[float, float]]:
    (west, north), (east, south) = lonlat(visit, *start), lonlat(visit, *end)
    return {(round(lon, 2), round(lat, 2)) for lon in (west, east) for lat in (south, north)}


class TestPictures:
    def test_a_pixel_has_the_colour_of_its_value(self, visit: Visit) -> None:
        x, y = middle_tile()
        value = int(stored("DJF", ZOOM, x, y)[200, 200]) * 1e-4
        red, green, blue = visit.pixel(*on_screen(visit, ZOOM, x, y, 200, 200))
        index = round(value * 255)
        assert (red, green, blue) == (index, 255 - index, 0x40)

    def test_the_cursor_reads_the_value_and_each_code_reads_differently(self, visit: Visit) -> None:
        x, y = middle_tile()
        read = [visit.readout(*on_screen(visit, ZOOM, x, y, column, 16)) for column in (16, 48, 80, 112)]
        value = int(stored("DJF", ZOOM, x, y)[200, 100]) * 1e-4
        assert visit.readout(*on_screen(visit, ZOOM, x, y, 100, 200)).endswith(f"{value:.3f} NDVI · DJF")
        assert read[0].endswith("never clear · DJF")
        assert read[1].endswith("not computed yet · DJF")
        assert read[2].endswith("S")
        assert read[3].endswith("too few clear looks · DJF")
        lon, lat = lonlat(visit, 500, 300)
        assert visit.readout(500, 300).startswith(f"{lon:.4f}° E  {-lat:.4f}° S")

    def test_pixels_without_a_value_look_different(self, visit: Visit) -> None:
        x, y = middle_tile()
        shot = Image.open(io.BytesIO(visit.page.screenshot())).convert("RGB")
        patches = []
        for column in (0, 32, 64, 96):
            left, top = on_screen(visit, ZOOM, x, y, column + 4, 4)
            patches.append(np.asarray(shot.crop((int(left), int(top), int(left) + 24, int(top) + 24))))
        never_clear, pending, outside, too_few = (float((patch == SEA).all(axis=2).mean()) for patch in patches)
        assert never_clear < 0.05
        assert 0.7 < pending < 0.9
        assert outside > 0.9
        grey = (patches[3] == patches[0][12, 12]).all(axis=2)
        assert 0.45 < too_few < 0.55
        assert 0.45 < grey.mean() < 0.55
        np.testing.assert_array_equal(grey[1:, 1:], grey[:-1, :-1])

    def test_a_preview_lies_under_the_hatch_alone_and_is_not_told_as_a_value(self, visit: Visit) -> None:
        x, y = middle_tile()
        value, never_clear, pending, outside = (
            on_screen(visit, ZOOM, x, y, *at) for at in ((200, 200), (12, 12), (44, 12), (76, 12))
        )
        before = [visit.pixel(*place) for place in (value, never_clear, outside)]
        visit.sky.preview = 5000
        visit.map.refresh([(80.0, -46.0, 100.0, -34.0)])
        index = round(0.5 * 255)
        visit.until(lambda: visit.pixel(*pending) == (index, 255 - index, 0x40))
        assert [visit.pixel(*place) for place in (value, never_clear, outside)] == before
        assert visit.pixel(*on_screen(visit, ZOOM, x, y, 48.5, 0.5)) != (index, 255 - index, 0x40)
        assert visit.readout(*pending).endswith("not computed yet · DJF")

    def test_restyling_asks_for_nothing(self, visit: Visit) -> None:
        asked = len(visit.sky.asked)
        x, y = middle_tile()
        place = on_screen(visit, ZOOM, x, y, 200, 200)
        visit.map.param.update(colours=["#102030"] * 256, span=(0.2, 0.4))
        visit.until(lambda: visit.pixel(*place) == (0x10, 0x20, 0x30))
        visit.map.opacity = 0.0
        visit.until(lambda: visit.pixel(*place) == SEA)
        assert visit.quiet() == asked

    def test_values_have_the_colour_of_their_class_at_its_borders_too(self, visit: Visit) -> None:
        style = Style(palette="classes")
        visit.map.param.update(colours=hex_colours(style), span=style.ends)
        x, y = middle_tile()
        borders = {-1: 0, 0: 1, 1999: 1, 2000: 2, 3999: 2, 4000: 3, 6000: 4, 7999: 4, 8000: 5}
        for value, number in borders.items():
            wanted = tuple(bytes.fromhex(CLASSES[number].colour[1:]))
            visit.sky.added = value - int(stored("DJF", ZOOM, x, y)[200, 200])
            visit.map.refresh([(80.0, -46.0, 100.0, -34.0)])
            visit.until(lambda wanted=wanted: visit.pixel(*on_screen(visit, ZOOM, x, y, 200, 200)) == wanted)

    def test_dark_mode_changes_sea_and_controls(self, visit: Visit) -> None:
        visit.map.param.update(layer=None, dark=True)
        visit.until(lambda: visit.pixel(700, 500) == (0x16, 0x1D, 0x24))
        colour = visit.page.locator(".gm-group").first.evaluate("node => getComputedStyle(node).color")
        assert colour == "rgb(230, 237, 241)"

    def test_pixels_grow_beyond_the_native_zoom(self, visit: Visit) -> None:
        visit.map.view = {"center": list(CENTRE), "zoom": 12.0}
        visit.until(lambda: any(z == 10 for _, z, _, _ in visit.sky.asked))
        visit.quiet()
        assert max(z for _, z, _, _ in visit.sky.asked) == 10
        assert visit.pixel(700, 500)[2] == 0x40

    def test_the_map_follows_the_size_of_its_place(self, visit: Visit) -> None:
        visit.page.set_viewport_size({"width": 600, "height": 500})
        visit.until(lambda: visit.page.locator(".gm canvas").first.bounding_box()["width"] > 580)  # type: ignore[index]  # it is there
        assert visit.page.locator(".gm").bounding_box()["height"] > 480  # type: ignore[index]  # it is there


# Follows, frame by frame, the points of the canvas that are opaque at first.
_FOLLOW_ALPHA = """() => {
  const grid = [0.1, 0.3, 0.5, 0.7, 0.9].flatMap(x => [0.1, 0.3, 0.6, 0.8].map(y => [x, y]));
  const alpha = (context, x, y) =>
    context.getImageData(context.canvas.width * x, context.canvas.height * y, 1, 1).data[3];
  let places;
  const find = root => {
    for (const e of root.querySelectorAll('*')) {
      if (e.matches('.ol-layer canvas')) return e;
      const below = e.shadowRoot && find(e.shadowRoot);
      if (below) return below;
    }
  };
  window.alphas = [];
  const look = () => {
    const context = find(document).getContext('2d');
    places ??= grid.filter(([x, y]) => alpha(context, x, y) === 255);
    window.alphas.push(Math.min(...places.map(([x, y]) => alpha(context, x, y))));
    if (window.alphas.length < 3000) requestAnimationFrame(look);
  };
  look();
}"""


class TestRequests:
    def test_a_season_replaces_another_without_a_blank_frame_and_returns_without_requests(
        self, visit: Visit, watch: Watch
    ) -> None:
        watch.allowed.append("willReadFrequently")
        visit.sky.delay_s = 0.2
        mark = visit.quiet()
        visit.page.evaluate(_FOLLOW_ALPHA)
        visit.map.layer = {**LAYER, "label": "MAM"}
        visit.until(lambda: len(visit.sky.asked) == 2 * mark)
        assert {label for label, *_ in visit.sky.since(mark)} == {"MAM"}
        visit.page.wait_for_timeout(400)
        asked = visit.quiet()
        assert visit.readout(500, 300).endswith("MAM")
        visit.map.layer = LAYER
        visit.until(lambda: visit.readout(500, 301).endswith("DJF"))
        assert visit.quiet() == asked
        alphas = visit.page.evaluate("window.alphas")
        assert len(alphas) > 30
        assert min(alphas) == 255

    def test_refresh_asks_for_changed_tiles_alone_without_a_blank_frame(self, visit: Visit, watch: Watch) -> None:
        watch.allowed.append("willReadFrequently")
        x, y = middle_tile()
        place = on_screen(visit, ZOOM, x, y, 100, 200)
        before, mark = visit.readout(*place), visit.quiet()
        visit.page.evaluate(_FOLLOW_ALPHA)
        visit.sky.added = 7000
        west, north = lonlat(visit, *on_screen(visit, ZOOM, x, y, 1, 1))
        east, south = lonlat(visit, *on_screen(visit, ZOOM, x, y, 255, 255))
        visit.map.refresh([(west, south, east, north)])
        visit.until(lambda: visit.readout(*place) != before)
        visit.quiet()
        assert visit.sky.since(mark) == [("DJF", ZOOM, x, y)]
        assert min(visit.page.evaluate("window.alphas")) == 255
        value = (int(stored("DJF", ZOOM, x, y)[200, 100]) + 7000) * 1e-4
        assert f"{value:.3f} NDVI" in visit.readout(*place)

    def test_changed_tiles_out_of_sight_are_asked_for_when_they_come_into_view(self, visit: Visit) -> None:
        x, y = middle_tile()
        visit.map.view = {"center": [95.0, CENTRE[1]], "zoom": float(ZOOM)}
        visit.until(lambda: any(place[2] > x + 3 for place in visit.sky.asked))
        mark = visit.quiet()
        visit.map.refresh([(80.0, -46.0, 91.0, -34.0)])
        assert visit.quiet() == mark
        visit.map.view = {"center": list(CENTRE), "zoom": float(ZOOM)}
        visit.until(lambda: ("DJF", ZOOM, x, y) in visit.sky.since(mark))

    def test_a_browser_that_missed_changes_asks_for_everything_again(self, visit: Visit) -> None:
        before = visit.quiet()
        visible = set(visit.sky.asked)
        visit.map.changes = [{"version": 9, "boxes": [[0.0, 0.0, 1.0, 1.0]]}]
        visit.until(lambda: set(visit.sky.since(before)) == visible)

    def test_what_is_still_hatched_is_asked_for_once_the_result_is_complete(self, visit: Visit) -> None:
        mark = visit.quiet()
        visit.map.layer = {**LAYER, "complete": True}
        visit.until(lambda: len(visit.sky.since(mark)) == mark)

    def test_requests_for_what_is_no_longer_seen_are_aborted(self, visit: Visit) -> None:
        visit.sky.delay_s = 1.5
        mark = visit.quiet()
        visit.map.layer = {**LAYER, "label": "JJA"}
        visit.until(lambda: len(visit.sky.asked) > mark)
        visit.sky.delay_s = 0.0
        visit.map.layer = {**LAYER, "label": "SON"}
        visit.until(lambda: visit.sky.given_up)
        assert {label for label, *_ in visit.sky.given_up} == {"JJA"}
        visit.until(lambda: visit.readout(500, 300).endswith("SON"))
        visit.map.layer = {**LAYER, "label": "JJA"}
        visit.until(lambda: visit.readout(500, 301).endswith("JJA"))

    def test_failed_tiles_are_asked_for_again(self, site: Site, page: Page, watch: Watch) -> None:
        watch.allowed.append("status of 503")
        watch.allowed.append("status of 425")
        site.sky.failures = [503, 425, 503]
        start = time.monotonic()
        visit = open_map(site, page)
        visit.until(lambda: not site.sky.failures and len(site.sky.asked) == len(set(site.sky.asked)) + 3)
        assert time.monotonic() - start > 1.0
        for x, y in [(300, 200), (500, 350), (800, 600)]:
            assert visit.pixel(x, y)[2] == 0x40
        assert not visit.page.get_by_role("alert").is_visible()

    def test_tiles_that_are_refused_can_be_asked_for_by_hand(self, site: Site, page: Page, watch: Watch) -> None:
        watch.allowed.append("status of 403")
        site.sky.failures = [403, 403]
        visit = open_map(site, page)
        assert "2 tiles could not be loaded." in visit.page.get_by_role("alert").inner_text()
        mark = visit.quiet()
        visit.tool("Try again")
        visit.until(lambda: len(visit.sky.since(mark)) == 2)
        assert not visit.page.get_by_role("alert").is_visible()

    def test_another_result_is_another_source(self, visit: Visit) -> None:
        mark = visit.quiet()
        visit.map.layer = {**LAYER, "extent": [89.0, -41.0, 91.0, -39.0]}
        visit.until(lambda: len(visit.sky.asked) > mark)
        visit.quiet()
        assert len(visit.sky.since(mark)) < mark
        visit.map.layer = None
        visit.until(lambda: visit.pixel(500, 350) == SEA)

    def test_everything_works_under_a_path_prefix(self, page: Page, watch: Watch) -> None:
        watch.allowed.append("favicon.ico")  # Panel serves it without the prefix
        with serve(prefix="/user/ann/proxy/5006") as site:
            site.setup = setup()
            visit = open_map(site, page)
            assert visit.pixel(500, 350)[2] == 0x40
            visit.tool("Draw a box")
            visit.drag((400, 300), (600, 450))
            visit.until(lambda: visit.map.region)

    def test_a_map_that_is_removed_stops_asking_and_comes_back(self, visit: Visit) -> None:
        visit.sky.delay_s = 1.0
        mark = visit.quiet()
        visit.map.layer = {**LAYER, "label": "JJA"}
        visit.until(lambda: len(visit.sky.asked) > mark)
        column = visit.site.columns[-1]
        column.objects = []
        visit.until(lambda: visit.page.locator(".gm").count() == 0)
        visit.until(lambda: visit.sky.given_up)
        visit.sky.delay_s = 0.0
        column.objects = [visit.map]
        visit.page.wait_for_selector(".gm[data-state=idle]")
        visit.until(lambda: visit.pixel(500, 350)[2] == 0x40)


class TestPeople:
    def test_a_box_drawn_by_mouse_arrives_as_geojson(self, visit: Visit) -> None:
        visit.tool("Draw a box")
        visit.until(lambda: visit.map.tool == "box")
        visit.drag((400, 300), (650, 450))
        visit.until(lambda: visit.map.region and visit.map.tool == "pan")
        assert corners(visit.map.region) == expected_box(visit, (400, 300), (650, 450))
        assert visit.map.view["center"] == pytest.approx(CENTRE, abs=1e-3)

    def test_a_click_with_the_box_tool_is_no_box(self, visit: Visit) -> None:
        visit.map.tool = "box"
        visit.page.wait_for_selector(".gm[data-tool=box]")
        visit.page.mouse.click(500, 300)
        visit.page.wait_for_timeout(400)
        assert visit.map.region is None
        visit.drag((400, 300), (650, 450))
        visit.until(lambda: visit.map.region)

    @pytest.mark.parametrize("ending", ["first corner", "double click", "button"])
    def test_a_polygon_is_drawn_by_clicks(self, visit: Visit, ending: str) -> None:
        places = [(400, 250), (650, 300), (600, 500)]
        visit.tool("Draw a polygon")
        for place in places:
            visit.page.mouse.click(*place)
        if ending == "first corner":
            visit.page.mouse.click(*places[0])
        elif ending == "double click":
            visit.page.mouse.click(*places[-1])
        else:
            visit.tool("Finish")
        visit.until(lambda: visit.map.region and visit.map.tool == "pan")
        expected = {tuple(round(angle, 2) for angle in lonlat(visit, *place)) for place in places}
        assert corners(visit.map.region) == expected
        assert visit.map.view["zoom"] == ZOOM

    def test_a_dragged_corner_moves_and_a_box_stays_a_box(self, visit: Visit) -> None:
        visit.map.tool = "box"
        visit.page.wait_for_selector(".gm[data-tool=box]")
        visit.drag((400, 300), (650, 450))
        visit.until(lambda: visit.map.region and visit.map.tool == "pan")
        visit.drag((650, 450), (700, 520))
        visit.until(lambda: corners(visit.map.region) == expected_box(visit, (400, 300), (700, 520)))
        visit.drag((400, 300), (380, 260))
        visit.until(lambda: corners(visit.map.region) == expected_box(visit, (380, 260), (700, 520)))

    def test_an_edge_of_a_polygon_takes_another_corner(self, visit: Visit) -> None:
        ring = [lonlat(visit, *place) for place in [(400, 300), (650, 320), (500, 500), (400, 300)]]
        visit.map.region = {"type": "Polygon", "coordinates": [[list(corner) for corner in ring]]}
        visit.page.get_by_role("button", name="Clear the region").and_(visit.page.locator(":enabled")).wait_for()
        visit.drag((525, 310), (540, 200))
        visit.until(lambda: len(corners(visit.map.region)) == 4)

    def test_python_sets_and_clears_the_region_and_so_does_the_button(self, visit: Visit) -> None:
        clear = visit.page.get_by_role("button", name="Clear the region")
        assert clear.is_disabled()
        west, north = lonlat(visit, 400, 300)
        east, south = lonlat(visit, 650, 450)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        plain = visit.pixel(500, 300)
        visit.map.region = {"type": "MultiPolygon", "coordinates": [[ring]]}
        visit.until(lambda: visit.pixel(500, 300) == (0x1D, 0x4E, 0xD8))
        visit.map.region = None
        visit.until(lambda: visit.pixel(500, 300) == plain)
        visit.map.region = {"type": "Polygon", "coordinates": [ring]}
        visit.until(clear.is_enabled)
        clear.click()
        visit.until(lambda: visit.map.region is None)

    def test_a_click_arrives_and_so_does_a_second_one_on_the_same_place(self, visit: Visit) -> None:
        for count in (1, 2):
            visit.page.mouse.click(550, 400)
            visit.until(lambda count=count: visit.map.clicked and visit.map.clicked["count"] == count)
        clicked = visit.map.clicked
        assert (clicked["lon"], clicked["lat"]) == pytest.approx(lonlat(visit, 550, 400), abs=1e-6)
        visit.map.pin = (clicked["lon"], clicked["lat"])
        visit.until(lambda: visit.pixel(550, 400) == (0xE1, 0x1D, 0x48))

    def test_the_keyboard_draws_inspects_and_reads(self, visit: Visit) -> None:
        keys = visit.page.keyboard
        visit.page.locator(".gm-map").focus()
        keys.press("v")
        assert "NDVI · DJF" in visit.page.get_by_role("status").inner_text()
        keys.press("Enter")
        visit.until(lambda: visit.map.clicked)
        assert (visit.map.clicked["lon"], visit.map.clicked["lat"]) == pytest.approx(CENTRE, abs=1e-6)
        keys.press("b")
        keys.press("Enter")
        for key in ("ArrowRight", "ArrowDown"):
            keys.press(key)
            visit.page.wait_for_timeout(50)
        keys.press("Enter")
        visit.until(lambda: visit.map.region and visit.map.tool == "pan")
        assert (round(CENTRE[0], 2), round(CENTRE[1], 2)) in corners(visit.map.region)
        assert len(corners(visit.map.region)) == 4

    def test_the_keyboard_draws_a_polygon_and_escape_leaves_the_region_alone(self, visit: Visit) -> None:
        keys = visit.page.keyboard
        visit.page.locator(".gm-map").focus()
        keys.press("p")
        for key in ("ArrowRight", "ArrowDown", "ArrowDown"):
            keys.press("Enter")
            keys.press(key)
            visit.page.wait_for_timeout(50)
        keys.press("Backspace")
        keys.press("ArrowLeft")
        visit.page.wait_for_timeout(50)
        keys.press("Enter")
        keys.press("Shift+Enter")
        visit.until(lambda: visit.map.region and visit.map.tool == "pan")
        drawn = visit.map.region
        assert len(corners(drawn)) == 3
        keys.press("b")
        keys.press("Enter")
        keys.press("Escape")
        visit.until(lambda: visit.map.tool == "pan")
        assert visit.map.region == drawn
        assert not visit.page.get_by_role("button", name="Cancel").is_visible()

    def test_view_and_fit_go_both_ways(self, visit: Visit) -> None:
        visit.page.mouse.wheel(0, -300)
        visit.page.locator(".gm-map").focus()
        visit.page.keyboard.press("+")
        visit.until(lambda: visit.map.view["zoom"] > ZOOM)
        visit.map.fit((144.0, -44.0, 149.0, -40.0))
        visit.until(lambda: visit.map.view["center"][0] == pytest.approx(146.5, abs=1e-3))
        assert 6 < visit.map.view["zoom"] < 9
        visit.until(lambda: visit.map.fitting is None)

    def test_no_online_map_is_asked_for_unless_it_is_set(self, visit: Visit, watch: Watch) -> None:
        watch.allowed.append("/nowhere/")
        here = visit.site.url.rsplit("/", 1)[0]
        visit.map.param.update(basemap_url=here + "/nowhere/{z}/{x}/{y}.png", basemap_attribution="Somebody")
        with visit.page.expect_request("**/nowhere/**"):
            pass


def test_a_box_without_area_cannot_be_shown() -> None:
    with pytest.raises(InputError, match="west < east"):
        NdviMap().fit((1.0, 2.0, 1.0, 3.0))


def test_changes_are_remembered_whole_and_boundedly() -> None:
    shown = NdviMap()
    for step in range(400):
        shown.refresh([(float(step), 0.0, step + 1.0, 1.0)])
    shown.refresh([])
    assert [change["version"] for change in shown.changes] == list(range(145, 401))


def test_the_bundle_is_the_build_of_its_source() -> None:
    require("node", shutil.which("npm") is not None, "npm is not on the path.")
    build = Path(__file__).parents[3] / "dashboard" / "map" / "build.sh"
    done = subprocess.run([str(build), "--check"], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_bundle_is_light_and_the_lock_names_no_registry() -> None:
    folder = Path(__file__).parents[3] / "dashboard" / "map"
    assert (folder / "map.bundle.js").stat().st_size < 1_500_000
    assert '"resolved"' not in (folder / "package-lock.json").read_text()


def test_the_browser_does_what_it_must_and_nothing_else() -> None:
    source = Path(__file__).parents[3] / "dashboard" / "map" / "src"
    lines = [line.strip() for script in source.glob("*.js") for line in script.read_text().splitlines()]
    assert sum(bool(line) and not line.startswith(("//", "/**")) for line in lines) < 800
