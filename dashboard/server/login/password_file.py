"""Password file of the basic login: argon2 and bcrypt hashes, checked off the event loop and cached for a minute."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from pathlib import Path

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cachetools import TTLCache

from compute.errors import InputError

LONGEST_PASSWORD = 1024
"""Characters of a password; a longer one is refused unread."""

_CACHED_S = 60.0
_MOST_CACHED = 1000
_AT_ONCE = 2
"""Hashes that are computed at once: each takes up to 64 MiB and a twentieth of a second of a core."""


def parse_passwords(text: str, name: str) -> dict[str, str]:
    """Return the hashes of a password file by the names of the users.

    Parameters
    ----------
    text : str
        Lines ``NAME:HASH``; empty ones and those that begin with ``#`` are left out.
    name : str
        Name of the file, for errors.

    Raises
    ------
    InputError
        A line is no pair, repeats a name, or its hash is neither of argon2 nor of bcrypt.
    """
    hashes = dict[str, str]()
    for number, line in enumerate(text.splitlines(), start=1):
        user, colon, digest = (part.strip() for part in line.partition(":"))
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not colon or not user or user in hashes or not digest.startswith(("$argon2", "$2a$", "$2b$", "$2y$")):
            raise InputError(
                "GREENUP_AUTH_FILE",
                f"Line {number} of {name} is not NAME:HASH with a name of its own and a hash of argon2 or bcrypt; "
                "`greenup password NAME` writes one.",
            )
        hashes[user] = digest
    return hashes


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, with the parameters that argon2-cffi recommends."""
    return PasswordHasher().hash(password)


def verify_password(digest: str, password: str) -> bool:
    """Return whether a password has a hash of argon2 or bcrypt."""
    try:
        if digest.startswith("$argon2"):
            return PasswordHasher().verify(digest, password)
        return bcrypt.checkpw(password.encode(), digest.encode())
    # bcrypt refuses more than 72 bytes and hashes that are cut off by a ValueError.
    except (VerificationError, InvalidHashError, ValueError):
        return False


class PasswordFile:
    """Users of the basic login; a changed file holds at once.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    InputError
        It cannot be read, or a line does not parse.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._hashes: dict[str, str] = {}
        self._cached: TTLCache[bytes, str] = TTLCache(_MOST_CACHED, _CACHED_S)
        self._key = secrets.token_bytes(32)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        # Nobody can tell by the time of the answer whether there is a user of that name.
        self._nobody = hash_password(secrets.token_hex())
        self.reload()

    def reload(self) -> None:
        """Read the file again if it has changed; raises as the constructor does."""
        try:
            found = self._path.stat()
            stamp = found.st_mtime_ns, found.st_size, found.st_ino
            if stamp == self._stamp:
                return
            text = self._path.read_text(encoding="utf-8") if self._path.is_file() else None
        except (OSError, UnicodeDecodeError):
            text = None
        if text is None:
            self._stamp, self._hashes = (), {}
            raise InputError(
                "GREENUP_AUTH_FILE", f"The password file {self._path.name} cannot be read; give a file of UTF-8 text."
            )
        self._stamp, self._hashes = stamp, {}
        self._hashes = parse_passwords(text, self._path.name)

    def digest(self, user: str) -> str | None:
        """Return the hash of a user as the file now holds it, None where there is no such user or no readable file."""
        try:
            self.reload()
        except InputError:
            return None
        return self._hashes.get(user)

    async def check(self, user: str, password: str) -> bool:
        """Return whether a user has a password."""
        digest = self.digest(user)
        key = hmac.new(self._key, f"{user}\0{password}".encode(errors="replace"), hashlib.sha256).digest()
        if digest is not None and self._cached.get(key) == digest:
            return True
        if len(password) > LONGEST_PASSWORD:
            return False
        async with self._turns:
            right = await asyncio.to_thread(verify_password, digest or self._nobody, password)
        if not right or digest is None:
            return False
        self._cached[key] = digest
        return True
