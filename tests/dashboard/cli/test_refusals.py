"""Bad arguments and settings of every command: refused by name in one sentence, with nothing written."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.cli import app, main
from dashboard.cli.main import INTERRUPTED, REFUSED

GREENUP = str(Path(sys.executable).with_name("greenup"))

SECONDS = 30.0
"""Longest that a refusal may take on a busy machine."""

PASSWORD = "swordfish"
LONG = "x" * 5000
NAME_TOO_LONG = "x" * 300
NOT_UTF8 = os.fsdecode(b"caf\xe9")
DEEP = 20_000
TAKEN = "a port that is taken"

SPECIAL = ("fifo", "socket", "/dev/zero", "/dev/stdin")
"""What is no regular file: opening it waits, fails or never ends."""


@dataclass(frozen=True)
class Case:
    """Words of a command line, settings beside them, and the name that the refusal holds."""

    words: tuple[str, ...]
    name: str
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = " ".join((*self.words, *(f"{name}={value}" for name, value in self.env.items())))
        return shown.encode("ascii", "backslashreplace").decode()[:90]


def words(commands: str, name: str, *values: str) -> list[Case]:
    """Return the cases of commands, apart by ``|``, each followed by each value; without values, of the commands."""
    starts = [tuple(command.split()) for command in commands.split("|")]
    return [Case((*start, *end), name) for start in starts for end in ([(value,) for value in values] or [()])]


def setting(commands: str, name: str, *values: str) -> list[Case]:
    """Return the cases of commands with each value of a setting."""
    return [Case(each.words, name, {name: value}) for each in words(commands, name) for value in values]


# The table

FILES = [
    *words("plan --region|run --region", "region", *SPECIAL, "folder"),
    *words("plan --region", "region", "missing.geojson", "loop", "empty", "deep.json", "huge.json", "binary"),
    *words("plan --region", "region", NAME_TOO_LONG, "", "empty/below"),
    *words(
        "plan --products|run --products|products list --products|products show ls8 --products", "products", *SPECIAL
    ),
    *words("products list --products", "products", "folder", "loop", "missing.toml", "binary", NAME_TOO_LONG, ""),
    *words(
        "index add", "paths", *SPECIAL, "loop", "missing.yaml", "missing/*.yaml", NAME_TOO_LONG, "", "x" * 300 + "*"
    ),
    *words("index add empty --products", "products", *SPECIAL, "folder", ""),
    *words("index add-product", "files", *SPECIAL, "folder"),
    *words("index add-product", "product", "missing.product", "binary.product"),
    *words("plan --again|run --again", "again", *SPECIAL),
    *words("plan --again", "again", "missing.zarr", "deep.zarr", "huge.zarr", "binary", "loop", NAME_TOO_LONG, ""),
    *words("plan --json --again", "again", "folder", "deep.zarr"),
    *words("run --out", "out", *SPECIAL, "empty", "empty/below", "fifo/below", "loop", NAME_TOO_LONG, ""),
]

NUMBERS = [
    *words("run --workers|serve --workers", "workers", "0", "-1", "many", "1000", "9" * 30, ""),
    *words("run --threads|serve --threads", "threads", "0", "many", "9" * 30),
    *words("run --adapt|serve --adapt", "limits", "8", "8-1", "0-1", "a-b", "1-2-3", ""),
    *words("run --adapt|serve --adapt", "workers", "1-900"),
    *words("run --cluster|serve --cluster", "cluster", "moon", "local:x", ""),
    *words("run --cluster|serve --cluster", "gateway", "gateway", "gateway:../x", "gateway:"),
    *words("run --cluster|serve --cluster", "scheduler address", "tcp://x", "tcp://x:99999", "tcp://u:p@x:1"),
    *words("run --cluster gateway --cluster-option", "cluster option", "", "x"),
    *words("plan --resolution", "resolution", "0", "-1", "nan", "inf", "fine", "1e309", ""),
    *words("plan --min-clear", "clear", "0", "-1", "1.5", "9" * 30),
    *words("plan --min-area", "area", "-0.1", "1.1", "nan", "half"),
    *words(
        "plan --bbox", "bbox", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,0,1,1", "1e309,0,1,1", "0,0,0,0", "1,2,3,4;ls", ""
    ),
    *words("plan --time", "time", "2020-01-01", ""),
    *words("plan --time", "da", "2020-13-01/2021-01-01", "2021-01-01/2020-01-01", "9999-01-01/9999-01-02"),
    *words("plan --crs", "crs", "EPSG:0", "EPSG:999999", "WGS84", "+init=epsg:4326", "EPSG:" + "9" * 400, ""),
    *words("plan --seasons", "season", "", "X", "wet=13-1", "a=1-2,a=3-4"),
    *words("plan --by", "by", "", "decade", "a\nb\x1b[2J"),
    *words("plan --resampling", "resampling", "", "sharp"),
    *words("plan --product|products show", "product", "", "a b", "'; drop table x", "../x"),
    *words("plan --clear", "clear", "", ",", "x" * 100),
    *words("plan --mask-filter", "mask filter", "", "cloud=3"),
    *words("plan --valid-range|plan --index-range", "range", "", "1", "9,1", "nan,1"),
    *words("run --format", "format", "", "jpeg"),
]

PLACES = [
    *words("serve --port|demo --port", "port", "-1", "65536", "9" * 20, "abc", "0x50", "5006.5", "1e3", "", TAKEN),
    *words("serve --address", "address", "", "203.0.113.7", "no.such.host.invalid", "a;b", "256.1.1.1", "http://x"),
    *words("serve --address", "address", "[::1", "*", "a b", "a" * 300, "a." * 120, "caf\u00e9"),
    *words("demo --address", "address", "", "203.0.113.7"),
    *words("serve --parent", "parent", "0", "-1", "init", ""),
    *words("serve --origin", "origin", "", "a b", "https://hub.example", "hub.example/path", "user@hub", "caf\u00e9"),
    *words("serve --origin", "origin", "hub.example:0", "hub.example:65536", "hub.example:*", "hub:port", ":5006"),
    *words("serve --origin", "origin", "javascript:alert(1)", "[::1]:5006", "hub..example", "a\nb", "\x1b[31m", "a,b"),
    *words("serve --embed-in", "embed-in", "", "*", "portal.example", "https://", "https://*.example", "https://a b"),
    *words("serve --embed-in", "embed-in", "https://portal.example/", "https://a@b", "https://a:0", "https://a:65536"),
    *words("serve --embed-in", "embed-in", "https://a; script-src *", "https://a,b", "javascript:x", "https://a\nb"),
    *words("serve --prefix", "prefix", "../x", "/a/../b", "javascript:", "//evil.example", "/a//b", "/a b", "/a?b"),
    *words("serve --prefix", "prefix", "/a#b", "/%2e%2e/x", "/%2fx", "/%", "/a\\b", "/(a)", "/a*", "/\u00e9", "/a\nb"),
    *words("serve --prefix", "prefix", "/.", "https://x", "/" + "a" * 2000, "/<script>"),
    *words("serve --proxy", "proxy", "", "proxy", "10.0.0.1/8", "10.0.0.0/99", "::1::", "1.2.3.4:80"),
]

COMMANDS = [
    *words("nonsense|index nonsense|jobs nonsense", "nonsense"),
    *words("serve extra|doctor extra", "extra"),
    *words("plan --bounds=1", "--bounds"),
    *words("doctor --fast", "--fast"),
    *words("index add", "PATHS"),
    *words("index add-product", "FILE"),
    *words("products show", "NAME"),
    *words("jobs show|jobs cancel|jobs delete", "TOKEN"),
    *words("jobs show|jobs cancel|jobs delete", "job", "", "%", "' or 1=1", "../x"),
    Case(("",), "command"),
    Case(("--\x1b[2J\n",), "option"),
    *words("plan --bbox|run --out|serve --origin", "the word after --", LONG, NOT_UTF8, "a\0b"),
    *words("jobs show|index add|products show", "word 3 of", LONG, NOT_UTF8, "a\0b"),
    Case((LONG,), "word 1 of"),
    Case(("plan", f"--crs={LONG}"), "the value of --crs"),
    Case(("plan", f"--region={NOT_UTF8}"), "the value of --region"),
]

USES_INDEX = "index status|index init|plan|products list|products show ls8|doctor|serve --port 0"

SETTINGS = [
    *setting(f"{USES_INDEX}|demo --port 0", "GREENUP_HOME", "empty", "empty/below", "fifo", "loop", NAME_TOO_LONG),
    *setting("plan|index init|products list|demo --port 0|demo --scenes-only", "GREENUP_HOME", "/proc/none", "x" * 90),
    *setting("index status|index init|plan", "GREENUP_INDEX_URL", "nonsense", "postgresql://host", "h/db"),
    *setting("index status", "GREENUP_INDEX_URL", "postgresql://host/", "postgresql://", f"mysql://u:{PASSWORD}@h/db"),
    *setting(
        "index status", "GREENUP_INDEX_URL", "postgresql://h:port/db", "postgresql://h:99999/db", "sqlite:///x.db"
    ),
    *setting(
        "index status", "GREENUP_INDEX_URL", "postgresql://[h/db", "postgresql://h /db", NOT_UTF8, "postgresql+x://h/d"
    ),
    *setting("index status", "GREENUP_INDEX_URL", "javascript:alert(1)", "postgresql://h/" + "d" * 9000),
    *setting(
        "serve --port 0|jobs rebuild", "GREENUP_RESULTS", "nope://bucket/x", "s3://bucket/x", "sftp://h/x", "://x"
    ),
    *setting("serve --port 0|jobs rebuild", "GREENUP_RESULTS", "empty", "empty/below", "fifo", NAME_TOO_LONG, NOT_UTF8),
    *setting("jobs rebuild", "GREENUP_RESULTS", "http://h/x", "zip://x.zip", f"ftp://u:{PASSWORD}@h/x", "file://"),
    *setting("jobs rebuild", "GREENUP_RESULTS", f"memory://x?token={PASSWORD}", "simplecache::nope://x"),
    *setting("jobs list|serve --port 0", "GREENUP_JOBS_URL", "nonsense", f"mysql://u:{PASSWORD}@h/db", "nope://x"),
    *setting("jobs list", "GREENUP_JOBS_URL", "postgresql://host", "postgresql://h:port/db", NOT_UTF8),
    *setting("doctor", "GREENUP_GATEWAY_ADDRESS", "nonsense", "file:///x", "http://", "http://h:port", "tcp://h:1"),
    *setting("doctor", "GREENUP_GATEWAY_ADDRESS", f"http://u:{PASSWORD}@h", "http://h x", NOT_UTF8),
    *setting("index status", "GREENUP_WORKERS", "0", "many", "9" * 5000, NOT_UTF8),
    *setting("index status", "GREENUP_SECRET", NOT_UTF8, "x" * 9000),
    *setting("serve --port 0", "GREENUP_SECRET", "short"),
    *setting("index status", "GREENUP_DEBUG", "maybe"),
    *setting("index status", "GREENUP_RASTER_DRIVERS", ";"),
    *setting("index status", "ODC_CONFIG_PATH", "fifo", "socket", "/dev/zero", "missing:fifo"),
    *setting("index status", "AWS_SHARED_CREDENTIALS_FILE", "fifo", "/dev/zero"),
    *setting("index status", "GOOGLE_APPLICATION_CREDENTIALS", "fifo"),
    *setting("index status", "PGPASSFILE", "fifo"),
    Case(("serve", "--port", "0"), "GREENUP_HOME", {"GREENUP_HOME": "secretive", "GREENUP_SECRET": ""}),
]

TABLE = [*FILES, *NUMBERS, *PLACES, *COMMANDS, *SETTINGS]


# The house in which they are tried


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with files of every awkward kind; the home does not exist yet."""
    place = tmp_path / "work"
    (place / "folder").mkdir(parents=True)
    (place / "secretive").mkdir()
    for fifo in (place / "fifo", place / "secretive" / "secret"):
        os.mkfifo(fifo)
    (place / "loop").symlink_to("loop")
    (place / "empty").touch()
    for name in ("binary", "binary.product"):
        (place / name).write_bytes(bytes(range(256)))
    (place / "deep.json").write_text("[" * DEEP)
    ring = f"[[0, 0], [1, 0], [1, {'9' * 10_000}], [0, 0]]"
    (place / "huge.json").write_text(f'{{"type": "Polygon", "coordinates": [{ring}]}}')
    for name, value in (("deep", "[" * DEEP + "]" * DEEP), ("huge", "9" * 10_000)):
        (place / f"{name}.zarr").mkdir()
        group = f'{{"zarr_format": 3, "node_type": "group", "attributes": {{"greenup_plan": {value}}}}}'
        (place / f"{name}.zarr" / "zarr.json").write_text(group)
    monkeypatch.chdir(place)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        yield place


@pytest.fixture(scope="module")
def taken() -> Iterator[str]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Interrupt a command that was not refused, as Ctrl-C does, so that its exit code is 130."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def environment(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return settings with a home that is not there, and a list of jobs in memory."""
    base = {"GREENUP_HOME": str(folder.parent / "home"), "GREENUP_JOBS_URL": "sqlite://", "GREENUP_RESULTS": "none"}
    return base | {"GREENUP_SECRET": "sixteen letters!", "GREENUP_INDEX_URL": ""} | dict(env)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_one_sentence(err: str, folder: Path) -> None:
    """Check that an error is one line that ends, and shows nothing of this machine."""
    assert len(err.splitlines()) == 1, err
    assert err.endswith(".\n"), err
    assert err.rstrip("\n").isprintable()
    assert len(err) < 1200
    assert not re.search(r"Traceback|Greenup failed|\.py\b", err), err
    assert str(folder.parent) not in err
    assert PASSWORD not in err


def assert_refused(each: Case, folder: Path, code: int, out: str, err: str) -> None:
    """Check exit code and sentence."""
    assert (code, out) == (2, ""), err
    assert each.name.lower() in err.lower(), err
    assert_one_sentence(err, folder)


# In this process


@pytest.mark.parametrize("each", TABLE, ids=str)
def test_bad_words_are_refused_by_name_and_nothing_is_made(
    each: Case, folder: Path, taken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(folder.parent)
    for name, value in environment(folder, each.env).items():
        monkeypatch.setenv(name, value)
    with bounded(SECONDS):
        code = main([taken if word == TAKEN else word for word in each.words])
    said = capsys.readouterr()
    assert_refused(each, folder, code, said.out, said.err)
    assert listing(folder.parent) == before


def test_the_readme_names_every_exit_code() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    (codes,) = re.findall(r"Exit codes:\s(.*?)\.", readme, re.DOTALL)
    assert {int(code) for code in re.findall(r"\d+", codes)} == {0, 1, REFUSED, INTERRUPTED}


# In processes of their own


PROCESSES = [
    *words("plan --region", "fifo", "fifo"),
    *words("serve --port", "port", TAKEN),
    *words("serve --prefix", "utf-8", NOT_UTF8),
    *words("jobs show", "characters", LONG),
    *setting("index status", "GREENUP_INDEX_URL", f"mysql://u:{PASSWORD}@h/db"),
    *setting("jobs list", "GREENUP_RESULTS", f"ftp://u:{PASSWORD}@h/x"),
    *setting("demo --scenes-only", "GREENUP_HOME", "fifo"),
]
"""One of each kind: a file, a port, text that is not UTF-8, a long word, and settings of index, results and home."""

MORE_PROCESSES = [
    *words("index add|run --out", "fifo", "fifo"),
    *words("demo --port", "port", TAKEN),
    *words("serve --origin", "origin", "a b"),
    *words("plan --region", "utf-8", NOT_UTF8),
    *setting("index status", "GREENUP_INDEX_URL", NOT_UTF8),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "cases", [pytest.param(PROCESSES, id="each-kind"), pytest.param(MORE_PROCESSES, id="more", marks=pytest.mark.soak)]
)
def test_processes_refuse_alike(cases: list[Case], folder: Path, taken: str) -> None:
    before = listing(folder.parent)

    def run(each: Case) -> tuple[Case, subprocess.CompletedProcess[str]]:
        command = [GREENUP, *(taken if word == TAKEN else word for word in each.words)]
        env = os.environ | environment(folder, each.env)
        return each, subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)

    with ThreadPoolExecutor(2) as pool:
        for each, done in pool.map(run, cases):
            assert_refused(each, folder, done.returncode, done.stdout, done.stderr)
    assert listing(folder.parent) == before


# Hostile text and bytes for every option


def _parameters() -> list[tuple[str, ...]]:
    """Return the words before a value, for every option and argument that takes one, as the commands have them."""
    found: list[tuple[str, ...]] = []

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*path, name))
        if not hasattr(command, "commands"):
            for each in command.params:
                if each.param_type_name == "argument":
                    found.append(path)
                elif not each.is_flag:
                    found.append((*path, each.opts[0]))

    walk(typer.main.get_command(app), ())
    return found


PARAMETERS = _parameters()

STOPS = {
    ("password",): ("--stdin",),
}
"""What ends a command that would go on for minutes with a value that is right."""

HOSTILE = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40).map(os.fsdecode),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["", " ", "-", "--", "=", "*", "~", "%s%n", "{}", "../../etc/passwd", "/dev/null", "$(id)", "1" * 4096]
    ),
)


def test_every_option_is_tried() -> None:
    assert len(PARAMETERS) > 55
    assert {path[0] for path in PARAMETERS} == {
        "plan", "run", "serve", "demo", "index", "products", "jobs", "password",
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(before=st.sampled_from(PARAMETERS), value=HOSTILE)
def test_no_text_makes_a_command_fail_otherwise_than_by_a_sentence(before: tuple[str, ...], value: str) -> None:
    if not before[-1].startswith("--") and value.startswith("-"):
        return  # an option
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        # No index, no home and no free time: what is right ends there.
        for name, content in environment(Path("/proc/none/x"), {"GREENUP_HOME": "/proc/none"}).items():
            patch.setenv(name, content)
        patch.setenv("GREENUP_INDEX_URL", "postgresql://nobody@127.0.0.1:1/nothing")
        with bounded(SECONDS):
            code = main([*before, value, *STOPS.get(before[:2], ())])
    assert code in (1, 2), err.getvalue()
    assert out.getvalue() == ""
    assert_one_sentence(err.getvalue(), Path("/proc/none/x"))
