"""Resolve the masks of a product: its definition's flags and its profile's clear rule become tests of bits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isnan

import numpy as np

from compute.errors import InputError
from compute.products.bit_conditions import Clauses, Test, all_of, any_of, bits_clause, flag_clauses
from compute.products.class_filters import MaskFilter
from compute.products.definition import Measurement, ProductDefinition
from compute.products.mask_role import MASK_BITS, TABLE_BITS, MaskRole
from compute.products.profile import (
    AllProfile,
    AnyProfile,
    BitsProfile,
    ClearClass,
    ClearPart,
    MaskProfile,
)

DEFINITION, PRODUCTS_FILE = "definition", "products file"
"""Sources of a number, as plans name them."""


def source_of(stated: float | None, told: float | None, *, override: bool = False) -> str:
    """Return the source of a number, of the definition and the products file the one that holds."""
    if told is not None and (override or stated is None):
        return PRODUCTS_FILE
    return "" if stated is None else DEFINITION


def number_of(nodata: float | None) -> float | None:
    """Return nodata, or None for NaN, which is never an observation anyway."""
    return None if nodata is None or isnan(nodata) else nodata


def mask_role_of(definition: ProductDefinition, mask: MaskProfile, rule: Sequence[ClearPart]) -> MaskRole:
    """Return the role of a mask of classes or flags under a clear rule."""
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
        nodata=number_of(nodata),
        classes=tuple((name, *pair) for name, pair in named.items()),
        clauses=_clauses(rule, measurement, named),
        all_stored=mask.nodata == "none",
        nodata_from=source_of(measurement.nodata, mask.nodata if isinstance(mask.nodata, float | int) else None),
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


def with_filters(definition: ProductDefinition, role: MaskRole, filters: Sequence[MaskFilter]) -> MaskRole:
    """Return the role with its mask filters."""
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
