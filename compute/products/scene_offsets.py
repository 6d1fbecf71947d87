"""Offsets of a scene by its document: rules of the products file, and the processing baseline of Sentinel-2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from compute.errors import InputError

Properties = Mapping[str, str | bool | float]
"""Properties of a dataset document by full name, such as ``sentinel:processing_baseline``."""

SENTINEL_2_OFFSET = -1000.0
"""Offset of Sentinel-2 L2A reflectance from processing baseline 04.00 on (``BOA_ADD_OFFSET``), in stored units.

https://sentiwiki.copernicus.eu/web/s2-products, "Baseline 04.00": reflectance is ``(stored + BOA_ADD_OFFSET) / 10000``.
"""

SENTINEL_2_SINCE = "04.00"
"""First processing baseline with `SENTINEL_2_OFFSET`."""

_BASELINE = re.compile(r"_N(\d\d)(\d\d)_")
"""Processing baseline in a Sentinel-2 product name, such as ``S2A_MSIL2A_20220808T072631_N0400_R049_...``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OffsetRule:
    """Offset that depends on a property of each scene's document.

    Attributes
    ----------
    by : str
        Property, by its full name or its name after the colon, such as ``"processing_baseline"``.
    since : str
        First version with the offset, such as ``"04.00"``.
    offset : float
        Offset in units of reflectance.
    unless : str or None
        Property that is true if the stored values are already corrected.
    """

    by: str
    since: str
    offset: float
    unless: str | None = None


def find_property(properties: Properties, name: str) -> str | bool | float | None:
    """Return a property by its full name or its name after the colon; None if there is none.

    Parameters
    ----------
    properties : mapping
        Properties of the scene's document.
    name : str
        Name, with or without the prefix.

    Raises
    ------
    ValueError
        Several properties have this name after the colon, with different values.
    """
    if name in properties:
        return properties[name]
    found = {value for key, value in properties.items() if key.rpartition(":")[2] == name}
    if len(found) > 1:
        raise ValueError(f"the document has several {name}, which differ")
    return next(iter(found), None)


def is_true(value: object) -> bool:
    """Return whether a property is true; documents hold booleans or their text."""
    return value is True or str(value).strip().lower() in ("true", "yes", "1")


def parse_version(text: object) -> tuple[int, ...] | None:
    """Parse a version such as ``04.00``, ``N0400`` or 5.09; None if it is not a version."""
    words = str(text).strip().upper().removeprefix("N").removeprefix("V")
    if re.fullmatch(r"\d{4}", words):
        words = f"{words[:2]}.{words[2:]}"
    if not re.fullmatch(r"\d+(\.\d+)*", words):
        return None
    return tuple(int(part) for part in words.split("."))


def processing_baseline(properties: Properties) -> tuple[int, ...] | None:
    """Return the processing baseline of a Sentinel-2 scene, from its property or its product name; None if unknown."""
    stated = find_property(properties, "processing_baseline")
    if stated is not None:
        return parse_version(stated)
    names = (str(value) for key, value in properties.items() if key.rpartition(":")[2] in _NAMES)
    found = {match.groups() for match in map(_BASELINE.search, names) if match}
    return tuple(int(part) for part in found.pop()) if len(found) == 1 else None


_NAMES = ("product_id", "product_uri", "tile_id", "label")


def resolve_offset_rule(rule: OffsetRule, properties: Properties, product: str) -> float:
    """Return the offset of a scene by a rule of the products file.

    Parameters
    ----------
    rule : OffsetRule
        The rule.
    properties : mapping
        Properties of the scene's document.
    product : str
        ODC product name, for the error.

    Returns
    -------
    float
        Offset in units of reflectance.

    Raises
    ------
    InputError
        The document lacks the property, or it is not a version.
    """
    if rule.unless is not None and is_true(find_property(properties, rule.unless)):
        return 0.0
    stated = (
        processing_baseline(properties)
        if rule.by == "processing_baseline"
        else parse_version(find_property(properties, rule.by))
    )
    since = parse_version(rule.since)
    if stated is None or since is None:
        raise InputError(
            "products",
            f"A scene of {product} has no {rule.by} with a version, which determines its offset; name another "
            "property in the products file, or leave that scene out.",
        )
    return rule.offset if stated >= since else 0.0


def sentinel_2_offset(properties: Properties, product: str) -> float | None:
    """Return the offset of a Sentinel-2 L2A scene in stored units; None if its document does not determine it.

    With ``boa_offset_applied: true`` the offset was already removed from the stored values. With ``false`` it is still
    contained in scenes of processing baseline 04.00 or later. A Level 2A document with a baseline but without the flag
    describes files as distributed by Copernicus, which contain the offset.

    The flag takes precedence over an offset that the document states for a band: Earth Search states -0.1 for the bands
    of all items, although it removed the offset from most of them [1]_, and sets the flag from baseline 04.00 on [2]_.

    Parameters
    ----------
    properties : mapping
        Properties of the scene's document.
    product : str
        ODC product name, which may identify Level 2A if the properties do not.

    Raises
    ------
    InputError
        The document has ``boa_offset_applied: false`` but no baseline.

    References
    ----------
    .. [1] https://github.com/Element84/earth-search/issues/66
    .. [2] https://github.com/cirrus-geo/cirrus-earth-search/issues/21
    """
    applied = find_property(properties, "boa_offset_applied")
    if applied is not None and is_true(applied):
        return 0.0
    baseline, since = processing_baseline(properties), parse_version(SENTINEL_2_SINCE)
    assert since is not None
    if baseline is None:
        if applied is None:
            return None
        raise InputError(
            "products",
            "A scene has boa_offset_applied: false and no processing_baseline, so its offset is not known; state the "
            "offset in the products file with override = true, or correct its document.",
        )
    states_baseline = find_property(properties, "processing_baseline") is not None
    if applied is None and not (states_baseline and _is_level_2a(properties, product)):
        return None
    return SENTINEL_2_OFFSET if baseline >= since else 0.0


def _is_level_2a(properties: Properties, product: str) -> bool:
    names = (str(value) for key, value in properties.items() if key.rpartition(":")[2] in _NAMES)
    return any("l2a" in name.lower() for name in (product, *names))
