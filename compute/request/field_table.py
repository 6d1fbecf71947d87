"""Table of the request's fields, read from the metadata of the record.

The command line, the page, JSON, query strings and the README's table of options are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import Any, Final, Literal

from compute.request.field_kinds import Kind

Setter = Literal["user", "command line", "settings"]
"""Where a field can be set: on the page and the command line, on the command line alone, or on neither."""

REQUIRED: Final = object()
"""Default of a field that every request must have."""

_KEY = "request field"


@dataclass(frozen=True, kw_only=True)
class RequestField:
    """One field of the request.

    Attributes
    ----------
    kind : Kind
        How its values are parsed, formatted and validated.
    help : str
        Sentence for the command line and the README.
    label, hint : str
        Label on the page, and the few words below it.
    group : str
        Heading that it stands below, on the page and in the command line's help.
    unset : str
        Description of the default, where it depends on products, scenes or the index.
    setter : {"user", "command line", "settings"}
        Where it can be set.
    option : str
        Name of its option without dashes, which refusals name, too.
    name : str
        Key in JSON and query strings.
    attributes : tuple of str
        Attributes of the record that hold it: one, or two for a range of dates.
    default : object
        Value where nothing is given; `REQUIRED` where one must be.
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
        """The default as text; empty where it depends on something else."""
        return "" if self.unset or self.is_required else self.kind.format(self.default)

    def value_in(self, request: Any) -> Any:
        """Return the value that a record holds; a tuple where two attributes hold it."""
        values = tuple(getattr(request, name) for name in self.attributes)
        return values if len(values) > 1 else values[0]

    def attribute_values(self, value: Any) -> dict[str, Any]:
        """Return a value by attribute of the record, as its constructor and `replace` accept it."""
        values = value if len(self.attributes) > 1 else (value,)
        return dict(zip(self.attributes, values, strict=True))

    def replace_in(self, request: Any, value: Any) -> Any:
        """Return a request with another value of this field; None stands for the default.

        Raises
        ------
        InputError
            The value is not usable, or not beside the others.
        """
        return replace(request, **self.attribute_values(self.default if value is None else value))

    def validated(self, value: Any) -> Any:
        """Return a value in its canonical form, or refuse it; the default may be None."""
        return value if value is None and self.default is None else self.kind.validate(value, self.option)


def described(kind: Kind, **description: Any) -> Mapping[str, RequestField]:
    """Return the metadata of a record's attribute that holds a field.

    Attributes that share one description, which then needs a `name`, hold the field together.

    Parameters
    ----------
    kind : Kind
        How its values are parsed, formatted and validated.
    **description
        Further attributes of `RequestField`; name and option follow from the attribute where they are left out.
    """
    return {_KEY: RequestField(kind=kind, **description)}


def request_field(default: Any, kind: Kind, **description: Any) -> Any:
    """Return an attribute of the record that has a default; see `described`."""
    return field(default=default, metadata=described(kind, **description))


def field_table(record: Any) -> tuple[RequestField, ...]:
    """Return the fields of a request record, in the order of its attributes.

    Parameters
    ----------
    record : type
        `NdviRequest`, or a dataclass that extends it.
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
