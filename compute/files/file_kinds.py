"""Checks of file types before opening: regular files, folders, FIFOs, sockets and devices."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from compute.errors import InputError


def require_regular_file(path: Path, field: str, *, or_folder: bool = False) -> None:
    """Refuse a FIFO, socket or device, since opening or reading it may block forever.

    Parameters
    ----------
    path : pathlib.Path
        Path to check. A missing file is accepted, since opening it raises an error.
    field : str
        Name of the option or setting, for the error.
    or_folder : bool, default: False
        Whether a folder is accepted, too.

    Raises
    ------
    InputError
        The path exists, but is not a regular file or, if `or_folder` is True, a folder.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISREG(mode) or (or_folder and stat.S_ISDIR(mode)):
        return
    wanted = "a regular file or a folder" if or_folder else "a regular file"
    raise InputError(
        field, f"The {field} {path.name[:80]!r} is {_describe_kind(mode)}, not {wanted}; give one of these."
    )


def folder_problem(path: Path) -> str:
    """Return the reason why a path is unusable as a folder for writing.

    Parameters
    ----------
    path : pathlib.Path
        Path to check. For a missing folder, the nearest existing parent is checked; nothing is created.

    Returns
    -------
    str
        Predicate of a sentence about the path; empty if the folder can be used or created.
    """
    try:
        existing = _nearest_existing(path)
        mode = existing.stat().st_mode
    except (OSError, ValueError):
        return "is not a valid folder path"
    if not stat.S_ISDIR(mode):
        return f"is {_describe_kind(mode)}" if existing == path else f"lies below {_describe_kind(mode)}"
    return "" if os.access(existing, os.W_OK | os.X_OK) else "cannot be written"


def _nearest_existing(path: Path) -> Path:
    """Return a path or its nearest existing parent; raise OSError if the path is invalid."""
    for each in (path, *path.absolute().parents):
        try:
            each.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return each
    raise FileNotFoundError


def _describe_kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder", stat.S_IFREG: "a file"}
    return kinds.get(stat.S_IFMT(mode), "a device")
