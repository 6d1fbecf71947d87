"""Private scratch folders of local workers; folders of killed processes are removed at the next start."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from io import FileIO
from pathlib import Path

import dask
import psutil  # type: ignore[import-untyped]  # has no type information

from compute.errors import ClusterError
from compute.settings import Settings
from compute.settings.home import make_private, open_home

_PREFIX = "greenup-"

_OWNER = "owner"
"""File in each scratch folder with the id and start time of the owner process, which locks the file while it runs."""


class Scratch:
    """Scratch folder of this process.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _claim(path)

    def remove(self) -> None:
        """Remove the folder and its content."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def make_scratch(settings: Settings) -> Scratch:
    """Create a scratch folder, and remove scratch folders of killed processes.

    Parameters
    ----------
    settings : Settings
        Settings with the home folder, which is used unless Dask's configuration sets ``temporary-directory``.

    Raises
    ------
    ClusterError
        The folder cannot be created.
    InputError
        The home folder belongs to another user.
    """
    try:
        root = _scratch_root(settings)
        _remove_abandoned(root)
        return Scratch(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root)))
    except OSError as error:
        raise ClusterError(
            f"The workers' scratch folder cannot be created ({error.strerror}); free space in GREENUP_HOME, "
            "or set temporary-directory of Dask's configuration (DASK_TEMPORARY_DIRECTORY) to another folder."
        ) from None


def _scratch_root(settings: Settings) -> Path:
    """Return the parent of scratch folders; if the home folder is not writable, the system's temporary folder."""
    configured = dask.config.get("temporary-directory")
    if configured:
        return Path(configured)
    root = open_home(settings) / "scratch"
    with suppress(OSError):
        make_private(root)
    return root if os.access(root, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _claim(folder: Path) -> FileIO:
    """Write and lock the owner file of a folder, and return the open file."""
    unnamed = folder / f".{_OWNER}"
    lock = FileIO(os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    # Some network file systems have no locks; the process id and start time then identify the owner.
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    process = psutil.Process()
    lock.write(f"{process.pid} {process.create_time()}".encode())
    # Renamed only after locking, because other processes do not remove folders without an owner file.
    unnamed.rename(folder / _OWNER)
    return lock


def _remove_abandoned(root: Path) -> None:
    """Remove this user's scratch folders whose owner processes have ended."""
    for folder in root.glob(f"{_PREFIX}*/"):
        with suppress(OSError):
            if folder.lstat().st_uid == os.geteuid() and _is_abandoned(folder / _OWNER):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(owner: Path) -> bool:
    """Return whether the owner process of a folder has ended: its lock is free, and its process id is not running.

    The lock is needed for owners in other containers and on other machines that share the folder, because their process
    ids differ. Raises an OSError if there is no owner file, the lock is held, or the file system has no locks.
    """
    with FileIO(os.open(owner, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW), "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return not _is_running(lock.read().decode(errors="replace"))


def _is_running(record: str) -> bool:
    """Return whether a process with the id and start time in an owner record is running."""
    pid, _, started = record.partition(" ")
    try:
        return str(psutil.Process(int(pid)).create_time()) == started
    except (ValueError, psutil.Error):
        return False
