"""Other users of this machine: no door of Greenup's opens to them, and no file of its home."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
import pytest
from distributed import Client, LocalCluster

from compute.catalog import OdcCatalog
from compute.cluster import open_cluster, parse_cluster
from compute.errors import InputError
from compute.jobs import user_principal
from compute.settings import Settings
from dashboard import notebook
from dashboard.server.unix_socket import reserve_socket_path
from tests.fixtures.index import require_index
from tests.fixtures.jupyter import jupyter
from tests.fixtures.other_people import (
    list_listening_ports,
    list_paths,
    list_readable_paths,
    probe_ports,
    require_another_user,
    run_as_nobody,
)
from tests.fixtures.processes import Family, family
from tests.fixtures.tile_server import tile_server

GREENUP = str(Path(sys.executable).with_name("greenup"))


@pytest.fixture
def home() -> Iterator[Path]:
    """A home below folders that everybody may enter, whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="greenup-test-") as above:
        Path(above).chmod(0o755)
        yield Path(above, "home")


def here() -> list[psutil.Process]:
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def test_an_open_scheduler_lets_everybody_in() -> None:
    """What the tests below rely on: whoever is let in shows."""
    require_another_user()

    async def scan() -> dict[int, set[str]]:
        before = list_listening_ports(here())
        async with LocalCluster(
            n_workers=1, processes=False, protocol="tcp", asynchronous=True, dashboard_address="127.0.0.1:0"
        ):
            return await asyncio.to_thread(run_as_nobody, probe_ports, list_listening_ports(here()) - before)

    ways = sorted(map(sorted, asyncio.run(scan()).values()))
    assert ways == [["http"], ["http"], ["tcp"], ["tcp"]]


def test_a_local_cluster_lets_nobody_in_but_its_own(home: Path) -> None:
    require_another_user()

    async def scan() -> None:
        before = list_listening_ports(here())
        async with open_cluster(parse_cluster("local", workers=2), Settings(home=home)) as cluster:
            client = cluster.client
            assert client.scheduler.address.startswith("tls://")
            ports = list_listening_ports(here()) - before
            # The scheduler, and two workers each with its nanny.
            assert len(ports) == 5
            assert await asyncio.to_thread(run_as_nobody, probe_ports, ports) == {}
            # Who runs the cluster is no exception without its credentials.
            assert await asyncio.to_thread(probe_ports, ports) == {}
            assert cluster.dashboard is not None
            path = unquote(urlsplit(cluster.dashboard()).netloc)
            assert list_listening_ports(here()) - before == ports
            assert list_readable_paths([path]) == [path]
            assert await asyncio.to_thread(run_as_nobody, list_readable_paths, [path]) == []
            with pytest.raises(OSError, match=r"(?i)timed out|tcp"):
                await Client(client.scheduler.address.replace("tls", "tcp"), asynchronous=True, timeout=3)
            async with Client(
                client.scheduler.address, security=client.security, asynchronous=True, set_as_default=False
            ) as own:
                assert await own.submit(sum, [1, 2]) == 3
        assert list_readable_paths([path]) == []

    asyncio.run(scan())


def test_each_cluster_has_credentials_of_its_own(home: Path) -> None:
    async def cross() -> None:
        spec = parse_cluster("local", workers=1)
        async with open_cluster(spec, Settings(home=home)) as one, open_cluster(spec, Settings(home=home)) as other:
            with pytest.raises(OSError, match=r"(?i)certificate|ssl|tls"):
                await Client(one.client.scheduler.address, security=other.client.security, asynchronous=True, timeout=3)

    asyncio.run(cross())


@pytest.mark.parametrize("depth", [0, 4])
def test_dasks_dashboard_answers_its_owner_through_the_page(home: Path, depth: int) -> None:
    settings = Settings(home=home.joinpath(*["a" * 40] * depth), jobs_url=None, results="none")

    async def visit() -> None:
        async with tile_server({}, settings) as server:
            services = server.services
            ann = user_principal("ann")
            pooled = services.clusters.open(replace(parse_cluster("local", workers=1), owner=ann.scope))
            await pooled.ready
            assert services.dashboard(pooled.id, ann).startswith("http+unix://")
            for page, word in [("status", b"Dask"), ("health", b"ok"), ("nothing", b"")]:
                path = f"dask/{pooled.id}/{page}"
                answer = await server.get(path, "ann")
                assert (answer.code == 200) == bool(word)
                assert word in answer.body

    asyncio.run(visit())


# Whole programs


def listening(started: Family, least: int) -> set[int]:
    """Wait until a family listens on so many ports, and return them."""
    deadline = time.monotonic() + 120
    while len(ports := list_listening_ports(started.members())) < least:
        assert time.monotonic() < deadline, started.log.read_text()
        assert started.head.poll() is None, started.log.read_text()
        time.sleep(0.25)
    return ports


@pytest.mark.index
@pytest.mark.timeout(400)
def test_of_a_server_others_reach_the_page_alone_and_a_killed_one_leaves_no_scratch_to_the_next(
    home: Path, tmp_path: Path
) -> None:
    require_another_user()
    require_index()
    # Whatever is closed to others here is closed under any umask.
    command = ["sh", "-c", 'umask 0000; exec "$@"', "sh", GREENUP, "serve", "--port", "0", "--workers", "1"]
    own = {"GREENUP_HOME": str(home), "GREENUP_INDEX_URL": "", "GREENUP_SECRET": "", "GREENUP_JOBS_URL": "",
           "GREENUP_RESULTS": ""}  # fmt: skip
    with family(command, tmp_path, **own) as started:
        started.await_words("Greenup is at")
        found = re.search(r"127\.0\.0\.1:(\d+)", started.log.read_text())
        assert found is not None
        page = int(found[1])
        ports = listening(started, 4)
        # The page, which is for everybody here without a login; scheduler, nanny and worker.
        assert run_as_nobody(probe_ports, ports) == {page: {"http"}}
        paths = list_paths(home)
        names = {Path(path).relative_to(home).as_posix() for path in paths}
        assert {"secret", "jobs.sqlite", "results", "scratch", "index/postgres/.s.PGSQL.5432"} <= names
        assert run_as_nobody(list_readable_paths, paths) == []

        started.head.kill()
        assert [line for line in started.survivors() if "postgres" not in line] == []
    left = list((home / "scratch").iterdir())
    assert len(left) == 1
    with family(command, tmp_path, **own) as started:
        listening(started, 4)
        assert left[0] not in (home / "scratch").iterdir()
        os.kill(started.head.pid, signal.SIGTERM)
        assert started.survivors() == []
    assert list((home / "scratch").iterdir()) == []


@pytest.mark.index
def test_of_a_run_nobody_reaches_anything(
    synthetic: OdcCatalog, index_settings: Settings, home: Path, tmp_path: Path
) -> None:
    require_another_user()
    url = f"postgresql:///postgres?host={index_settings.home / 'index' / 'postgres'}&user=postgres"
    own = {"GREENUP_HOME": str(home), "GREENUP_INDEX_URL": url, "GREENUP_CHUNK_PX": "64"}
    with family([GREENUP, "run", "--workers", "1", "--resolution", "500"], tmp_path, **own) as started:
        ports = listening(started, 3)
        assert run_as_nobody(probe_ports, ports) == {}
        assert started.head.poll() is None
        assert run_as_nobody(list_readable_paths, list_paths(home)) == []


@pytest.mark.index
@pytest.mark.timeout(400)
def test_the_page_under_jupyter_is_reached_through_jupyter_alone(
    synthetic: OdcCatalog, index_settings: Settings, tmp_path: Path
) -> None:
    require_another_user()
    with jupyter(tmp_path, index_settings) as (started, url):
        before = list_listening_ports(started.members())
        with urllib.request.urlopen(f"{url}greenup/", timeout=150) as page:
            assert b"<title>Greenup</title>" in page.read()
        assert run_as_nobody(probe_ports, list_listening_ports(started.members()) - before) == {}
        (command,) = (member.cmdline() for member in started.members() if "--unix-socket" in member.cmdline())
        path = command[command.index("--unix-socket") + 1]
        assert Path(path).is_socket()
        assert run_as_nobody(list_readable_paths, [path, str(Path(path).parent)]) == []


@pytest.mark.index
def test_the_page_in_a_cell_is_found_below_its_own_path_alone(catalog: OdcCatalog, index_settings: Settings) -> None:
    def code(url: str) -> int:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            said = error.read().decode() + str(error.headers)
            assert secret not in said
            return error.code

    async def cell() -> None:
        nonlocal secret
        app = await notebook.app("local", settings=index_settings)
        root, _, secret = app.url.rstrip("/").rpartition("/")
        assert re.fullmatch("[0-9a-f]{32}", secret)
        assert await asyncio.to_thread(code, app.url) == 200
        for path in ("", "healthz", "api/results", "metrics", "ws", "static/js/bokeh.min.js", "0" * 32 + "/", "dask/"):
            assert await asyncio.to_thread(code, f"{root}/{path}") == 404
        await app.close()

    secret = ""
    asyncio.run(cell())


# The socket of the page


def test_a_socket_is_made_in_a_folder_of_its_users_own_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page"
    with reserve_socket_path(path):
        assert path.parent.stat().st_mode & 0o777 == 0o700
        path.touch()
    assert not path.exists()


def test_a_socket_that_could_be_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "file").touch()
    for path, words in [
        (tmp_path / "open" / "page", "Other users may write to the folder"),
        (tmp_path / "file", "not a socket"),
        (tmp_path / ("a" * 100), "at most 103 bytes"),
    ]:
        with pytest.raises(InputError, match=words) as refusal, reserve_socket_path(path):
            pass
        assert str(tmp_path) not in str(refusal.value)
    assert (tmp_path / "file").exists()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "page"))
        server.listen()
        with pytest.raises(InputError, match="Another server listens on page"), reserve_socket_path(tmp_path / "page"):
            pass
    with reserve_socket_path(tmp_path / "page"):  # of a server that was killed
        pass
