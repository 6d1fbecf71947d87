"""Access rules for scene files: allowed formats, folders, hosts and block sizes.

Workers open the files that a dataset document names, and the document may come from an untrusted source. The rules are
applied twice: to the addresses in a plan, and on the worker immediately before a file is opened. The second check
resolves symbolic links, and covers changes of the index or of a folder since the plan was made.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from compute.files.addresses import gdal_name, local_path
from compute.files.hosts import is_loopback_host, is_refused_host, parse_host, resolves_to_refused_host

ROOTS_SETTING = "GREENUP_DATA_ROOTS"

_WEB = re.compile(r"(https?|ftp)://", re.IGNORECASE)
_STORE = re.compile(
    r"(?:/vsi(?:s3|gs|az|adls|oss|swift)(?:_streaming)?/|(?:s3|gs|az|oss)://)([^/]*)(?:/.*)?", re.DOTALL
)
_BUCKET = re.compile(r"[A-Za-z0-9$][\w.-]*", re.ASCII)
"""Pattern of a bucket name. Other characters could end the host name into which GDAL inserts the bucket name."""

_CURL = re.compile(r"/vsicurl(_streaming)?/")
_ARCHIVE = re.compile(r"/vsi(zip|tar|gzip|7z|rar)/")
_HANDLER = re.compile(r"/vsi[^/?]*", re.IGNORECASE)
_SCHEME = re.compile(r"[\w+.-]+://")
_PACKED = re.compile(r"((?:zip|tar|gzip)(?:\+(?:zip|tar|gzip))*)\+(\w+://.*)", re.DOTALL)

_RELATIVE = "has a local address that does not begin with /, in which GDAL may see a command such as GTIFF_DIR:1:"

_Resolve = Callable[[str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Access rules for scene files.

    Attributes
    ----------
    drivers : tuple of str
        Names of the GDAL drivers that may open a file.
    roots : tuple of str
        Additional allowed locations: absolute folders, URL prefixes, and GDAL prefixes such as ``/vsizip/``. The
        folders of dataset documents, object stores, and hosts for which `is_refused_host` is False need no entry.
    max_block_bytes : int
        Maximum uncompressed size of one block (tile or strip), in bytes.
    own_machine : bool
        Whether files on servers of this machine are allowed, such as ``http://127.0.0.1``.
    """

    drivers: tuple[str, ...] = ("GTiff",)
    roots: tuple[str, ...] = ()
    max_block_bytes: int = 64 * 2**20
    own_machine: bool = False

    def explain_refusal(self, address: str, home: str) -> str:
        """Return the reason why an address is refused, from its text alone.

        Parameters
        ----------
        address : str
            Address of a band's file.
        home : str
            Local folder of the scene's document; files below it are allowed. Empty for a remote document.

        Returns
        -------
        str
            Predicate of a sentence about the file, with the remedy; empty if the address is allowed.
        """
        path = local_path(address)
        if path is None or _is_gdal_virtual(path):
            return self._explain_remote_refusal(path or address, home, posixpath.normpath)
        if not path.startswith("/"):
            return _RELATIVE
        return self._explain_path_refusal(_collapse_leading_slashes(posixpath.normpath(path)), home, posixpath.normpath)

    def explain_resolved_refusal(self, address: str, home: str) -> str:
        """Return the reason why a file is refused, after resolving symbolic links and host names.

        Parameters
        ----------
        address : str
            Address of a band's file.
        home : str
            Local folder of the scene's document; files below it are allowed. Empty for a remote document.

        Returns
        -------
        str
            Predicate of a sentence about the file, with the remedy; empty if the file is allowed.
        """
        name = gdal_name(address)
        if local_path(name) is None or _is_gdal_virtual(name):
            return self._explain_remote_refusal(name, home, os.path.realpath) or self._explain_resolved_host(name)
        if not name.startswith("/"):
            return _RELATIVE
        path = os.path.realpath(name)
        return self._explain_path_refusal(path, home, _resolve_folder) or _irregular_file_reason(path)

    def _explain_remote_refusal(self, name: str, home: str, resolve: _Resolve) -> str:
        """Return the reason why a URL, object address or GDAL virtual path is refused; empty if it is allowed."""
        packed = _PACKED.fullmatch(name)
        if packed:
            inner = local_path(packed[2]) or packed[2]
            return self._explain_remote_refusal(f"/vsi{packed[1].replace('+', '/vsi')}/{inner}", home, resolve)
        store = _STORE.fullmatch(name)
        if store:
            return "" if _BUCKET.fullmatch(store[1]) else "has an address whose bucket is no valid name"
        url = _CURL.sub("", name, count=1)
        if _WEB.match(url):
            return self._explain_url_refusal(url)
        if _is_gdal_virtual(name):
            return self._explain_virtual_refusal(name.replace("{", "").replace("}", ""), home, resolve)
        scheme = _SCHEME.match(name)
        return f"has an address of an unsupported type ({scheme[0] if scheme else 'unknown'})"

    def _explain_url_refusal(self, url: str) -> str:
        host = parse_host(url)
        if host is None:
            return "has an address whose host is no valid name"
        return _own_host_reason(host) if is_refused_host(host) and not self._is_allowed(host, url) else ""

    def _explain_resolved_host(self, name: str) -> str:
        """Return the reason why a URL is refused after resolving its host name; empty if it is allowed."""
        url = _CURL.sub("", name, count=1)
        host = parse_host(url) if _WEB.match(url) else None
        return (
            _own_host_reason(host)
            if host and resolves_to_refused_host(host) and not self._is_allowed(host, url)
            else ""
        )

    def _is_allowed(self, host: str, url: str) -> bool:
        return (self.own_machine and is_loopback_host(host)) or bool(self._matching_roots(url))

    def _explain_virtual_refusal(self, name: str, home: str, resolve: _Resolve) -> str:
        """Return the reason why a GDAL virtual path or its archive is refused; empty if both are allowed."""
        roots, archive = self._matching_roots(name), _ARCHIVE.match(name)
        if not roots:
            handler = _HANDLER.match(name)
            return f"is read through {handler[0] if handler else name}/, which {ROOTS_SETTING} does not list"
        if archive is None:
            return ""
        inner = name[archive.end() :]
        if re.match("/?vsi", inner) or "://" in inner:
            return self._explain_remote_refusal(inner if "://" in inner[:9] else f"/{inner.lstrip('/')}", home, resolve)
        folders = [root[archive.end() :] for root in roots]
        return self._explain_path_refusal(resolve(inner), home, resolve, [folder for folder in folders if folder])

    def _explain_path_refusal(self, path: str, home: str, resolve: _Resolve, further: Sequence[str] = ()) -> str:
        folders = [home] if home.startswith("/") else []
        folders += [folder for folder in map(local_path, self.roots) if folder and not _is_gdal_virtual(folder)]
        if any(_is_within(path, resolve(folder)) for folder in (*folders, *further)):
            return ""
        return f"lies outside of the folder of its document; if it may be read, list its folder in {ROOTS_SETTING}"

    def _matching_roots(self, address: str) -> list[str]:
        """Return the roots that are prefixes of an address; none if the address contains ``..``."""
        if ".." in unquote(address).replace("\\", "/").split("/"):
            return []
        address = _normalise_url(address)
        return [root for root in self.roots if f"{address}/".startswith(_normalise_url(root).rstrip("/") + "/")]


GEOTIFF_ALONE = Access()
"""Default access rules: GeoTIFF files only, without additional locations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """Access rules for the files of one scene.

    Attributes
    ----------
    access : Access
        Rules for all scenes.
    home : str
        Local folder of the scene's document; empty for a remote document.
    """

    access: Access
    home: str

    def explain_refusal(self, address: str) -> str:
        """Return the reason why a file is refused; see `Access.explain_resolved_refusal`."""
        return self.access.explain_resolved_refusal(address, self.home)


def _own_host_reason(host: str) -> str:
    return (
        f"lies on {host}, which is this machine, its link or a metadata service; if it may be read, list how its "
        f"address begins in {ROOTS_SETTING}"
    )


def _normalise_url(address: str) -> str:
    """Convert scheme and host of a URL to lower case and remove the user; return any other text unchanged."""
    found = re.match(r"(?P<scheme>[\w+.-]+://)(?:[^/?#]*@)?(?P<host>[^/?#]*)", address)
    return address if found is None else (found["scheme"] + found["host"]).lower() + address[found.end() :]


def _irregular_file_reason(path: str) -> str:
    """Return the reason why a path is not a regular file, since opening a FIFO or device may block; empty otherwise."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # runs for every opened file; Path.stat is slower
    except (OSError, ValueError):
        return ""
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "" if stat.S_ISREG(mode) else "is no regular file"


def _is_gdal_virtual(path: str) -> bool:
    """Return whether a path is a GDAL virtual path, such as ``/vsizip/...``."""
    return path[:4].lower() == "/vsi"


def _is_within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _collapse_leading_slashes(path: str) -> str:
    return "/" + path.lstrip("/") if path.startswith("/") else path


@lru_cache(maxsize=4096)
def _resolve_folder(folder: str) -> str:
    # Cached: if the link changes later, files below its new target are refused.
    return os.path.realpath(folder)
