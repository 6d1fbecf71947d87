"""What reaches the routes: hosts, proxies, bodies; and what of Panel's own routes is answered."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from compute.errors import InputError
from dashboard.server.login import AccessControl
from dashboard.server.request_gate import (
    MAX_BODY_BYTES,
    MAX_REGION_BYTES,
    Gate,
    GatePolicy,
    parse_host_names,
    parse_networks,
)
from tests.fixtures.server import RunningDashboard

HUB = GatePolicy(
    hosts=parse_host_names(["hub.example.org:443", "*.pages.example"]), proxies=parse_networks(["10.0.0.0/8"])
)


def ask(
    dashboard: RunningDashboard, path: str, headers: Mapping[str, str] | None = None, *, body: bytes = b""
) -> tuple[int, str]:
    """Return the status and the body of an answer; a Host of its own replaces the right one."""
    connection = http.client.HTTPConnection(urlsplit(dashboard.url).netloc, timeout=30)
    try:
        connection.request("POST" if body else "GET", path, body or None, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


@pytest.mark.index
@pytest.mark.parametrize(
    "path",
    [
        "/components/this/x/_css/y",
        "/components/panel.widgets.button/Button/_css/y",
        "/components/dashboard.map.component/NdviMap/_bundle_path/../component.py",
        "/components/",
        "/autoload.js?bokeh-autoload-element=x",
        "/metadata",
        "/rest",
        "/static/extensions/panel/../../../../etc/passwd",
        "/static/../../app.py",
        "/admin",
        "/liveness",
        "/login",
        "/logout",
    ],
)
def test_nothing_but_what_the_page_needs_is_answered(dashboard: RunningDashboard, path: str) -> None:
    status, body = ask(dashboard, path)
    assert status in (403, 404)
    assert "root:" not in body
    assert "Traceback" not in body
    assert "this" not in sys.modules


@pytest.mark.index
def test_the_script_of_the_map_is_answered(dashboard: RunningDashboard) -> None:
    status, body = ask(dashboard, "/components/dashboard.map.component/NdviMap/_bundle_path/map.bundle.js")
    assert status == 200
    assert len(body) > 100_000


@pytest.mark.index
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:5006", "a b", ""])
@pytest.mark.parametrize("path", ["/", "/api/results", "/ws", "/static/js/bokeh.min.js"])
def test_a_host_that_is_none_of_this_machine_is_not_answered(dashboard: RunningDashboard, host: str, path: str) -> None:
    status, body = ask(dashboard, path, {"Host": host})
    assert status == 421
    assert "--origin" in json.loads(body)["error"]


@pytest.mark.index
def test_a_large_body_is_refused_before_it_is_read(dashboard: RunningDashboard) -> None:
    status, body = ask(dashboard, "/api/results", {"Content-Length": str(10**12)}, body=b"x")
    assert status == 413
    assert str(MAX_BODY_BYTES) in json.loads(body)["error"]
    assert ask(dashboard, "/api/results", {"Content-Length": "-1"}, body=b"x")[0] == 413
    assert ask(dashboard, "/api/results", {"Content-Length": str(MAX_BODY_BYTES + 1)}, body=b"x")[0] == 413
    region = f"/api/results/{'0' * 32}/statistics"
    assert ask(dashboard, region, body=b"x" * (MAX_BODY_BYTES + 1))[0] == 404
    assert ask(dashboard, region, {"Content-Length": str(MAX_REGION_BYTES + 1)}, body=b"x")[0] == 413
    assert ask(dashboard, "/api/results", {"Transfer-Encoding": "chunked"}, body=b"0\r\n\r\n")[0] == 411
    assert ask(dashboard, "/api/results", body=b"x" * 1000)[0] == 405
    assert ask(dashboard, "/api/results")[0] == 200


@pytest.mark.index
def test_a_header_without_end_is_cut_off(dashboard: RunningDashboard) -> None:
    where = urlsplit(dashboard.url)
    assert where.port is not None
    with socket.create_connection((where.hostname, where.port), 30) as stream:
        answer = b""
        with suppress(ConnectionError):
            stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000)
            answer = stream.recv(100)
    assert answer == b"" or b" 400 " in answer or b" 431 " in answer


class Echo(RequestHandler):
    """Answers what a route knows of its visitor."""

    def get(self) -> None:
        told = {name: text for name, text in self.request.headers.get_all() if "orward" in name}
        self.finish({"address": self.request.remote_ip, "scheme": self.request.protocol, "told": told})


def echoed(policy: GatePolicy, *told: Mapping[str, str]) -> list[Any]:
    """Return what a route behind a gate knows of requests on one connection, one after another."""

    async def scenario() -> list[Any]:
        server = HTTPServer(Gate(Application([("/", Echo)]), policy, AccessControl(None)))
        (own,) = bind_sockets(0, "127.0.0.1")
        server.add_sockets([own])
        port = own.getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers = []
        for headers in told:
            lines = [f"{name}: {text}" for name, text in {"Host": f"localhost:{port}", **headers}.items()]
            writer.write("\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            (length,) = (int(line[15:]) for line in head.decode().splitlines() if line.startswith("Content-Length:"))
            answers.append(json.loads(await reader.readexactly(length)))
        writer.close()
        server.stop()
        return answers

    return asyncio.run(scenario())


TOLD = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example", "X-Forwarded-For": "5.6.7.8", "Forwarded": "a"}


def test_a_visitor_cannot_say_what_a_proxy_says() -> None:
    (known,) = echoed(GatePolicy(), TOLD | {"X-Real-Ip": "1.2.3.4", "X-Scheme": "https"})
    assert known == {"address": "127.0.0.1", "scheme": "http", "told": {}}


def test_a_proxy_that_is_believed_says_it_for_each_request_alone() -> None:
    policy = GatePolicy(proxies=parse_networks(["127.0.0.0/8"]))
    first, second = echoed(policy, TOLD, {"X-Forwarded-Proto": "javascript"})
    assert (first["address"], first["scheme"]) == ("5.6.7.8", "https")
    assert first["told"] == TOLD
    assert (second["address"], second["scheme"]) == ("127.0.0.1", "http")


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost", True),
        ("LOCALHOST:5006", True),
        ("127.0.0.1:5006", True),
        ("[::1]:5006", True),
        ("10.1.2.3", True),
        ("hub.example.org", True),
        ("hub.example.org.:443", True),
        ("a.pages.example", True),
        ("pages.example", False),
        ("hub.example.org.evil.example", False),
        ("xhub.example.org", False),
        ("", False),
        ("a@b", False),
        ("hub.example.org:99999999", False),
    ],
)
def test_hosts_that_are_answered(host: str, passes: bool) -> None:
    assert HUB.allows_host(host) is passes


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.0/33", "", "10.0.0.1/8"])
def test_a_proxy_is_named_by_its_address(text: str) -> None:
    with pytest.raises(InputError, match=r"not an address or network"):
        parse_networks([text])


@pytest.mark.parametrize(
    ("chain", "peer", "client"),
    [
        ("", "10.0.0.1", "10.0.0.1"),
        ("5.6.7.8", "10.0.0.1", "5.6.7.8"),
        ("1.1.1.1, 5.6.7.8", "10.0.0.1", "5.6.7.8"),
        ("1.1.1.1, 10.9.9.9", "10.0.0.1", "1.1.1.1"),
        ("5.6.7.8, unknown", "10.0.0.1", "10.0.0.1"),
        ("10.2.2.2", "10.0.0.1", "10.2.2.2"),
        ("::ffff:5.6.7.8", "::ffff:10.0.0.1", "5.6.7.8"),
    ],
)
def test_the_visitor_is_the_last_that_is_no_proxy(chain: str, peer: str, client: str) -> None:
    assert HUB.trusts_peer(peer)
    assert HUB.find_client_address(HTTPHeaders({"X-Forwarded-For": chain}), peer) == client


@given(st.lists(st.text(max_size=30), max_size=5), st.ip_addresses())
def test_no_chain_of_proxies_names_what_is_no_address(names: Iterable[str], peer: object) -> None:
    headers = HTTPHeaders()
    chain = ",".join(names)
    if chain.isprintable() and chain.isascii():
        headers["X-Forwarded-For"] = chain
        found = HUB.find_client_address(headers, str(peer))
        assert ip_address(found)


@pytest.mark.index
def test_what_is_no_origin_and_no_path_is_refused(dashboard: RunningDashboard) -> None:
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==", "Origin": "http://[x",
    }  # fmt: skip
    for path in ("/ws", "/dask/01234567/status/ws"):
        assert ask(dashboard, path, upgrade)[0] in (403, 404)
    assert ask(dashboard, "/static/%00")[0] == 400
    assert ask(dashboard, f"/api/results/{'0' * 32}/statistics", {"Origin": "http://[x"}, body=b"null")[0] == 403
