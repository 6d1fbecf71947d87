"""Notes on a product: contradictions of definition and products file, and masks that can hardly be meant so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compute.products.definition import Measurement, ProductDefinition
from compute.products.mask_role import MASK_BITS, TABLE_BITS, MaskRole
from compute.products.profile import BandProfile, OffsetProfile, ProductProfile, ThresholdProfile
from compute.products.roles import Roles
from compute.products.scaling import Stated, contradictions, in_stored_type


def stated_of(measurement: Measurement) -> Stated:
    """Return the statement of the product definition on a measurement."""
    return Stated(scale=measurement.scale, offset=measurement.offset, nodata=measurement.nodata)


def told_of(band: BandProfile | ThresholdProfile) -> Stated:
    """Return the statement of the products file on a band; a rule for offsets states none."""
    offset = None if isinstance(band.offset, OffsetProfile) else band.offset
    nodata = band.nodata if isinstance(band.nodata, float | int) else None
    return Stated(scale=band.scale, offset=offset, nodata=nodata)


def product_notes(definition: ProductDefinition, profile: ProductProfile, roles: Roles) -> Iterator[str]:
    """Yield a sentence for everything that people should know of how a product is understood."""
    for table in (profile.red, profile.nir):
        yield from _contradictions(definition, table)
    masks = [role for role in (roles.mask, *roles.conditions) if isinstance(role, MaskRole)]
    for role in masks:
        if _is_ambiguous(role):
            yield (
                f"Warning: the mask {role.measurement} of {definition.name} has nodata {role.nodata:g}, which is also "
                "what it stores where nothing is flagged; such pixels are not counted. If they are clear, write "
                f'mask = {{ measurement = "{role.measurement}", nodata = "none" }} in the products file.'
            )
        if not any(_can_be_clear(role)):
            yield f"Warning: no code of the mask {role.measurement} of {definition.name} is clear by its rule."


def _contradictions(definition: ProductDefinition, table: BandProfile) -> Iterator[str]:
    measurement = definition.measurement(table.measurement)
    for word, theirs, ours in contradictions(stated_of(measurement), told_of(table)):
        used = "products file" if table.override else "definition"
        yield (
            f"Warning: the definition of {definition.name} gives {measurement.name} the {word} {theirs:g}, and the "
            f"products file {ours:g}; that of the {used} is used."
        )


def _is_ambiguous(role: MaskRole) -> bool:
    """Return whether a nodata would be clear by its bits, though the definition names no flag for it."""
    nodata = in_stored_type(role.nodata, role.dtype)
    tests = [bits for clause in role.clauses for bits, _ in clause]
    if nodata is None or role.all_stored or not tests or role.every_bit in tests:
        return False
    return bool(role.clear(np.array([int(nodata)]))[0]) and not _names_nodata(role, int(nodata))


def _names_nodata(role: MaskRole, code: int) -> bool:
    """Return whether the code has a flag or class that says so: nodata, fill, no data, outside."""
    names = [name.lower() for name, bits, value in role.classes if bool(role.matches(np.array([code]), bits, value)[0])]
    return any(word in name.replace("_", " ") for name in names for word in ("nodata", "no data", "fill"))


def _can_be_clear(role: MaskRole) -> Iterator[bool]:
    if MASK_BITS[role.dtype] > TABLE_BITS:
        yield True
        return
    yield bool(role.table().any())
