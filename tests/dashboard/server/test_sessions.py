"""Sessions of the page: made by the server alone, and open to the browser that was given the page."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from bokeh.util.token import (
    check_token_signature,
    generate_jwt_token,
    generate_session_id,
    get_session_id,
    get_token_payload,
)
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from compute.catalog import OdcCatalog
from compute.errors import OverloadError, TooManyRequestsError
from compute.jobs import ANONYMOUS, derived_key
from compute.settings import Settings
from dashboard.server.principals import USER
from dashboard.server.session_limits import MOST_WAITING, SessionLimits
from tests.fixtures.server import RunningDashboard, serve_in_process

KEY = derived_key(Settings(secret="x" * 16), "sessions")  # type: ignore[arg-type]  # pydantic makes a secret of it


@pytest.fixture(scope="module")
def dashboard(
    catalog: OdcCatalog,  # makes the index
    index_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningDashboard]:
    """A server in a process of its own: Bokeh's current document, which visits that break off leave, is its alone."""
    with serve_in_process(index_settings, tmp_path_factory.mktemp("server")) as started:
        yield started


def page(dashboard: RunningDashboard, path: str = "/", headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Return the status and the body of the page."""
    connection = http.client.HTTPConnection(urlsplit(dashboard.url).netloc, timeout=60)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def token_of(dashboard: RunningDashboard, headers: Mapping[str, str] | None = None) -> str:
    status, body = page(dashboard, headers=headers)
    assert status == 200
    found = re.search(r'"token":"([^"]+)"', body)
    assert found is not None
    return found[1]


async def hear(dashboard: RunningDashboard, token: str, *told: str | bytes) -> list[str]:
    """Open the websocket with a token, and return the fragments of what it answers."""
    url = dashboard.url.replace("http", "ws", 1) + "ws"
    request = HTTPRequest(url, headers={"Origin": dashboard.url.rstrip("/")}, connect_timeout=30)
    socket = await websocket_connect(request, subprotocols=["bokeh", token])
    heard, ended = list[str](), False
    # An acknowledgement, before which nothing is taken, and an answer to the message, of three fragments each.
    try:
        for number in range(3 * (1 + bool(told))):
            if number == 3:
                with suppress(WebSocketClosedError):  # the server may hang up at the first
                    for message in told:
                        await socket.write_message(message)
            try:
                fragment = await asyncio.wait_for(socket.read_message(), 30 if number < 3 else 5)
            except TimeoutError:
                break
            if fragment is None:
                ended = True
                break
            heard.append(fragment if isinstance(fragment, str) else fragment.decode())
    finally:
        socket.close()
        while not ended:  # what is open when the loop ends stays open
            ended = await asyncio.wait_for(socket.read_message(), 30) is None
    return heard


def refused(dashboard: RunningDashboard, token: str) -> int:
    with pytest.raises(HTTPClientError) as refusal:
        asyncio.run(hear(dashboard, token))
    return refusal.value.code


pytestmark = pytest.mark.index


@pytest.mark.parametrize("name", ["bokeh-session-id", "bokeh-token"])
def test_nobody_chooses_the_session_of_another(dashboard: RunningDashboard, name: str) -> None:
    own = token_of(dashboard)
    chosen = get_session_id(own) if name == "bokeh-session-id" else own
    assert page(dashboard, f"/?{name}={chosen}")[0] == 400
    assert page(dashboard, headers={"Bokeh-Session-Id": get_session_id(own)})[0] == 400


def test_the_token_of_a_page_holds_nothing_of_the_request_but_its_query(dashboard: RunningDashboard) -> None:
    token = token_of(dashboard, {"Cookie": "hub=canary", "Authorization": "Bearer canary", "X-Canary": "canary"})
    payload = get_token_payload(token)
    assert "canary" not in json.dumps(payload, default=str)
    assert payload[USER] == ANONYMOUS.scope
    assert not check_token_signature(token, secret_key=KEY, signed=True)
    assert not check_token_signature(token, secret_key=None, signed=False) or token.count(".") == 1


def test_the_page_opens_its_websocket(dashboard: RunningDashboard) -> None:
    assert "ACK" in asyncio.run(hear(dashboard, token_of(dashboard)))[0]


def test_a_token_of_others_opens_nothing_and_builds_nothing(dashboard: RunningDashboard) -> None:
    own = token_of(dashboard)
    payload = {"headers": {}, "cookies": {}, "arguments": {}, USER: ANONYMOUS.scope}
    foreign = generate_session_id(secret_key=KEY, signed=True)
    for session in (get_session_id(own), foreign, "0" * 44):
        unsigned = generate_jwt_token(session, signed=False, extra_payload=payload)  # type: ignore[arg-type]
        signed = generate_jwt_token(session, secret_key=KEY, signed=True, extra_payload=payload)  # type: ignore[arg-type]
        assert refused(dashboard, unsigned) == 403
        assert refused(dashboard, signed) == 403
    assert refused(dashboard, own[:-2]) == 403
    assert refused(dashboard, "") in (400, 403)


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=80))
def test_no_text_is_a_token(dashboard: RunningDashboard, text: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9._\-]+", text):
        assert refused(dashboard, text) == 403


@pytest.mark.parametrize(
    "content", ["[]", '{"events":[{"kind":"ModelChanged","model":{"id":"p0"},"attr":"x","new":1}]}']
)
def test_a_message_that_cannot_be_handled_is_answered_without_our_code(
    dashboard: RunningDashboard, content: str
) -> None:
    told = ['{"msgtype":"PATCH-DOC","msgid":"1"}', "{}", content]
    acknowledged, *answer = _in_messages(asyncio.run(hear(dashboard, token_of(dashboard), *told)))
    assert "ACK" in acknowledged
    assert json.loads(answer[0].splitlines()[2]) == {"text": "The message could not be handled.", "traceback": None}


@pytest.mark.parametrize("message", ["[", "\x00", b"\xff", "{" * 10_000])
def test_what_is_no_message_ends_no_server(dashboard: RunningDashboard, message: str | bytes) -> None:
    heard = "".join(asyncio.run(hear(dashboard, token_of(dashboard), message, "{}", "{}")))
    assert "Traceback" not in heard
    assert ".py" not in heard


def _in_messages(fragments: list[str]) -> list[str]:
    return ["\n".join(fragments[first : first + 3]) for first in range(0, len(fragments), 3)]


def test_a_server_has_room_for_so_many_visits() -> None:
    visits, living = SessionLimits(most=3, most_of_address=2), set[str]()

    async def enter(address: str, name: str) -> None:
        async with visits.reserve_build(name, address, lambda: living):
            living.add(name)

    async def scenario() -> None:
        await enter("5.6.7.8", "a")
        await enter("5.6.7.8", "b")
        with pytest.raises(TooManyRequestsError, match="2 pages are open from your address"):
            await enter("5.6.7.8", "c")
        await enter("127.0.0.1", "d")
        with pytest.raises(OverloadError, match="3 pages of this server are open"):
            await enter("127.0.0.1", "e")
        living.remove("a")
        await enter("5.6.7.8", "f")

    asyncio.run(scenario())


def test_the_next_page_waits_for_the_servers_breath_and_this_one_does_not() -> None:
    async def scenario() -> None:
        visits, turned = SessionLimits(most=9, most_of_address=9), list[str]()

        async def enter(name: str) -> None:
            async with visits.reserve_build(name, "127.0.0.1", set):
                turned.append(name)

        async with visits.reserve_build("a", "127.0.0.1", set):
            await asyncio.sleep(0.1)
            asyncio.get_running_loop().call_soon(turned.append, "loop")
        assert turned == []  # leaving gave way to nobody
        following = asyncio.create_task(enter("b"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert turned == ["loop"]
        await following
        assert turned == ["loop", "b"]

    asyncio.run(scenario())


def test_pages_are_built_one_at_a_time_and_few_wait() -> None:
    visits, living, at_once = SessionLimits(most=1000, most_of_address=1000), set[str](), list[int]()
    building = 0

    async def one(number: int) -> bool:
        nonlocal building
        try:
            async with visits.reserve_build(str(number), "127.0.0.1", lambda: living):
                building += 1
                at_once.append(building)
                await asyncio.sleep(0.001)
                building -= 1
        except OverloadError:
            return False
        return True

    async def scenario() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in range(3 * MOST_WAITING)))

    assert sum(asyncio.run(scenario())) == MOST_WAITING + 1  # which is built
    assert set(at_once) == {1}
