"""Small text files in UTF-8: regular files alone, up to a size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MIB = 2**20


class UnfitFileError(ValueError):
    """A file is none that is read; the words end a sentence that begins with *The file*."""


def read_text(path: Path, *, most_bytes: int) -> str:
    """Return the text of a file that somebody named.

    Parameters
    ----------
    path : pathlib.Path
        Of any kind: pipes and devices, which may never end, are not waited for.
    most_bytes : int
        Largest file that is read.

    Raises
    ------
    UnfitFileError
        It is a pipe, a device or a socket, or too large.
    UnicodeDecodeError
        It is not UTF-8.
    OSError
        It cannot be opened or read, or is a folder.
    """
    if not path.is_dir() and path.exists() and not path.is_file():
        # Sockets cannot even be opened.
        raise UnfitFileError("is no regular file")
    # Not to wait where it has become a pipe meanwhile.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise IsADirectoryError if path.is_dir() else UnfitFileError("is no regular file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        size = f"{most_bytes / _MIB:g} MiB" if most_bytes >= _MIB else f"{most_bytes // 1024} KiB"
        raise UnfitFileError(f"is larger than {size}")
    return content.decode("utf-8")
