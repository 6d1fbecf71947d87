"""Kind of a named file, checked before it is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from compute.errors import InputError


def require_regular_file(path: Path, field: str, *, or_folder: bool = False) -> None:
    """Refuse a FIFO, a socket or a device: opening the first waits for ever, and reading the last may never end.

    Parameters
    ----------
    path : pathlib.Path
        As it was given. One that does not exist passes: whoever opens it says so.
    field : str
        Option or setting that names it.
    or_folder : bool
        Whether a folder passes, too.

    Raises
    ------
    InputError
        It is of another kind.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISREG(mode) or (or_folder and stat.S_ISDIR(mode)):
        return
    wanted = "a regular file or a folder" if or_folder else "a regular file"
    raise InputError(field, f"The {field} {path.name[:80]!r} is {_kind(mode)}, not {wanted}; give one of these.")


def folder_problem(path: Path) -> str:
    """Return why a folder cannot be used or made at a path; an empty text where it can.

    Parameters
    ----------
    path : pathlib.Path
        Nothing is made: the nearest folder above it that exists is looked at.
    """
    try:
        existing = _nearest(path)
        mode = existing.stat().st_mode
    except (OSError, ValueError):
        return "is no path of a folder"
    if not stat.S_ISDIR(mode):
        return f"is {_kind(mode)}" if existing == path else f"lies below {_kind(mode)}"
    return "" if os.access(existing, os.W_OK | os.X_OK) else "cannot be written"


def _nearest(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists; raises OSError where there cannot be such a path."""
    for each in (path, *path.absolute().parents):
        try:
            each.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return each
    raise FileNotFoundError


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder", stat.S_IFREG: "a file"}
    return kinds.get(stat.S_IFMT(mode), "a device")
