"""Scratch folders of local workers: for their user alone, and removed by the next start after a kill."""

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
"""File in each scratch folder: process id and start time of its owner, who holds a lock on it as long as it lives."""


class Scratch:
    """A scratch folder of this process.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _claim(path)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def make_scratch(settings: Settings) -> Scratch:
    """Make a scratch folder, and remove those beside it whose owners were killed.

    Parameters
    ----------
    settings : Settings
        With the home folder, where it goes unless ``temporary-directory`` of Dask's configuration names another.

    Raises
    ------
    ClusterError
        It cannot be made.
    InputError
        The home folder belongs to others.
    """
    try:
        root = _root(settings)
        _remove_abandoned(root)
        return Scratch(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root)))
    except OSError as error:
        raise ClusterError(
            f"The workers' scratch folder cannot be made ({error.strerror}); free room in GREENUP_HOME, or "
            "have temporary-directory of Dask's configuration (DASK_TEMPORARY_DIRECTORY) name another folder."
        ) from None


def _root(settings: Settings) -> Path:
    """Return the folder of scratch folders; where the home cannot be written, that of temporary files."""
    configured = dask.config.get("temporary-directory")
    if configured:
        return Path(configured)
    root = open_home(settings) / "scratch"
    with suppress(OSError):
        make_private(root)
    return root if os.access(root, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _claim(folder: Path) -> FileIO:
    """Write down the owner of a folder, and hold the lock that says that it lives."""
    unnamed = folder / f".{_OWNER}"
    lock = FileIO(os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    # Some network file systems have no locks; the owner is known by what is written, then.
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    process = psutil.Process()
    lock.write(f"{process.pid} {process.create_time()}".encode())
    # Under its name only once it is locked: a folder without an owner is not judged.
    unnamed.rename(folder / _OWNER)
    return lock


def _remove_abandoned(root: Path) -> None:
    """Remove the scratch folders of this user whose owners are dead, however long ago they died."""
    for folder in root.glob(f"{_PREFIX}*/"):
        with suppress(OSError):
            if folder.lstat().st_uid == os.geteuid() and _is_abandoned(folder / _OWNER):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(owner: Path) -> bool:
    """Tell whether the owner of a folder is dead: nobody holds its lock, and its process does not run.

    The lock also tells of owners in other containers and on other machines that share the folder, where the number
    of a process means another one. Raises OSError where there is no owner, somebody holds the lock, or there are no
    locks on this file system.
    """
    with FileIO(os.open(owner, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW), "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return not _runs(lock.read().decode(errors="replace"))


def _runs(record: str) -> bool:
    """Tell whether the process of a record runs: one that has its number and began at the same time."""
    pid, _, started = record.partition(" ")
    try:
        return str(psutil.Process(int(pid)).create_time()) == started
    except (ValueError, psutil.Error):
        return False
