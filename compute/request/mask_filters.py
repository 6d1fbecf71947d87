"""Parsing, JSON form and canonical order of mask filters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compute.errors import InputError

if TYPE_CHECKING:
    from compute.products import ClearClass, MaskFilter

MOST_FILTERS = 6
"""Maximum number of filtered classes; each class doubles the size of the lookup tables of clear codes."""

MOST_RADIUS_PX = 50
"""Maximum radius in pixels; it is 1.5 km for Landsat, far more than in common practice."""

_NAME = re.compile(r"[^\s:;,=](?:[^:;,=\n\t]{0,78}[^\s:;,=])?")
_INTEGER = re.compile(r"-?[0-9]{1,9}")
_WORDS = re.compile(r"(?P<name>[^:]*):(?P<radii>[a-z]+=[0-9]{1,3}(,[a-z]+=[0-9]{1,3})?)")


def canonical_filters(filters: Iterable[MaskFilter]) -> tuple[MaskFilter, ...]:
    """Sort filters by class, integers first.

    Raises
    ------
    InputError
        A filter has no effect or an invalid radius, a class is repeated, or there are too many filters.
    """
    filters = tuple(filters)
    for each in filters:
        if not 0 <= each.opening <= MOST_RADIUS_PX or not 0 <= each.dilation <= MOST_RADIUS_PX:
            raise _refusal(f"reaches beyond {MOST_RADIUS_PX} pixels", str(each.mask_class), "give smaller radii")
        if not each.reach:
            raise _refusal("does nothing", str(each.mask_class), "give opening, dilation or both, in pixels")
    if len({each.mask_class for each in filters}) < len(filters) or len(filters) > MOST_FILTERS:
        names = ", ".join(str(each.mask_class) for each in filters)
        raise _refusal("is one too many", names, f"give each class once, at most {MOST_FILTERS}")
    return tuple(sorted(filters, key=lambda each: (isinstance(each.mask_class, str), each.mask_class)))


def parse_mask_filters(texts: Iterable[str]) -> tuple[MaskFilter, ...]:
    """Parse filters such as ``cloud:opening=2,dilation=6`` and ``shadow:dilation=3``.

    Raises
    ------
    InputError
        A filter is malformed, or has no effect or an invalid radius; a class is repeated; or there are too many
        filters.
    """
    return canonical_filters(_parse(text.strip()) for text in texts)


def _parse(text: str) -> MaskFilter:
    words = _WORDS.fullmatch(text)
    pairs = [pair.split("=") for pair in words["radii"].split(",")] if words else []
    radii = {name: int(radius) for name, radius in pairs}
    if not words or len(radii) < len(pairs) or not radii.keys() <= {"opening", "dilation"}:
        raise _refusal("is not understood", text, "give CLASS:opening=PX,dilation=PX")
    return _filter(words["name"], **radii)


def filters_text(document: Mapping[str, Sequence[int]]) -> str:
    """Convert the JSON form of filters to text, as filters for `parse_mask_filters`, separated by semicolons."""
    return ";".join(f"{name}:opening={opening},dilation={dilation}" for name, (opening, dilation) in document.items())


def filters_document(filters: Iterable[MaskFilter]) -> dict[str, list[int]] | None:
    """Return the canonical JSON form, a mapping from class to [opening, dilation]; None if there are no filters."""
    return {str(each.mask_class): [each.opening, each.dilation] for each in filters} or None


def filters_of_document(document: Any) -> tuple[MaskFilter, ...]:
    """Convert the JSON form, as returned by `filters_document`, to filters.

    Raises
    ------
    InputError
        The document has another form, or a filter is invalid.
    """
    if not isinstance(document, dict):
        raise _refusal("is not understood", str(document), "give an object of CLASS: [opening, dilation]")
    return canonical_filters(_of_pair(name, radii) for name, radii in document.items())


def _of_pair(name: str, radii: Any) -> MaskFilter:
    if not isinstance(radii, list) or len(radii) != 2 or any(type(radius) is not int for radius in radii):
        raise _refusal("is not understood", name, "give [opening, dilation], two whole numbers of pixels")
    return _filter(name, opening=radii[0], dilation=radii[1])


def _filter(name: str, opening: int = 0, dilation: int = 0) -> MaskFilter:
    from compute.products import MaskFilter

    return MaskFilter(mask_class=_class(name), opening=opening, dilation=dilation)


def _class(name: str) -> ClearClass:
    if not _NAME.fullmatch(name):
        raise _refusal("names no class", name, "give the name or the code of one")
    return int(name) if _INTEGER.fullmatch(name) else name


def _refusal(what: str, shown: str, remedy: str) -> InputError:
    return InputError("mask-filter", f"The mask filter {shown[:60]!r} {what}; {remedy}.")
