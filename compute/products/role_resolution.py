"""Role resolution: combination of a product's definition in the index with its profile in ``products.toml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Literal

import numpy as np

from compute.errors import InputError
from compute.products.class_filters import MaskFilter
from compute.products.consistency import definition_scaling, product_notes, profile_scaling
from compute.products.definition import ProductDefinition
from compute.products.harmonisation import HarmonisationMethod, harmonise_roles
from compute.products.mask_resolution import add_filters, drop_nan, name_source, resolve_mask
from compute.products.mask_role import MaskRole
from compute.products.profile import (
    BandProfile,
    ClearClass,
    ClearPart,
    MaskProfile,
    OffsetProfile,
    ProductProfile,
    ThresholdProfile,
)
from compute.products.roles import BandRole, Condition, RangeRole, Roles
from compute.products.scaling import merge_scaling
from compute.products.scene_offsets import OffsetRule

ValidRange = tuple[float, float] | Literal["none"] | None

CONTIGUOUS = 1
"""Stored value of a contiguity measurement at pixels with data in all bands."""


DISCONTIGUOUS = "discontiguous"
"""Exclusion reason of pixels that lack data in some band, for products with a contiguity measurement."""


def resolve_roles(
    definition: ProductDefinition,
    profile: ProductProfile,
    *,
    clear: Sequence[ClearClass] | None = None,
    valid_range: ValidRange = None,
    harmonise: HarmonisationMethod = "none",
    mask_filters: Sequence[MaskFilter] = (),
) -> Roles:
    """Return the roles of a product's measurements, from its definition and its profile.

    Parameters
    ----------
    definition : ProductDefinition
        Definition from the index.
    profile : ProductProfile
        Profile from ``products.toml``.
    clear : sequence of str or int, optional
        Clear classes of the first mask. Default: the clear rule of the profile.
    valid_range : (float, float) or "none", optional
        Valid range of stored values for both bands; ``"none"`` for unbounded. Default: the ranges of the profile.
    harmonise : {"none", "roy2016"}, default: "none"
        Harmonisation of TM and ETM+ to OLI; see `harmonise_roles`.
    mask_filters : sequence of MaskFilter, default: ()
        Opening and dilation of classes of the first mask.

    Returns
    -------
    Roles
        Measurements with canonical names, dtypes, scaling, nodata and the resolved clear rule.

    Raises
    ------
    InputError
        A measurement or class does not exist, a mask or contiguity measurement is not an integer of up to 32 bits, a
        limit in reflectance has no scale, or the product cannot be harmonised.
    """
    if clear is not None and not clear:
        raise InputError("clear", "The list of clear classes is empty; name at least one, or leave it out.")
    if valid_range is not None:
        update = {"valid": None if valid_range == "none" else valid_range, "valid_reflectance": None}
        bands = {"red": profile.red.model_copy(update=update), "nir": profile.nir.model_copy(update=update)}
        profile = profile.model_copy(update=bands)
    mask, conditions = _resolve_masks(definition, profile, None if clear is None else tuple(clear), mask_filters)
    roles = Roles(
        product=definition.name,
        red=_resolve_band(definition, profile.red),
        nir=_resolve_band(definition, profile.nir),
        mask=mask,
        conditions=conditions,
        sensor=profile.sensor or "",
    )
    roles = harmonise_roles(roles, harmonise)
    return replace(roles, notes=tuple(product_notes(definition, profile, roles)))


# Bands


def _resolve_band(definition: ProductDefinition, band: BandProfile) -> BandRole:
    low, high = band.valid or band.valid_reflectance or (-inf, inf)
    role = _resolve_scaling(definition, band)
    return replace(role, valid_min=low, valid_max=high, valid_reflectance=band.valid_reflectance is not None)


def _resolve_scaling(definition: ProductDefinition, band: BandProfile | ThresholdProfile) -> BandRole:
    measurement = definition.measurement(band.measurement)
    stated, told = definition_scaling(measurement), profile_scaling(band)
    merged = merge_scaling(told, stated) if band.override else merge_scaling(stated, told)
    rule = band.offset if isinstance(band.offset, OffsetProfile) else None
    if stated.offset is not None and not band.override:
        rule = None
    return BandRole(
        measurement=measurement.name,
        dtype=measurement.dtype,
        scale=1.0 if merged.scale is None else merged.scale,
        offset=merged.offset or 0.0,
        nodata=drop_nan(merged.nodata),
        valid_min=-inf,
        valid_max=inf,
        offset_rule=_offset_rule(rule),
        override=band.override,
        all_stored=band.nodata == "none",
        scale_from=name_source(stated.scale, told.scale, override=band.override),
        offset_from=name_source(stated.offset, told.offset, override=band.override),
        nodata_from=name_source(stated.nodata, told.nodata, override=band.override),
    )


def _offset_rule(rule: OffsetProfile | None) -> OffsetRule | None:
    return None if rule is None else OffsetRule(by=rule.by, since=rule.since, offset=rule.offset, unless=rule.unless)


# Masks


def _resolve_masks(
    definition: ProductDefinition,
    profile: ProductProfile,
    clear: tuple[ClearClass, ...] | None,
    filters: Sequence[MaskFilter],
) -> tuple[MaskRole | None, tuple[Condition, ...]]:
    """Return the first mask with classes or flags (None without one), and all further conditions."""
    masks = [each for each in profile.mask if isinstance(each, MaskProfile)]
    if not masks and (clear is not None or filters):
        field = "clear" if clear is not None else "mask-filter"
        raise InputError(field, f"{definition.name} has no mask of classes; leave --{field} out.")
    first = masks[0] if masks else None
    mask = None
    if first is not None:
        rule = clear if clear is not None else first.clear or profile.clear or ()
        mask = add_filters(definition, resolve_mask(definition, first, rule), filters)
    bands = {definition.measurement(each.measurement).name: each for each in (profile.nir, profile.red)}
    conditions = [
        _resolve_condition(definition, each, profile.clear or (), bands) for each in profile.mask if each is not first
    ]
    if profile.contiguity is not None:
        table = MaskProfile(measurement=profile.contiguity)
        conditions.append(replace(resolve_mask(definition, table, (CONTIGUOUS,)), reason=DISCONTIGUOUS))
    return mask, tuple(conditions)


def _resolve_condition(
    definition: ProductDefinition,
    mask: MaskProfile | ThresholdProfile,
    rule: tuple[ClearPart, ...],
    bands: Mapping[str, BandProfile],
) -> Condition:
    if isinstance(mask, ThresholdProfile):
        return _resolve_range(definition, _copy_band_scaling(definition, mask, bands))
    role = resolve_mask(definition, mask, mask.clear or rule)
    return replace(role, reason=role.measurement)


def _copy_band_scaling(
    definition: ProductDefinition, table: ThresholdProfile, bands: Mapping[str, BandProfile]
) -> ThresholdProfile:
    """Return a table with the scaling of the red or nir band if it limits that band and states no scaling itself."""
    band = bands.get(definition.measurement(table.measurement).name)
    if band is None or table.model_fields_set & set(_SCALING):
        return table
    return table.model_copy(update={name: getattr(band, name) for name in _SCALING})


_SCALING = ("scale", "offset", "nodata", "override")


def _resolve_range(definition: ProductDefinition, table: ThresholdProfile) -> RangeRole:
    limits = {name.removeprefix("reflectance_"): value for name, value in table.limits.items()}
    low, open_min = max(_limit(limits, "at_least", -inf, False), _limit(limits, "above", -inf, True))
    high, closed_max = min(_limit(limits, "at_most", inf, True), _limit(limits, "below", inf, False))
    role = replace(_resolve_scaling(definition, table), valid_min=low, valid_max=high)
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
    """Return a limit and a tie-breaking flag, with which `max` or `min` selects the stricter of two equal limits."""
    return limits.get(name, missing), side
