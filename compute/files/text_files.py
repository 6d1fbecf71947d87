"""Reading of UTF-8 text files: regular files only, up to a maximum size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MIB = 2**20


class UnfitFileError(ValueError):
    """Error raised if a file is unsuitable; the message is the predicate of a sentence that begins with *The file*."""


def read_text(path: Path, *, most_bytes: int) -> str:
    """Read a text file named by a user.

    Parameters
    ----------
    path : pathlib.Path
        Path to read. FIFOs and devices are refused without blocking.
    most_bytes : int
        Maximum size in bytes.

    Returns
    -------
    str
        Content of the file.

    Raises
    ------
    UnfitFileError
        The path is a FIFO, device or socket, or the file is larger than `most_bytes`.
    UnicodeDecodeError
        The content is not UTF-8.
    OSError
        The path cannot be opened or read, or is a folder.
    """
    if not path.is_dir() and path.exists() and not path.is_file():
        # Checked before opening, since opening a socket raises a misleading error.
        raise UnfitFileError("is no regular file")
    # O_NONBLOCK, since the path may have been replaced by a FIFO after the check.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise IsADirectoryError if path.is_dir() else UnfitFileError("is no regular file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        size = f"{most_bytes / _MIB:g} MiB" if most_bytes >= _MIB else f"{most_bytes // 1024} KiB"
        raise UnfitFileError(f"is larger than {size}")
    return content.decode("utf-8")
