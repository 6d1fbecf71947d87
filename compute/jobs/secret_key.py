"""Secret key of tokens and sessions, which is the same after a restart of the server."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from compute.errors import InputError
from compute.files.file_kinds import require_regular_file
from compute.settings import Settings
from compute.settings.home import make_private, open_home

SHORTEST = 16
"""Minimum number of characters of a secret: 128 bits if each is a random byte."""

_log = logging.getLogger(__name__)


def server_secret(settings: Settings) -> bytes:
    """Return the secret of the settings or, if they have none, that of the home folder, which is created once.

    If the folder cannot be written, a warning is logged and each call returns another secret. Links to results stay
    valid, but a repeated request gets another token, so its earlier result is not found.

    Parameters
    ----------
    settings : Settings
        Settings with the secret or the home folder.

    Returns
    -------
    bytes
        At least 16 characters; 64 hexadecimal digits in the home folder.

    Raises
    ------
    InputError
        The secret is shorter than 16 characters, its file is not a regular file, or the home folder belongs to
        another user.
    """
    if settings.secret is not None:
        return _checked(settings.secret.get_secret_value().encode(), "The setting GREENUP_SECRET")
    require_regular_file(settings.home / "secret", "GREENUP_HOME")
    try:
        return _checked(_from_file(open_home(settings) / "secret"), "The file secret in GREENUP_HOME")
    except OSError as error:
        _log.warning("No secret can be kept in GREENUP_HOME (%s); set GREENUP_SECRET.", type(error).__name__)
        return secrets.token_bytes(32)


def derived_key(settings: Settings, purpose: str) -> bytes:
    """Derive a key for one purpose, which reveals neither the secret nor the key for another purpose.

    Parameters
    ----------
    settings : Settings
        See `server_secret`.
    purpose : str
        Purpose of the key, such as ``"sessions"``.

    Returns
    -------
    bytes
        64 hexadecimal digits: HMAC-SHA256 of the purpose under the server's secret.
    """
    return hmac.new(server_secret(settings), purpose.encode(), hashlib.sha256).hexdigest().encode()


def _checked(secret: bytes, where: str) -> bytes:
    if len(secret) < SHORTEST:
        raise InputError("GREENUP_SECRET", f"{where} must have at least {SHORTEST} characters; give it more.")
    return secret


def _from_file(path: Path) -> bytes:
    """Return the secret in a file, which is created if missing; processes that create it concurrently share one."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    make_private(path.parent)
    # A temporary file has mode 0600 from the start, and gets the final name only after it is complete.
    number, scratch = tempfile.mkstemp(prefix="secret-", dir=path.parent)
    try:
        with os.fdopen(number, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(scratch, path)
    finally:
        Path(scratch).unlink()
    return path.read_bytes()
