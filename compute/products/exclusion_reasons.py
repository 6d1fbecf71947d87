"""Reasons why a pixel of an acquisition is not a clear observation, encoded as integers for counting.

A *verdict* is a uint8: 0 for nodata, `CLEAR` for a clear pixel, else the one-based index of the exclusion reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from compute.errors import InputError
from compute.products.mask_role import MASK_BITS, TABLE_BITS, MaskRole
from compute.products.roles import Roles

INVALID = "invalid"
"""Exclusion reason of pixels that are clear by the mask, but have nodata or an out-of-range value in a band, an
undefined or out-of-range index, or too little clear area. It is also the reason for mask codes without a class name."""

MASKED = "masked"
"""Exclusion reason of unclear pixels of a mask without named classes."""

CLEAR = np.uint8(255)
"""Verdict of clear pixels."""

MOST_REASONS = 32
"""Maximum number of counted reasons; each needs 2 bytes per pixel of the result."""


def exclusion_reasons(roles: Iterable[Roles], most: int = MOST_REASONS) -> tuple[str, ...]:
    """Return the distinct exclusion reasons of several products: classes, further conditions, and `INVALID` last.

    Parameters
    ----------
    roles : iterable of Roles
        Roles of the products.
    most : int, default: MOST_REASONS
        Maximum number of reasons.

    Returns
    -------
    tuple of str
        Names of the reasons.

    Raises
    ------
    InputError
        The number of reasons exceeds `most`.
    """
    roles = tuple(roles)
    names = [name for each in roles if each.mask for name in _reason_names(each.mask)]
    names += [condition.reason for each in roles for condition in each.conditions]
    found = (*dict.fromkeys(name for name in names if name != INVALID), INVALID)
    if len(found) > most:
        raise InputError(
            "reasons",
            f"The masks give {len(found)} reasons, more than the {most} that can be counted; "
            "leave --reasons out, or name more --clear classes.",
        )
    return found


def mask_verdicts(mask: MaskRole, reasons: Sequence[str]) -> NDArray[np.uint8]:
    """Return look-up tables from mask codes to verdicts.

    Parameters
    ----------
    mask : MaskRole
        The mask.
    reasons : sequence of str
        Reasons as returned by `exclusion_reasons`.

    Returns
    -------
    numpy.ndarray
        (2**filters, 256 or 65536) uint8, with the same indices as `MaskRole.filter_tables`.
    """
    numbers = {name: number for number, name in enumerate(reasons, 1)}
    # A class without a reason gets 0, which is not used: its codes are clear, or have another reason.
    verdicts = np.array([numbers.get(name, 0) for name in _class_names(mask)], np.uint8)
    return np.stack([_code_verdicts(mask, verdicts, ignored_bits) for ignored_bits in mask.ignored_bits])


def filter_verdicts(mask: MaskRole, reasons: Sequence[str]) -> NDArray[np.uint8]:
    """Return the verdict of pixels that the dilation of a class covers, for each class filter.

    Parameters
    ----------
    mask : MaskRole
        The mask.
    reasons : sequence of str
        Reasons as returned by `exclusion_reasons`.

    Returns
    -------
    numpy.ndarray
        (filters,) uint8.
    """
    return np.array([reasons.index(name) + 1 for name in _filter_names(mask)], np.uint8)


def pixel_verdicts(
    verdicts: NDArray[np.generic], reasons: Sequence[str], met: Sequence[tuple[str, NDArray[np.bool_]]]
) -> NDArray[np.generic]:
    """Return the verdict that each pixel has if it is not counted as a clear observation.

    For a pixel that is clear by the mask, this is the reason of the first unmet condition, else `INVALID`.

    Parameters
    ----------
    verdicts : numpy.ndarray
        (y, x) uint8 verdicts of the mask.
    reasons : sequence of str
        Reasons as returned by `exclusion_reasons`.
    met : sequence of (str, numpy.ndarray)
        For each further condition, its reason and a (y, x) bool array that is True where the condition is met.

    Returns
    -------
    numpy.ndarray
        (y, x) uint8: 0 for nodata, else the one-based index of the reason.
    """
    why = np.full(verdicts.shape, len(reasons), np.uint8)
    for reason, where in reversed(met):
        why[~np.broadcast_to(where, verdicts.shape)] = reasons.index(reason) + 1
    return np.where(verdicts == CLEAR, why, verdicts)


def _code_verdicts(mask: MaskRole, numbers: NDArray[np.uint8], ignored_bits: int) -> NDArray[np.uint8]:
    verdicts = numbers[_first_class(mask, ignored_bits)]
    verdicts[mask.clear_table(ignored_bits)] = CLEAR
    verdicts[~mask.not_nodata] = 0
    return verdicts


def _reason_names(mask: MaskRole) -> Iterable[str]:
    """Return the exclusion reasons of a mask; for masks of up to 16 bits, only reasons that apply to some code."""
    if MASK_BITS[mask.dtype] > TABLE_BITS:
        return [*dict.fromkeys(_class_names(mask))]
    places = {
        place
        for ignored_bits in mask.ignored_bits
        for place in np.unique(_unclear_classes(mask, ignored_bits)).tolist()
    }
    names = _class_names(mask)
    return [*(names[place] for place in sorted(places)), *_filter_names(mask)]


def _unclear_classes(mask: MaskRole, ignored_bits: int) -> NDArray[np.int64]:
    return _first_class(mask, ignored_bits)[mask.not_nodata & ~mask.clear_table(ignored_bits)]


def _class_names(mask: MaskRole) -> tuple[str, ...]:
    """Return the names of all classes, followed by the reason for codes without a class."""
    return *(name for name, _, _ in mask.classes), INVALID if mask.classes else MASKED


def _filter_names(mask: MaskRole) -> list[str]:
    names = {(bits, value): name for name, bits, value in mask.classes}
    return [names.get((bits, value), _class_names(mask)[-1]) for bits, value, *_ in mask.filters]


def _first_class(mask: MaskRole, ignored_bits: int) -> NDArray[np.int64]:
    """Return the index of the first unclear class of each code; ``len(classes)`` if it has no such class."""
    first = np.full(mask.codes.shape, len(mask.classes))
    for place, (_, bits, value) in reversed(list(enumerate(mask.classes))):
        first[mask.matches(mask.codes, bits, value) & mask.failing_codes(bits, ignored_bits)] = place
    return first
