"""Unix socket of the server, for a proxy of the same user on a machine with several users."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compute.errors import InputError
from compute.settings.home import make_private

UNIX_PEER = "0.0.0.0"  # noqa: S104  # listens nowhere
"""Address that Tornado reports for clients of a Unix socket. It is never the address of a TCP client."""

_PATH_MAX = 103
"""Longest path of a Unix socket in bytes: 107 on Linux, 103 on macOS."""


@contextmanager
def reserve_socket_path(path: Path) -> Iterator[None]:
    """Check and reserve the path of a Unix socket for a ``with`` block.

    A socket without a server, left by an earlier process, is accepted. The path is removed at the end of the block.

    Parameters
    ----------
    path : pathlib.Path
        Path of the socket. A missing folder is created with access for the user only.

    Raises
    ------
    InputError
        The path is too long, is not a socket, or has a server listening on it; or other users may write to its folder
        and could replace the socket.
    OSError
        The folder cannot be created.
    """
    if len(os.fsencode(path)) > _PATH_MAX:
        raise InputError(
            "unix-socket", f"The path of a Unix socket may have at most {_PATH_MAX} bytes; give a shorter path."
        )
    make_private(path.parent)
    _check_socket_path(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _check_socket_path(path: Path) -> None:
    mode = path.parent.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        raise InputError(
            "unix-socket",
            "Other users may write to the folder of the Unix socket; give a path in a folder of your own.",
        )
    if path.exists() and not path.is_socket():
        raise InputError("unix-socket", f"{path.name} exists and is not a socket; give another path.")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
    raise InputError("unix-socket", f"Another server listens on {path.name}; stop it or give another path.")
