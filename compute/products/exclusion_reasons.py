"""Reasons for which a look at the ground is no observation, as numbers that a task counts by.

A *verdict* of a mask's code is 0 where there is no look (nodata), `CLEAR` where the ground is clear, else one more than
the place of the reason why it is not among all that are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from compute.errors import InputError
from compute.products.mask_role import MASK_BITS, TABLE_BITS, MaskRole
from compute.products.roles import Roles

INVALID = "invalid"
"""Clear, but a band is nodata or out of its range, the index is not defined or out of its range, or too little of the
area is clear. Also what a mask's definition has no name for."""

MASKED = "masked"
"""Not clear, by a mask whose definition names no classes."""

CLEAR = np.uint8(255)
"""Verdict of what is clear."""

MOST_REASONS = 32
"""Reasons that may be counted: each takes 2 bytes for every pixel of the result."""


def reasons_of(roles: Iterable[Roles], most: int = MOST_REASONS) -> tuple[str, ...]:
    """Return the reasons of some products: classes in the order of their definitions, each name once, `INVALID` last.

    Parameters
    ----------
    roles : iterable of Roles
        Of the products.
    most : int
        How many there may be; left out, as many as can be counted for every pixel.

    Raises
    ------
    InputError
        There are more.
    """
    roles = tuple(roles)
    names = [name for each in roles if each.mask for name in _names_of(each.mask)]
    names += [condition.reason for each in roles for condition in each.conditions]
    found = (*dict.fromkeys(name for name in names if name != INVALID), INVALID)
    if len(found) > most:
        raise InputError(
            "reasons",
            f"The masks give {len(found)} reasons, more than the {most} that can be counted; "
            "leave --reasons out, or name more --clear classes.",
        )
    return found


def verdicts(mask: MaskRole, reasons: Sequence[str]) -> NDArray[np.uint8]:
    """Return the verdicts of a mask's codes.

    Parameters
    ----------
    mask : MaskRole
        The mask.
    reasons : sequence of str
        Of `reasons_of`.

    Returns
    -------
    numpy.ndarray
        (2**filters, 256 or 65536) uint8, to be indexed as the tables of `MaskRole.filter_tables` are.
    """
    numbers = {name: number for number, name in enumerate(reasons, 1)}
    # A class that is clear, or behind others for every code, is no reason.
    told = np.array([numbers.get(name, 0) for name in _class_names(mask)], np.uint8)
    return np.stack([_told(mask, told, forgiven) for forgiven in mask.forgiven])


def cover_verdicts(mask: MaskRole, reasons: Sequence[str]) -> NDArray[np.uint8]:
    """Return (filters,) uint8 verdicts of what is clear by its code, and covered by a class that was widened."""
    return np.array([reasons.index(name) + 1 for name in _filter_names(mask)], np.uint8)


def verdicts_of_pixels(
    told: NDArray[np.generic], reasons: Sequence[str], met: Sequence[tuple[str, NDArray[np.bool_]]]
) -> NDArray[np.generic]:
    """Return why pixels are no observations, should they be none.

    Parameters
    ----------
    told : numpy.ndarray
        (y, x) uint8 verdicts of the mask.
    reasons : sequence of str
        Of `reasons_of`.
    met : sequence of (str, numpy.ndarray)
        For each further condition its reason, and (y, x) bool where what is clear meets it as well.

    Returns
    -------
    numpy.ndarray
        (y, x) uint8, 0 where there is no look, else one more than the place of the reason.
    """
    why = np.full(told.shape, len(reasons), np.uint8)
    for reason, where in reversed(met):
        why[~np.broadcast_to(where, told.shape)] = reasons.index(reason) + 1
    return np.where(told == CLEAR, why, told)


def _told(mask: MaskRole, numbers: NDArray[np.uint8], forgiven: int) -> NDArray[np.uint8]:
    told = numbers[_first_class(mask, forgiven)]
    told[mask.table(forgiven)] = CLEAR
    told[~mask.held] = 0
    return told


def _names_of(mask: MaskRole) -> Iterable[str]:
    """Return the names of the reasons of a mask, without those that no code ever has, as far as all can be asked."""
    if MASK_BITS[mask.dtype] > TABLE_BITS:
        return [*dict.fromkeys(_class_names(mask))]
    places = {place for forgiven in mask.forgiven for place in np.unique(_unclear_classes(mask, forgiven)).tolist()}
    names = _class_names(mask)
    return [*(names[place] for place in sorted(places)), *_filter_names(mask)]


def _unclear_classes(mask: MaskRole, forgiven: int) -> NDArray[np.int64]:
    return _first_class(mask, forgiven)[mask.held & ~mask.table(forgiven)]


def _class_names(mask: MaskRole) -> tuple[str, ...]:
    """Return the names of all classes, and the reason of codes that have none."""
    return *(name for name, _, _ in mask.classes), INVALID if mask.classes else MASKED


def _filter_names(mask: MaskRole) -> list[str]:
    names = {(bits, value): name for name, bits, value in mask.classes}
    return [names.get((bits, value), _class_names(mask)[-1]) for bits, value, *_ in mask.filters]


def _first_class(mask: MaskRole, forgiven: int) -> NDArray[np.int64]:
    """Return for every code the place of the first class that speaks against it; one beyond them all for none."""
    first = np.full(mask.codes.shape, len(mask.classes))
    for place, (_, bits, value) in reversed(list(enumerate(mask.classes))):
        first[mask.matches(mask.codes, bits, value) & mask.denied(bits, forgiven)] = place
    return first
