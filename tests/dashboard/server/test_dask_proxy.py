"""Dask's dashboard of a cluster: for its owner alone, and neither side learns what is not its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from compute.cluster import ClusterSpec, Connection, PooledCluster, parse_cluster
from compute.cluster.idle_policy import IdlePolicy
from compute.cluster.scheduler_endpoint import Endpoint
from compute.jobs import ANONYMOUS, Principal
from compute.settings import Settings
from dashboard.server_address import Address
from dashboard.services import Services
from tests.fixtures.tile_server import TileServer, tile_server

PAGE = b'<link href="statics/base.css"><script src="/static/extensions/panel.js"></script>'
STYLE = b"body { margin: 0 }"


@dataclass
class Overheard:
    """A server in the place of Dask's, which notes what it is told."""

    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def note(self, handler: RequestHandler) -> None:
        self.headers.append(dict(handler.request.headers))
        self.paths.append(handler.request.uri or "")


class PageOfDask(RequestHandler):
    def initialize(self, overheard: Overheard) -> None:
        overheard.note(self)

    def get(self, path: str) -> None:
        self.set_header("Set-Cookie", "secret=1")
        self.set_header("X-Secret", "1")
        if path == "info":
            self.redirect("info/main/workers.html")
        elif path == "away":
            self.redirect("http://192.0.2.1/status")
        elif path == "broken":
            self.send_error(500)
        elif path == "statics/base.css":
            self.set_header("Content-Type", "text/css")
            self.write(STYLE)
        else:
            self.write(PAGE)


class SocketOfDask(WebSocketHandler):
    def initialize(self, overheard: Overheard) -> None:
        overheard.note(self)

    def select_subprotocol(self, subprotocols: list[str]) -> str:
        return subprotocols[0]

    async def on_message(self, message: str | bytes) -> None:
        if message == "end":
            self.close()
        else:
            await self.write_message(message, binary=isinstance(message, bytes))


@asynccontextmanager
async def overhearing() -> AsyncIterator[Overheard]:
    overheard = Overheard()
    shared = {"overheard": overheard}
    listener: Any = Application(
        [(r"/.*/ws", SocketOfDask, shared), (r"/clusters/name/(.*)", PageOfDask, shared)]
    ).listen(0, "127.0.0.1")
    port = next(iter(listener._sockets.values())).getsockname()[1]
    overheard.url = f"http://127.0.0.1:{port}/clusters/name"
    yield overheard
    listener.stop()
    await listener.close_all_connections()


@dataclass
class Stage:
    """Routes over a cluster of Ann's, whose dashboard is another server."""

    server: TileServer
    heard: Overheard
    ann: str

    async def get(self, path: str, user: str = "ann", **more: Any) -> Any:
        headers = {"X-User": user, **more.pop("headers", {})}
        return await self.server.http.fetch(
            f"{self.server.url}dask/{path}", headers=headers, raise_error=False, follow_redirects=False, **more
        )

    def socket(self, path: str, user: str = "ann", **headers: str) -> Any:
        url = f"{self.server.url}dask/{path}".replace("http", "ws")
        return websocket_connect(
            HTTPRequest(url, headers={"X-User": user, **headers}), subprotocols=["bokeh", "a.token"]
        )


def on_stage(act: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        async with tile_server({}) as server, overhearing() as heard:
            pooled = server.services.clusters.open(ClusterSpec(kind="local", workers=1, owner="user:ann"))
            (await pooled.ready).dashboard = lambda: heard.url
            await act(Stage(server, heard, pooled.id))

    asyncio.run(run())


def test_only_the_owner_reaches_it_and_neither_side_learns_of_the_other() -> None:
    async def visit(stage: Stage) -> None:
        never = await stage.get("00000000/status")
        assert never.code == 404
        for user in ("bob", "anybody", ANONYMOUS.scope):
            for path in (f"{stage.ann}/status", f"{stage.ann}/status/ws"):
                answer = await stage.get(path, user)
                assert (answer.code, answer.body) == (404, never.body)
        for path in (
            "../name2/status",
            "a/%2e%2e/b",
            "a/%252e%252e/b",
            "..%5c..",
            "proxy/80/192.0.2.1/",
            "%2E%2E/x/ws",
        ):
            assert (await stage.get(f"{stage.ann}/{path}")).code == 404
        assert (await stage.get(f"{stage.ann}/status", method="POST", body="")).code == 405
        assert stage.heard.paths == []

        answer = await stage.get(f"{stage.ann}/status?a=1&b", headers={"Cookie": "login=1", "Authorization": "a"})
        assert (answer.code, stage.heard.paths) == (200, ["/clusters/name/status?a=1&b"])
        assert set(stage.heard.headers[0]) <= {"Connection", "Host", "Accept-Encoding", "User-Agent", "Accept"}
        assert not {"Set-Cookie", "X-Secret"} & set(answer.headers)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition("style-src")[0]
        (nonce,) = re.findall(r"'nonce-([\w-]+)'", policy)
        marked = PAGE.replace(b'"/static', b'"static').replace(b"<script", f'<script nonce="{nonce}"'.encode())
        assert answer.body == marked
        # A page that is kept would outlive its nonce.
        assert "Etag" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"

        style = await stage.get(f"{stage.ann}/statics/base.css")
        assert (style.body, style.headers["Cache-Control"]) == (STYLE, "private, no-cache")
        again = await stage.get(f"{stage.ann}/statics/base.css", headers={"If-None-Match": style.headers["Etag"]})
        assert (again.code, again.body) == (304, b"")
        assert again.headers["Content-Security-Policy"] == style.headers["Content-Security-Policy"]

    on_stage(visit)


def test_redirects_stay_below_it_and_what_is_gone_says_so() -> None:
    async def visit(stage: Stage) -> None:
        for path, target in [("info", "info/main/workers.html"), ("away", "status")]:
            answer = await stage.get(f"{stage.ann}/{path}")
            assert (answer.code // 100, answer.headers["Location"]) == (3, target)
        answer = await stage.get(f"{stage.ann}/broken")
        assert (answer.code, b"could not build this page" in answer.body) == (503, True)
        stage.heard.url = "http://127.0.0.1:9/clusters/name"
        answer = await stage.get(f"{stage.ann}/status")
        assert (answer.code, b"does not answer" in answer.body, b"127.0.0.1" in answer.body) == (503, True, False)
        socket = await stage.socket(f"{stage.ann}/status/ws")
        assert await socket.read_message() is None
        socket.close()

    on_stage(visit)


def test_its_websockets_pass_on_whatever_is_said_for_the_owner_and_for_pages_of_this_host() -> None:
    async def talk(stage: Stage) -> None:
        origin = stage.server.url.rstrip("/")
        socket = await stage.socket(f"{stage.ann}/status/ws?a=1", Origin=origin, Cookie="login=1")
        assert socket.selected_subprotocol == "bokeh"
        for message in ("words", b"\x00\xff", "x" * 2**20):
            await socket.write_message(message, binary=isinstance(message, bytes))
            assert await socket.read_message() == message
        await socket.write_message("end")
        assert await socket.read_message() is None
        socket.close()
        assert stage.heard.paths == ["/clusters/name/status/ws?a=1"]
        said = stage.heard.headers[0]
        assert said["Sec-Websocket-Protocol"] == "bokeh,a.token"
        assert not {"Cookie", "Origin", "X-User"} & set(said)
        for user, place, code in [("bob", origin, 404), ("ann", "http://192.0.2.1", 403)]:
            with pytest.raises(HTTPClientError, match=str(code)):
                await stage.socket(f"{stage.ann}/status/ws", user, Origin=place)
        assert len(stage.heard.paths) == 1

    on_stage(talk)


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        (Address(), True),
        (Address(host="::1"), True),
        (Address(host="0.0.0.0"), False),
        (Address(origins=("example.org",)), False),
    ],
)
def test_that_of_the_servers_own_cluster_is_shown_where_nobody_else_can_come_and_without_a_login(
    address: Address, alone: bool
) -> None:
    async def ask() -> None:
        spec = parse_cluster("local", workers=1)
        services = Services(Settings(), {}, spec, is_local_only=address.is_local_only)
        pooled = PooledCluster(spec=spec, idle_policy=IdlePolicy(linger=None))
        assert services.dashboard_of(pooled, ANONYMOUS) is None
        endpoint = Endpoint(address="tcp://127.0.0.1:9", name="cluster", dashboard=lambda: "http://127.0.0.1:9")
        pooled.connection = Connection(client=None, spec=spec, endpoint=endpoint, settings=Settings())
        assert (services.dashboard_of(pooled, ANONYMOUS) is not None) == alone
        assert services.dashboard_of(pooled, Principal(name="ann", scope="ann")) is None
        await services.close()

    asyncio.run(ask())
