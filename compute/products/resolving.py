"""From a definition and a profile to roles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Literal

import numpy as np

from compute.errors import InputError
from compute.products.definition import Measurement, ProductDefinition
from compute.products.filters import MaskFilter
from compute.products.harmonising import Harmonise, harmonised
from compute.products.profile import BandProfile, BitsProfile, ClearClass, ProductProfile
from compute.products.roles import MASK_BITS, BandRole, MaskRole, Roles

ValidRange = tuple[float, float] | Literal["none"] | None

CONTIGUOUS = 1
"""Stored value of a contiguity measurement where all bands have data."""


def resolve(
    definition: ProductDefinition,
    profile: ProductProfile,
    *,
    clear: Sequence[ClearClass] | None = None,
    valid_range: ValidRange = None,
    harmonise: Harmonise = "none",
    mask_filters: Sequence[MaskFilter] = (),
) -> Roles:
    """Join what the index and ``products.toml`` say of a product.

    Parameters
    ----------
    definition : ProductDefinition
        From the index.
    profile : ProductProfile
        From ``products.toml``.
    clear : sequence of str or int, optional
        Classes to take as clear in place of the profile's.
    valid_range : (float, float) or "none", optional
        Range of stored values in place of the profile's, for both bands; ``"none"`` turns it off.
    harmonise : {"none", "roy2016"}
        Whose coefficients bring the reflectance of TM and ETM+ to that of OLI; see `harmonised`.
    mask_filters : sequence of MaskFilter
        Classes to open and widen before the mask is believed.

    Returns
    -------
    Roles
        Measurements with canonical names, types, nodata and the resolved clear rule.

    Raises
    ------
    InputError
        A measurement or class does not exist, mask or contiguity is not an 8- or 16-bit integer, or the product cannot
        be harmonised.
    """
    if clear is not None and not clear:
        raise InputError("clear", "The list of clear classes is empty; name at least one, or leave it out.")
    if valid_range is not None:
        valid = None if valid_range == "none" else valid_range
        profile = profile.model_copy(
            update={
                "red": profile.red.model_copy(update={"valid": valid}),
                "nir": profile.nir.model_copy(update={"valid": valid}),
            }
        )
    roles = Roles(
        product=definition.name,
        red=_band_role(definition, profile.red),
        nir=_band_role(definition, profile.nir),
        mask=_filtered(
            definition,
            _mask_role(definition, profile.mask, profile.clear if clear is None else tuple(clear)),
            mask_filters,
        ),
        contiguity=None if profile.contiguity is None else _mask_role(definition, profile.contiguity, (CONTIGUOUS,)),
        sensor=profile.sensor or "",
    )
    return harmonised(roles, harmonise)


def _band_role(definition: ProductDefinition, band: BandProfile) -> BandRole:
    measurement = definition.measurement(band.measurement)
    nodata = measurement.nodata if band.nodata is None else band.nodata
    low, high = band.valid or (float("-inf"), float("inf"))
    return BandRole(
        measurement=measurement.name,
        dtype=measurement.dtype,
        scale=band.scale,
        offset=band.offset,
        nodata=_number(nodata),
        valid_min=low,
        valid_max=high,
    )


def _mask_role(definition: ProductDefinition, name: str, clear: tuple[ClearClass | BitsProfile, ...]) -> MaskRole:
    measurement = definition.measurement(name)
    if measurement.dtype not in MASK_BITS:
        raise InputError(
            "product",
            f"The mask {measurement.name} of {definition.name} is {measurement.dtype}; "
            "a mask must be an 8- or 16-bit integer.",
        )
    named = _classes(measurement)
    role = MaskRole(
        measurement=measurement.name,
        dtype=measurement.dtype,
        nodata=_number(measurement.nodata),
        classes=tuple((name, *pair) for name, pair in named.items()),
    )
    conditions = tuple((c.bits, c.value) for c in clear if isinstance(c, BitsProfile))
    if conditions:
        _refuse_bits_beyond(measurement, conditions)
        return replace(role, all_of=conditions)
    pairs = (_class_pair(c, named, measurement) for c in clear if not isinstance(c, BitsProfile))
    return replace(role, any_of=tuple(dict.fromkeys(pairs)))


def _filtered(definition: ProductDefinition, role: MaskRole, filters: Sequence[MaskFilter]) -> MaskRole:
    measurement = definition.measurement(role.measurement)
    named = _classes(measurement)
    pairs = (_class_pair(each.mask_class, named, measurement, field="mask-filter") for each in filters)
    return replace(
        role, filters=tuple((*pair, each.opening, each.dilation) for pair, each in zip(pairs, filters, strict=True))
    )


def _number(nodata: float | None) -> float | None:
    """Return nodata, or None for NaN, which is never an observation anyway."""
    return None if nodata is None or isnan(nodata) else nodata


def _refuse_bits_beyond(
    measurement: Measurement, conditions: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> None:
    size = MASK_BITS[measurement.dtype]
    highest = max(max(bits) for bits, _ in conditions)
    if highest >= size:
        sentence = f"The mask {measurement.name} is {measurement.dtype} and has bits 0 to {size - 1}, not {highest}."
        raise InputError("products", sentence)


def _class_pair(
    wanted: ClearClass, named: Mapping[str, tuple[int, int]], measurement: Measurement, *, field: str = "clear"
) -> tuple[int, int]:
    if wanted in named:
        return named[str(wanted)]
    if re.fullmatch(r"-?[0-9]+", str(wanted)):
        return _code_pair(int(wanted), measurement, field)
    known = ", ".join(named) or "none by name, so give integers"
    raise InputError(field, f"The mask {measurement.name} has no class {wanted!r}; it has {known}.")


def _code_pair(code: int, measurement: Measurement, field: str) -> tuple[int, int]:
    limits = np.iinfo(measurement.dtype)
    if not limits.min <= code <= limits.max:
        sentence = f"The mask {measurement.name} is {measurement.dtype} and has classes {limits.min} to {limits.max}"
        raise InputError(field, f"{sentence}, not {code}.")
    size = 2 ** MASK_BITS[measurement.dtype]
    return size - 1, code % size


def _classes(measurement: Measurement) -> dict[str, tuple[int, int]]:
    """Return (bits, value) by class name, as ODC's ``flags_definition`` gives them.

    A name that several flags use, such as the confidences of Landsat's quality band, is written ``flag.name``.
    """
    found: list[tuple[str, str, tuple[int, int]]] = []
    for flag, entry in measurement.flags.items():
        positions = entry["bits"] if isinstance(entry["bits"], list) else [entry["bits"]]
        bits, lowest = sum(1 << int(p) for p in positions), min(int(p) for p in positions)
        for number, meaning in entry["values"].items():
            if meaning is not False:
                name = flag if meaning is True else str(meaning)
                found.append((flag, name, (bits, int(number) << lowest)))
    times = Counter(name for _, name, _ in found)
    return {name if times[name] == 1 else f"{flag}.{name}": pair for flag, name, pair in found}
