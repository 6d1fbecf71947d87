"""Bounded parsing of untrusted documents: limits on size, nodes, nesting and numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from datacube.utils.documents import NoDatesSafeLoader
from yaml._yaml import CParser
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from compute.files.text_files import UnfitFileError, read_text

MOST_BYTES, MOST_BYTES_OF_JSON = 64 * 2**20, 4 * 2**20
"""Largest file: thousands of YAML documents of some 20 kB one after another; JSON is one, and is parsed as a whole."""

MOST_NODES = 100_000
"""Most values and keys of one document: EO3 documents have hundreds, one with a detailed outline thousands."""

MOST_LEVELS = 40
"""Deepest nesting: an outline in an EO3 document takes eight levels."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MOST_DIGITS = 100
_MOST_INTEGER = 2**128
"""Beyond the greatest nodata that is written as a whole number, -3.4e38; larger ones are no float of a database."""

MALFORMED = (
    yaml.YAMLError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    TypeError,
    RecursionError,
)
"""What parsing raises: errors of its own, and of Python's types for texts that are tagged as something else."""


class UnfitDocumentError(ValueError):
    """A document is none that is read; the words end a sentence that begins with *The file*."""


def parse_file(path: Path) -> Iterator[Any]:
    """Parse the documents of a file, one at a time. Dates stay text, as they will be in the index.

    Parameters
    ----------
    path : pathlib.Path
        JSON (one document) or YAML (any number).

    Yields
    ------
    object
        Made of what JSON has, with finite whole numbers; None for an empty document.

    Raises
    ------
    OSError
        It cannot be read.
    UnfitFileError, UnfitDocumentError
        It exceeds a limit, or holds what no document may.
    Exception
        One of `MALFORMED`.
    """
    text = read_text(path, most_bytes=MOST_BYTES_OF_JSON if is_json(path) else MOST_BYTES)
    for content in [json.loads(text)] if is_json(path) else _yaml_documents(text):
        _refuse_odd_values(content)
        yield content


def is_json(path: Path) -> bool:
    """Tell whether a file is JSON, by its name."""
    return path.suffix.lower() == ".json"


def fault_of(error: Exception, path: Path) -> str:
    """Return a sentence on the fault of a file.

    Parameters
    ----------
    error : Exception
        One of `MALFORMED`.
    path : pathlib.Path
        The file.
    """
    if isinstance(error, UnfitFileError | UnfitDocumentError):
        return f"The file {error}."
    if isinstance(error, RecursionError):
        return f"The file {_TOO_DEEP}."
    return f"The file is not valid {'JSON' if is_json(path) else 'YAML'}{_where(error)}."


_TOO_DEEP = f"nests values more than {MOST_LEVELS} deep"
_TOO_LONG = "holds a number of more than 38 digits"
_TOO_MANY = f"holds a document of more than {MOST_NODES:,} values"


def _yaml_documents(text: str) -> Iterator[Any]:
    loader = _BoundedLoader(text)
    while loader.check_data():  # type: ignore[no-untyped-call]  # its stub lacks types
        yield loader.get_data()


class _BoundedLoader(Composer, CParser, SafeConstructor, Resolver):
    """YAML of bounded size and nesting, aliases counted as what they stand for.

    The parser is that in C; its nodes are composed here, where they are counted.
    """

    yaml_implicit_resolvers = NoDatesSafeLoader.yaml_implicit_resolvers

    def __init__(self, stream: str) -> None:
        CParser.__init__(self, stream)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._nodes = 0
        self._level = 0
        self._sizes: dict[str, int] = {}

    def compose_document(self) -> yaml.Node | None:
        self._nodes = 0
        self._sizes.clear()
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            self._count_alias(anchor)
            return super().compose_node(parent, index)
        before = self._nodes
        self._count(1)
        self._level += 1
        if self._level > MOST_LEVELS:
            raise UnfitDocumentError(_TOO_DEEP)
        node = super().compose_node(parent, index)
        self._level -= 1
        if anchor:
            self._sizes[anchor] = self._nodes - before
        # Before it is made: numbers to base 60, such as 1:1:1, take the square of their length.
        if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > _MOST_DIGITS:
            raise UnfitDocumentError(_TOO_LONG)
        return node

    def _count_alias(self, anchor: str | None) -> None:
        """Count an alias as what it stands for: a few lines of aliases of aliases come to gigabytes."""
        size = self._sizes.get(anchor or "")
        if size is None:
            raise UnfitDocumentError("has a YAML alias of nothing before it, or of what it is in itself")
        self._count(size)

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise UnfitDocumentError(_TOO_MANY)


def _refuse_odd_values(document: Any) -> None:
    """Refuse what an index cannot hold: values of no JSON type, endless numbers, and too many or too deep ones."""
    level, nodes = [document], 1
    for _ in range(MOST_LEVELS + 1):
        for value in level:
            _refuse_odd_value(value)
            nodes += _size(value)
        if nodes > MOST_NODES:
            raise UnfitDocumentError(_TOO_MANY)
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return
    raise UnfitDocumentError(_TOO_DEEP)


def _size(value: Any) -> int:
    """Return the number of keys and values in a value."""
    return 2 * len(value) if isinstance(value, dict) else len(value) if isinstance(value, list) else 0


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _refuse_odd_value(value: Any) -> None:
    if isinstance(value, int) and abs(value) > _MOST_INTEGER:
        raise UnfitDocumentError(_TOO_LONG)
    if isinstance(value, str) and not _is_unicode(value):
        raise UnfitDocumentError("holds a character that no text may have")
    if not isinstance(value, str | int | float | dict | list | None):
        raise UnfitDocumentError(f"holds a value of the kind {type(value).__name__}, which JSON lacks")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _where(error: Exception) -> str:
    """Return the line at which parsing ended, as far as it is known."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else getattr(error, "lineno", None)
    return "" if line is None else f" at line {line}"
