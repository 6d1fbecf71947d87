"""Login by a real JupyterHub: its users come in as themselves, and those that it shuts out are out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from compute.settings import Settings
from dashboard.server.login import AccessControl, make_provider
from tests.fixtures.gated import Gated, gated
from tests.fixtures.hub import ADMIN, TOKEN, Hub, running_hub

Scenario = Callable[[Gated], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.fixture
def serve(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    for name, value in hub.environment.items():
        monkeypatch.setenv(name, value)

    def run(scenario: Scenario) -> None:
        async def within() -> None:
            access_control = AccessControl(
                make_provider(Settings(), "jupyterhub", has_proxies=False), prefix="/services/greenup"
            )
            async with gated(access_control, port=hub.port) as server:
                await scenario(server)

        asyncio.run(within())

    return run


async def sign_in(browser: AsyncClient, hub: Hub, user: str) -> Response:
    """Go to the page, and through the hub's form to wherever it leads."""
    form = await browser.get("")
    assert str(form.url).startswith(f"{hub.url}/login")
    found = re.search(r'name="_xsrf" value="([^"]+)"', form.text)
    assert found is not None
    return await browser.post(str(form.url), data={"username": user, "password": "any", "_xsrf": found[1]})


async def as_admin(hub: Hub, method: str, path: str, **more: Any) -> Any:
    async with AsyncClient(
        base_url=f"{hub.url}/api/", timeout=30, headers={"Authorization": f"token {ADMIN}"}
    ) as admin:
        answer = await admin.request(method, path, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


def test_users_of_the_hub_come_in_as_themselves(hub: Hub, serve: Callable[[Scenario], None]) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser(follow_redirects=True) as alice, server.browser(follow_redirects=True) as bob:
            assert (await sign_in(alice, hub, "alice")).json() == {"name": "alice", "scope": "user:alice"}
            assert (await sign_in(bob, hub, "bob")).json() == {"name": "bob", "scope": "user:bob"}
            assert (await alice.get("api/x")).json()["name"] == "alice"

    serve(scenario)


def test_a_user_who_may_not_use_this_service_does_not_come_in(hub: Hub, serve: Callable[[Scenario], None]) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser(follow_redirects=True) as browser:
            answer = await sign_in(browser, hub, "carol")
            assert answer.status_code == 403
            assert (await browser.get("api/x", headers={"Accept": "*/*"})).status_code == 401
            assert not list(server.access_control.logins)

    serve(scenario)


def test_tokens_of_the_hub_open_tiles_and_the_api(hub: Hub, serve: Callable[[Scenario], None]) -> None:
    async def scenario(server: Gated) -> None:
        note = {"note": "tiles", "scopes": ["access:services!service=greenup", "read:users:name!user"]}
        token = (await as_admin(hub, "POST", "users/bob/tokens", json=note))["token"]
        bare = (await as_admin(hub, "POST", "users/bob/tokens", json={"scopes": ["read:users:name!user"]}))["token"]
        async with AsyncClient(base_url=server.url, timeout=30) as program:
            for kind in ("token", "Bearer"):
                answer = await program.get("api/x", headers={"Authorization": f"{kind} {token}"})
                assert answer.json() == {"name": "bob", "scope": "user:bob"}
            assert (await program.get(f"tiles/x?token={token}")).json()["name"] == "bob"
            assert (await program.get(f"?token={token}")).status_code == 401
            for wrong in (bare, TOKEN, ADMIN, "0" * 32, "a b", "%00"):
                assert (await program.get("api/x", params={"token": wrong})).status_code == 401

    serve(scenario)


def test_a_user_whom_the_hub_deletes_is_out(hub: Hub, serve: Callable[[Scenario], None]) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser(follow_redirects=True) as browser:
            await sign_in(browser, hub, "alice")
            (login,) = server.access_control.logins
            login.checked = 0.0
            assert (await browser.get("api/x")).status_code == 200
            await as_admin(hub, "DELETE", "users/alice")
            login.checked = 0.0  # what half a minute does
            answer = await browser.get("api/x", headers={"Accept": "*/*"}, follow_redirects=False)
            assert answer.status_code == 401
            assert not list(server.access_control.logins)

    serve(scenario)
