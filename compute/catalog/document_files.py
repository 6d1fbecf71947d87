"""Reading of documents from files, folders and glob patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from compute.catalog.bounded_parsing import MALFORMED, describe_parse_error, parse_file

FOLDER_PATTERN = "*.odc-metadata.yaml"
"""Glob pattern of document names in a folder, as written by ODC tools; explicitly given files may have any name."""


_COULD_BE_ONE = re.compile(
    r"(?<!\.odc-product)(?<!\.odc-type)\.(yaml|yml|json)(\.(gz|bz2|xz|zst|zip))?$", re.IGNORECASE
)
"""Pattern of file names that may be dataset documents, compressed or uncompressed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundDocument:
    """Content of a document, or the reason why it cannot be read.

    Attributes
    ----------
    name : str
        File name as given, followed by the number of the document if it is not the first in its file.
    path : pathlib.Path
        File of the document.
    content : object
        Parsed document; None if `problem` is set.
    problem : str
        Reason why the document cannot be read, in one sentence; empty if it was read.
    """

    name: str
    path: Path
    content: Any = None
    problem: str = ""


def expand_paths(paths: Sequence[Path | str]) -> list[Path]:
    """Return the files that match paths, folders and glob patterns.

    Parameters
    ----------
    paths : sequence of pathlib.Path or str
        Files, folders (searched recursively for `FOLDER_PATTERN`) and glob patterns, including ``**``.

    Returns
    -------
    list of pathlib.Path
        Files in the order of `paths`, sorted within a folder or pattern, without duplicates. A path without a match is
        returned unchanged.
    """
    return list(dict.fromkeys(file for path in paths for file in _expand_path(str(path))))


def find_unread_files(paths: Sequence[Path | str]) -> list[str]:
    """Return the files in folders that may be documents by their names, but do not match `FOLDER_PATTERN`.

    Definitions of products and metadata types are omitted.

    Parameters
    ----------
    paths : sequence of pathlib.Path or str
        Paths as for `expand_paths`.
    """
    taken = set(expand_paths(paths))
    found = (file for path in paths if Path(path).is_dir() for file in sorted(Path(path).rglob("*")))
    return list(dict.fromkeys(str(file) for file in found if _COULD_BE_ONE.search(file.name) and file not in taken))


def read_documents(path: Path) -> Iterator[FoundDocument]:
    """Read the documents of a file one at a time; dates are kept as text, as in the index.

    Parameters
    ----------
    path : pathlib.Path
        JSON file (one document) or YAML file (any number of documents).

    Yields
    ------
    FoundDocument
        Documents of the file. If reading fails, the last item has a `problem`.
    """
    number = 0
    try:
        for number, content in enumerate(parse_file(path), start=1):
            if content is not None:
                yield FoundDocument(name=_document_name(path, number), path=path, content=content)
    except OSError:
        reason = "is a folder without " + FOLDER_PATTERN if path.is_dir() else "cannot be read or does not exist"
        yield FoundDocument(name=str(path), path=path, problem=f"The file {reason}.")
    except MALFORMED as error:
        yield FoundDocument(name=_document_name(path, number + 1), path=path, problem=describe_parse_error(error, path))


def _expand_path(path: str) -> list[Path]:
    if has_magic(path) and not Path(path).exists():
        matches = sorted(glob(path, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [Path(file) for file in matches] or [Path(path)]
    if Path(path).is_dir():
        return sorted(Path(path).rglob(FOLDER_PATTERN)) or [Path(path)]
    return [Path(path)]


def _document_name(path: Path, number: int) -> str:
    return str(path) if number == 1 else f"{path} (document {number})"
