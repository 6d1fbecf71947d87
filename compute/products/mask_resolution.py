"""Mask resolution: conversion of flag definitions and clear rules to bit tests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isnan

import numpy as np

from compute.errors import InputError
from compute.products.bit_conditions import Clauses, Test, bits_clause, flag_clauses, join_by_and, join_by_or
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
"""Names of the possible sources of a number, as shown in plans."""


def name_source(definition: float | None, profile: float | None, *, override: bool = False) -> str:
    """Return the name of the source that determines a number.

    Parameters
    ----------
    definition : float or None
        Number in the product definition; None if not stated.
    profile : float or None
        Number in the products file; None if not stated.
    override : bool, default: False
        Whether the products file takes precedence.

    Returns
    -------
    str
        `DEFINITION` or `PRODUCTS_FILE`; empty if neither states the number.
    """
    if profile is not None and (override or definition is None):
        return PRODUCTS_FILE
    return "" if definition is None else DEFINITION


def drop_nan(nodata: float | None) -> float | None:
    """Return nodata, or None if it is NaN; stored NaN values are always treated as missing."""
    return None if nodata is None or isnan(nodata) else nodata


def resolve_mask(definition: ProductDefinition, mask: MaskProfile, rule: Sequence[ClearPart]) -> MaskRole:
    """Convert the description of a mask with classes or flags to a mask role.

    Parameters
    ----------
    definition : ProductDefinition
        Definition of the product.
    mask : MaskProfile
        Description of the mask in the products file.
    rule : sequence of str, int or condition
        Clear rule; classes of one flag are joined by *or*, everything else by *and*.

    Raises
    ------
    InputError
        The measurement or a class does not exist, or the mask is not an integer of 8, 16 or 32 bits.
    """
    measurement = definition.measurement(mask.measurement)
    if measurement.dtype not in MASK_BITS:
        raise InputError(
            "product",
            f"The mask {measurement.name} of {definition.name} is {measurement.dtype}; a mask of classes or flags must "
            "be an integer of 8, 16 or 32 bits. A probability takes a limit, such as below = 40.",
        )
    named = list_classes(measurement)
    nodata = measurement.nodata
    if nodata is None and isinstance(mask.nodata, float | int):
        nodata = mask.nodata
    return MaskRole(
        measurement=measurement.name,
        dtype=measurement.dtype,
        nodata=drop_nan(nodata),
        classes=tuple((name, *pair) for name, pair in named.items()),
        clauses=_clauses(rule, measurement, named),
        all_stored=mask.nodata == "none",
        nodata_from=name_source(measurement.nodata, mask.nodata if isinstance(mask.nodata, float | int) else None),
    )


def _clauses(rule: Sequence[ClearPart], measurement: Measurement, named: Mapping[str, Test]) -> Clauses:
    """Return the clauses of a clear rule: classes of one flag joined by *or*, everything else by *and*."""
    tests = [find_class_test(part, named, measurement) for part in rule if isinstance(part, str | int)]
    return join_by_and([flag_clauses(tests), *_joined_clauses(rule, measurement, named)])


def _joined_clauses(
    rule: Sequence[ClearPart], measurement: Measurement, named: Mapping[str, Test]
) -> Iterator[Clauses]:
    for part in rule:
        if isinstance(part, BitsProfile):
            _refuse_missing_bits(measurement, part)
            yield (bits_clause(part.bits, part.value),)
        elif isinstance(part, AnyProfile):
            yield join_by_or([_clauses((each,), measurement, named) for each in part.any])
        elif isinstance(part, AllProfile):
            yield _clauses(part.all, measurement, named)


def add_filters(definition: ProductDefinition, role: MaskRole, filters: Sequence[MaskFilter]) -> MaskRole:
    """Return a mask role with opening and dilation of classes.

    Parameters
    ----------
    definition : ProductDefinition
        Definition of the product.
    role : MaskRole
        The mask.
    filters : sequence of MaskFilter
        Opening and dilation by class name or code; they replace the filters of `role`.

    Raises
    ------
    InputError
        The mask has more than 16 bits, or lacks a named class.
    """
    if filters and MASK_BITS[role.dtype] > TABLE_BITS:
        sentence = f"The mask {role.measurement} of {definition.name} is {role.dtype}"
        raise InputError("mask-filter", f"{sentence}; mask filters take masks of 8 or 16 bits.")
    measurement = definition.measurement(role.measurement)
    named = list_classes(measurement)
    pairs = (find_class_test(each.mask_class, named, measurement, field="mask-filter") for each in filters)
    return replace(
        role, filters=tuple((*pair, each.opening, each.dilation) for pair, each in zip(pairs, filters, strict=True))
    )


def _refuse_missing_bits(measurement: Measurement, condition: BitsProfile) -> None:
    size = MASK_BITS[measurement.dtype]
    highest = max(condition.bits)
    if highest >= size:
        sentence = f"The mask {measurement.name} is {measurement.dtype} and has bits 0 to {size - 1}, not {highest}."
        raise InputError("products", sentence)


def find_class_test(
    wanted: ClearClass, named: Mapping[str, Test], measurement: Measurement, *, field: str = "clear"
) -> Test:
    """Return the bit test of a class.

    Parameters
    ----------
    wanted : str or int
        Name or code of the class.
    named : mapping of str to (int, int)
        Tests by class name, as returned by `list_classes`.
    measurement : Measurement
        The mask.
    field : str, default: "clear"
        Name of the option, for the error.

    Returns
    -------
    (int, int)
        Test as (bits, value).

    Raises
    ------
    InputError
        The mask has no such class or code, or several flags have a class of this name.
    """
    if wanted in named:
        return named[str(wanted)]
    if re.fullmatch(r"-?[0-9]+", str(wanted)):
        return _code_test(int(wanted), measurement, field)
    of_flags = [name for name in named if name.rpartition(".")[2] == wanted]
    if of_flags:
        raise InputError(field, f"Several flags of {measurement.name} have {wanted!r}; write {' or '.join(of_flags)}.")
    known = ", ".join(named) or "none by name, so give integers"
    raise InputError(field, f"The mask {measurement.name} has no class {wanted!r}; it has {known}.")


def _code_test(code: int, measurement: Measurement, field: str) -> Test:
    limits = np.iinfo(measurement.dtype)
    if not limits.min <= code <= limits.max:
        sentence = f"The mask {measurement.name} is {measurement.dtype} and has classes {limits.min} to {limits.max}"
        raise InputError(field, f"{sentence}, not {code}.")
    size = 2 ** MASK_BITS[measurement.dtype]
    return size - 1, code % size


def list_classes(measurement: Measurement) -> dict[str, Test]:
    """Return the bit test of each class in ODC's ``flags_definition``, by class name.

    A boolean flag has one class, named after the flag. If several flags have classes of the same name, such as the
    confidence levels in ``QA_PIXEL`` of Landsat, these classes are named ``flag.name``.
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
