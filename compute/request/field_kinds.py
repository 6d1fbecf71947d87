"""Kinds of request fields: how text, numbers, switches and choices are parsed, formatted and validated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compute.errors import InputError


class Kind:
    """Text as it is; base class of all kinds.

    A value has three forms: text (command line, page, query string), JSON, and the value that the record holds.
    Methods that can refuse one take the `name` of its option, such as ``"min-clear"``, and raise `InputError` under it.
    """

    @property
    def metavar(self) -> str:
        """Placeholder for a value in help texts and tables."""
        return "TEXT"

    def parse(self, text: str, name: str) -> Any:
        """Return the value that text stands for; None for the default."""
        return self.from_json(text, name)

    def format(self, value: Any) -> str:
        """Return the text that `parse` reads as the same value."""
        return str(value)

    def from_json(self, document: Any, name: str) -> Any:
        """Return the value that a JSON value stands for."""
        if isinstance(document, str):
            return document
        raise InputError(name, f"The {words_of(name)} {quoted(document)} is not text; give it in quotes.")

    def to_json(self, value: Any) -> Any:
        """Return the JSON value that `from_json` reads as the same value."""
        return value

    def validate(self, value: Any, name: str) -> Any:
        """Return a value in its canonical form, or refuse it."""
        return value


class RepeatableKind(Kind):
    """A list of parts: an option that can be repeated, or one text with separators."""

    separator = ","

    def parse(self, text: str, name: str) -> Any:
        """Return the value of all parts of a text."""
        return self.parse_parts(text.split(self.separator), name)

    def parse_parts(self, parts: Sequence[str], name: str) -> Any:
        """Return the value of parts, such as those of a repeated option."""
        return tuple(parts)


@dataclass(frozen=True, kw_only=True)
class Choice(Kind):
    """One of a few words.

    Attributes
    ----------
    labels : mapping of str to str
        Label on the page by word.
    unlisted : tuple of str
        Further words that are accepted, and that the page does not offer.
    """

    labels: Mapping[str, str]
    unlisted: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All words that are accepted."""
        return (*self.labels, *self.unlisted)

    @property
    def metavar(self) -> str:
        """The words, apart by ``|``."""
        return "|".join((*self.labels, *(["..."] if self.unlisted else [])))

    def from_json(self, document: Any, name: str) -> Any:
        """Return the document unchanged; `validate` refuses any other word."""
        return document

    def validate(self, value: Any, name: str) -> Any:
        """Refuse a word that is not among the choices."""
        if value in self.words:
            return value
        known = ", ".join(self.words)
        raise InputError(name, f"The {words_of(name)} {quoted(value)} is not known; give one of {known}.")


class Flag(Kind):
    """True or false; an option without a value."""

    @property
    def metavar(self) -> str:
        """Nothing: the option takes no value."""
        return ""

    def parse(self, text: str, name: str) -> bool:
        """Read ``true`` or ``false``."""
        return self.from_json({"true": True, "false": False}.get(text, text), name)

    def format(self, value: bool) -> str:
        """Write ``true`` or ``false``."""
        return str(value).lower()

    def from_json(self, document: Any, name: str) -> bool:
        """Read a JSON boolean."""
        if isinstance(document, bool):
            return document
        raise InputError(name, f"The {words_of(name)} {quoted(document)} is neither true nor false; give one of them.")


@dataclass(frozen=True, kw_only=True)
class Number(Kind):
    """A number within bounds.

    Attributes
    ----------
    least, greatest : float
        Bounds, both included.
    whole : bool
        Whether it is an integer.
    above : bool
        Whether `least` itself is refused.
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
        """Read a JSON number, or text that is one."""
        try:
            number = int(document) if self.whole else float(document)
            if number == float(document):
                return number
        except (TypeError, ValueError, OverflowError):
            pass
        kind = "whole number" if self.whole else "number"
        raise InputError(name, f"The {words_of(name)} {quoted(document)} is not a {kind}; give one {self._bounds}.")

    def validate(self, value: float, name: str) -> float:
        """Refuse a number out of bounds."""
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
    """Return the name of an option as a sentence has it: ``min-clear`` as *min clear*."""
    return name.replace("-", " ")


def quoted(value: Any) -> str:
    """Return a value as a sentence quotes it, at most 40 characters of it."""
    return repr(str(value)[:40])


def checked_list(document: Any, name: str, parts: str, *types: type) -> tuple[Any, ...]:
    """Return a JSON list as a tuple.

    Parameters
    ----------
    document : object
        JSON value.
    name : str
        Name of the option.
    parts : str
        Plural noun for the parts, for the refusal.
    *types : type
        Types that a part may have.

    Raises
    ------
    InputError
        It is not a list of these.
    """
    if isinstance(document, list) and all(isinstance(each, types) for each in document):
        return tuple(document)
    raise InputError(name, f"The {words_of(name)} {quoted(document)} is not a list of {parts}; give one.")
