"""Consistency checks of a product: implausible masks, and contradictions between definition and products file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compute.products.definition import Measurement, ProductDefinition
from compute.products.mask_role import MASK_BITS, TABLE_BITS, MaskRole
from compute.products.profile import BandProfile, OffsetProfile, ProductProfile, ThresholdProfile
from compute.products.roles import Roles
from compute.products.scaling import Scaling, cast_nodata, find_contradictions


def definition_scaling(measurement: Measurement) -> Scaling:
    """Return the scaling of a measurement in the product definition."""
    return Scaling(scale=measurement.scale, offset=measurement.offset, nodata=measurement.nodata)


def profile_scaling(band: BandProfile | ThresholdProfile) -> Scaling:
    """Return the scaling of a band in the products file; the offset is None if it is given by a rule."""
    offset = None if isinstance(band.offset, OffsetProfile) else band.offset
    nodata = band.nodata if isinstance(band.nodata, float | int) else None
    return Scaling(scale=band.scale, offset=offset, nodata=nodata)


def product_notes(definition: ProductDefinition, profile: ProductProfile, roles: Roles) -> Iterator[str]:
    """Yield warnings about the interpretation of a product, one sentence each.

    Parameters
    ----------
    definition : ProductDefinition
        Definition from the index.
    profile : ProductProfile
        Profile from the products file.
    roles : Roles
        Roles resolved from both.
    """
    for table in (profile.red, profile.nir):
        yield from _contradiction_notes(definition, table)
    masks = [role for role in (roles.mask, *roles.conditions) if isinstance(role, MaskRole)]
    for role in masks:
        if _is_ambiguous(role):
            yield (
                f"Warning: the mask {role.measurement} of {definition.name} has nodata {role.nodata:g}, which is also "
                "what it stores where nothing is flagged; such pixels are not counted. If they are clear, write "
                f'mask = {{ measurement = "{role.measurement}", nodata = "none" }} in the products file.'
            )
        if not any(_has_clear_code(role)):
            yield f"Warning: no code of the mask {role.measurement} of {definition.name} is clear by its rule."


def _contradiction_notes(definition: ProductDefinition, table: BandProfile) -> Iterator[str]:
    measurement = definition.measurement(table.measurement)
    for word, theirs, ours in find_contradictions(definition_scaling(measurement), profile_scaling(table)):
        used = "products file" if table.override else "definition"
        yield (
            f"Warning: the definition of {definition.name} gives {measurement.name} the {word} {theirs:g}, and the "
            f"products file {ours:g}; that of the {used} is used."
        )


def _is_ambiguous(role: MaskRole) -> bool:
    """Return whether the nodata value of a mask of flags is clear by its rule, and no class is named after nodata."""
    nodata = cast_nodata(role.nodata, role.dtype)
    tests = [bits for clause in role.clauses for bits, _ in clause]
    if nodata is None or role.all_stored or not tests or role.every_bit in tests:
        return False
    return bool(role.is_clear(np.array([int(nodata)]))[0]) and not _has_nodata_class(role, int(nodata))


def _has_nodata_class(role: MaskRole, code: int) -> bool:
    """Return whether a code belongs to a class with *nodata* or *fill* in its name."""
    names = [name.lower() for name, bits, value in role.classes if bool(role.matches(np.array([code]), bits, value)[0])]
    return any(word in name.replace("_", " ") for name in names for word in ("nodata", "no data", "fill"))


def _has_clear_code(role: MaskRole) -> Iterator[bool]:
    if MASK_BITS[role.dtype] > TABLE_BITS:
        yield True
        return
    yield bool(role.clear_table().any())
