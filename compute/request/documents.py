"""Conversion of requests to and from canonical JSON and query strings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from compute.errors import InputError
from compute.request.field_table import RequestField, field_table

# fmt: off
_FIRST_FORMAT = frozenset((
    "average", "by", "clear", "crs", "harmonise", "index_range", "landsat7", "mask_filters", "min_area", "min_clear",
    "months", "reader", "reasons", "resampling", "resolution", "seasons", "std", "valid_range", "weight",
))
# fmt: on
"""Fields that canonical JSON includes even at their default, as in the first format of results. Fields that were added
later are omitted at their default, so that the tokens of requests that do not set them stay the same."""


class RequestDocument:
    """Base class of request dataclasses, with JSON and query strings that are derived from their `field_table`."""

    def to_json(self) -> str:
        """Return the canonical JSON text, with sorted keys and no spaces."""
        document = {
            each.name: None if value is None else each.kind.to_json(value)
            for each, value in _values(self)
            if each.name in _FIRST_FORMAT or value != each.default
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse a JSON object of fields, canonical or not; null sets a field to its default.

        Raises
        ------
        InputError
            The text is not a JSON object, or a field is missing, unknown or invalid.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError("request", "The request is not JSON; give an object of request fields.") from None
        if not isinstance(document, dict):
            raise InputError("request", "The request is not a JSON object; give an object of request fields.")
        given = _given(cls, document)
        return cls(**_attributes((each, each.kind.from_json(document[each.name], each.option)) for each in given))

    def to_query(self) -> str:
        """Return a URL query string of the fields that differ from their defaults, sorted by name."""
        texts = {each.name: each.kind.format(value) for each, value in _values(self) if value != each.default}
        return urlencode(sorted(texts.items()))

    @classmethod
    def from_query(cls, query: str) -> Self:
        """Parse a query string; if a key is repeated, its last value is used.

        Raises
        ------
        InputError
            A field is missing, unknown or invalid.
        """
        texts = dict(parse_qsl(query, keep_blank_values=True))
        given = _given(cls, texts)
        return cls(**_attributes((each, each.kind.parse(texts[each.name], each.option)) for each in given))


def _values(request: Any) -> Iterator[tuple[RequestField, Any]]:
    return ((each, each.value_in(request)) for each in field_table(type(request)))


def _given(record: type, document: Mapping[str, Any]) -> list[RequestField]:
    """Return the fields with a value in a document; raise an `InputError` if a field is unknown or missing."""
    table = field_table(record)
    known = {each.name for each in table}
    for key in document:
        if key not in known:
            raise InputError(
                "request", f"The request has no field {str(key)[:40]!r}; it has {', '.join(sorted(known))}."
            )
    given = [each for each in table if document.get(each.name) is not None]
    for each in table:
        if each.is_required and each not in given:
            raise InputError(each.name, f"The request has no {each.name}; give one.")
    return given


def _attributes(values: Iterable[tuple[RequestField, Any]]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for each, value in values:
        attributes |= each.attribute_values(value)
    return attributes
