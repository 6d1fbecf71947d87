"""Validation of locations in settings: folders, storage and database URLs, credential files."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from compute.errors import InputError
from compute.files.file_kinds import folder_problem, require_regular_file

_INDEX_FORM = "postgresql://USER@HOST:5432/DATABASE"

_INDEX_DRIVERS = ("psycopg2", "psycopg")
"""SQLAlchemy drivers that datacube supports."""

_CREDENTIAL_FILES = (
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "PGPASSFILE",
    "PGSERVICEFILE",
    "ODC_CONFIG_PATH",
    "DATACUBE_CONFIG_PATH",
)
"""Environment variables of other libraries with paths of files, which these libraries open without a type check."""

_READ_ONLY = frozenset(("data", "gist", "git", "github", "http", "https", "libarchive", "reference", "tar", "zip"))
"""fsspec protocols that are read-only, or that several processes cannot write to."""


def check_home(home: Path) -> None:
    """Refuse a home that is not a folder, or whose path is invalid. A read-only home is accepted.

    Raises
    ------
    InputError
        The path is invalid, is not a folder, or is below a file; the message names ``GREENUP_HOME``.
    """
    problem = folder_problem(home)
    if problem and problem != "cannot be written":
        raise InputError("GREENUP_HOME", f"The setting GREENUP_HOME {problem}; set it to a folder of yours.")


def make_home(home: Path) -> None:
    """Create the home folder; raise InputError if the path is unusable or the folder is not writable."""
    problem = folder_problem(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError:
        problem = problem or "cannot be written"
    if problem:
        raise InputError("GREENUP_HOME", f"The setting GREENUP_HOME {problem}; set it to a folder of yours.")


def check_index_url(text: str) -> None:
    """Refuse a URL that does not refer to a PostgreSQL database.

    Raises
    ------
    InputError
        The URL has another scheme, an unavailable driver or no database. The message names ``GREENUP_INDEX_URL`` and
        contains no part of the URL except its scheme.
    """
    parts = _parse_url(text, "GREENUP_INDEX_URL", _INDEX_FORM)
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
        scheme = f"has the scheme {parts.scheme[:40]!r}" if parts.scheme else "has no scheme"
        raise InputError("GREENUP_INDEX_URL", f"The setting GREENUP_INDEX_URL {scheme}; give {_INDEX_FORM}.")
    driver = parts.scheme.partition("+")[2]
    if driver and (driver not in _INDEX_DRIVERS or find_spec(driver) is None):
        raise InputError(
            "GREENUP_INDEX_URL",
            f"The setting GREENUP_INDEX_URL names a driver that is not installed here; give {_INDEX_FORM}.",
        )
    if not parts.path.strip("/"):
        raise InputError("GREENUP_INDEX_URL", f"The setting GREENUP_INDEX_URL names no database; give {_INDEX_FORM}.")


def check_results(text: str) -> None:
    """Refuse a location of results that is neither ``none``, a folder, nor the URL of a writable storage.

    Raises
    ------
    InputError
        The location is unusable, or its URL has a password or query; the message names ``GREENUP_RESULTS``.
    """
    if text == "none":
        return
    if "://" not in text:
        problem = folder_problem(Path(text))
        if problem and problem != "cannot be written":
            raise InputError("GREENUP_RESULTS", f"The setting GREENUP_RESULTS {problem}; set it to a folder or a URL.")
        return
    for link in text.split("::"):
        _check_storage(link)


def _check_storage(url: str) -> None:
    """Check one element of a chained fsspec URL, such as ``simplecache::s3://bucket/folder``."""
    form = "a folder, or a URL such as s3://BUCKET/FOLDER"
    scheme = url.partition("://")[0]
    if scheme in _READ_ONLY or not _has_driver(scheme):
        lack = "cannot be written" if scheme in _READ_ONLY else "has no driver installed here"
        raise InputError(
            "GREENUP_RESULTS", f"The scheme {scheme[:40]!r} of the setting GREENUP_RESULTS {lack}; give {form}."
        )
    if "://" not in url:
        return
    parts = _parse_url(url, "GREENUP_RESULTS", form)
    if parts.password is not None or parts.query:
        raise InputError(
            "GREENUP_RESULTS",
            "The setting GREENUP_RESULTS holds a password or a query, which the job database would store; leave it "
            "out and give the credentials in the environment variables or files of the storage.",
        )
    if not parts.netloc and not parts.path.strip("/"):
        raise InputError("GREENUP_RESULTS", f"The setting GREENUP_RESULTS names no folder in its storage; give {form}.")


def _has_driver(scheme: str) -> bool:
    """Return whether fsspec has a driver for a protocol; drivers in other packages are not imported, which is slow."""
    from fsspec import get_filesystem_class  # noqa: PLC0415  # not needed by `greenup --help`
    from fsspec.registry import known_implementations  # noqa: PLC0415

    if not scheme:
        return False
    package = known_implementations.get(scheme, {}).get("class", "fsspec.").partition(".")[0]
    if package != "fsspec":
        return find_spec(package) is not None
    try:
        get_filesystem_class(scheme)
    except (ImportError, ValueError):
        return False
    return True


def check_gateway(text: str) -> None:
    """Refuse a Dask Gateway address that is not an HTTP URL, or that contains credentials.

    Raises
    ------
    InputError
        The address is not an HTTP URL, or contains a user or password; the message names ``GREENUP_GATEWAY_ADDRESS``.
    """
    form = "http://HOST:PORT or https://HOST/PATH"
    parts = _parse_url(text, "GREENUP_GATEWAY_ADDRESS", form)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            "GREENUP_GATEWAY_ADDRESS", f"The setting GREENUP_GATEWAY_ADDRESS is not a web address; give {form}."
        )
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "GREENUP_GATEWAY_ADDRESS",
            "The setting GREENUP_GATEWAY_ADDRESS holds a user or a password; set the login in Dask's "
            "configuration, gateway.auth.",
        )


def check_credential_files() -> None:
    """Refuse credential files that are FIFOs, sockets or devices, since opening these can block.

    Raises
    ------
    InputError
        A variable refers to a FIFO, socket or device other than ``/dev/null``; the message names the variable.
    """
    for name in _CREDENTIAL_FILES:
        for path in filter(None, os.environ.get(name, "").split(":")):
            if path != os.devnull:
                require_regular_file(Path(path), name, or_folder=True)


def _parse_url(text: str, name: str, form: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # parsed lazily; raises ValueError if invalid
    except ValueError:
        raise InputError(name, f"The setting {name} is not a URL; give {form}.") from None
    if any(character.isspace() for character in text):
        raise InputError(name, f"The setting {name} holds a blank; give {form}.")
    return parts


def split_list(text: str) -> list[str]:
    """Split a comma-separated list; remove surrounding blanks and empty items."""
    return [each.strip() for each in text.split(",") if each.strip()]


def check_roots(text: str) -> str:
    """Return a comma-separated list of folders and URL prefixes unchanged; raise ValueError for any other item."""
    for root in split_list(text):
        if not re.match(r"/|[\w+.-]+://.", root):
            raise ValueError(f"{root!r} is neither an absolute folder nor the beginning of a URL")
    return text
