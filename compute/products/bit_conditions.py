"""Conditions on mask bits in conjunctive normal form: every clause must have a true test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from compute.errors import InputError

Test = tuple[int, int]
"""(bits, value): true if ``stored & bits == value``."""

Clause = tuple[Test, ...]
"""Tests joined by *or*."""

Clauses = tuple[Clause, ...]
"""Clauses joined by *and*. An empty clause is never true."""

_CLASS_BITS = 8
"""Minimum number of bits of a test that is assigned to a classification band instead of a flag."""

MOST_CLAUSES = 256
"""Maximum number of clauses; each nested alternative multiplies their number."""


def join_by_and(parts: Iterable[Clauses]) -> Clauses:
    """Join conditions by *and*, without duplicate clauses."""
    return tuple(dict.fromkeys(clause for part in parts for clause in part))


def join_by_or(parts: Sequence[Clauses]) -> Clauses:
    """Join conditions by *or*, in conjunctive normal form.

    Raises
    ------
    InputError
        The result has more than `MOST_CLAUSES` clauses.
    """
    size = 1
    for part in parts:
        size *= max(len(part), 1)
    if size > MOST_CLAUSES:
        raise InputError("products", f"The clear rule nests too many alternatives ({size}); write it more simply.")
    joined = (tuple(dict.fromkeys(test for clause in chosen for test in clause)) for chosen in product(*parts))
    return tuple(dict.fromkeys(joined))


def bits_clause(positions: Sequence[int], numbers: Iterable[int]) -> Clause:
    """Return the clause that is true if the bits at several positions form one of several numbers.

    Parameters
    ----------
    positions : sequence of int
        Bit positions, least significant bit of the number first.
    numbers : iterable of int
        Accepted numbers.

    Returns
    -------
    tuple of (int, int)
        One test per number.
    """
    bits = sum(1 << position for position in positions)
    return tuple(
        (bits, sum((number >> n & 1) << position for n, position in enumerate(positions))) for number in numbers
    )


def flag_clauses(tests: Iterable[Test]) -> Clauses:
    """Join the tests of classes: classes of one flag by *or*, different flags by *and*.

    Parameters
    ----------
    tests : iterable of (int, int)
        Classes as (bits, value). Classes with equal bits belong to one flag. All tests of eight or more bits belong to
        one classification band.
    """
    flags: dict[int, list[Test]] = {}
    for test in tests:
        flags.setdefault(test[0] if test[0].bit_count() < _CLASS_BITS else 0, []).append(test)
    return tuple(tuple(dict.fromkeys(each)) for each in flags.values())
