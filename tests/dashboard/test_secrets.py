"""Secrets of the settings: in no output, log, answer, database or file, whatever works or fails."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from compute.catalog import OdcCatalog
from compute.settings import Settings, load_settings
from dashboard.cli import main
from tests.fixtures.processes import family

pytestmark = pytest.mark.index

GREENUP = str(Path(sys.executable).with_name("greenup"))

CANARY = "c4n4ry"
"""Begins every secret, which goes on with the name of its setting."""

COLORADO = ("--bbox=-106.925,40.28,-106.904,40.296", "--time=2008-01-01/2008-12-31", "--product=ga_ls5t_ard_3")

_LOGGING = """
import logging
logging.basicConfig(level=logging.DEBUG)
logging.getLogger("numba").setLevel(logging.INFO)  # writes a line for each instruction that it compiles
"""


def secret(name: str) -> str:
    return f"{CANARY}-{name}-0123456789"


ELSEWHERE = {
    "AWS_ACCESS_KEY_ID": secret("aws-id"),
    "AWS_SECRET_ACCESS_KEY": secret("aws-key"),
    "AWS_SESSION_TOKEN": secret("aws-session"),
    "GS_SECRET_ACCESS_KEY": secret("gs-key"),
    "GS_OAUTH2_REFRESH_TOKEN": secret("gs-token"),
    "AZURE_STORAGE_ACCESS_KEY": secret("azure"),
    "GDAL_HTTP_USERPWD": secret("gdal"),
    "JUPYTERHUB_API_TOKEN": secret("hub"),
    "PGPASSWORD": secret("pgpassword"),
    "DASK_GATEWAY__AUTH__TYPE": "basic",
    "DASK_GATEWAY__AUTH__KWARGS": json.dumps({"username": "me", "password": secret("gateway")}),
}
"""Secrets of libraries, by the variables in which they look for them."""


@pytest.fixture
def secrets(tmp_path: Path, index_settings: Settings, observed: OdcCatalog) -> dict[str, str]:
    """Settings with a secret wherever one may stand, on the run's index, with everything logged."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_LOGGING)
    socket_folder = quote(str(index_settings.home / "index" / "postgres"), safe="")
    database = f"postgresql://postgres:{secret('database')}@/postgres?host={socket_folder}"
    return ELSEWHERE | {
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), str(Path(__file__).parents[2]))),
        "GREENUP_HOME": str(tmp_path / "home"),
        "GREENUP_SECRET": secret("secret"),
        "GREENUP_INDEX_URL": database,
        "GREENUP_JOBS_URL": database,
        "GREENUP_RESULTS": str(tmp_path / "results"),
        "GREENUP_DEBUG": "1",
    }


def spoken(text: str) -> list[str]:
    """Return the secrets in a text, as they are, percent-encoded or in base64, wherever they begin there."""
    # What base64 makes of the bytes after one, two or three others, whose own digits and those they share are cut off.
    places = ((0, 0), (1, 2), (2, 3))
    hidden = [b64encode(b"-" * before + CANARY.encode())[first:8].decode() for before, first in places]
    return sorted(set(re.findall(rf"(?:{'|'.join([CANARY, *hidden])})[\w%-]*", text)))


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
def test_a_secret_is_found_however_it_is_written(before: str) -> None:
    assert spoken(f"Basic {b64encode((before + secret('x')).encode()).decode()}")
    assert spoken(quote(f"{before}{secret('x')}"))
    assert not spoken(b64encode(b"something else").decode())


def said_by(env: dict[str, str], *words: str, codes: tuple[int, ...] = (0,)) -> str:
    """Return all that a command writes on both of its outputs."""
    done = subprocess.run([GREENUP, *words], env=os.environ | env, capture_output=True, text=True, timeout=170)
    assert done.returncode in codes, done.stderr[-3000:]
    return done.stdout + done.stderr


def files_with_secrets(folder: Path) -> dict[str, list[str]]:
    """Return the files below a folder that hold a secret, with what they hold."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "site":
            held = spoken(path.read_bytes().decode("latin-1"))
            if held:
                found[str(path.relative_to(folder))] = held
    return found


# What works


@pytest.mark.timeout(420)
def test_commands_that_work_keep_every_secret(secrets: dict[str, str], tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    run = ("run", *COLORADO, "--crs=native", "--workers=1", f"--out={out}", "--json")
    for words in (("plan", *COLORADO, "--crs=native"), ("doctor",), ("index", "status"), ("jobs", "list"), run):
        codes = (0, 1) if words == ("doctor",) else (0,)  # no Gateway answers
        text = said_by(secrets, *words, codes=codes)
        assert "DEBUG:" in text
        assert spoken(text) == [], words
    assert Path(out, "seasonal_ndvi.zarr").exists()
    assert files_with_secrets(tmp_path) == {}


@pytest.mark.timeout(300)
def test_a_server_keeps_every_secret(secrets: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "server"
    place.mkdir()
    with family([GREENUP, "serve", "--port", "0", "--workers", "1"], place, **secrets) as server:
        server.await_words("Greenup is at", within_s=150)
        (url,) = re.findall(r"Greenup is at (\S+)", server.log.read_text())
        paths = (
            "",
            "healthz",
            "readyz",
            "metrics",
            "api/results",
            "api/results/none",
            "tiles/none/x/y/0/0/0.png",
            "dask/x/",
        )
        for path in paths:
            assert spoken(answer(url + path)) == [], path
        assert "DEBUG:" in server.log.read_text()
    assert spoken(server.log.read_text()) == []
    assert files_with_secrets(tmp_path) == {}


def answer(url: str) -> str:
    """Return headers and body of an answer, whatever its status."""
    try:
        with urllib.request.urlopen(url, timeout=60) as reply:
            return f"{reply.headers}{reply.read().decode('latin-1')}"
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode('latin-1')}"


# What fails


@contextmanager
def refusing_database() -> Iterator[int]:
    """A server that speaks PostgreSQL's protocol as far as asking for a password and refusing it; yields its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def refuse(connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            while struct.unpack("!ii", connection.recv(4096)[:8])[1] != 3 << 16:
                connection.sendall(b"N")  # no encryption
            connection.sendall(b"R" + struct.pack("!ii", 8, 3))  # the password, in clear text
            connection.recv(4096)
            fields = b'SFATAL\0C28P01\0Mpassword authentication failed for user "me"\0\0'
            connection.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)

    def serve() -> None:
        with suppress(OSError):
            while True:
                refuse(server.accept()[0])

    threading.Thread(target=serve, daemon=True).start()
    with server:
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


class _Refusing(BaseHTTPRequestHandler):
    """Answers that a login is refused, and repeats everything that it was told, as a bad proxy may."""

    def do_GET(self) -> None:
        body = f"{self.headers}".encode()
        self.send_response(int(self.path.partition("/status/")[2].partition("/")[0]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def refusing_gateway() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/status/"
        server.shutdown()


@pytest.mark.timeout(300)
def test_a_wrong_password_of_a_database_is_not_told(secrets: dict[str, str], tmp_path: Path) -> None:
    with refusing_database() as port:
        url = f"postgresql://me:{secret('wrong')}@127.0.0.1:{port}/db?application_name={secret('query')}"
        index = said_by(secrets | {"GREENUP_INDEX_URL": url}, "plan", *COLORADO, codes=(1,))
        jobs = said_by(secrets | {"GREENUP_JOBS_URL": url}, "jobs", "list", codes=(1,))
        odc = said_by(secrets | {"GREENUP_INDEX_URL": "", "ODC_DEFAULT_DB_URL": url}, "doctor", codes=(1,))
    assert "password authentication failed" in index
    assert "The list of jobs cannot be read" in jobs
    assert [spoken(text) for text in (index, jobs, odc)] == [[], [], []]
    assert files_with_secrets(tmp_path) == {}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("auth", ["basic", "jupyterhub"])
def test_a_gateway_that_refuses_is_told_from_its_password(secrets: dict[str, str], tmp_path: Path, auth: str) -> None:
    kwargs = ELSEWHERE["DASK_GATEWAY__AUTH__KWARGS"] if auth == "basic" else "{}"
    login = {"DASK_GATEWAY__AUTH__TYPE": auth, "DASK_GATEWAY__AUTH__KWARGS": kwargs}
    with refusing_gateway() as address:
        for status in ("401", "500"):
            text = said_by(secrets | login | {"GREENUP_GATEWAY_ADDRESS": address + status}, "doctor", codes=(1,))
            assert "Gateway" in text
            assert spoken(text) == []
    assert files_with_secrets(tmp_path) == {}


URL = f"://me:{secret('url')}@h/db"

BROKEN = [
    ("GREENUP_INDEX_URL", "mysql" + URL),
    ("GREENUP_INDEX_URL", "postgresql+nope" + URL),
    ("GREENUP_INDEX_URL", secret("url")),
    ("GREENUP_JOBS_URL", "nope" + URL),
    ("GREENUP_JOBS_URL", secret("url")),
    ("GREENUP_RESULTS", "ftp" + URL),
    ("GREENUP_RESULTS", f"memory://x?key={secret('url')}"),
    ("GREENUP_GATEWAY_ADDRESS", "http" + URL),
    ("GREENUP_WORKERS", secret("url")),
    ("GREENUP_HOME", f"/dev/null/{secret('url')}"),
    ("ODC_CONFIG", f"default: [{secret('url')}"),
    ("ODC_CONFIG", f"db_password: {secret('url')}"),
    ("ODC_DEFAULT_DB_URL", "mysql" + URL),
    ("ODC_DEFAULT_DB_URL", secret("url")),
]


@pytest.mark.parametrize(("name", "value"), BROKEN)
def test_a_setting_that_cannot_be_is_refused_without_its_value(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"GREENUP_HOME": str(tmp_path / "home"), "GREENUP_INDEX_URL": ""}
    for key, content in (values | {name: value}).items():
        monkeypatch.setenv(key, content)
    command = ["jobs", "list"] if name == "GREENUP_JOBS_URL" else ["index", "status"]
    assert main(command) == 2
    assert spoken("".join(capsys.readouterr())) == []


def test_settings_show_no_secret_in_any_form(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("GREENUP_SECRET", "GREENUP_INDEX_URL", "GREENUP_JOBS_URL")
    for name in names:
        monkeypatch.setenv(name, f"postgresql://me:{secret(name)}@host/db")
    settings = load_settings()
    assert (
        spoken(f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {vars(settings)}") == []
    )
