"""File type checks before opening: regular files, folders, FIFOs, sockets and devices."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from compute.errors import InputError


def require_regular_file(path: Path, field: str, *, or_folder: bool = False) -> None:
    """Refuse a FIFO, socket or device: opening a FIFO blocks, and reading a device may never end.

    Parameters
    ----------
    path : pathlib.Path
        Path as given. A missing file passes; opening it reports the error.
    field : str
        Name of the option or setting.
    or_folder : bool, default: False
        Allow a folder.

    Raises
    ------
    InputError
        The path is of another type.
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
    """Return the reason why a folder cannot be used or created at a path; empty if it can.

    Parameters
    ----------
    path : pathlib.Path
        Path to check. Nothing is created: the nearest existing parent is checked.

    Returns
    -------
    str
        Predicate of a sentence about the path.
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
    """Return a path or its nearest existing parent; OSError if the path is invalid."""
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
