"""Two users on one server, each in a Chromium of their own: neither reaches what is the other's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from httpx2 import Client

from compute.catalog import OdcCatalog
from compute.settings import Settings
from dashboard.server.login import access_control
from dashboard.server.login.jupyterhub_login import HubProvider
from tests.dashboard.server.login.test_login import drop, write
from tests.fixtures.browser import Watch
from tests.fixtures.hub import ADMIN, running_hub
from tests.fixtures.pages import SMALL, WIDE, choose_product, compute, delete_result, token_of, type_region
from tests.fixtures.server import RunningDashboard, serve_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.index]

UNKNOWN = "ab" * 16
TITLE = "Wheat of Alice's"

ROUTES = (
    "api/results/{}",
    "api/results/{}/value?lon=147&lat=-42",
    "api/results/{}/series?lon=147&lat=-42",
    "api/results/{}/observations?lon=147&lat=-42",
    "api/results/{}/stretch/ndvi_mean?season=DJF",
    "api/results/{}/statistics?bbox=146.9,-42.1,147.1,-41.9",
    "api/results/{}/ndvi_mean/DJF/tilejson.json",
    "api/results/{}/ogc",
    "api/results/{}/ogc/collections",
    "api/results/{}/ogc/collections/ndvi_mean.DJF/map/tiles/WebMercatorQuad",
    "tiles/{}/ndvi_mean/DJF/4/14/10.png",
    "tiles/{}/ndvi_mean/DJF/4/14/10.i16",
)

Server = tuple[RunningDashboard, Callable[[str], None]]
"""The dashboard, and what shuts a user out."""


@pytest.fixture
def basic(index_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a password file."""
    users = tmp_path_factory.mktemp("login") / "users"
    write(users, "alice", "bob")
    settings = index_settings.model_copy(update={"auth_file": users, "chunk_px": 64})
    with contextmanager(serve_in_thread)(settings, auth="basic") as served:
        yield served, lambda user: drop(users, user)


@pytest.fixture
def jupyterhub(
    index_settings: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server that is a service of a JupyterHub."""
    settings = index_settings.model_copy(update={"chunk_px": 64})
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:

        def shut_out(user: str) -> None:
            with Client(headers={"Authorization": f"token {ADMIN}"}) as admin:
                assert admin.delete(f"{hub.url}/api/users/{user}").status_code == 204

        for name, value in hub.environment.items():
            monkeypatch.setenv(name, value)
        address: dict[str, Any] = {"auth": "jupyterhub", "port": hub.port, "prefix": "/services/greenup"}
        with contextmanager(serve_in_thread)(settings, **address) as served:
            yield served, shut_out


@contextmanager
def visitor(browser: Browser, served: RunningDashboard, user: str, watch: Watch) -> Iterator[Page]:
    """Sign in on the form of Greenup's or of the hub's, and yield the page once it is there."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")
    context.set_default_timeout(30_000)
    page = context.new_page()
    watch.follow(page)
    page.goto(served.url)
    assert urlsplit(page.url).path.endswith("/login")
    page.get_by_label(re.compile("^User ?name")).fill(user)
    page.get_by_label(re.compile("^Password")).fill(f"{user} pass")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Draw a box").first.wait_for()
    yield page
    context.close()


def ask(page: Page, served: RunningDashboard, path: str) -> APIResponse:
    """Ask with the cookies of a visitor's."""
    return page.context.request.get(served.url + path)


def result_of(page: Page, served: RunningDashboard) -> str:
    """Compute a result on a visitor's page, and return its token once it is done."""
    choose_product(page)
    type_region(page, SMALL)
    page.get_by_text("Dates in each season").wait_for()
    compute(page)
    token = token_of(page)
    for _ in range(240):
        if ask(page, served, f"api/results/{token}").json()["state"] == "done":
            return token
        page.wait_for_timeout(250)
    raise AssertionError("the result was not done in time")


def assert_nothing_is_told(page: Page, served: RunningDashboard, token: str) -> None:
    """Hold all routes to answer for another's token as for one that nobody has."""
    assert ask(page, served, "api/results").json()["results"] == []
    for route in ROUTES:
        found, nobodys = (ask(page, served, route.format(each)) for each in (token, UNKNOWN))
        assert found.status == nobodys.status == 404
        assert found.text().replace(token, UNKNOWN) == nobodys.text()
    body = {"type": "Polygon", "coordinates": [[[147, -42], [147.1, -42], [147, -42.1], [147, -42]]]}
    answers = [
        page.context.request.post(f"{served.url}api/results/{each}/statistics", data=body) for each in (token, UNKNOWN)
    ]
    assert answers[0].status == answers[1].status == 404
    assert answers[0].text().replace(token, UNKNOWN) == answers[1].text()


@pytest.mark.parametrize("login", ["basic", pytest.param("jupyterhub", marks=pytest.mark.soak)])
def test_neither_of_two_users_reaches_what_is_the_others(
    login: str,
    request: pytest.FixtureRequest,
    synthetic: OdcCatalog,
    browser: Browser,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access_control, "_WATCH_S", 1.0)
    monkeypatch.setattr(HubProvider, "confirmed_s", 1.0)
    served, shut_out = request.getfixturevalue(login)
    with visitor(browser, served, "alice", watch) as alice, visitor(browser, served, "bob", watch) as bob:
        token = result_of(alice, served)
        for route in ROUTES:
            assert ask(alice, served, route.format(token)).status == 200, route
        alice.get_by_role("button", name="Open contextbar").click()
        alice.get_by_role("button", name="Rename").first.click()
        alice.get_by_role("textbox", name="Title").fill(TITLE)
        alice.get_by_role("button", name="Save", exact=True).click()
        alice.get_by_role("link", name=TITLE).wait_for()

        # Sees: not in the list, not by its address, not by any route.
        assert bob.get_by_text(TITLE).count() == 0
        assert_nothing_is_told(bob, served, token)
        watch.allowed += ["404 (Not Found)"]
        bob.goto(f"{served.url}?result={token}")
        bob.get_by_text("There is no such result here").first.wait_for()
        bob.goto(f"{served.url}?result={UNKNOWN}")
        bob.get_by_text("There is no such result here").first.wait_for()
        assert bob.get_by_text(TITLE).count() == 0

        # Joins, renames, deletes: the same question is a result of one's own.
        bob.goto(served.url)
        own = result_of(bob, served)
        assert own != token
        assert [each["token"] for each in ask(bob, served, "api/results").json()["results"]] == [own]
        delete_result(bob)
        bob.get_by_text("None yet").wait_for()
        assert ask(alice, served, f"api/results/{own}").status == 404
        (kept,) = ask(alice, served, "api/results").json()["results"]
        assert (kept["token"], kept["state"]) == (token, "done")
        assert alice.get_by_role("link", name=TITLE).is_visible()
        assert ask(alice, served, ROUTES[-1].format(token)).status == 200

        # Out: the open page too.
        watch.allowed += ["401 (Unauthorized)", "WebSocket", "BokehJS", "Lost"]
        sockets = list[bool]()
        alice.on("websocket", lambda socket: socket.on("close", lambda _: sockets.append(True)))
        alice.reload()
        alice.get_by_role("link", name=TITLE).wait_for()
        shut_out("alice")
        for _ in range(100):
            if sockets:
                break
            alice.wait_for_timeout(100)
        assert sockets == [True]
        assert ask(alice, served, f"api/results/{token}").status == 401
        assert ask(bob, served, "api/results").status == 200
