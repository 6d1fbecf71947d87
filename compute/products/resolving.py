"""Resolve the roles of a product: join its definition in the index with its profile in ``products.toml``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf, isnan
from typing import Literal

import numpy as np

from compute.errors import InputError
from compute.products.checking import product_notes, stated_of, told_of
from compute.products.clauses import Clauses, Test, all_of, any_of, bits_clause, flag_clauses
from compute.products.definition import Measurement, ProductDefinition
from compute.products.filters import MaskFilter
from compute.products.harmonising import Harmonise, harmonised
from compute.products.mask_role import MASK_BITS, TABLE_BITS, MaskRole
from compute.products.profile import (
    AllProfile,
    AnyProfile,
    BandProfile,
    BitsProfile,
    ClearClass,
    ClearPart,
    MaskProfile,
    OffsetProfile,
    ProductProfile,
    ThresholdProfile,
)
from compute.products.roles import BandRole, Condition, RangeRole, Roles
from compute.products.scaling import OffsetRule, merge_scaling

ValidRange = tuple[float, float] | Literal["none"] | None

CONTIGUOUS = 1
"""Stored value of a contiguity measurement where all bands have data."""

DEFINITION, PRODUCTS_FILE = "definition", "products file"
"""Sources of a number, as plans name them."""

DISCONTIGUOUS = "discontiguous"
"""Reason of what is clear, but not contiguous in all bands; where a product names a contiguity."""


def resolve(
    definition: ProductDefinition,
    profile: ProductProfile,
    *,
    clear: Sequence[ClearClass] | None = None,
    valid_range: ValidRange = None,
    harmonise: Harmonise = "none",
    mask_filters: Sequence[MaskFilter] = (),
) -> Roles:
    """Join what the index and ``products.toml`` state of a product.

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
        Coefficients that bring the reflectance of TM and ETM+ to that of OLI; see `harmonised`.
    mask_filters : sequence of MaskFilter
        Classes of the first mask to open and widen.

    Returns
    -------
    Roles
        Measurements with canonical names, types, scaling, nodata and the resolved clear rule.

    Raises
    ------
    InputError
        A measurement or class does not exist, a mask or contiguity is no integer of up to 32 bits, or the product
        cannot be harmonised.
    """
    if clear is not None and not clear:
        raise InputError("clear", "The list of clear classes is empty; name at least one, or leave it out.")
    if valid_range is not None:
        update = {"valid": None if valid_range == "none" else valid_range, "valid_reflectance": None}
        bands = {"red": profile.red.model_copy(update=update), "nir": profile.nir.model_copy(update=update)}
        profile = profile.model_copy(update=bands)
    mask, conditions = _masks(definition, profile, None if clear is None else tuple(clear), mask_filters)
    roles = Roles(
        product=definition.name,
        red=_band_role(definition, profile.red),
        nir=_band_role(definition, profile.nir),
        mask=mask,
        conditions=conditions,
        sensor=profile.sensor or "",
    )
    roles = harmonised(roles, harmonise)
    return replace(roles, notes=tuple(product_notes(definition, profile, roles)))


# Bands


def _band_role(definition: ProductDefinition, band: BandProfile) -> BandRole:
    low, high = band.valid or band.valid_reflectance or (-inf, inf)
    role = _scaled_role(definition, band)
    return replace(role, valid_min=low, valid_max=high, valid_reflectance=band.valid_reflectance is not None)


def _scaled_role(definition: ProductDefinition, band: BandProfile | ThresholdProfile) -> BandRole:
    measurement = definition.measurement(band.measurement)
    stated, told = stated_of(measurement), told_of(band)
    merged = merge_scaling(told, stated) if band.override else merge_scaling(stated, told)
    rule = band.offset if isinstance(band.offset, OffsetProfile) else None
    if stated.offset is not None and not band.override:
        rule = None
    return BandRole(
        measurement=measurement.name,
        dtype=measurement.dtype,
        scale=1.0 if merged.scale is None else merged.scale,
        offset=merged.offset or 0.0,
        nodata=_number(merged.nodata),
        valid_min=-inf,
        valid_max=inf,
        offset_rule=_offset_rule(rule),
        override=band.override,
        all_stored=band.nodata == "none",
        scale_from=_source(stated.scale, told.scale, override=band.override),
        offset_from=_source(stated.offset, told.offset, override=band.override),
        nodata_from=_source(stated.nodata, told.nodata, override=band.override),
    )


def _source(stated: float | None, told: float | None, *, override: bool = False) -> str:
    """Return the source of a number, of the definition and the products file the one that holds."""
    if told is not None and (override or stated is None):
        return PRODUCTS_FILE
    return "" if stated is None else DEFINITION


def _offset_rule(rule: OffsetProfile | None) -> OffsetRule | None:
    return None if rule is None else OffsetRule(by=rule.by, since=rule.since, offset=rule.offset, unless=rule.unless)


def _number(nodata: float | None) -> float | None:
    """Return nodata, or None for NaN, which is never an observation anyway."""
    return None if nodata is None or isnan(nodata) else nodata


# Masks


def _masks(
    definition: ProductDefinition,
    profile: ProductProfile,
    clear: tuple[ClearClass, ...] | None,
    filters: Sequence[MaskFilter],
) -> tuple[MaskRole | None, tuple[Condition, ...]]:
    """Return the first mask of classes or flags, and all other conditions."""
    masks = [each for each in profile.mask if isinstance(each, MaskProfile)]
    if not masks and (clear is not None or filters):
        field = "clear" if clear is not None else "mask-filter"
        raise InputError(field, f"{definition.name} has no mask of classes; leave --{field} out.")
    first = masks[0] if masks else None
    mask = None
    if first is not None:
        rule = clear if clear is not None else first.clear or profile.clear or ()
        mask = _filtered(definition, _mask_role(definition, first, rule), filters)
    bands = {definition.measurement(each.measurement).name: each for each in (profile.nir, profile.red)}
    conditions = [
        _condition(definition, each, profile.clear or (), bands) for each in profile.mask if each is not first
    ]
    if profile.contiguity is not None:
        table = MaskProfile(measurement=profile.contiguity)
        conditions.append(replace(_mask_role(definition, table, (CONTIGUOUS,)), reason=DISCONTIGUOUS))
    return mask, tuple(conditions)


def _condition(
    definition: ProductDefinition,
    mask: MaskProfile | ThresholdProfile,
    rule: tuple[ClearPart, ...],
    bands: Mapping[str, BandProfile],
) -> Condition:
    if isinstance(mask, ThresholdProfile):
        return _range_role(definition, _scaled_as_its_band(definition, mask, bands))
    role = _mask_role(definition, mask, mask.clear or rule)
    return replace(role, reason=role.measurement)


def _scaled_as_its_band(
    definition: ProductDefinition, table: ThresholdProfile, bands: Mapping[str, BandProfile]
) -> ThresholdProfile:
    """Give a condition on red or nir the scaling of that band, unless it states its own."""
    band = bands.get(definition.measurement(table.measurement).name)
    if band is None or table.model_fields_set & set(_SCALING):
        return table
    return table.model_copy(update={name: getattr(band, name) for name in _SCALING})


_SCALING = ("scale", "offset", "nodata", "override")


def _range_role(definition: ProductDefinition, table: ThresholdProfile) -> RangeRole:
    limits = {name.removeprefix("reflectance_"): value for name, value in table.limits.items()}
    low, open_min = max(_limit(limits, "at_least", -inf, False), _limit(limits, "above", -inf, True))
    high, closed_max = min(_limit(limits, "at_most", inf, True), _limit(limits, "below", inf, False))
    role = replace(_scaled_role(definition, table), valid_min=low, valid_max=high)
    is_reflectance = any(name.startswith("reflectance") for name in table.limits)
    if is_reflectance and not role.scale_from and np.issubdtype(np.dtype(role.dtype), np.integer):
        raise InputError(
            "products",
            f"The limit of {role.measurement} of {definition.name} is in reflectance, but nothing states the scale of "
            f"its {role.dtype} values; give scale beside the limit, or a limit in stored values.",
        )
    return RangeRole(
        band=replace(role, valid_reflectance=is_reflectance),
        reason=role.measurement,
        open_min=open_min and low > -inf,
        open_max=not closed_max and high < inf,
    )


def _limit(limits: Mapping[str, float], name: str, missing: float, side: bool) -> tuple[float, bool]:
    """Return a limit, and on which side of it the limit itself lies: of two that are equal the stricter one holds."""
    return limits.get(name, missing), side


def _mask_role(definition: ProductDefinition, mask: MaskProfile, rule: Sequence[ClearPart]) -> MaskRole:
    measurement = definition.measurement(mask.measurement)
    if measurement.dtype not in MASK_BITS:
        raise InputError(
            "product",
            f"The mask {measurement.name} of {definition.name} is {measurement.dtype}; a mask of classes or flags must "
            "be an integer of 8, 16 or 32 bits. A probability takes a limit, such as below = 40.",
        )
    named = classes_of(measurement)
    nodata = measurement.nodata
    if nodata is None and isinstance(mask.nodata, float | int):
        nodata = mask.nodata
    return MaskRole(
        measurement=measurement.name,
        dtype=measurement.dtype,
        nodata=_number(nodata),
        classes=tuple((name, *pair) for name, pair in named.items()),
        clauses=_clauses(rule, measurement, named),
        all_stored=mask.nodata == "none",
        nodata_from=_source(measurement.nodata, mask.nodata if isinstance(mask.nodata, float | int) else None),
    )


def _clauses(rule: Sequence[ClearPart], measurement: Measurement, named: Mapping[str, Test]) -> Clauses:
    """Return the clauses of conditions that are joined by *and*, classes of one flag by *or*."""
    tests = [class_pair(part, named, measurement) for part in rule if isinstance(part, str | int)]
    return all_of([flag_clauses(tests), *_joined(rule, measurement, named)])


def _joined(rule: Sequence[ClearPart], measurement: Measurement, named: Mapping[str, Test]) -> Iterator[Clauses]:
    for part in rule:
        if isinstance(part, BitsProfile):
            _refuse_bits_beyond(measurement, part)
            yield (bits_clause(part.bits, part.value),)
        elif isinstance(part, AnyProfile):
            yield any_of([_clauses((each,), measurement, named) for each in part.any])
        elif isinstance(part, AllProfile):
            yield _clauses(part.all, measurement, named)


def _filtered(definition: ProductDefinition, role: MaskRole, filters: Sequence[MaskFilter]) -> MaskRole:
    if filters and MASK_BITS[role.dtype] > TABLE_BITS:
        sentence = f"The mask {role.measurement} of {definition.name} is {role.dtype}"
        raise InputError("mask-filter", f"{sentence}; mask filters take masks of 8 or 16 bits.")
    measurement = definition.measurement(role.measurement)
    named = classes_of(measurement)
    pairs = (class_pair(each.mask_class, named, measurement, field="mask-filter") for each in filters)
    return replace(
        role, filters=tuple((*pair, each.opening, each.dilation) for pair, each in zip(pairs, filters, strict=True))
    )


def _refuse_bits_beyond(measurement: Measurement, condition: BitsProfile) -> None:
    size = MASK_BITS[measurement.dtype]
    highest = max(condition.bits)
    if highest >= size:
        sentence = f"The mask {measurement.name} is {measurement.dtype} and has bits 0 to {size - 1}, not {highest}."
        raise InputError("products", sentence)


def class_pair(
    wanted: ClearClass, named: Mapping[str, Test], measurement: Measurement, *, field: str = "clear"
) -> Test:
    """Return (bits, value) of a class by its name or its code.

    Raises
    ------
    InputError
        The mask has no such class, or no such code.
    """
    if wanted in named:
        return named[str(wanted)]
    if re.fullmatch(r"-?[0-9]+", str(wanted)):
        return _code_pair(int(wanted), measurement, field)
    of_flags = [name for name in named if name.rpartition(".")[2] == wanted]
    if of_flags:
        raise InputError(field, f"Several flags of {measurement.name} have {wanted!r}; write {' or '.join(of_flags)}.")
    known = ", ".join(named) or "none by name, so give integers"
    raise InputError(field, f"The mask {measurement.name} has no class {wanted!r}; it has {known}.")


def _code_pair(code: int, measurement: Measurement, field: str) -> Test:
    limits = np.iinfo(measurement.dtype)
    if not limits.min <= code <= limits.max:
        sentence = f"The mask {measurement.name} is {measurement.dtype} and has classes {limits.min} to {limits.max}"
        raise InputError(field, f"{sentence}, not {code}.")
    size = 2 ** MASK_BITS[measurement.dtype]
    return size - 1, code % size


def classes_of(measurement: Measurement) -> dict[str, Test]:
    """Return (bits, value) by class name, as ODC's ``flags_definition`` gives them.

    A name that several flags use, such as the confidences of Landsat's quality band, is written ``flag.name``.
    """
    found: list[tuple[str, str, Test]] = []
    for flag, entry in measurement.flags.items():
        positions = entry["bits"] if isinstance(entry["bits"], list) else [entry["bits"]]
        bits, lowest = sum(1 << int(p) for p in positions), min(int(p) for p in positions)
        for number, meaning in entry["values"].items():
            if meaning is not False:
                name = flag if meaning is True else str(meaning)
                found.append((flag, name, (bits, int(number) << lowest)))
    times = Counter(name for _, name, _ in found)
    return {name if times[name] == 1 else f"{flag}.{name}": pair for flag, name, pair in found}
