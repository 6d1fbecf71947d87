"""File addresses: joining of relative paths, distinction of local and remote addresses, removal of secrets.

A document contains paths as plain text, whereas the address of a local file is a ``file://`` URL. A file name may
contain blanks, ``#``, ``%``, ``?`` and non-ASCII characters. Local paths are therefore joined first and percent-encoded
afterwards, which preserves any file name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from posixpath import dirname, normpath
from urllib.parse import quote, unquote, urljoin

_SCHEME = re.compile(r"\s*[\w+]+://")
"""Pattern by which datacube 1.9 (``datacube.utils.uris``) distinguishes URLs from paths."""

_PART = re.compile(r"#part=\d+$")
"""URL fragment in which datacube 1.9 stores the time step of a dataset within its file."""

_REMOTE_VSI = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)", re.IGNORECASE)
"""GDAL virtual file systems that read over the network; https://gdal.org/user/virtual_file_systems.html."""

_IN_ARCHIVE = re.compile(r"(zip|tar)\+file://(?P<archive>[^!]*)!/?(?P<inner>.*)")

_WEB = ("http://", "https://", "ftp://")

_LEGAL_IN_URL = "%/:?=&+,;@$!'()*~[]"
"""Characters that are not percent-encoded in a URL; all others are, including ``#``."""

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s'\"]*@")
_QUERY = re.compile(r"(?<=[\w/=.\]-])[?#][^\s'\",]*")


def join_path(location: str, path: str | None) -> str:
    """Return the address of a path in a document.

    Parameters
    ----------
    location : str
        Address of the document; a relative path is joined to its folder.
    path : str or None
        Path or address; None for the document's own address.

    Returns
    -------
    str
        Address as a URL, with the scheme ``file://`` for a local path. GDAL virtual paths are returned unchanged.
    """
    if not path:
        return location
    if _is_address(path):
        return path
    if path.startswith("/"):
        return "file://" + quote(path)
    if local_path(location) is not None:
        return _join_local(location, path)
    if location.startswith(_WEB):
        return urljoin(location, "./" + _percent_encode(path))
    return _join_remote(location, path)


def is_local(address: str) -> bool:
    """Return whether an address refers to the local file system, directly or inside an archive."""
    path = local_path(address)
    if path is None:
        return bool(_IN_ARCHIVE.match(address))
    return not (path.lower().startswith("/vsi") and _REMOTE_VSI.search(path))


def local_path(address: str) -> str | None:
    """Return the path of a ``file://`` URL or of a plain path; None for any other address."""
    if not address.startswith("file://"):
        return None if _SCHEME.match(address) else address
    return unquote(_PART.sub("", address.removeprefix("file://").removeprefix("localhost")))


def document_folder(location: str) -> str:
    """Return the local folder of a document; empty if the document is remote or in an archive."""
    path = local_path(location)
    return "" if path is None or path.lower().startswith("/vsi") else dirname(path)


def path_exists(path: str) -> bool:
    """Return whether a file or folder exists; False for an invalid path."""
    return "\0" not in path and os.access(path, os.F_OK)


def existing_path(address: str) -> str | None:
    """Return the path of a local address; None for a remote address.

    Three interpretations of ``%`` are tried, and the first that matches an existing file is returned: `local_path`; the
    path decoded once more, as in datacube (``a%20b.tif`` is ``a b.tif``); the address without decoding. If no file
    exists, `local_path` is returned.
    """
    path = local_path(address)
    if path is None or "%" not in address or path_exists(path):
        return path
    return next((each for each in (unquote(path), address.removeprefix("file://")) if path_exists(each)), path)


def gdal_name(address: str) -> str:
    """Return the dataset name with which GDAL opens an address."""
    path = existing_path(address)
    if path is not None:
        return path
    packed = _IN_ARCHIVE.match(address)
    if packed:
        return f"/vsi{packed[1]}/{{{existing_path('file://' + packed['archive'])}}}/{packed['inner']}"
    if address.startswith("s3://") and "#" in address:
        # rasterio 1.4 (rasterio/_path.py) parses "#" as the start of a fragment; in an object key it is literal.
        return "/vsis3/" + address.removeprefix("s3://")
    return _percent_encode(address) if address.startswith(_WEB) else address


def part_number(address: str) -> int | None:
    """Return the zero-based time step (part) in the fragment of an address; None if the address has none."""
    found = _PART.search(address)
    return int(found[0].rpartition("=")[2]) if found else None


def clean_address(address: str) -> str:
    """Return an address for display: a URL without credentials, query and fragment, or the name of a local file."""
    packed = _IN_ARCHIVE.match(address)
    if packed:
        return f"{Path(unquote(packed['archive'])).name}!{packed['inner']}"
    path = local_path(address)
    if path is not None and is_local(address):
        return Path(path).name
    # An object key may contain "#"; in other URLs it starts the fragment.
    ends = "[?]" if address.startswith(("s3://", "gs://")) else "[?#]"
    return re.split(ends, _CREDENTIALS.sub("", address), maxsplit=1)[0]


def relative_name(address: str, addresses: Iterable[str]) -> str:
    """Return an address for display, relative to the common folder of other addresses.

    Parameters
    ----------
    address : str
        Address to shorten.
    addresses : iterable of str
        Addresses of related files, which determine the common folder.

    Returns
    -------
    str
        Path of a local file relative to the common folder; for a remote file, the result of `clean_address`.
    """
    path = local_path(address)
    if path is None or not is_local(address):
        return clean_address(address)
    folders = [dirname(each) for each in map(local_path, addresses) if each is not None and each.startswith("/")]
    if not path.startswith("/") or not folders:
        return Path(path).name
    return os.path.relpath(path, os.path.commonpath([*folders, dirname(path)]))


def remove_secrets(text: str) -> str:
    """Remove the credentials, queries and fragments of all URLs in a text."""
    return _QUERY.sub("", _CREDENTIALS.sub("", text))


def _is_address(path: str) -> bool:
    return bool(_SCHEME.match(path)) or path.lower().startswith("/vsi")


def _join_local(location: str, path: str) -> str:
    joined = f"{dirname(local_path(location) or '')}/{path}"
    # "//" is significant in a GDAL virtual path.
    return "file://" + quote(joined if joined.lower().startswith("/vsi") else normpath(joined))


def _join_remote(location: str, path: str) -> str:
    """Join a path to the address of an object or archive member without percent-encoding."""
    head, mark, inner = location.rpartition("!")
    if not mark:
        scheme, _, rest = location.partition("://")
        bucket, mark, inner = rest.partition("/")
        head = f"{scheme}://{bucket}"
    folder, slash, _ = inner.rpartition("/")
    joined = folder + slash + path
    # Normalise only if needed, since an object key may contain "//".
    if {".", ".."} & set(joined.split("/")):
        joined = normpath(f"/{joined}").lstrip("/")
    return head + mark + joined


def _percent_encode(address: str) -> str:
    """Percent-encode the characters that are not allowed in a URL; existing escapes are kept."""
    return quote(re.sub("%(?![0-9A-Fa-f]{2})", "%25", address), safe=_LEGAL_IN_URL)
