"""Completion marks: a record of each completely written block in a store.

A mark is written after the shards of its block, and lists them with their sizes. If the machine crashes, a mark may
survive although a shard is lost. The sizes then differ and the mark is invalid, so blocks are written without fsync.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from compute.engine import Tally
from compute.result.store.object_files import read_object, read_objects, remove, sizes_of, write_object
from compute.scenes import UnreadScene

MARKS = "blocks"
"""Group of the marks in a store. It has no arrays, but a JSON document for each written block."""

Index = tuple[int, int, int]
"""Season, row and column of a block."""

_IS_NONE = (ValueError, KeyError, TypeError, FileNotFoundError, NotADirectoryError)
"""Exceptions raised by reading a mark that is damaged or whose shards are missing."""


def mark_written(url: str, index: Index, tally: Tally, shards: Iterable[str] = ()) -> None:
    """Write the completion mark of a block.

    Parameters
    ----------
    url : str
        URL of the store.
    index : (int, int, int)
        Season, row and column of the block.
    tally : Tally
        Totals of the pixels of the block.
    shards : iterable of str
        Keys of the shards of the block in the store.
    """
    lists = {"looks": list(tally.looks), "beyond": list(tally.beyond), "remarks": sorted(tally.remarks)}
    noted = asdict(tally) | lists | {"failed": [asdict(each) for each in sorted(tally.failed)]}
    content = {"tally": noted, "shards": sizes_of(url, shards)}
    write_object(_mark(url, index), json.dumps(content | {"crc32": _checksum(content)}).encode())


def written_blocks(url: str) -> dict[Index, Tally]:
    """Return the totals of the completely written blocks in a store, by season, row and column.

    Blocks are left out if their mark is damaged, or if a shard is missing or has another size than in the mark.
    """
    written: dict[Index, Tally] = {}
    for name, content in read_objects(f"{url}/{MARKS}").items():
        with suppress(*_IS_NONE):
            written[_index(name)] = _vouched(url, content)
    return written


def tally_of(url: str, index: Index) -> Tally | None:
    """Return the totals of a block in a store, or None if it is not completely written.

    Parameters
    ----------
    url : str
        URL of the store.
    index : (int, int, int)
        Season, row and column of the block.
    """
    content = read_object(_mark(url, index))
    with suppress(*_IS_NONE):
        return None if content is None else _vouched(url, content)
    return None


def unmark(url: str, index: Index) -> None:
    """Remove the mark of a block, so that the block counts as not written.

    Parameters
    ----------
    url : str
        URL of the store.
    index : (int, int, int)
        Season, row and column of the block.
    """
    remove(_mark(url, index))


def remove_marks(url: str) -> None:
    """Remove the marks of all blocks, so that the store is an ordinary Zarr group."""
    remove(f"{url}/{MARKS}")


def _mark(url: str, index: Index) -> str:
    return f"{url}/{MARKS}/{'-'.join(map(str, index))}.json"


def _index(name: str) -> Index:
    season, row, column = map(int, name.removesuffix(".json").split("-"))
    return season, row, column


def _vouched(url: str, document: bytes) -> Tally:
    mark = json.loads(document)
    content = {"tally": mark["tally"], "shards": mark["shards"]}
    if mark["crc32"] != _checksum(content) or sizes_of(url, mark["shards"]) != mark["shards"]:
        raise ValueError("The mark vouches for something else.")
    tally = mark["tally"]
    lists = {"looks": tuple(tally["looks"]), "failed": frozenset(map(UnreadScene.kept, tally["failed"]))}
    said = {"beyond": tuple(tally.get("beyond", (0, 0))), "remarks": frozenset(tally.get("remarks", ()))}
    return Tally(**{**tally, **lists, **said})


def _checksum(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
