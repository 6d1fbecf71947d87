"""Addresses of files: joined to those of documents, told local from remote, and cleaned for people.

A path of a document is text, a local address is a URL. Both may hold blanks, ``#``, ``%``, ``?`` and letters beyond
ASCII: a local path is joined as a path and quoted, so that its name is found again whatever it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from posixpath import dirname, normpath
from urllib.parse import quote, unquote, urljoin

_SCHEME = re.compile(r"\s*[\w+]+://")
"""How datacube (1.9) tells an address from a path."""

_PART = re.compile(r"#part=\d+$")
"""How datacube writes which time step of a file a document describes."""

_REMOTE_VSI = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)", re.IGNORECASE)
"""What is in a path of GDAL's own where it leads elsewhere."""

_IN_ARCHIVE = re.compile(r"(zip|tar)\+file://(?P<archive>[^!]*)!/?(?P<inner>.*)")

_WEB = ("http://", "https://", "ftp://")

_LEGAL_IN_URL = "%/:?=&+,;@$!'()*~[]"
"""Characters of a web address that stay as they are; all others, ``#`` included, are quoted."""

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s'\"]*@")
_QUERY = re.compile(r"(?<=[\w/=.\]-])[?#][^\s'\",]*")


def join_path(location: str, path: str | None) -> str:
    """Return the address of a path that a document names.

    Parameters
    ----------
    location : str
        Address of the document, which relative paths are relative to.
    path : str or None
        A path or an address; None for the document's own address.
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
        return urljoin(location, "./" + _quoted(path))
    return _join_remote(location, path)


def is_local(address: str) -> bool:
    """Tell whether an address is a path of this machine's file system, or lies in an archive that is."""
    path = local_path(address)
    if path is None:
        return bool(_IN_ARCHIVE.match(address))
    return not (path.lower().startswith("/vsi") and _REMOTE_VSI.search(path))


def local_path(address: str) -> str | None:
    """Return the path that a ``file://`` address or a plain path names, None of any other address."""
    if not address.startswith("file://"):
        return None if _SCHEME.match(address) else address
    return unquote(_PART.sub("", address.removeprefix("file://").removeprefix("localhost")))


def folder_of(location: str) -> str:
    """Return the local folder of a document, empty where it lies elsewhere or in an archive."""
    path = local_path(location)
    return "" if path is None or path.lower().startswith("/vsi") else dirname(path)


def exists(path: str) -> bool:
    """Tell whether there is a file or folder; there is none of a name that cannot be one."""
    return "\0" not in path and os.access(path, os.F_OK)


def existing_path(address: str) -> str | None:
    """Return the path of a local address by the first of three rules by which there is a file; None of any other.

    A name is what it says. Where there is no such file, it is percent-encoded, as datacube reads it: ``a%20b.tif`` is
    then ``a b.tif``. Where there is none of that name either, it is an address that somebody forgot to encode.
    """
    path = local_path(address)
    if path is None or "%" not in address or exists(path):
        return path
    return next((each for each in (unquote(path), address.removeprefix("file://")) if exists(each)), path)


def gdal_name(address: str) -> str:
    """Return the name by which GDAL opens what lies at an address."""
    path = existing_path(address)
    if path is not None:
        return path
    packed = _IN_ARCHIVE.match(address)
    if packed:
        return f"/vsi{packed[1]}/{{{existing_path('file://' + packed['archive'])}}}/{packed['inner']}"
    if address.startswith("s3://") and "#" in address:
        # rasterio (1.4) takes "#" for the beginning of a fragment; to an object store it is a character like any other.
        return "/vsis3/" + address.removeprefix("s3://")
    return _quoted(address) if address.startswith(_WEB) else address


def part_of(address: str) -> int | None:
    """Return which part of its file an address names, from 0, None where it names none."""
    found = _PART.search(address)
    return int(found[0].rpartition("=")[2]) if found else None


def clean_address(address: str) -> str:
    """Return an address for people: no user, password, token or signature, and of a local path only the name."""
    packed = _IN_ARCHIVE.match(address)
    if packed:
        return f"{Path(unquote(packed['archive'])).name}!{packed['inner']}"
    path = local_path(address)
    if path is not None and is_local(address):
        return Path(path).name
    # Only a key of an object store may have "#" in its name.
    ends = "[?]" if address.startswith(("s3://", "gs://")) else "[?#]"
    return re.split(ends, _CREDENTIALS.sub("", address), maxsplit=1)[0]


def name_among(address: str, addresses: Iterable[str]) -> str:
    """Return an address for people: that of a local file relative to the folder that holds all of `addresses`."""
    path = local_path(address)
    if path is None or not is_local(address):
        return clean_address(address)
    folders = [dirname(each) for each in map(local_path, addresses) if each is not None and each.startswith("/")]
    if not path.startswith("/") or not folders:
        return Path(path).name
    return os.path.relpath(path, os.path.commonpath([*folders, dirname(path)]))


def without_secrets(text: str) -> str:
    """Return text without the credentials, queries and fragments of the addresses in it."""
    return _QUERY.sub("", _CREDENTIALS.sub("", text))


def _is_address(path: str) -> bool:
    return bool(_SCHEME.match(path)) or path.lower().startswith("/vsi")


def _join_local(location: str, path: str) -> str:
    joined = f"{dirname(local_path(location) or '')}/{path}"
    # A path of GDAL's own may have "//" in it, which means something there.
    return "file://" + quote(joined if joined.lower().startswith("/vsi") else normpath(joined))


def _join_remote(location: str, path: str) -> str:
    """Join a path to the key of an object, where every character stands for itself, or to a place in an archive."""
    head, mark, inner = location.rpartition("!")
    if not mark:
        scheme, _, rest = location.partition("://")
        bucket, mark, inner = rest.partition("/")
        head = f"{scheme}://{bucket}"
    folder, slash, _ = inner.rpartition("/")
    joined = folder + slash + path
    # Only where it must be: "//" may be part of a key.
    if {".", ".."} & set(joined.split("/")):
        joined = normpath(f"/{joined}").lstrip("/")
    return head + mark + joined


def _quoted(address: str) -> str:
    """Percent-encode the characters that no address may hold, and leave percent-encoded ones alone."""
    return quote(re.sub("%(?![0-9A-Fa-f]{2})", "%25", address), safe=_LEGAL_IN_URL)
