"""Table of the request's fields, made from the metadata of the record's attributes.

The command line, the page, JSON, query strings and the README's table of options are derived from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import Any, Final, Literal

from compute.request.field_kinds import Kind

Setter = Literal["user", "command line", "settings"]
"""Where a field can be set: on the page and the command line, on the command line only, or on neither."""

REQUIRED: Final = object()
"""Placeholder for the default of required fields."""

_KEY = "request field"


@dataclass(frozen=True, kw_only=True)
class RequestField:
    """Field of the request.

    Attributes
    ----------
    kind : Kind
        Parsing, formatting and validation of values.
    help : str
        Description for the command line and the README.
    label, hint : str
        Label on the page, and a short text below it.
    group : str
        Heading of the field's group on the page and in the command line's help.
    unset : str
        Description of the default, if the default depends on products, scenes or the index.
    setter : {"user", "command line", "settings"}
        Where the field can be set; see `Setter`.
    option : str
        Name of the command line option without leading dashes; also used in error messages.
    name : str
        Key in JSON and query strings.
    attributes : tuple of str
        Attributes of the record that contain the value: one, or two for a range of dates.
    default : object
        Default value; `REQUIRED` for required fields.
    """

    kind: Kind
    help: str
    label: str
    group: str
    hint: str = ""
    unset: str = ""
    setter: Setter = "user"
    option: str = ""
    name: str = ""
    attributes: tuple[str, ...] = ()
    default: Any = REQUIRED

    @property
    def is_required(self) -> bool:
        """Whether the field has no default."""
        return self.default is REQUIRED

    @property
    def default_text(self) -> str:
        """Default as text; empty if the field is required or the default depends on other data."""
        return "" if self.unset or self.is_required else self.kind.format(self.default)

    def value_in(self, request: Any) -> Any:
        """Return the value of the field in a record; a tuple if the field has two attributes."""
        values = tuple(getattr(request, name) for name in self.attributes)
        return values if len(values) > 1 else values[0]

    def attribute_values(self, value: Any) -> dict[str, Any]:
        """Return a value as keyword arguments for the record's constructor or for `dataclasses.replace`."""
        values = value if len(self.attributes) > 1 else (value,)
        return dict(zip(self.attributes, values, strict=True))

    def replace_in(self, request: Any, value: Any) -> Any:
        """Return a copy of a request with another value of this field; None sets the default.

        Raises
        ------
        InputError
            The value is invalid, or not allowed in combination with the other fields.
        """
        return replace(request, **self.attribute_values(self.default if value is None else value))

    def validated(self, value: Any) -> Any:
        """Return the canonical form of a value, or raise an `InputError`; a default of None is returned unchanged."""
        return value if value is None and self.default is None else self.kind.validate(value, self.option)


def described(kind: Kind, **description: Any) -> Mapping[str, RequestField]:
    """Return dataclass metadata that declares an attribute of the record as a request field.

    Attributes with the same metadata form one field, whose description must include a `name`.

    Parameters
    ----------
    kind : Kind
        Parsing, formatting and validation of values.
    **description
        Further attributes of `RequestField`; by default, name and option are derived from the attribute's name.
    """
    return {_KEY: RequestField(kind=kind, **description)}


def request_field(default: Any, kind: Kind, **description: Any) -> Any:
    """Return a dataclass field with a default and the metadata of `described`."""
    return field(default=default, metadata=described(kind, **description))


def field_table(record: Any) -> tuple[RequestField, ...]:
    """Return the request fields of a record, in the order of its attributes.

    Parameters
    ----------
    record : type
        `NdviRequest`, or a dataclass derived from it.
    """
    return _field_table(record)


@cache
def _field_table(record: Any) -> tuple[RequestField, ...]:
    table: dict[str, RequestField] = {}
    for each in fields(record):
        described_as: RequestField = each.metadata[_KEY]
        name = described_as.name or each.name
        before = table.get(name, described_as)
        table[name] = replace(
            before,
            name=name,
            option=before.option or name.replace("_", "-"),
            attributes=(*before.attributes, each.name),
            default=REQUIRED if each.default is MISSING else each.default,
        )
    return tuple(table.values())
