"""Reading dataset documents from files, folders, globs and streams."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from compute.catalog.bounded_parsing import MALFORMED, fault_of, parse_file

FOLDER_PATTERN = "*.odc-metadata.yaml"
"""What a document is called that datacube's own tools write; other files are taken when they are named."""


_COULD_BE_ONE = re.compile(
    r"(?<!\.odc-product)(?<!\.odc-type)\.(yaml|yml|json)(\.(gz|bz2|xz|zst|zip))?$", re.IGNORECASE
)
"""Names of files that may be documents, packed or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One document, or why there is none.

    Attributes
    ----------
    name : str
        The file as it was named, with the number of the document in a file of several.
    path : pathlib.Path
        The file.
    content : object
        What was parsed; None where `problem` says why not.
    problem : str
        One sentence, empty where the document was read.
    """

    name: str
    path: Path
    content: Any = None
    problem: str = ""


def expand(paths: Sequence[Path | str]) -> list[Path]:
    """Return the files that some paths name.

    Parameters
    ----------
    paths : sequence of pathlib.Path or str
        Files, folders (searched to any depth for `FOLDER_PATTERN`) and glob patterns, ``**`` included.

    Returns
    -------
    list of pathlib.Path
        In the order named, a folder's or a pattern's own sorted; a path that names nothing stands for itself.
    """
    return list(dict.fromkeys(file for path in paths for file in _files(str(path))))


def passed_over(paths: Sequence[Path | str]) -> list[str]:
    """Return the files in the folders among some paths that could be documents by their names, and are not read.

    Definitions of products and metadata types are not among them.

    Parameters
    ----------
    paths : sequence of pathlib.Path or str
        As `expand` takes them.
    """
    taken = set(expand(paths))
    found = (file for path in paths if Path(path).is_dir() for file in sorted(Path(path).rglob("*")))
    return list(dict.fromkeys(str(file) for file in found if _COULD_BE_ONE.search(file.name) and file not in taken))


def read(path: Path) -> Iterator[Found]:
    """Read the documents of one file, one at a time.

    Dates stay text, as they will be in the index.

    Parameters
    ----------
    path : pathlib.Path
        JSON (one document) or YAML (any number).

    Yields
    ------
    Found
        Each document; the last one has a `problem` where the file cannot be read, or not to its end.
    """
    number = 0
    try:
        for number, content in enumerate(parse_file(path), start=1):
            if content is not None:
                yield Found(name=_numbered(path, number), path=path, content=content)
    except OSError:
        reason = "is a folder without " + FOLDER_PATTERN if path.is_dir() else "cannot be read or does not exist"
        yield Found(name=str(path), path=path, problem=f"The file {reason}.")
    except MALFORMED as error:
        yield Found(name=_numbered(path, number + 1), path=path, problem=fault_of(error, path))


def _files(path: str) -> list[Path]:
    if has_magic(path) and not Path(path).exists():
        matches = sorted(glob(path, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [Path(file) for file in matches] or [Path(path)]
    if Path(path).is_dir():
        return sorted(Path(path).rglob(FOLDER_PATTERN)) or [Path(path)]
    return [Path(path)]


def _numbered(path: Path, number: int) -> str:
    return str(path) if number == 1 else f"{path} (document {number})"
