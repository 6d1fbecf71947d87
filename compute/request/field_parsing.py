"""Parsing of a request's fields from text and JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from compute.errors import InputError
from compute.kernels import IndexRange
from compute.products import ClearClass, ValidRange
from compute.request.field_values import canonical_clear, check_time
from compute.request.mask_filters import filters_document, filters_of_document, filters_text, parse_mask_filters
from compute.request.region import Region, parse_bbox, parse_geojson
from compute.request.seasons import parse_seasons

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_region(text: str) -> Region:
    """Read ``W,S,E,N`` or GeoJSON text; text of another format is refused as GeoJSON is."""
    return parse_geojson(text) if text.lstrip("\ufeff \t\r\n").startswith(("{", "[", "<")) else parse_bbox(text)


def parse_time(text: str) -> tuple[date, date]:
    """Read ``A/B``, two days as YYYY-MM-DD, both included.

    Raises
    ------
    InputError
        One is not a day of the calendar, or the first is after the last.
    """
    parts = text.split("/")
    if len(parts) != 2:
        raise InputError("time", f"The time {text[:60]!r} is not a range; give FIRST/LAST as YYYY-MM-DD/YYYY-MM-DD.")
    start, end = (_parse_day(part.strip()) for part in parts)
    check_time(start, end)
    return start, end


def _parse_day(text: str) -> date:
    try:
        if _ISO_DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InputError("time", f"The date {text[:40]!r} is not a day of the calendar; give YYYY-MM-DD.")


def parse_clear(text: str) -> tuple[ClearClass, ...]:
    """Read comma-separated class names or integers."""
    parts = tuple(part.strip() for part in text.split(","))
    return canonical_clear(parts)


def parse_valid_range(text: str) -> ValidRange:
    """Read ``A,B`` in stored units, or ``none``."""
    if text == "none":
        return "none"
    return _valid_range(tuple(text.split(",")))


def _valid_range(values: tuple[Any, ...]) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in values)
    except (ValueError, OverflowError):
        text = ",".join(str(value) for value in values)[:60]
        raise InputError("valid-range", f"The valid range {text!r} is not two numbers; give A,B or none.") from None
    return low, high


def parse_index_range(text: str) -> IndexRange | None:
    """Read ``LEAST,GREATEST`` of the index, or ``none``."""
    return None if text == "none" else _index_range(tuple(text.split(",")))


def _index_range(values: tuple[Any, ...]) -> IndexRange:
    try:
        low, high = (float(value) for value in values)
    except (ValueError, OverflowError):
        text = ",".join(str(value) for value in values)[:60]
        raise InputError("index-range", f"The index range {text!r} is not two numbers; give A,B or none.") from None
    return low, high


def as_text(value: Any) -> str:
    """Write a field of the canonical document as a query string holds it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return filters_text(value)
    return ",".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _number(name: str, convert: type[int] | type[float]) -> Callable[[Any], float]:
    def parse(value: Any) -> float:
        try:
            number = convert(value)
            if number == float(value):
                return number
        except (TypeError, ValueError, OverflowError):
            pass
        kind = "whole number" if convert is int else "number"
        raise InputError(name, f"The {name} {_shown(value)} is not a {kind}; give one.")

    return parse


def _shown(value: Any) -> str:
    """Return a value as an error sentence quotes it."""
    return repr(str(value)[:40])


def _flag(name: str) -> Callable[[Any], bool]:
    def parse(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        raise InputError(name, f"The {name} {_shown(value)} is neither true nor false; give one of them.")

    return parse


def _text(name: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if isinstance(value, str):
            return value
        raise InputError(name, f"The {name} {_shown(value)} is not text; give it in quotes.")

    return parse


def _listed(name: str, what: str, *kinds: type) -> Callable[[Any], tuple[Any, ...]]:
    def parse(value: Any) -> tuple[Any, ...]:
        if isinstance(value, list) and all(isinstance(each, kinds) for each in value):
            return tuple(value)
        raise InputError(name, f"The {name} {_shown(value)} is not a list of {what}; give one.")

    return parse


FROM_TEXT: Mapping[str, Callable[[str], Any]] = {
    "products": lambda text: text.split(","),
    "clear": lambda text: list(parse_clear(text)),
    **dict.fromkeys(("months", "std", "reasons"), lambda text: {"true": True, "false": False}.get(text, text)),
    "mask_filters": lambda text: filters_document(parse_mask_filters(text.split(";"))),
    "valid_range": lambda text: text if text == "none" else list(parse_valid_range(text) or ()),
    "index_range": lambda text: None if text == "none" else list(parse_index_range(text) or ()),
}
"""How a field of a query string becomes what JSON has; all others are text in both."""

_RANGE = _listed("valid-range", "two numbers", int, float)
_INDEX_RANGE = _listed("index-range", "two numbers", int, float)
FROM_JSON: Mapping[str, Callable[[Any], Any]] = {
    "products": _listed("product", "names", str),
    "seasons": lambda value: parse_seasons(_text("seasons")(value)),
    "crs": _text("crs"),
    "clear": _listed("clear", "names or integers", str, int),
    "mask_filters": filters_of_document,
    "months": _flag("months"),
    "std": _flag("std"),
    "reasons": _flag("reasons"),
    "valid_range": lambda value: value if value == "none" else _valid_range(_RANGE(value)),
    "resolution": _number("resolution", float),
    "min_clear": _number("min-clear", int),
    "min_area": _number("min-area", float),
    "index_range": lambda value: _index_range(_INDEX_RANGE(value)),
    "average": _text("average"),
}
"""How a field of JSON becomes that of the record; all others are the same in both."""
