"""Conditions on the bits of a mask in conjunctive normal form: every clause holds, by at least one of its tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from compute.errors import InputError

Test = tuple[int, int]
"""(bits, value): met where ``stored & bits == value``."""

Clause = tuple[Test, ...]
"""Tests of which one must be met."""

Clauses = tuple[Clause, ...]
"""Clauses that must all be met; an empty one can never be."""

_CLASS_BITS = 8
"""Bits of a flag that is a band of classes, as scene classifications are described."""

MOST_CLAUSES = 256
"""Nested alternatives multiply; a mask that needs more clauses is not described as anybody would describe it."""


def all_of(parts: Iterable[Clauses]) -> Clauses:
    """Join conditions by *and*."""
    return tuple(dict.fromkeys(clause for part in parts for clause in part))


def any_of(parts: Sequence[Clauses]) -> Clauses:
    """Join conditions by *or*.

    Raises
    ------
    InputError
        Written out, they are more than `MOST_CLAUSES`.
    """
    size = 1
    for part in parts:
        size *= max(len(part), 1)
    if size > MOST_CLAUSES:
        raise InputError("products", f"The clear rule nests too many alternatives ({size}); write it more simply.")
    joined = (tuple(dict.fromkeys(test for clause in chosen for test in clause)) for chosen in product(*parts))
    return tuple(dict.fromkeys(joined))


def bits_clause(positions: Sequence[int], numbers: Iterable[int]) -> Clause:
    """Return the clause of bits that form one of some numbers.

    Parameters
    ----------
    positions : sequence of int
        Bit positions, the least significant of the number first.
    numbers : iterable of int
        Numbers that the bits may form.
    """
    bits = sum(1 << position for position in positions)
    return tuple(
        (bits, sum((number >> n & 1) << position for n, position in enumerate(positions))) for number in numbers
    )


def flag_clauses(tests: Iterable[Test]) -> Clauses:
    """Join classes as `datacube.utils.masking` does: those of one flag by *or*, different flags by *and*.

    Parameters
    ----------
    tests : iterable of (int, int)
        The classes, each as (bits, value); classes of the same bits are of one flag. Bits of a whole byte or more are
        a band of classes, and of one flag with whole codes.
    """
    flags: dict[int, list[Test]] = {}
    for test in tests:
        flags.setdefault(test[0] if test[0].bit_count() < _CLASS_BITS else 0, []).append(test)
    return tuple(tuple(dict.fromkeys(each)) for each in flags.values())
