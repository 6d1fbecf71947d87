"""Kinds of request fields with a notation of their own: products, region, dates, seasons, CRS, classes and ranges.

Heavy libraries are imported where a value is read: the command line makes its options from these kinds, and its help
must not wait for NumPy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import TYPE_CHECKING, Any

from compute.errors import InputError
from compute.request.field_kinds import Kind, RepeatableKind, checked_list, quoted, words_of
from compute.request.field_values import NATIVE, canonical_clear, canonical_crs, check_products, check_time
from compute.request.mask_filters import (
    canonical_filters,
    filters_document,
    filters_of_document,
    filters_text,
    parse_mask_filters,
)
from compute.request.seasons import Season, format_seasons, parse_seasons

if TYPE_CHECKING:
    from compute.products import ClearClass, MaskFilter
    from compute.request.region import Region

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Products(RepeatableKind):
    """Names of products, sorted."""

    metavar = "NAME"

    def format(self, value: Sequence[str]) -> str:
        """Write the names with commas between them."""
        return ",".join(value)

    def from_json(self, document: Any, name: str) -> tuple[str, ...]:
        """Read a list of names."""
        return checked_list(document, name, "names", str)

    def to_json(self, value: Sequence[str]) -> list[str]:
        """Return a list of names."""
        return list(value)

    def validate(self, value: Sequence[str], name: str) -> tuple[str, ...]:
        """Sort the names, each once: their scenes are concatenated, so their order means nothing."""
        check_products(tuple(value))
        return tuple(sorted(set(value)))


class Notation(Kind):
    """A value that JSON holds as the text of `format`."""

    def to_json(self, value: Any) -> str:
        """Return the text of the value."""
        return self.format(value)


class RegionNotation(Notation):
    """A region: ``W,S,E,N`` in degrees, or GeoJSON text."""

    metavar = "W,S,E,N"

    def from_json(self, document: Any, name: str) -> Region:
        """Read the text of a box or a polygon."""
        from compute.request.region import parse_region

        return parse_region(str(document))

    def format(self, value: Region) -> str:
        """Write a box as ``W,S,E,N``, a polygon as GeoJSON."""
        if value.polygon is None:
            return ",".join(repr(degrees) for degrees in value.bbox)
        return json.dumps(value.geojson, separators=(",", ":"))


class DateRange(Notation):
    """First and last solar day, ``FIRST/LAST`` as YYYY-MM-DD, both included."""

    metavar = "FIRST/LAST"

    def from_json(self, document: Any, name: str) -> tuple[date, date]:
        """Read ``FIRST/LAST``."""
        return parse_time(str(document))

    def format(self, value: tuple[date, date]) -> str:
        """Write ``FIRST/LAST``."""
        return f"{value[0]}/{value[1]}"

    def validate(self, value: tuple[date, date], name: str) -> tuple[date, date]:
        """Refuse days out of order or out of bounds."""
        check_time(*value)
        return value


class SeasonNotation(Notation):
    """Season definitions; see `parse_seasons`."""

    metavar = "SEASON,..."

    def from_json(self, document: Any, name: str) -> tuple[Season, ...]:
        """Read the text of season definitions."""
        return parse_seasons(super().from_json(document, name))

    def format(self, value: Sequence[Season]) -> str:
        """Write the definitions."""
        return format_seasons(value)

    def validate(self, value: tuple[Season, ...], name: str) -> tuple[Season, ...]:
        """Refuse seasons that share a month or a name."""
        parse_seasons(format_seasons(value))
        return value


class CrsCode(Kind):
    """``EPSG:n`` of a map projection or of degrees, or ``native``."""

    metavar = f"EPSG:n|{NATIVE}"

    def validate(self, value: str, name: str) -> str:
        """Return the code without leading zeros, its authority in capitals."""
        return canonical_crs(value)


class ClearClasses(Kind):
    """Mask classes, names or integers, with commas between them."""

    metavar = "CLASS,..."

    def parse(self, text: str, name: str) -> tuple[ClearClass, ...]:
        """Read names and integers; see `parse_clear`."""
        return parse_clear(text)

    def format(self, value: Sequence[ClearClass]) -> str:
        """Write the classes with commas between them."""
        return ",".join(str(each) for each in value)

    def from_json(self, document: Any, name: str) -> tuple[ClearClass, ...]:
        """Read a list of names and integers."""
        return checked_list(document, name, "names or integers", str, int)

    def to_json(self, value: Sequence[ClearClass]) -> list[ClearClass]:
        """Return a list of names and integers."""
        return list(value)

    def validate(self, value: Sequence[ClearClass], name: str) -> tuple[ClearClass, ...]:
        """Sort the classes."""
        return canonical_clear(value)


class MaskFilters(RepeatableKind):
    """Radii by mask class, such as ``cloud:opening=2,dilation=6``; see `parse_mask_filters`."""

    separator = ";"

    metavar = "CLASS:opening=PX,dilation=PX"

    def parse_parts(self, parts: Sequence[str], name: str) -> tuple[MaskFilter, ...]:
        """Read one filter of each part."""
        return parse_mask_filters(parts)

    def format(self, value: Sequence[MaskFilter]) -> str:
        """Write the filters with semicolons between them."""
        return filters_text(filters_document(value) or {})

    def from_json(self, document: Any, name: str) -> tuple[MaskFilter, ...]:
        """Read an object of class to radii."""
        return filters_of_document(document)

    def to_json(self, value: Sequence[MaskFilter]) -> dict[str, list[int]] | None:
        """Return an object of class to radii; None for no filters."""
        return filters_document(value)

    def validate(self, value: Sequence[MaskFilter], name: str) -> tuple[MaskFilter, ...]:
        """Sort the filters by class."""
        return canonical_filters(value)


@dataclass(frozen=True, kw_only=True)
class Range(Kind):
    """Two numbers in order, or ``none`` for no limits.

    Attributes
    ----------
    none : {"none", None}
        Value that ``none`` stands for: itself where the default is another range, None where it is the default.
    of_index : bool
        Whether the numbers are values of the index, which have limits of their own.
    """

    none: str | None
    of_index: bool = False

    metavar = "LEAST,GREATEST|none"

    def parse(self, text: str, name: str) -> Any:
        """Read two numbers or ``none``."""
        return self.none if text == "none" else _two_numbers(text.split(","), name)

    def format(self, value: Any) -> str:
        """Write two numbers, or ``none``."""
        return "none" if value in (None, "none") else ",".join(str(number) for number in value)

    def from_json(self, document: Any, name: str) -> Any:
        """Read a list of two numbers, or ``"none"`` where that is a value."""
        if self.none is not None and document == self.none:
            return self.none
        return _two_numbers(checked_list(document, name, "two numbers", int, float), name)

    def to_json(self, value: Any) -> Any:
        """Return a list of two numbers, or the value for no limits."""
        return list(value) if isinstance(value, tuple) else value

    def validate(self, value: Any, name: str) -> Any:
        """Refuse numbers out of order, infinite, or beyond the limits of the index."""
        if value == self.none:
            return value
        low, high = (float(number) for number in value)
        limit = self._limit()
        if -limit <= low <= high <= limit and isfinite(low) and isfinite(high):
            return low, high
        within = f" within {-limit:g} to {limit:g}" if isfinite(limit) else ""
        raise InputError(
            name, f"The {words_of(name)} {low:g},{high:g} is not in order{within}; give LEAST,GREATEST or none."
        )

    def _limit(self) -> float:
        if not self.of_index:
            return float("inf")
        from compute.kernels import NDVI_LIMIT

        return NDVI_LIMIT


def _two_numbers(parts: Sequence[Any], name: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in parts)
    except (ValueError, OverflowError):
        text = ",".join(str(part) for part in parts)
        sentence = f"The {words_of(name)} {quoted(text)} is not two numbers; give LEAST,GREATEST or none."
        raise InputError(name, sentence) from None
    return low, high


def parse_time(text: str) -> tuple[date, date]:
    """Read ``FIRST/LAST``, two days as YYYY-MM-DD, both included.

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
    """Read class names and integers with commas between them."""
    return canonical_clear(tuple(part.strip() for part in text.split(",")))
