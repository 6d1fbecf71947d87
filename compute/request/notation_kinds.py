"""Kinds of request fields with their own notation: products, region, dates, seasons, CRS, classes and ranges.

Large libraries are imported in the methods that use them: the command line builds its options from these kinds, and
showing its help should not take the time to import NumPy.
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
    """Kind of the product names."""

    metavar = "NAME"

    def format(self, value: Sequence[str]) -> str:
        """Return the names, separated by commas."""
        return ",".join(value)

    def from_json(self, document: Any, name: str) -> tuple[str, ...]:
        """Convert a JSON list of names to a tuple."""
        return checked_list(document, name, "names", str)

    def to_json(self, value: Sequence[str]) -> list[str]:
        """Return the names as a list."""
        return list(value)

    def validate(self, value: Sequence[str], name: str) -> tuple[str, ...]:
        """Sort the names and remove duplicates; their order has no meaning, since all scenes are concatenated."""
        check_products(tuple(value))
        return tuple(sorted(set(value)))


class Notation(Kind):
    """Base class of kinds whose JSON form is the text returned by `format`."""

    def to_json(self, value: Any) -> str:
        """Return the value as text."""
        return self.format(value)


class RegionNotation(Notation):
    """Kind of a region: ``W,S,E,N`` in degrees, or GeoJSON text."""

    metavar = "W,S,E,N"

    def from_json(self, document: Any, name: str) -> Region:
        """Parse the text of a box or a polygon."""
        from compute.request.region import parse_region

        return parse_region(str(document))

    def format(self, value: Region) -> str:
        """Return a box as ``W,S,E,N``, or a polygon as GeoJSON."""
        if value.polygon is None:
            return ",".join(repr(degrees) for degrees in value.bbox)
        return json.dumps(value.geojson, separators=(",", ":"))


class DateRange(Notation):
    """Kind of an inclusive range of solar days, ``FIRST/LAST`` as YYYY-MM-DD."""

    metavar = "FIRST/LAST"

    def from_json(self, document: Any, name: str) -> tuple[date, date]:
        """Parse ``FIRST/LAST``."""
        return parse_time(str(document))

    def format(self, value: tuple[date, date]) -> str:
        """Return ``FIRST/LAST``."""
        return f"{value[0]}/{value[1]}"

    def validate(self, value: tuple[date, date], name: str) -> tuple[date, date]:
        """Return the dates, or raise an `InputError` if they are out of order or out of bounds."""
        check_time(*value)
        return value


class SeasonNotation(Notation):
    """Kind of season definitions; see `parse_seasons`."""

    metavar = "SEASON,..."

    def from_json(self, document: Any, name: str) -> tuple[Season, ...]:
        """Parse the text of season definitions."""
        return parse_seasons(super().from_json(document, name))

    def format(self, value: Sequence[Season]) -> str:
        """Return the definitions as text."""
        return format_seasons(value)

    def validate(self, value: tuple[Season, ...], name: str) -> tuple[Season, ...]:
        """Return the seasons, or raise an `InputError` if two of them share a month or a name."""
        parse_seasons(format_seasons(value))
        return value


class CrsCode(Kind):
    """Kind of a CRS: ``EPSG:n`` of a projected or geographic CRS, or ``native``."""

    metavar = f"EPSG:n|{NATIVE}"

    def validate(self, value: str, name: str) -> str:
        """Return the code with its authority in capitals and without leading zeros."""
        return canonical_crs(value)


class ClearClasses(Kind):
    """Kind of mask classes: names or integers, separated by commas."""

    metavar = "CLASS,..."

    def parse(self, text: str, name: str) -> tuple[ClearClass, ...]:
        """Parse names and integers; see `parse_clear`."""
        return parse_clear(text)

    def format(self, value: Sequence[ClearClass]) -> str:
        """Return the classes, separated by commas."""
        return ",".join(str(each) for each in value)

    def from_json(self, document: Any, name: str) -> tuple[ClearClass, ...]:
        """Convert a JSON list of names and integers to a tuple."""
        return checked_list(document, name, "names or integers", str, int)

    def to_json(self, value: Sequence[ClearClass]) -> list[ClearClass]:
        """Return the names and integers as a list."""
        return list(value)

    def validate(self, value: Sequence[ClearClass], name: str) -> tuple[ClearClass, ...]:
        """Sort the classes and remove duplicates; see `canonical_clear`."""
        return canonical_clear(value)


class MaskFilters(RepeatableKind):
    """Kind of mask filters, such as ``cloud:opening=2,dilation=6``; see `parse_mask_filters`."""

    separator = ";"

    metavar = "CLASS:opening=PX,dilation=PX"

    def parse_parts(self, parts: Sequence[str], name: str) -> tuple[MaskFilter, ...]:
        """Parse one filter per part."""
        return parse_mask_filters(parts)

    def format(self, value: Sequence[MaskFilter]) -> str:
        """Return the filters, separated by semicolons."""
        return filters_text(filters_document(value) or {})

    def from_json(self, document: Any, name: str) -> tuple[MaskFilter, ...]:
        """Convert a JSON object from class to [opening, dilation] to filters."""
        return filters_of_document(document)

    def to_json(self, value: Sequence[MaskFilter]) -> dict[str, list[int]] | None:
        """Return a mapping from class to [opening, dilation]; None if there are no filters."""
        return filters_document(value)

    def validate(self, value: Sequence[MaskFilter], name: str) -> tuple[MaskFilter, ...]:
        """Sort the filters by class; see `canonical_filters`."""
        return canonical_filters(value)


@dataclass(frozen=True, kw_only=True)
class Range(Kind):
    """Kind of a range: two numbers in ascending order, or ``none`` for no limits.

    Attributes
    ----------
    none : {"none", None}
        Value in the record for the text ``none``: None if the field has no limits by default, ``"none"`` if it has
        other limits by default.
    of_index : bool
        Whether the numbers are index values, which must be within plus and minus `NDVI_LIMIT`.
    """

    none: str | None
    of_index: bool = False

    metavar = "LEAST,GREATEST|none"

    def parse(self, text: str, name: str) -> Any:
        """Parse two numbers or ``none``."""
        return self.none if text == "none" else _two_numbers(text.split(","), name)

    def format(self, value: Any) -> str:
        """Return two numbers, separated by a comma, or ``none``."""
        return "none" if value in (None, "none") else ",".join(str(number) for number in value)

    def from_json(self, document: Any, name: str) -> Any:
        """Convert a JSON list of two numbers to a tuple; accept ``"none"`` if that is the value of `none`."""
        if self.none is not None and document == self.none:
            return self.none
        return _two_numbers(checked_list(document, name, "two numbers", int, float), name)

    def to_json(self, value: Any) -> Any:
        """Return two numbers as a list, or the value of `none`."""
        return list(value) if isinstance(value, tuple) else value

    def validate(self, value: Any, name: str) -> Any:
        """Return the range, or raise an `InputError` if its numbers are out of order, infinite or out of bounds."""
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
    """Parse ``FIRST/LAST``, an inclusive range of dates as YYYY-MM-DD.

    Raises
    ------
    InputError
        The text is not a range of valid dates, or the dates are out of order or out of bounds.
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
    """Parse class names and integers, separated by commas; see `canonical_clear`."""
    return canonical_clear(tuple(part.strip() for part in text.split(",")))
