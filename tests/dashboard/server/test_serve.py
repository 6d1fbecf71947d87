"""The server of the page: what it answers with, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from compute.catalog import OdcCatalog
from compute.cluster import parse_cluster
from compute.products import load_profiles
from compute.settings import Settings
from dashboard.app import running_server
from dashboard.server import build_content_policy
from dashboard.server.forwarded_headers import find_request_host
from dashboard.server.response_policy import add_nonce, complete_content_policy
from dashboard.server_address import Address
from tests.fixtures.processes import family
from tests.fixtures.server import RunningDashboard, serve_in_thread

pytestmark = pytest.mark.index

GREENUP = str(Path(sys.executable).with_name("greenup"))


@pytest.fixture(scope="module")
def below(catalog: OdcCatalog, index_settings: Settings) -> Iterator[RunningDashboard]:
    """The dashboard below a path, as a proxy carries it."""
    yield from serve_in_thread(
        index_settings, prefix="/some/where", origins=("hub.example",), embed_in=("https://portal.example",)
    )


def ask(url: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def directives(headers: dict[str, str]) -> dict[str, list[str]]:
    words = [part.split() for part in headers["Content-Security-Policy"].split(";")]
    return {name: sources for name, *sources in words}


def test_the_page_is_kept_to_itself(below: RunningDashboard) -> None:
    status, headers, _ = ask(below.url)
    assert status == 200
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    policy = directives(headers)
    assert policy["default-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'self'", "https://portal.example"]
    assert policy["script-src-attr"] == ["'none'"]
    host = urlsplit(below.url).netloc
    sources = {source for each in policy.values() for source in each} - {f"ws://{host}", f"wss://{host}"}
    assert [source for source in sources if "*" in source or "//" in source] == ["https://portal.example"]
    assert not {"ws:", "wss:", "'unsafe-eval'"} & sources
    assert "'unsafe-inline'" not in policy["script-src"]


def test_every_page_has_a_nonce_of_its_own_on_each_of_its_scripts(below: RunningDashboard) -> None:
    nonces = set()
    for _ in range(2):
        _, headers, body = ask(below.url)
        (nonce,) = (word[7:-1] for word in directives(headers)["script-src"] if word.startswith("'nonce-"))
        assert body.count(b"<script") == body.count(f'<script nonce="{nonce}"'.encode()) > 5
        nonces.add(nonce)
    assert len(nonces) == 2


def test_a_proxys_host_is_where_the_websocket_may_connect_and_nothing_else_is_a_host() -> None:
    own = "[::1]:5006"
    for told, host in (("hub.example:8443, inner", "hub.example:8443"), ("a; script-src *", own), ("", own)):
        line = RequestStartLine("GET", "/", "HTTP/1.1")
        request = HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": own, "X-Forwarded-Host": told}))
        assert find_request_host(request) == host
        sources = directives(
            {"Content-Security-Policy": complete_content_policy(build_content_policy(), nonce="abc", host=host)}
        )
        assert [source for source in sources["connect-src"] if "//" in source] == [f"ws://{host}", f"wss://{host}"]


@given(st.lists(st.sampled_from(["<script>", "</script>", "<SCRIPT src=x>", "{}", '"', "a<b"]), max_size=6))
def test_words_within_a_script_stay_as_they_are(words: list[str]) -> None:
    content = "".join(words).replace("</script>", "<\\/script>")
    page = f"<p>{content.count('a')}</p><script type=x>{content}</script><script\n>1</script>"
    assert add_nonce(page, "abc") == (
        f'<p>{content.count("a")}</p><script nonce="abc" type=x>{content}</script><script nonce="abc"\n>1</script>'
    )


@pytest.mark.parametrize(
    "path",
    [
        "api/results",
        f"api/results/{'ab' * 16}",
        f"tiles/{'ab' * 16}/ndvi_mean/<script>/0/0/0.png",
        "healthz",
        "metrics",
        "favicon.ico",
    ],
)
def test_an_answer_that_is_no_page_runs_nothing_where_it_is_opened_as_one(below: RunningDashboard, path: str) -> None:
    _, headers, body = ask(below.url + quote(path))
    policy = directives(headers)
    assert policy["default-src"] == ["'none'"]
    assert policy["sandbox"] == []
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert b"<script>" not in body


def test_a_page_for_this_machine_may_be_shown_by_a_notebook_at_another_port(dashboard: RunningDashboard) -> None:
    _, headers, _ = ask(dashboard.url)
    assert {"'self'", "http://localhost:*", "http://127.0.0.1:*"} < set(directives(headers)["frame-ancestors"])


def test_an_online_basemap_is_let_in_as_images_alone() -> None:
    policy = directives({"Content-Security-Policy": build_content_policy(images=["https://tiles.example"])})
    assert [name for name, sources in policy.items() if "https://tiles.example" in sources] == ["img-src"]


def test_the_icon_is_greenups_wherever_a_browser_looks(below: RunningDashboard, dashboard: RunningDashboard) -> None:
    assert b'<link rel="icon" href="data:image/svg+xml' in ask(below.url)[2]
    root = "http://" + urlsplit(below.url).netloc
    for place in (f"{below.url}favicon.ico", f"{root}/favicon.ico", f"{dashboard.url}favicon.ico"):
        status, headers, body = ask(place)
        assert (status, headers["Content-Type"]) == (200, "image/svg+xml")
        assert ET.fromstring(body).get("aria-label") == "Greenup"


def test_a_page_that_cannot_be_built_is_one_sentence_and_its_reason_stays_in_the_log(
    below: RunningDashboard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the password is swordfish")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr("dashboard.app.build_page", broken)
        status, headers, body = ask(below.url)
    assert status == 500
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert b"<p>This page could not be built;" in body
    assert not [word for word in (b"Traceback", b"swordfish", b"RuntimeError", b".py", b"<script") if word in body]
    assert "swordfish" in caplog.text
    assert "Traceback" in caplog.text
    assert ask(below.url)[0] == 200


def test_ctrl_c_stays_with_whoever_had_it(catalog: OdcCatalog, index_settings: Settings) -> None:
    async def notebook() -> None:
        before = signal.getsignal(signal.SIGINT)
        cluster = parse_cluster("local", workers=1)
        async with running_server(index_settings, load_profiles(None), cluster, Address(port=0)):
            assert signal.getsignal(signal.SIGINT) is before

    asyncio.run(notebook())


def test_a_server_ends_with_the_process_that_started_it_even_if_that_was_killed(
    catalog: OdcCatalog, index_settings: Settings, tmp_path: Path
) -> None:
    command = [GREENUP, "serve", "--port", "0", "--workers", "1", "--parent"]
    starter = f"import os, subprocess; subprocess.run([*{command}, str(os.getpid())])"
    with family([sys.executable, "-c", starter], tmp_path, GREENUP_HOME=str(index_settings.home)) as started:
        started.await_words("Greenup is at")
        started.head.kill()
        assert started.survivors() == []


def test_a_server_that_is_stopped_while_it_starts_leaves_no_index_behind(tmp_path: Path) -> None:
    # Not below pytest's folder, which is closed to the system user that root's embedded index runs as.
    with (
        tempfile.TemporaryDirectory(prefix="greenup-test-") as home,
        family([GREENUP, "serve", "--port", "0"], tmp_path, GREENUP_HOME=home, GREENUP_INDEX_URL="") as started,
    ):
        index = Path(home, "index", "postgres")
        deadline = time.monotonic() + 120
        while not index.exists():
            assert time.monotonic() < deadline, started.log.read_text()
            time.sleep(0.01)
        os.kill(started.head.pid, signal.SIGTERM)
        assert started.survivors() == []
        assert started.head.wait() == 0
        assert not (index / "postmaster.pid").exists()
