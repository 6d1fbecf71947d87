"""Unix socket of the page: where the users of a machine must not reach it, but one proxy must."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compute.errors import InputError
from compute.settings.home import make_private

PEER = "0.0.0.0"  # noqa: S104  # listens nowhere
"""What Tornado calls whoever connects to a Unix socket, who has no address; no connection by TCP comes from it."""

_PATH_MAX = 103
"""Longest path of a Unix socket in bytes: 107 on Linux, 103 on macOS."""


@contextmanager
def socket_place(path: Path) -> Iterator[None]:
    """Give a path to a Unix socket for the time of a ``with`` block: what nobody listens on any more is removed.

    Parameters
    ----------
    path : pathlib.Path
        Of the socket; its folder is made for the user alone where it is missing.

    Raises
    ------
    InputError
        It is too long or of another file, another server listens there, or others may write to its folder, who could
        put a socket of theirs in its place.
    OSError
        The folder cannot be made.
    """
    if len(os.fsencode(path)) > _PATH_MAX:
        raise InputError("unix-socket", f"The path of a Unix socket has {_PATH_MAX} bytes at the most; give a shorter.")
    make_private(path.parent)
    _check(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _check(path: Path) -> None:
    mode = path.parent.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        raise InputError(
            "unix-socket", "Others may write to the folder of the Unix socket; give a path in a folder of yours alone."
        )
    if path.exists() and not path.is_socket():
        raise InputError("unix-socket", f"The file {path.name} is there already and no socket; give another path.")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
    raise InputError("unix-socket", f"Another server listens on {path.name}; stop it, or give another path.")
