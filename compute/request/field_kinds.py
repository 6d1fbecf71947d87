"""Kinds of request fields: parsing, formatting and validation of text, numbers, Booleans and choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compute.errors import InputError


class Kind:
    """Kind of a plain text field, and base class of all kinds.

    A value has three forms: text (command line, page, query string), JSON, and the Python value in the record. Methods
    that raise an `InputError` for invalid values take the `name` of the field's option, such as ``"min-clear"``, for
    the error.
    """

    @property
    def metavar(self) -> str:
        """Placeholder for a value in help texts and tables."""
        return "TEXT"

    def parse(self, text: str, name: str) -> Any:
        """Parse text to a Python value."""
        return self.from_json(text, name)

    def format(self, value: Any) -> str:
        """Format a value as text from which `parse` returns the same value."""
        return str(value)

    def from_json(self, document: Any, name: str) -> Any:
        """Convert a JSON value to a Python value."""
        if isinstance(document, str):
            return document
        raise InputError(name, f"The {words_of(name)} {quoted(document)} is not text; give it in quotes.")

    def to_json(self, value: Any) -> Any:
        """Convert a value to a JSON value from which `from_json` returns the same value."""
        return value

    def validate(self, value: Any, name: str) -> Any:
        """Return the canonical form of a value, or raise an `InputError`; the base class accepts any text."""
        return value


class RepeatableKind(Kind):
    """Kind of a list: an option that can be repeated, or one text with separators."""

    separator = ","

    def parse(self, text: str, name: str) -> Any:
        """Parse a text with separators."""
        return self.parse_parts(text.split(self.separator), name)

    def parse_parts(self, parts: Sequence[str], name: str) -> Any:
        """Parse the parts of a text, or the texts of a repeated option."""
        return tuple(parts)


@dataclass(frozen=True, kw_only=True)
class Choice(Kind):
    """Kind of a field with a fixed set of words.

    Attributes
    ----------
    labels : mapping of str to str
        Label on the page, by word.
    unlisted : tuple of str
        Further accepted words, which the page does not offer.
    """

    labels: Mapping[str, str]
    unlisted: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All accepted words."""
        return (*self.labels, *self.unlisted)

    @property
    def metavar(self) -> str:
        """Words with labels, separated by ``|``, and ``...`` if there are unlisted words."""
        return "|".join((*self.labels, *(["..."] if self.unlisted else [])))

    def from_json(self, document: Any, name: str) -> Any:
        """Return the document unchanged; it is checked by `validate`."""
        return document

    def validate(self, value: Any, name: str) -> Any:
        """Return the word, or raise an `InputError` if it is not accepted."""
        if value in self.words:
            return value
        known = ", ".join(self.words)
        raise InputError(name, f"The {words_of(name)} {quoted(value)} is not known; give one of {known}.")


class Flag(Kind):
    """Kind of a Boolean field, whose option takes no value."""

    @property
    def metavar(self) -> str:
        """Empty text, because the option takes no value."""
        return ""

    def parse(self, text: str, name: str) -> bool:
        """Parse ``true`` or ``false``."""
        return self.from_json({"true": True, "false": False}.get(text, text), name)

    def format(self, value: bool) -> str:
        """Return ``true`` or ``false``."""
        return str(value).lower()

    def from_json(self, document: Any, name: str) -> bool:
        """Return a JSON Boolean, or raise an `InputError` for other types."""
        if isinstance(document, bool):
            return document
        raise InputError(name, f"The {words_of(name)} {quoted(document)} is neither true nor false; give one of them.")


@dataclass(frozen=True, kw_only=True)
class Number(Kind):
    """Kind of a number within bounds.

    Attributes
    ----------
    least, greatest : float
        Bounds, inclusive.
    whole : bool
        Whether the number must be an integer.
    above : bool
        Whether `least` itself is excluded.
    """

    least: float
    greatest: float
    whole: bool = False
    above: bool = False

    @property
    def metavar(self) -> str:
        """``INTEGER`` or ``NUMBER``."""
        return "INTEGER" if self.whole else "NUMBER"

    def from_json(self, document: Any, name: str) -> float:
        """Convert a JSON number or numeric text to a number."""
        try:
            number = int(document) if self.whole else float(document)
            if number == float(document):
                return number
        except (TypeError, ValueError, OverflowError):
            pass
        kind = "whole number" if self.whole else "number"
        raise InputError(name, f"The {words_of(name)} {quoted(document)} is not a {kind}; give one {self._bounds}.")

    def validate(self, value: float, name: str) -> float:
        """Return the number, or raise an `InputError` if it is out of bounds."""
        if self.least <= value <= self.greatest and not (self.above and value == self.least):
            return value if self.whole else float(value)
        raise InputError(name, f"The {words_of(name)} {str(value)[:40]} is out of bounds; give one {self._bounds}.")

    @property
    def _bounds(self) -> str:
        if self.above:
            return f"above {self.least:,g} and at most {_plain(self.greatest)}"
        return f"from {_plain(self.least)} to {_plain(self.greatest)}"


def _plain(bound: float) -> str:
    return f"{bound:,.0f}" if bound == int(bound) else f"{bound:g}"


def words_of(name: str) -> str:
    """Return the name of an option for error messages, with spaces instead of hyphens."""
    return name.replace("-", " ")


def quoted(value: Any) -> str:
    """Return the first 40 characters of a value in quotation marks, for error messages."""
    return repr(str(value)[:40])


def checked_list(document: Any, name: str, parts: str, *types: type) -> tuple[Any, ...]:
    """Convert a JSON list to a tuple, and check the types of its elements.

    Parameters
    ----------
    document : object
        JSON value.
    name : str
        Name of the option.
    parts : str
        Plural noun for the elements, for the error message.
    *types : type
        Allowed types of elements.

    Raises
    ------
    InputError
        The document is not a list, or an element has another type.
    """
    if isinstance(document, list) and all(isinstance(each, types) for each in document):
        return tuple(document)
    raise InputError(name, f"The {words_of(name)} {quoted(document)} is not a list of {parts}; give one.")
