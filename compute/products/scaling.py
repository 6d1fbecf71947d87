"""Scale, offset and nodata of a band: statements of files, documents, definitions and products files, merged.

A value is ``stored * scale + offset``, as the Open Data Cube (``scale_factor``, ``add_offset``), GDAL and the STAC
raster extension define it. The statement nearest to the pixel holds: the tags of the file, then the document, then the
product definition, then the products file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose, isnan

import numpy as np
from numpy.typing import DTypeLike

from compute.errors import InputError

Properties = Mapping[str, str | bool | float]
"""Properties of a dataset document by their full names, such as ``sentinel:processing_baseline``."""

SENTINEL_2_OFFSET = -1000.0
"""Stored units added to Sentinel-2 L2A reflectance from processing baseline 04.00 on (``BOA_ADD_OFFSET``).

https://sentiwiki.copernicus.eu/web/s2-products, "Baseline 04.00": reflectance is ``(stored + BOA_ADD_OFFSET) / 10000``.
"""

SENTINEL_2_SINCE = "04.00"
"""First processing baseline with `SENTINEL_2_OFFSET`."""

_LARGEST_REFLECTANCE_OFFSET = 1.0
"""An offset without a scale is in stored units from here on: no reflectance is shifted by as much as all light."""

_BASELINE = re.compile(r"_N(\d\d)(\d\d)_")
"""Processing baseline in the names of Sentinel-2 products, such as ``S2A_MSIL2A_20220808T072631_N0400_R049_...``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """Scale, offset and nodata that one source states.

    Attributes
    ----------
    scale, offset : float or None
        A value is ``stored * scale + offset``; None where the source states none.
    nodata : float or None
        Stored value that is no observation; None where the source states none.
    """

    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None


NOTHING_STATED = Stated()


@dataclass(frozen=True, kw_only=True, slots=True)
class OffsetRule:
    """An offset that depends on a property of each scene's document.

    Attributes
    ----------
    by : str
        Property, whole or by its name after the colon, such as ``"processing_baseline"``.
    since : str
        Least version, such as ``"04.00"``, that has the offset.
    offset : float
        In units of reflectance.
    unless : str or None
        Property that is true where the offset was taken off the stored values already.
    """

    by: str
    since: str
    offset: float
    unless: str | None = None


def merge_scaling(nearer: Stated, farther: Stated) -> Stated:
    """Merge the scale and offset of two sources, of which one is nearer to the pixel.

    Parameters
    ----------
    nearer, farther : Stated
        The statements. Where only the farther one states a scale, an offset of the nearer one beyond 1 in magnitude is
        taken in stored units, as ``add_offset: -1000`` without a ``scale_factor`` is meant.

    Returns
    -------
    Stated
        Scale and offset, each None where neither source states it. The nodata is the nearer one's, else the farther's.
    """
    nodata = farther.nodata if nearer.nodata is None else nearer.nodata
    scale, offset = nearer.scale, nearer.offset
    if scale is None:
        scale = farther.scale
        if offset is None:
            offset = farther.offset
        elif scale is not None and abs(offset) >= _LARGEST_REFLECTANCE_OFFSET:
            offset *= scale
    elif offset is None and (farther.scale is None or isclose(scale, farther.scale, rel_tol=1e-6)):
        offset = farther.offset
    return Stated(scale=scale, offset=offset, nodata=nodata)


def contradictions(nearer: Stated, farther: Stated) -> list[tuple[str, float, float]]:
    """List what two sources state differently.

    Returns
    -------
    list of (str, float, float)
        Word (scale, offset or nodata), and the number of the nearer and of the farther source.
    """
    merged = merge_scaling(nearer, farther)
    pairs = (
        ("scale", merged.scale, farther.scale),
        ("offset", merged.offset, _comparable_offset(nearer, farther)),
        ("nodata", merged.nodata, farther.nodata),
    )
    return [
        (word, near, far) for word, near, far in pairs if near is not None and far is not None and not _alike(near, far)
    ]


def _comparable_offset(nearer: Stated, farther: Stated) -> float | None:
    """Return the farther offset in units of the merged scale, where the nearer source states one too."""
    if nearer.offset is None or farther.offset is None:
        return None
    if farther.scale is None and nearer.scale is not None and abs(farther.offset) >= _LARGEST_REFLECTANCE_OFFSET:
        return farther.offset * nearer.scale
    return farther.offset


def _alike(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=1e-6, abs_tol=1e-12) or (isnan(one) and isnan(other))


def in_stored_type(nodata: float | None, dtype: DTypeLike) -> float | None:
    """Return a nodata as values of a type can have it: -3.4e38 as the float32 next to it.

    Parameters
    ----------
    nodata : float or None
        As a source states it.
    dtype : dtype
        Type of the stored values.

    Returns
    -------
    float or None
        None where no value of the type equals it: NaN, a fraction among integers, or a number beyond the type.
    """
    kind = np.dtype(dtype)
    if nodata is None or isnan(nodata):
        return None
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return float(np.array(nodata).astype(kind))
    limits = np.iinfo(kind)
    return nodata if float(nodata).is_integer() and limits.min <= nodata <= limits.max else None


def property_of(properties: Properties, name: str) -> str | bool | float | None:
    """Return a property by its whole name, or by its name after the colon; None where there is none.

    Raises
    ------
    ValueError
        Several properties have that name after the colon, and they differ.
    """
    if name in properties:
        return properties[name]
    found = {value for key, value in properties.items() if key.rpartition(":")[2] == name}
    if len(found) > 1:
        raise ValueError(f"the document has several {name}, which differ")
    return next(iter(found), None)


def is_true(value: object) -> bool:
    """Return whether a property says yes; YAML and JSON of operators write it as a boolean or as text."""
    return value is True or str(value).strip().lower() in ("true", "yes", "1")


def version_of(text: object) -> tuple[int, ...] | None:
    """Read a version such as ``04.00``, ``N0400`` or 5.09; None where it is none."""
    words = str(text).strip().upper().removeprefix("N").removeprefix("V")
    if re.fullmatch(r"\d{4}", words):
        words = f"{words[:2]}.{words[2:]}"
    if not re.fullmatch(r"\d+(\.\d+)*", words):
        return None
    return tuple(int(part) for part in words.split("."))


def baseline_of(properties: Properties) -> tuple[int, ...] | None:
    """Return the processing baseline of a Sentinel-2 scene: of its property, else of its product's name."""
    stated = property_of(properties, "processing_baseline")
    if stated is not None:
        return version_of(stated)
    names = (str(value) for key, value in properties.items() if key.rpartition(":")[2] in _NAMES)
    found = {match.groups() for match in map(_BASELINE.search, names) if match}
    return tuple(int(part) for part in found.pop()) if len(found) == 1 else None


_NAMES = ("product_id", "product_uri", "tile_id", "label")


def rule_offset(rule: OffsetRule, properties: Properties, product: str) -> float:
    """Return the offset of a scene by a rule of the products file.

    Parameters
    ----------
    rule : OffsetRule
        The rule.
    properties : mapping
        Of the scene's document.
    product : str
        For the sentence of a refusal.

    Raises
    ------
    InputError
        The document does not have the property, or it is no version.
    """
    if rule.unless is not None and is_true(property_of(properties, rule.unless)):
        return 0.0
    stated = (
        baseline_of(properties) if rule.by == "processing_baseline" else version_of(property_of(properties, rule.by))
    )
    since = version_of(rule.since)
    if stated is None or since is None:
        raise InputError(
            "products",
            f"A scene of {product} has no {rule.by} that is a version, by which its offset is chosen; name another "
            "property in the products file, or leave that scene out.",
        )
    return rule.offset if stated >= since else 0.0


def sentinel_2_offset(properties: Properties, product: str) -> float | None:
    """Return the offset in stored units that Sentinel-2 L2A documents state; None where this one states nothing.

    ``boa_offset_applied: true`` means that it was taken off the stored values already; ``false`` that it was not, so
    that it is in those of processing baseline 04.00 or later. A document of Level 2A that names the baseline alone is
    one of the files as the Copernicus programme delivers them, where the offset is in.

    The flag decides over an offset that the document states for a band: Earth Search states -0.1 for the bands of all
    items, of which it has taken the offset off from most [1]_, and wrote the flag from baseline 04.00 on [2]_.

    Parameters
    ----------
    properties : mapping
        Of the scene's document.
    product : str
        Name of the ODC product, which may say that it is Level 2A where the properties do not.

    Raises
    ------
    InputError
        The offset is in the stored values or not, by a baseline that the document does not name.

    References
    ----------
    .. [1] https://github.com/Element84/earth-search/issues/66
    .. [2] https://github.com/cirrus-geo/cirrus-earth-search/issues/21
    """
    applied = property_of(properties, "boa_offset_applied")
    if applied is not None and is_true(applied):
        return 0.0
    baseline, since = baseline_of(properties), version_of(SENTINEL_2_SINCE)
    assert since is not None
    if baseline is None:
        if applied is None:
            return None
        raise InputError(
            "products",
            "A scene has boa_offset_applied: false and no processing_baseline, so its offset is not known; state the "
            "offset in the products file with override = true, or correct its document.",
        )
    states_baseline = property_of(properties, "processing_baseline") is not None
    if applied is None and not (states_baseline and _is_level_2a(properties, product)):
        return None
    return SENTINEL_2_OFFSET if baseline >= since else 0.0


def _is_level_2a(properties: Properties, product: str) -> bool:
    names = (str(value) for key, value in properties.items() if key.rpartition(":")[2] in _NAMES)
    return any("l2a" in name.lower() for name in (product, *names))
