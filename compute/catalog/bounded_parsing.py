"""Parsing of untrusted documents with limits on file size, number of values, nesting depth and integer size."""

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
"""Maximum file sizes in bytes. A YAML file may contain thousands of documents of about 20 kB; a JSON file contains one
document, which is parsed as a whole."""

MOST_NODES = 100_000
"""Maximum number of values and keys in a document; EO3 documents have hundreds, with a detailed outline thousands."""

MOST_LEVELS = 40
"""Maximum nesting depth; the outline in an EO3 document needs eight levels."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MOST_DIGITS = 100
_MOST_INTEGER = 2**128
"""Maximum magnitude of integers; the common nodata value -3.4e38, written as an integer, is within this limit."""

MALFORMED = (
    yaml.YAMLError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    TypeError,
    RecursionError,
)
"""Exceptions for malformed documents: parser errors, and errors of Python types for values with wrong YAML tags."""


class UnfitDocumentError(ValueError):
    """Error raised if a document is refused; the message is the predicate of a sentence that begins with *The file*."""


def parse_file(path: Path) -> Iterator[Any]:
    """Parse the documents of a file one at a time; dates are kept as text, as in the index.

    Parameters
    ----------
    path : pathlib.Path
        JSON file (one document) or YAML file (any number of documents).

    Yields
    ------
    object
        Content of a document, of types that JSON supports; None for an empty document.

    Raises
    ------
    OSError
        The file cannot be read.
    UnfitFileError, UnfitDocumentError
        The file exceeds a limit or contains an unsupported value.
    Exception
        The document is malformed; one of `MALFORMED`.
    """
    text = read_text(path, most_bytes=MOST_BYTES_OF_JSON if is_json(path) else MOST_BYTES)
    for content in [json.loads(text)] if is_json(path) else _yaml_documents(text):
        _check_values(content)
        yield content


def is_json(path: Path) -> bool:
    """Return whether a file name has the suffix of JSON files."""
    return path.suffix.lower() == ".json"


def describe_parse_error(error: Exception, path: Path) -> str:
    """Return a sentence that describes a parse error.

    Parameters
    ----------
    error : Exception
        One of `MALFORMED`.
    path : pathlib.Path
        File that was parsed.
    """
    if isinstance(error, UnfitFileError | UnfitDocumentError):
        return f"The file {error}."
    if isinstance(error, RecursionError):
        return f"The file {_TOO_DEEP}."
    return f"The file is not valid {'JSON' if is_json(path) else 'YAML'}{_describe_line(error)}."


_TOO_DEEP = f"nests values more than {MOST_LEVELS} deep"
_TOO_LONG = "holds a number of more than 38 digits"
_BAD_ALIAS = "has a YAML alias without an earlier anchor, or one that refers to itself"
_TOO_MANY = f"holds a document of more than {MOST_NODES:,} values"


def _yaml_documents(text: str) -> Iterator[Any]:
    loader = _BoundedLoader(text)
    while loader.check_data():  # type: ignore[no-untyped-call]  # the stub is untyped
        yield loader.get_data()


class _BoundedLoader(Composer, CParser, SafeConstructor, Resolver):
    """YAML loader with limits on the number of nodes and the nesting depth.

    An alias counts as many nodes as its target. Events are parsed by libyaml; nodes are composed and counted in Python.
    PyYAML 6 has no such limits: https://github.com/yaml/pyyaml/issues/235.
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
        """Reset the counts and compose a document."""
        self._nodes = 0
        self._sizes.clear()
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node; raise UnfitDocumentError if a limit is exceeded."""
        event = self.peek_event()
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            self._count_alias(anchor)
            return super().compose_node(parent, index)
        before = self._nodes
        self._add_to_count(1)
        self._level += 1
        if self._level > MOST_LEVELS:
            raise UnfitDocumentError(_TOO_DEEP)
        node = super().compose_node(parent, index)
        self._level -= 1
        if anchor:
            self._sizes[anchor] = self._nodes - before
        # Checked before construction: parsing a sexagesimal number such as 1:1:1 takes quadratic time.
        if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > _MOST_DIGITS:
            raise UnfitDocumentError(_TOO_LONG)
        return node

    def _count_alias(self, anchor: str | None) -> None:
        """Add the size of an alias's target to the count; a few lines of nested aliases can expand to gigabytes."""
        size = self._sizes.get(anchor or "")
        if size is None:
            raise UnfitDocumentError(_BAD_ALIAS)
        self._add_to_count(size)

    def _add_to_count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise UnfitDocumentError(_TOO_MANY)


def _check_values(document: Any) -> None:
    """Refuse non-JSON types, huge integers, invalid Unicode, and too many or too deeply nested values."""
    level, nodes = [document], 1
    for _ in range(MOST_LEVELS + 1):
        for value in level:
            _check_value(value)
            nodes += _count_members(value)
        if nodes > MOST_NODES:
            raise UnfitDocumentError(_TOO_MANY)
        level = [inner for value in level for inner in _iterate_members(value)]
        if not level:
            return
    raise UnfitDocumentError(_TOO_DEEP)


def _count_members(value: Any) -> int:
    """Return the number of keys and values in a container; 0 for any other value."""
    return 2 * len(value) if isinstance(value, dict) else len(value) if isinstance(value, list) else 0


def _iterate_members(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _check_value(value: Any) -> None:
    if isinstance(value, int) and abs(value) > _MOST_INTEGER:
        raise UnfitDocumentError(_TOO_LONG)
    if isinstance(value, str) and not _is_unicode(value):
        raise UnfitDocumentError("holds a character that is not valid Unicode")
    if not isinstance(value, str | int | float | dict | list | None):
        raise UnfitDocumentError(f"holds a value of the kind {type(value).__name__}, which JSON does not support")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _describe_line(error: Exception) -> str:
    """Return the line number of a parse error as text; empty if unknown."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else getattr(error, "lineno", None)
    return "" if line is None else f" at line {line}"
