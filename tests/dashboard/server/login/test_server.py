"""The whole server behind a login: pages, websockets and results are of the user who has signed in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from httpx2 import Client
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from compute.catalog import OdcCatalog
from compute.settings import Settings
from tests.dashboard.server.login.test_login import write
from tests.fixtures.server import RunningDashboard, serve_in_thread

pytestmark = pytest.mark.index

TOKEN = "0" * 32


@pytest.fixture(scope="module")
def server(
    catalog: OdcCatalog,  # makes the index
    index_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningDashboard]:
    users = tmp_path_factory.mktemp("login") / "users"
    write(users, "alice", "bob", "shared")
    settings = index_settings.model_copy(update={"auth_file": users, "jobs_url": None})
    yield from serve_in_thread(settings, auth="basic", prefix="/green/up")


@contextmanager
def browser(server: RunningDashboard, user: str = "") -> Iterator[Client]:
    with Client(base_url=server.url, timeout=60, headers={"Accept": "text/html"}) as client:
        if user:
            answer = client.post("login", data={"user": user, "password": f"{user} pass"})
            assert answer.status_code == 302
        yield client


def page_token(client: Client) -> str:
    answer = client.get("")
    assert answer.status_code == 200
    found = re.search(r'"token":"([^"]+)"', answer.text)
    assert found is not None
    return found[1]


def handshake(server: RunningDashboard, token: str, cookies: str = "") -> int:
    """Return the status of the handshake of the page's websocket, 101 where it opens."""

    async def shake() -> int:
        where = urlsplit(server.url)
        headers = {"Origin": f"http://{where.netloc}"} | ({"Cookie": cookies} if cookies else {})
        request = HTTPRequest(f"ws://{where.netloc}{where.path}ws", headers=headers)
        try:
            socket = await websocket_connect(request, subprotocols=["bokeh", token])
        except HTTPClientError as refusal:
            return refusal.code
        for _ in range(3):
            assert await asyncio.wait_for(socket.read_message(), 60) is not None
        socket.close()
        while await asyncio.wait_for(socket.read_message(), 30) is not None:
            pass
        return 101

    return asyncio.run(shake())


@pytest.mark.parametrize(
    "path",
    [
        "",
        "static/js/bokeh.min.js",
        "components/dashboard.map.component/NdviMap/_bundle_path/map.js",
        "autoload.js",
        "metrics",
        "api/results",
        f"api/results/{TOKEN}",
        f"api/results/{TOKEN}/value?lon=1&lat=1",
        f"api/results/{TOKEN}/ogc/",
        f"tiles/{TOKEN}/ndvi_mean/DJF/0/0/0.png",
        "dask/01234567/status",
        "nothing/at/all",
        "../../etc/passwd",
    ],
)
def test_no_route_answers_without_a_login(server: RunningDashboard, path: str) -> None:
    with browser(server) as client:
        assert client.get(path).status_code == 302
        for headers in ({"Accept": "*/*"}, {"Accept": "*/*", "Cookie": "greenup-login=" + "A" * 43}):
            assert client.get(path, headers=headers).status_code == 401
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert client.request(method, path, headers={"Accept": "*/*"}).status_code == 401
    assert handshake(server, "a") == 401


def test_the_websocket_of_a_page_is_its_users(server: RunningDashboard) -> None:
    with browser(server, "alice") as alice, browser(server, "bob") as bob:
        token = page_token(alice)
        cookies = {
            name: "; ".join(f"{key}={value}" for key, value in each.cookies.items())
            for name, each in (("alice", alice), ("bob", bob))
        }
        assert handshake(server, token) == 401
        assert handshake(server, token, cookies["bob"]) == 403
        assert handshake(server, token, cookies["alice"]) == 101
        alice.post("logout")
        assert handshake(server, token, cookies["alice"]) == 401


def test_health_is_told_to_everybody_and_names_nobody(server: RunningDashboard) -> None:
    with browser(server) as client:
        assert client.get("healthz").json() == {"status": "ok"}
        assert set(client.get("readyz").json()) == {"ready"}
