"""Login: nobody passes without one, nobody is somebody else, and who is out stays out."""

from __future__ import annotations

import asyncio
import io
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import bcrypt
import pytest
from argon2 import PasswordHasher
from httpx2 import AsyncClient, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from compute.errors import InputError
from compute.jobs import ANONYMOUS, participant_of, user_principal
from compute.settings import Settings
from dashboard.cli.main import main
from dashboard.server.login import AccessControl, password_file
from dashboard.server.login import access_control as rules
from dashboard.server.login.password_file import PasswordFile, hash_password, parse_passwords, verify_password
from dashboard.server.login.provider_choice import make_provider
from dashboard.server.login.providers import HeaderProvider, PasswordProvider
from dashboard.server.login.throttle import MAX_FAILURES_PER_ADDRESS
from tests.fixtures.gated import Gated, gated
from tests.fixtures.oidc import CLIENT, SECRET, Oidc, oidc_provider

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""So that a test does not wait for hashes; their parameters are in the hash."""

Scenario = Callable[[Gated], Coroutine[Any, Any, None]]


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users"
    write(file, "alice", "bob")
    return file


def write(file: Path, *names: str, password: str = "") -> None:
    hashes = {name: CHEAP.hash(password or f"{name} pass") for name in names}
    file.write_text("# users\n" + "".join(f"{name}:{digest}\n" for name, digest in hashes.items()))


def drop(file: Path, name: str) -> None:
    file.write_text("".join(each for each in file.read_text().splitlines(True) if not each.startswith(name)))


def basic(users: Path, **more: Any) -> AccessControl:
    return AccessControl(PasswordProvider(PasswordFile(users)), **more)


def within(access_control: AccessControl, scenario: Scenario, **more: Any) -> None:
    async def run() -> None:
        async with gated(access_control, **more) as server:
            await scenario(server)

    asyncio.run(run())


async def sign_in(browser: AsyncClient, user: str = "alice", following: str = "") -> Response:
    form = {"user": user, "password": f"{user} pass", "next": following}
    return await browser.post("login", data=form)


class Line:
    """A websocket to the server."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._is_open = True

    async def who(self) -> str | None:
        """Return who the server says it is of, None where it has hung up."""
        await self._socket.write_message("who")
        return await self.hear()

    async def hear(self) -> str | None:
        heard = await asyncio.wait_for(self._socket.read_message(), 20)
        self._is_open = heard is not None
        return None if heard is None else str(heard)

    async def close(self) -> None:
        """Close it, as the loop must not end before."""
        self._socket.close()
        while self._is_open:
            await self.hear()


@asynccontextmanager
async def line(server: Gated, query: str = "", **headers: str) -> AsyncIterator[Line]:
    url = server.url.replace("http", "ws", 1) + f"ws{query}"
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(server.url))
    opened = Line(await websocket_connect(HTTPRequest(url, headers={"Origin": origin} | headers)))
    try:
        yield opened
    finally:
        await opened.close()


async def refused(server: Gated, query: str = "") -> int:
    with pytest.raises(HTTPClientError) as refusal:
        async with line(server, query):
            pass
    return refusal.value.code


def cookie_of(browser: AsyncClient) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


# without a login


@pytest.mark.parametrize("prefix", ["", "/some/where"])
def test_nothing_is_answered_without_a_login(users: Path, prefix: str) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser, AsyncClient(base_url=server.url) as program:
            for path, there in (
                ("", "login"),
                ("deep/er?result=a%26b", "../login?next=" + quote("deep/er?result=a%26b", safe="")),
            ):
                answer = await browser.get(path)
                assert (answer.status_code, answer.headers["Location"]) == (302, there)
            for path in ("", "api/x", "tiles/x", "metrics", "deep/er", "nothing", "api/link"):
                answer = await program.get(path)
                assert answer.status_code == 401
                assert answer.headers["WWW-Authenticate"].startswith("Basic")
                assert (await browser.get(path, headers={"Sec-Fetch-Mode": "cors"})).status_code == 401
            assert await refused(server) == 401
            for path in ("healthz", "login", "logout"):
                assert (await program.get(path)).status_code in (200, 403)

    within(basic(users, prefix=prefix), scenario)


def test_browsers_are_not_made_to_ask_for_a_password_themselves(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with AsyncClient(base_url=server.url, headers={"Sec-Fetch-Mode": "cors"}) as script:
            assert "WWW-Authenticate" not in (await script.get("tiles/x")).headers

    within(basic(users), scenario)


def test_without_a_kind_of_login_everybody_is_the_same() -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            assert (await browser.get("api/x")).json() == {"name": ANONYMOUS.name, "scope": ANONYMOUS.scope}
            assert (await browser.get("login")).status_code == 404

    within(AccessControl(None), scenario)


# the password file


def test_a_name_and_a_password_let_in_until_the_logout(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            assert 'name="password"' in (await browser.get("login?next=deep/er")).text
            answer = await sign_in(browser, following="deep/er?a=1")
            assert (answer.status_code, answer.headers["Location"]) == (302, "./deep/er?a=1")
            cookie = answer.headers["Set-Cookie"]
            assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
            assert (await browser.get("")).json() == {"name": "alice", "scope": "user:alice"}
            kept = cookie_of(browser)
            async with line(server, Cookie=kept) as socket:
                assert await socket.who() == "alice"
                assert "alice" in (await browser.get("logout")).text
                assert (await browser.get("")).status_code == 200  # asking is not doing
                assert (await browser.post("logout")).status_code == 303
                assert await socket.hear() is None
            assert (await browser.get("")).status_code == 302
            assert (await browser.get("", headers={"Cookie": kept})).status_code == 302

    within(basic(users), scenario)


@pytest.mark.parametrize("user", ["alice", "nobody", "", "shared", "a" * 10_000, "al\0ice", "<b>"])
def test_a_wrong_password_and_no_such_user_look_the_same(users: Path, user: str) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            answer = await browser.post("login", data={"user": user, "password": "wrong"})
            assert answer.status_code == 401
            assert "The user name or password is incorrect" in answer.text
            assert "<b>" not in answer.text
            assert not browser.cookies

    within(basic(users), scenario)


def test_programs_sign_in_with_each_request_for_tiles_and_the_api_alone(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with AsyncClient(base_url=server.url, auth=("bob", "bob pass")) as program:
            for path in ("tiles/x", "api/x"):
                assert (await program.get(path)).json()["name"] == "bob"
            for path in ("", "deep/er", "metrics"):
                assert (await program.get(path)).status_code == 401
            assert (await program.get("api/x", auth=("bob", "alice pass"))).status_code == 401
            for given in ("Basic !", "Basic", "Basic " + "A" * 9000, "Digest a", "Basic /w==", b"Basic \xff"):
                assert (await program.get("api/x", headers={"Authorization": given}, auth=None)).status_code == 401

    within(basic(users), scenario)


def test_failed_logins_are_throttled_and_the_right_password_is_not_told_then(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            for _ in range(MAX_FAILURES_PER_ADDRESS):
                assert (await browser.post("login", data={"user": "bob", "password": "x"})).status_code == 401
            answer = await sign_in(browser, "bob")
            assert answer.status_code == 429
            assert answer.headers["Retry-After"] == "300"
            program = await browser.get("api/x", auth=("bob", "bob pass"))
            assert (program.status_code, program.headers["Retry-After"]) == (429, "300")

    within(basic(users), scenario)


def test_a_user_who_is_taken_out_of_the_file_is_out(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_WATCH_S", 0.05)

    async def scenario(server: Gated) -> None:
        watching = asyncio.create_task(server.access_control.watch_logins())
        async with server.browser() as alice, server.browser() as bob:
            await sign_in(alice)
            await sign_in(bob, "bob")
            link = (await alice.get("api/link")).json()["token"]
            async with line(server, Cookie=cookie_of(alice)) as socket, line(server, Cookie=cookie_of(bob)) as other:
                drop(users, "alice")
                assert await socket.hear() is None
                assert (await alice.get("")).status_code == 302
                assert (await bob.get(f"api/x?token={link}", headers={"Cookie": ""})).status_code == 302
                assert await other.who() == "bob"
                drop(users, "bob")
                assert (await bob.get("")).status_code == 302
                assert await other.hear() is None
        watching.cancel()

    within(basic(users), scenario)


def test_another_password_ends_the_logins_of_the_earlier_one(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            await sign_in(browser)
            assert (await browser.get("api/x", auth=("alice", "alice pass"))).status_code == 200
            write(users, "alice", password="another")
            assert (await browser.get("")).status_code == 302
            assert (await browser.get("api/x", auth=("alice", "alice pass"))).status_code == 401

    within(basic(users), scenario)


def test_a_link_opens_tiles_and_the_api_until_the_login_ends(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser, AsyncClient(base_url=server.url) as program:
            await sign_in(browser)
            told = (await browser.get("api/link")).json()
            query = f"?token={told['token']}"
            assert (await program.get(f"tiles/x{query}")).json()["name"] == "alice"
            for path in ("", "deep/er", "api/link", "logout"):
                answer = await program.get(path + query)
                assert "alice" not in answer.text
            assert await refused(server, query) == 401
            assert (await program.get(f"tiles/x?token={told['token'][:-1]}")).status_code == 401
            await browser.post("logout")
            assert (await program.get(f"tiles/x{query}")).status_code == 401

    within(basic(users), scenario)


def test_a_login_ends_by_its_age(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            await sign_in(browser)
            (login,) = server.access_control.logins
            login.started -= server.access_control.logins.lasting_s + 1
            assert (await browser.get("")).status_code == 302

    within(basic(users), scenario)


def test_the_oldest_logins_of_a_user_give_way(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        logins = server.access_control.logins
        first, *_ = [logins.start_login(user_principal("alice"), ("alice", None)) for _ in range(101)]
        other = logins.start_login(user_principal("bob"), ("bob", None))
        assert logins.find_by_cookie(first.id) is None
        assert logins.find_by_link(first.link) is None
        assert len(list(logins)) == 101
        assert logins.find_by_cookie(other.id) is other

    within(basic(users), scenario)


def test_metrics_open_by_their_own_token(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with AsyncClient(base_url=server.url) as program:
            for given, status in (("Bearer swordfish", 200), ("Bearer swordfis", 401), ("Bearer", 401)):
                assert (await program.get("metrics", headers={"Authorization": given})).status_code == status
            assert (await program.get("api/x", headers={"Authorization": "Bearer swordfish"})).status_code == 401

    within(basic(users, metrics_token="swordfish"), scenario)


@pytest.mark.parametrize("following", ["a\nSet-Cookie: b=1", "a\r\nb", "\x7f\u2028\u00e9", "//evil.example/", "\\evil"])
def test_whatever_path_is_wanted_is_led_to_below_this_server(users: Path, following: str) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            answer = await sign_in(browser, following=following)
            assert answer.status_code == 302
            there = urljoin(f"{server.url}login", answer.headers["Location"])
            assert there.startswith(server.url)
            assert "b" not in browser.cookies

    within(basic(users, prefix="/some/where"), scenario)


@pytest.mark.parametrize("path", ["//x/login", "//x/healthz", "/./healthz", "/healthz/", "/%68ealthz", "/x/../healthz"])
def test_no_other_spelling_of_an_open_path_is_open(users: Path, path: str) -> None:
    async def scenario(server: Gated) -> None:
        where = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"401"
        writer.close()

    within(basic(users), scenario)


# other sites


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({}, True),
    ],
)
@pytest.mark.parametrize("path", ["login", "logout", "api/x"])
def test_another_site_changes_nothing(users: Path, headers: dict[str, str], passes: bool, path: str) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            await sign_in(browser)
            answer = await browser.post(path, headers=headers, data={"user": "bob", "password": "bob pass"})
            assert (answer.status_code != 403) == passes
            if not passes:
                assert (await browser.get("api/x")).json()["name"] == "alice"

    within(basic(users), scenario)


def test_a_proxy_that_tells_another_host_does_not_make_our_page_another_site(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            for origin, status in (("http://hub.example", 302), ("http://evil.example", 403)):
                form = {"user": "alice", "password": "alice pass"}
                answer = await browser.post("login", data=form, headers={"Origin": origin})
                assert answer.status_code == status

    within(basic(users, origins=["hub.example"]), scenario)


@given(st.text(max_size=60))
def test_no_path_that_is_wanted_leads_to_another_site(following: str) -> None:
    there = urljoin("https://here.example/some/where/login", f"./{following}".replace("\\", "/"))
    assert urlsplit(there).netloc == "here.example"
    assert urlsplit(there).scheme == "https"


@given(name=st.text(min_size=1, max_size=40))
def test_no_name_is_in_the_scope_of_those_who_are_not_logged_in(name: str) -> None:
    principal = user_principal(name)
    assert principal.scope != ANONYMOUS.scope
    assert principal != ANONYMOUS
    assert participant_of(principal, "a") != participant_of(ANONYMOUS, name)


# a proxy


def test_the_user_of_a_trusted_proxy_is_believed_and_nobody_elses() -> None:
    def scenario(names: list[str | None]) -> Scenario:
        async def ask(server: Gated) -> None:
            async with AsyncClient(base_url=server.url) as client:
                answers = [
                    await client.get("api/x", headers=[("Remote-User", "alice")]),
                    await client.get("api/x", headers=[("remote-user", "alice"), ("Remote-User", "bob")]),
                    await client.get("", headers=[("Remote-User", "shared")]),
                    await client.get("api/x", headers=[("Remote-User", "")]),
                    await client.get("api/x"),
                    await client.get("api/x", headers=[("Remote_User", "alice")]),
                ]
            assert [each.json().get("name") if each.status_code == 200 else None for each in answers] == names

        return ask

    provider = HeaderProvider("remote-user")
    nobody: list[str | None] = [None] * 6
    believed = ["alice", None, "shared", None, None, None]
    within(AccessControl(provider), scenario(believed), proxies=["127.0.0.1"], user_header="remote-user")
    within(AccessControl(provider), scenario(nobody), proxies=["10.0.0.0/8"], user_header="remote-user")


# OpenID Connect


def oidc_access_control(oidc: Oidc, **more: Any) -> AccessControl:
    settings = Settings(oauth_issuer=oidc.issuer, oauth_client_id=CLIENT, oauth_client_secret=SecretStr(SECRET), **more)
    return AccessControl(make_provider(settings, "oauth", has_proxies=False))


def with_oidc(scenario: Callable[[Gated, Oidc], Coroutine[Any, Any, None]], **more: Any) -> None:
    async def run() -> None:
        async with oidc_provider() as oidc, gated(oidc_access_control(oidc, **more)) as server:
            await scenario(server, oidc)

    asyncio.run(run())


async def begin(server: Gated, browser: AsyncClient, following: str = "") -> str:
    """Return the address of the callback to which the provider sends the browser."""
    first = await browser.get(f"login?next={following}")
    assert first.status_code == 302
    second = await browser.get(first.headers["Location"])
    there = str(second.headers["Location"])
    assert there.startswith(server.url + "oauth_callback?")
    return there


def test_a_provider_of_openid_connect_lets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(server: Gated, oidc: Oidc) -> None:
        async with server.browser() as browser:
            there = await begin(server, browser, "deep/er")
            answer = await browser.get(there)
            assert (answer.status_code, answer.headers["Location"]) == (302, "./deep/er")
            assert (await browser.get("")).json() == {"name": "alice", "scope": "user:42"}
            assert (await browser.get(there)).status_code == 403  # a code is good once
            assert (await browser.get("")).status_code == 200
            (login,) = server.access_control.logins
            login.checked = time.monotonic() - 60
            assert (await browser.get("")).status_code == 200
            oidc.tokens.clear()
            assert (await browser.get("")).status_code == 200  # confirmed half a minute ago
            login.checked = time.monotonic() - 60
            assert (await browser.get("")).status_code == 302

    with_oidc(scenario)


def test_a_token_is_renewed_and_a_refused_renewal_ends_the_login() -> None:
    async def scenario(server: Gated, oidc: Oidc) -> None:
        oidc.expires_in = 30
        async with server.browser() as browser:
            await browser.get(await begin(server, browser))
            (login,) = server.access_control.logins
            first = login.proof["token"]["access_token"]
            login.checked = 0.0
            assert (await browser.get("")).status_code == 200
            assert login.proof["token"]["access_token"] != first
            oidc.renewals.clear()
            login.checked = 0.0
            assert (await browser.get("")).status_code == 302

    with_oidc(scenario)


def test_a_login_is_finished_by_the_browser_that_began_it() -> None:
    async def scenario(server: Gated, oidc: Oidc) -> None:
        async with server.browser() as attacker, server.browser() as victim:
            there = await begin(server, attacker)
            assert (await victim.get(there)).status_code == 403
            await begin(server, victim)  # has a cookie of its own
            assert (await victim.get(await begin(server, attacker))).status_code == 403
            for query in ("", "?state=&code=a", "?code=a", "?state=a&code=a", "?error=access_denied"):
                assert (await victim.get("oauth_callback" + query)).status_code == 403
            assert (await victim.get("")).status_code == 302

    with_oidc(scenario)


@pytest.mark.parametrize(
    ("user", "key", "scope"),
    [
        ({"sub": "1", "name": "Al\nice"}, "sub", "user:1"),
        ({"id": 7, "login": "octo"}, "id", "user:7"),
        ({"sub": ""}, "sub", None),
        ({"sub": True}, "sub", None),
        ({"sub": ["a"]}, "sub", None),
        ({"name": "alice"}, "sub", None),
        ({"sub": "1", "email": "a@b.example", "email_verified": False}, "email", None),
        ({"sub": "1", "email": "a@b.example", "email_verified": True}, "email", "user:a@b.example"),
    ],
)
def test_users_are_told_apart_by_a_field_that_the_provider_vouches_for(
    user: dict[str, Any], key: str, scope: str | None
) -> None:
    async def scenario(server: Gated, oidc: Oidc) -> None:
        oidc.user = user
        async with server.browser() as browser:
            answer = await browser.get(await begin(server, browser))
            assert answer.status_code == (302 if scope else 403)
            if scope:
                assert (await browser.get("")).json()["scope"] == scope

    with_oidc(scenario, oauth_user_key=key)


def test_a_provider_that_is_away_is_said_and_ends_no_login() -> None:
    async def scenario(server: Gated, oidc: Oidc) -> None:
        async with server.browser() as browser:
            await browser.get(await begin(server, browser))
            (login,) = server.access_control.logins
            provider: Any = server.access_control.provider
            provider._endpoints = type(provider._endpoints)(
                authorize="http://127.0.0.1:9/a", token="http://127.0.0.1:9/t", user="http://127.0.0.1:9/u"
            )
            login.checked = 0.0
            assert (await browser.get("")).status_code == 200
            provider._endpoints, provider._issuer = None, "http://127.0.0.1:9"
            answer = await browser.get("login")
            assert answer.status_code == 503
            assert "does not answer" in answer.text

    with_oidc(scenario)


# hashes


@pytest.mark.parametrize(
    "digest",
    [
        hash_password("swordfish"),
        bcrypt.hashpw(b"swordfish", bcrypt.gensalt(4)).decode(),
        bcrypt.hashpw(b"swordfish", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
    ],
    ids=["argon2", "bcrypt", "htpasswd"],
)
def test_hashes_of_argon2_and_bcrypt(digest: str) -> None:
    assert verify_password(digest, "swordfish")
    assert not verify_password(digest, "swordfisH")
    assert not verify_password(digest, "")
    assert not verify_password(digest, "ü" * 500)
    assert not verify_password(digest[:-4], "swordfish")


@given(st.text(max_size=200))
def test_any_text_is_a_password_file_or_refused(text: str) -> None:
    try:
        hashes = parse_passwords(text, "users")
    except InputError as error:
        assert "users" in str(error)
    else:
        assert all(name and digest.startswith("$") for name, digest in hashes.items())


def test_a_password_file_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/null/a")):
        with pytest.raises(InputError, match="cannot be read"):
            PasswordFile(path)


# the command line


@pytest.mark.parametrize(
    ("words", "environment", "named"),
    [
        (["--address", "0.0.0.0"], {}, "--no-login"),
        (["--auth", "magic"], {}, "no kind of login"),
        (["--auth", "basic"], {}, "GREENUP_AUTH_FILE"),
        (["--auth", "header"], {}, "--proxy"),
        (["--auth", "oauth"], {}, "GREENUP_OAUTH_CLIENT_ID"),
        (["--auth", "jupyterhub"], {}, "JUPYTERHUB_API_URL"),
        (["--auth", "basic", "--no-login"], {}, "contradicts"),
        ([], {"GREENUP_AUTH": "header"}, "--proxy"),
        ([], {"PANEL_BASIC_AUTH": "users.json"}, "PANEL_BASIC_AUTH"),
        ([], {"PANEL_OAUTH_PROVIDER": "github"}, "PANEL_OAUTH_PROVIDER"),
        ([], {"BOKEH_AUTH_MODULE": "auth.py"}, "BOKEH_AUTH_MODULE"),
    ],
)
def test_a_server_that_would_be_open_by_mistake_does_not_start(
    words: list[str],
    environment: dict[str, str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("JUPYTERHUB_API_URL", "GREENUP_AUTH_FILE", "GREENUP_OAUTH_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["serve", "--port", "0", *words]) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1


def test_a_line_of_the_password_file_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert main(["password", "carol", "--stdin"]) == 0
    hashes = parse_passwords(capsys.readouterr().out, "users")
    assert verify_password(hashes["carol"], "correct horse")
    assert main(["password", "a:b", "--stdin"]) == 2


def test_tries_at_the_same_moment_are_throttled_as_those_one_after_another(
    users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[str]()

    def verify(digest: str, password: str) -> bool:
        tried.append(password)
        return verify_password(digest, password)

    monkeypatch.setattr(password_file, "verify_password", verify)

    async def scenario(server: Gated) -> None:
        async with server.browser() as browser:
            posts = [browser.post("login", data={"user": "bob", "password": f"{number}"}) for number in range(60)]
            statuses = Counter(answer.status_code for answer in await asyncio.gather(*posts))
        assert statuses == {401: MAX_FAILURES_PER_ADDRESS, 429: 60 - MAX_FAILURES_PER_ADDRESS}
        assert len(tried) == MAX_FAILURES_PER_ADDRESS

    within(basic(users), scenario)


def test_the_tiles_of_a_map_sign_in_all_at_once(users: Path) -> None:
    async def scenario(server: Gated) -> None:
        async with AsyncClient(base_url=server.url, auth=("bob", "bob pass")) as program:
            for _ in range(3):
                answers = await asyncio.gather(*(program.get("tiles/x") for _ in range(40)))
                assert {answer.status_code for answer in answers} == {200}

    within(basic(users), scenario)
