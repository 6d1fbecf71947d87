"""Offset of a scene from its document, by a rule of the products file or the processing baseline of Sentinel-2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from compute.errors import InputError

Properties = Mapping[str, str | bool | float]
"""Properties of a dataset document by full name, such as ``"sentinel:processing_baseline"``."""

SENTINEL_2_OFFSET = -1000.0
"""Offset (``BOA_ADD_OFFSET``) of Sentinel-2 L2A since processing baseline 04.00, in stored units.

https://sentiwiki.copernicus.eu/web/s2-products, "Baseline 04.00": reflectance is ``(stored + BOA_ADD_OFFSET) / 10000``.
"""

SENTINEL_2_SINCE = "04.00"
"""First processing baseline with `SENTINEL_2_OFFSET`."""

_BASELINE = re.compile(r"_N(\d\d)(\d\d)_")
"""Pattern of the processing baseline in a Sentinel-2 product name, such as
``S2A_MSIL2A_20220808T072631_N0400_R049_...``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OffsetRule:
    """Rule for an offset that depends on a property in the document of each scene.

    Attributes
    ----------
    by : str
        Name of the property with or without the prefix before the colon, such as ``"processing_baseline"``.
    since : str
        First version for which the offset applies, such as ``"04.00"``.
    offset : float
        Offset in units of reflectance.
    unless : str or None
        Name of a property that is true if the stored values are already corrected; None without one.
    """

    by: str
    since: str
    offset: float
    unless: str | None = None


def find_property(properties: Properties, name: str) -> str | bool | float | None:
    """Return the value of a property; None if the document does not have the property.

    Parameters
    ----------
    properties : mapping
        Properties of the scene's document.
    name : str
        Name with or without the prefix before the colon.

    Raises
    ------
    ValueError
        Several properties with this name after the colon have different values.
    """
    if name in properties:
        return properties[name]
    found = {value for key, value in properties.items() if key.rpartition(":")[2] == name}
    if len(found) > 1:
        raise ValueError(f"the document has several {name}, which differ")
    return next(iter(found), None)


def is_true(value: object) -> bool:
    """Return whether a property is true; documents contain booleans as such or as text."""
    return value is True or str(value).strip().lower() in ("true", "yes", "1")


def parse_version(text: object) -> tuple[int, ...] | None:
    """Parse a version such as ``04.00``, ``N0400`` or 5.09; return None for any other value."""
    words = str(text).strip().upper().removeprefix("N").removeprefix("V")
    if re.fullmatch(r"\d{4}", words):
        words = f"{words[:2]}.{words[2:]}"
    if not re.fullmatch(r"\d+(\.\d+)*", words):
        return None
    return tuple(int(part) for part in words.split("."))


def processing_baseline(properties: Properties) -> tuple[int, ...] | None:
    """Return the processing baseline of a Sentinel-2 scene from its property or product name; None if unknown."""
    stated = find_property(properties, "processing_baseline")
    if stated is not None:
        return parse_version(stated)
    names = (str(value) for key, value in properties.items() if key.rpartition(":")[2] in _NAMES)
    found = {match.groups() for match in map(_BASELINE.search, names) if match}
    return tuple(int(part) for part in found.pop()) if len(found) == 1 else None


_NAMES = ("product_id", "product_uri", "tile_id", "label")


def resolve_offset_rule(rule: OffsetRule, properties: Properties, product: str) -> float:
    """Return the offset of a scene according to a rule of the products file.

    Parameters
    ----------
    rule : OffsetRule
        Rule of the products file.
    properties : mapping
        Properties of the scene's document.
    product : str
        ODC product name, for the error.

    Returns
    -------
    float
        Offset in units of reflectance; 0 if the rule does not apply.

    Raises
    ------
    InputError
        The document lacks the property, or its value is not a version.
    ValueError
        Several properties with the name in the rule have different values.
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

    If the flag ``boa_offset_applied`` is true, the offset was already removed from the stored values, and the result is
    0. If it is false, scenes since processing baseline 04.00 contain the offset. If a Level 2A document has a baseline
    but no flag, the files are assumed to be as distributed by Copernicus, with the offset since baseline 04.00.

    In `compute.plan.radiometry`, a true flag takes precedence over an offset that the document states for a band: Earth
    Search states -0.1 for the bands of all items, although it removed the offset from most items [1]_. It sets the flag
    since baseline 04.00 [2]_.

    Parameters
    ----------
    properties : mapping
        Properties of the scene's document.
    product : str
        ODC product name, used with the names in the properties to detect Level 2A.

    Raises
    ------
    InputError
        The document has ``boa_offset_applied: false``, but no processing baseline.
    ValueError
        Properties with the same name after the colon have different values.

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
