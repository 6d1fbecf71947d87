"""Secret key of tokens and sessions, kept over restarts."""

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
"""Fewest characters of a secret: 128 bits where they are random bytes."""

_log = logging.getLogger(__name__)


def server_secret(settings: Settings) -> bytes:
    """Return the secret of the settings, else that of the home folder, which is made once.

    Where the folder cannot be written, the secret lasts as long as the process, and the log says so: links to results
    hold all the same, but what was computed before is not recognised when it is asked for again.

    Parameters
    ----------
    settings : Settings
        With the secret, or the home folder.

    Raises
    ------
    InputError
        It is shorter than 16 characters, its file is not a regular one, or the home folder belongs to others.
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
    """Return a key of its own for one purpose, from which neither the secret nor the key of another can be told.

    Parameters
    ----------
    settings, purpose
        As `server_secret` takes them; what the key is for, such as ``"sessions"``.

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
    """Return what the file holds; of several processes that make it at once, the first has made it for all."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    make_private(path.parent)
    # Readable by its owner alone from the first byte on, and under its name only once it is whole.
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
