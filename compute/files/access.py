"""Access to the files of scenes: which formats, folders, hosts and block sizes are read.

A document may come from anybody, and names files that the workers open. The rules are applied twice: to a plan, by the
addresses alone, and on the worker right before a file is opened, with links resolved: an index or a folder may have
changed meanwhile.
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
from compute.files.hosts import host_of, is_loopback_host, is_refused_host, leads_to_refused

ROOTS_SETTING = "GREENUP_DATA_ROOTS"

_WEB = re.compile(r"(https?|ftp)://", re.IGNORECASE)
_STORE = re.compile(
    r"(?:/vsi(?:s3|gs|az|adls|oss|swift)(?:_streaming)?/|(?:s3|gs|az|oss)://)([^/]*)(?:/.*)?", re.DOTALL
)
_BUCKET = re.compile(r"[A-Za-z0-9$][\w.-]*", re.ASCII)
"""Other characters could be taken for the end of the host that a bucket is part of."""

_CURL = re.compile(r"/vsicurl(_streaming)?/")
_ARCHIVE = re.compile(r"/vsi(zip|tar|gzip|7z|rar)/")
_HANDLER = re.compile(r"/vsi[^/?]*", re.IGNORECASE)
_SCHEME = re.compile(r"[\w+.-]+://")
_PACKED = re.compile(r"((?:zip|tar|gzip)(?:\+(?:zip|tar|gzip))*)\+(\w+://.*)", re.DOTALL)

_RELATIVE = "has a local address that does not begin with /, in which GDAL may see a command such as GTIFF_DIR:1:"

_Resolve = Callable[[str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Rules by which files of scenes may be read.

    Attributes
    ----------
    drivers : tuple of str
        GDAL drivers that may open them.
    roots : tuple of str
        Where they may lie, beside the folders of their documents, object stores and public hosts: absolute folders, URL
        prefixes, and prefixes of GDAL's own such as ``/vsizip/``.
    max_block_bytes : int
        Largest block (tile or strip) of a file, unpacked.
    own_machine : bool
        Whether files may lie on servers of this machine, for whoever may reach these anyway.
    """

    drivers: tuple[str, ...] = ("GTiff",)
    roots: tuple[str, ...] = ()
    max_block_bytes: int = 64 * 2**20
    own_machine: bool = False

    def refusal(self, address: str, home: str) -> str:
        """Return why an address may not be read, as it is written; empty where it may.

        Parameters
        ----------
        address : str
            Of the file of a band.
        home : str
            Local folder of the scene's document, below which files may lie; empty where there is none.

        Returns
        -------
        str
            In words that end a sentence about the file, with the remedy.
        """
        path = local_path(address)
        if path is None or _is_handled(path):
            return self._refusal_elsewhere(path or address, home, posixpath.normpath)
        if not path.startswith("/"):
            return _RELATIVE
        return self._refusal_of_path(_with_one_slash(posixpath.normpath(path)), home, posixpath.normpath)

    def refusal_here(self, address: str, home: str) -> str:
        """Return why what GDAL would open at an address may not be read, with links and names of hosts resolved.

        Parameters
        ----------
        address, home
            As `refusal` takes them.

        Returns
        -------
        str
            As `refusal` does.
        """
        name = gdal_name(address)
        if local_path(name) is None or _is_handled(name):
            return self._refusal_elsewhere(name, home, os.path.realpath) or self._refusal_of_resolved(name)
        if not name.startswith("/"):
            return _RELATIVE
        path = os.path.realpath(name)
        return self._refusal_of_path(path, home, _resolved_folder) or _irregular(path)

    def _refusal_elsewhere(self, name: str, home: str, resolve: _Resolve) -> str:
        """Return why a URL, an object of a store or a GDAL virtual path is refused, empty if it is allowed."""
        packed = _PACKED.fullmatch(name)
        if packed:
            inner = local_path(packed[2]) or packed[2]
            return self._refusal_elsewhere(f"/vsi{packed[1].replace('+', '/vsi')}/{inner}", home, resolve)
        store = _STORE.fullmatch(name)
        if store:
            return "" if _BUCKET.fullmatch(store[1]) else "has an address whose bucket is no valid name"
        url = _CURL.sub("", name, count=1)
        if _WEB.match(url):
            return self._refusal_of_url(url)
        if _is_handled(name):
            return self._refusal_of_handled(name.replace("{", "").replace("}", ""), home, resolve)
        scheme = _SCHEME.match(name)
        return f"has an address of a kind that is not read ({scheme[0] if scheme else 'unknown'})"

    def _refusal_of_url(self, url: str) -> str:
        host = host_of(url)
        if host is None:
            return "has an address whose host is no valid name"
        return _own_host(host) if is_refused_host(host) and not self._is_allowed(host, url) else ""

    def _refusal_of_resolved(self, name: str) -> str:
        """Judge the host of a URL by what its name leads to."""
        url = _CURL.sub("", name, count=1)
        host = host_of(url) if _WEB.match(url) else None
        return _own_host(host) if host and leads_to_refused(host) and not self._is_allowed(host, url) else ""

    def _is_allowed(self, host: str, url: str) -> bool:
        return (self.own_machine and is_loopback_host(host)) or bool(self._roots_of(url))

    def _refusal_of_handled(self, name: str, home: str, resolve: _Resolve) -> str:
        """Judge archives by where they lie, too; whatever else GDAL chains, by the list alone."""
        roots, archive = self._roots_of(name), _ARCHIVE.match(name)
        if not roots:
            handler = _HANDLER.match(name)
            return f"is read through {handler[0] if handler else name}/, which {ROOTS_SETTING} does not list"
        if archive is None:
            return ""
        inner = name[archive.end() :]
        if re.match("/?vsi", inner) or "://" in inner:
            return self._refusal_elsewhere(inner if "://" in inner[:9] else f"/{inner.lstrip('/')}", home, resolve)
        folders = [root[archive.end() :] for root in roots]
        return self._refusal_of_path(resolve(inner), home, resolve, [folder for folder in folders if folder])

    def _refusal_of_path(self, path: str, home: str, resolve: _Resolve, further: Sequence[str] = ()) -> str:
        folders = [home] if home.startswith("/") else []
        folders += [folder for folder in map(local_path, self.roots) if folder and not _is_handled(folder)]
        if any(_is_within(path, resolve(folder)) for folder in (*folders, *further)):
            return ""
        return f"lies outside of the folder of its document; if it may be read, list its folder in {ROOTS_SETTING}"

    def _roots_of(self, address: str) -> list[str]:
        """Return the roots that an address begins with."""
        if ".." in unquote(address).replace("\\", "/").split("/"):
            return []
        address = _comparable(address)
        return [root for root in self.roots if f"{address}/".startswith(_comparable(root).rstrip("/") + "/")]


GEOTIFF_ALONE = Access()
"""The strictest rules, where nobody has said anything else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """Rules of access to the files of one scene.

    Attributes
    ----------
    access : Access
        For all scenes.
    home : str
        Local folder of the scene's document.
    """

    access: Access
    home: str

    def refusal(self, address: str) -> str:
        """Return why the file at an address may not be opened now; see `Access.refusal_here`."""
        return self.access.refusal_here(address, self.home)


def _own_host(host: str) -> str:
    return (
        f"lies on {host}, which is this machine, its link or a metadata service; if it may be read, list how its "
        f"address begins in {ROOTS_SETTING}"
    )


def _comparable(address: str) -> str:
    """Return a URL without user, with scheme and host in small letters; anything else as it is."""
    found = re.match(r"(?P<scheme>[\w+.-]+://)(?:[^/?#]*@)?(?P<host>[^/?#]*)", address)
    return address if found is None else (found["scheme"] + found["host"]).lower() + address[found.end() :]


def _irregular(path: str) -> str:
    """Return why a path is not a regular file, empty if it is one; opening a pipe or a device may block for ever."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # millions of times, and a Path takes longer than this
    except (OSError, ValueError):
        return ""
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "" if stat.S_ISREG(mode) else "is no regular file"


def _is_handled(path: str) -> bool:
    """Tell whether a path is one of GDAL's own."""
    return path[:4].lower() == "/vsi"


def _is_within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _with_one_slash(path: str) -> str:
    return "/" + path.lstrip("/") if path.startswith("/") else path


@lru_cache(maxsize=4096)
def _resolved_folder(folder: str) -> str:
    # A link that is made to lead elsewhere later is not followed there, which errs on the side of refusing.
    return os.path.realpath(folder)
