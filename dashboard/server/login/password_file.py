"""Password file with Argon2 and bcrypt hashes, verified in threads and cached for a minute."""

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
"""Greatest length of a password in characters; longer ones are refused without hashing."""

_CACHED_S = 60.0
_MOST_CACHED = 1000
_AT_ONCE = 2
"""Greatest number of concurrent verifications. Each takes up to 64 MiB and about 50 ms of one core."""


def parse_passwords(text: str, name: str) -> dict[str, str]:
    """Return the hash of each user in a password file.

    Parameters
    ----------
    text : str
        Lines ``NAME:HASH``; empty lines and lines that start with ``#`` are ignored.
    name : str
        Name of the file, for error messages.

    Raises
    ------
    InputError
        A line is not a pair, repeats a user name, or has a hash other than Argon2 and bcrypt.
    """
    hashes = dict[str, str]()
    for number, line in enumerate(text.splitlines(), start=1):
        user, colon, digest = (part.strip() for part in line.partition(":"))
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not colon or not user or user in hashes or not digest.startswith(("$argon2", "$2a$", "$2b$", "$2y$")):
            raise InputError(
                "GREENUP_AUTH_FILE",
                f"Line {number} of {name} is not NAME:HASH with a unique name and a hash of Argon2 or bcrypt; "
                "`greenup password NAME` writes one.",
            )
        hashes[user] = digest
    return hashes


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password.

    The parameters are the default of argon2-cffi: RFC 9106, section 4, second recommended option (64 MiB, three passes,
    four lanes). They exceed the minimum of the OWASP Password Storage Cheat Sheet (19 MiB, two passes, one lane).
    """
    return PasswordHasher().hash(password)


def verify_password(digest: str, password: str) -> bool:
    """Return whether a password matches an Argon2 or bcrypt hash.

    Parameters
    ----------
    digest : str
        Hash in the modular crypt format.
    password : str
        Password in plain text.
    """
    try:
        if digest.startswith("$argon2"):
            return PasswordHasher().verify(digest, password)
        return bcrypt.checkpw(password.encode(), digest.encode())
    # bcrypt raises ValueError for passwords over 72 bytes and for truncated hashes.
    except (VerificationError, InvalidHashError, ValueError):
        return False


class PasswordFile:
    """Users of a password file, which is read again if it has changed.

    Parameters
    ----------
    path : pathlib.Path
        Path of the file.

    Raises
    ------
    InputError
        The file cannot be read, or a line is not valid.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._hashes: dict[str, str] = {}
        self._cached: TTLCache[bytes, str] = TTLCache(_MOST_CACHED, _CACHED_S)
        self._key = secrets.token_bytes(32)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        # Unknown users are verified against this hash, so that the response time does not reveal user names.
        self._nobody = hash_password(secrets.token_hex())
        self.reload()

    def reload(self) -> None:
        """Read the file again if it has changed.

        Raises
        ------
        InputError
            The file cannot be read, or a line is not valid.
        """
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

    def find_digest(self, user: str) -> str | None:
        """Return the current hash of a user, or None if the user or a valid file is missing."""
        try:
            self.reload()
        except InputError:
            return None
        return self._hashes.get(user)

    async def check_password(self, user: str, password: str) -> bool:
        """Return whether the password of a user is correct.

        Parameters
        ----------
        user : str
            User name.
        password : str
            Password in plain text.
        """
        digest = self.find_digest(user)
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
