"""Small objects at fsspec URLs: atomic writing, reading, listing and removal."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem


def write_object(url: str, content: bytes, *, sync: bool = False) -> None:
    """Write an object atomically, replacing an earlier one. On a local file system, a temporary file is renamed.

    Parameters
    ----------
    url : str
        URL of the object.
    content : bytes
        Content of the object.
    sync : bool
        Whether to flush a local file to disk (fsync), so that it survives a crash of the machine. If False, a crash
        within half a minute may leave an empty file.

    Raises
    ------
    OSError
        The object cannot be written.
    """
    system, path = _place(url)
    if not isinstance(system, LocalFileSystem):
        system.pipe_file(path, content)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{secrets.token_hex(8)}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def read_object(url: str) -> bytes | None:
    """Return the content of an object, or None if it does not exist."""
    system, path = _place(url)
    try:
        content: bytes = system.cat_file(path)
    except FileNotFoundError:
        return None
    return content


def read_objects(url: str) -> dict[str, bytes]:
    """Return the contents of the objects in a folder, by name. Objects removed during the call are left out."""
    system, path = _place(url)
    try:
        found = _listed(system, path)
        contents: dict[str, bytes] = system.cat(found, on_error="omit") if found else {}
    except FileNotFoundError:
        return {}
    return {name.rpartition("/")[2]: content for name, content in contents.items()}


def remove(url: str) -> None:
    """Remove an object, or a folder with its contents, if it exists."""
    system, path = _place(url)
    with suppress(FileNotFoundError):
        system.rm(path, recursive=True)


def remove_objects(url: str, keys: Iterable[str]) -> None:
    """Remove objects below a URL; missing objects are ignored.

    Parameters
    ----------
    url : str
        Folder or fsspec URL.
    keys : iterable of str
        Paths of the objects, relative to the URL.
    """
    system, path = _place(url)
    paths = [f"{path}/{key}" for key in keys]
    if isinstance(system, LocalFileSystem):
        for each in paths:
            Path(each).unlink(missing_ok=True)
    elif there := [each for each in paths if system.exists(each)]:
        system.rm(there)


def names_in(url: str) -> list[str]:
    """Return the names of the objects and folders in a folder; empty if the folder does not exist."""
    system, path = _place(url)
    try:
        return [name.rstrip("/").rpartition("/")[2] for name in _listed(system, path)]
    except FileNotFoundError:
        return []


def sizes_of(url: str, keys: Iterable[str]) -> dict[str, int]:
    """Return the sizes of objects below a URL in bytes, by key.

    Parameters
    ----------
    url : str
        Folder or fsspec URL.
    keys : iterable of str
        Paths of the objects, relative to the URL.

    Raises
    ------
    FileNotFoundError
        An object does not exist.
    """
    system, path = _place(url)
    return {key: int(system.info(f"{path}/{key}")["size"]) for key in keys}


def _listed(system: AbstractFileSystem, path: str) -> list[str]:
    """Return the paths in a folder, without the cached listing of fsspec, since other processes write to the folder."""
    system.invalidate_cache(path)
    found: list[str] = system.ls(path, detail=False)
    return found


def _place(url: str) -> tuple[AbstractFileSystem, str]:
    system, path = url_to_fs(url)
    return system, path.rstrip("/")
