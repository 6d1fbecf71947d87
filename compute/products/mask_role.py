"""The role of a mask: its clear rule, the classes that are filtered first, and look-up tables of its codes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.products.bit_conditions import Clauses, Test

MASK_BITS = {"uint8": 8, "int8": 8, "uint16": 16, "int16": 16, "uint32": 32, "int32": 32}
"""Bits of the types that a mask with classes or flags may have."""

TABLE_BITS = 16
"""A mask of up to so many bits is looked up in a table of all its codes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskRole:
    """A mask of classes or flags, and its clear rule.

    Attributes
    ----------
    measurement : str
        Canonical name.
    dtype : str
        NumPy type of the stored values by the product definition, an integer; a file may have another.
    nodata : float or None
        Stored value outside the scene, unless the file states another; None where none is stated.
    clauses : tuple of tuple of (int, int)
        Tests ``stored & bits == value``: of every clause a clear pixel meets one.
    filters : tuple of (int, int, int, int)
        For each class that is opened and widened first its (bits, value), and the radii of opening and dilation in
        pixels of the mask.
    classes : tuple of (str, int, int)
        Name, bits and value of every class that the product's definition names, in its order.
    all_stored : bool
        Whether every stored value means something, whatever nodata is stated.
    reason : str
        Name under which pixels that it alone speaks against are counted; empty for the names of its classes.
    nodata_from : str
        Source of the nodata, empty where none is stated.
    """

    measurement: str
    dtype: str
    nodata: float | None
    clauses: Clauses = ()
    filters: tuple[tuple[int, int, int, int], ...] = ()
    classes: tuple[tuple[str, int, int], ...] = ()
    all_stored: bool = False
    reason: str = ""
    nodata_from: str = ""

    @property
    def codes(self) -> NDArray[np.int64]:
        """All codes that the type can hold, in the order of their unsigned forms: (256,) or (65536,)."""
        return codes_of(self.dtype)

    @property
    def every_bit(self) -> int:
        """The bits of the type: a test of all of them is one of the whole code."""
        return (1 << MASK_BITS[self.dtype]) - 1

    @property
    def held(self) -> NDArray[np.bool_]:
        """Return a bool array: True for those of `codes` that are not nodata."""
        return self.is_held(self.codes, self.nodata)

    def is_held(self, codes: NDArray[np.int64], nodata: float | None) -> NDArray[np.bool_]:
        """Return which codes are not a nodata value."""
        none = self.all_stored or nodata is None
        return np.ones(codes.shape, bool) if none else codes != nodata

    @property
    def forgiven(self) -> list[int]:
        """The bits that are forgiven when some filtered classes are taken away; bit k of the place is filter k."""
        forgiven = [0]
        for bits, *_ in self.filters:
            forgiven += [each | bits for each in forgiven]
        return forgiven

    @property
    def halo(self) -> int:
        """Pixels around a place that decide whether it is clear: none without filters."""
        return max((2 * opening + dilation for _, _, opening, dilation in self.filters), default=0)

    def as_type(self, dtype: str) -> MaskRole:
        """Return the role for files of another integer type: tests of whole codes are of the new type's codes."""
        if dtype == self.dtype or dtype not in MASK_BITS:
            return self
        every = (1 << MASK_BITS[dtype]) - 1

        def turn(bits: int, value: int) -> Test:
            return (every, self.stored_code(value) & every) if bits == self.every_bit else (bits, value)

        return replace(
            self,
            dtype=dtype,
            clauses=tuple(tuple(turn(*test) for test in clause) for clause in self.clauses),
            filters=tuple((*turn(bits, value), opening, dilation) for bits, value, opening, dilation in self.filters),
            classes=tuple((name, *turn(bits, value)) for name, bits, value in self.classes),
        )

    def stored_code(self, value: int) -> int:
        """Return a whole code, held as an unsigned number, as its type stores it."""
        size = 1 << MASK_BITS[self.dtype]
        return value - size if self.dtype.startswith("int") and value >= size // 2 else value

    def clear(self, codes: NDArray[np.int64], forgiven: int = 0) -> NDArray[np.bool_]:
        """Return which codes meet every clause; nodata is not looked at.

        Parameters
        ----------
        codes : numpy.ndarray
            Any shape, int64: stored values.
        forgiven : int
            Bits that do not speak against a pixel any more, because a class that they make was taken from it: tests
            of any of them are met.
        """
        clear = np.ones(codes.shape, bool)
        for clause in self.clauses:
            clear &= self._meets(codes, clause, forgiven)
        return clear

    def table(self, forgiven: int = 0) -> NDArray[np.bool_]:
        """Return the look-up table of clear codes.

        Parameters
        ----------
        forgiven : int
            As `clear` takes it.

        Returns
        -------
        numpy.ndarray
            (256,) or (65536,) bool, to be indexed by the stored values viewed as unsigned integers.
        """
        return self.clear(self.codes, forgiven) & self.held

    def denied(self, bits: int, forgiven: int = 0) -> NDArray[np.bool_]:
        """Return which of `codes` fail a clause that tests one of some bits.

        Parameters
        ----------
        bits : int
            Those of a class.
        forgiven : int
            As `clear` takes it.
        """
        codes = self.codes
        denied = np.zeros(codes.shape, bool)
        for clause in self.clauses:
            if any(bits & tested for tested, _ in clause):
                denied |= ~self._meets(codes, clause, forgiven)
        return denied

    def _meets(self, codes: NDArray[np.int64], clause: tuple[Test, ...], forgiven: int) -> NDArray[np.bool_]:
        if any(bits & forgiven for bits, _ in clause):
            return np.ones(codes.shape, bool)
        met = np.zeros(codes.shape, bool)
        for bits, value in clause:
            met |= self.matches(codes, bits, value)
        return met

    def matches(self, codes: NDArray[np.int64], bits: int, value: int) -> NDArray[np.bool_]:
        """Return which stored values are of a class; a test of all bits is one of the whole code."""
        matching: NDArray[np.bool_] = (
            codes == self.stored_code(value) if bits == self.every_bit else (codes & bits) == value
        )
        return matching

    def filter_tables(self) -> NDArray[np.bool_]:
        """Return the tables of clear codes when some filtered classes are taken away.

        Returns
        -------
        numpy.ndarray
            (2**filters, 256 or 65536) bool: bit k of the first index says that filter k's class is taken away.
        """
        return np.stack([self.table(each) for each in self.forgiven])


def codes_of(dtype: str) -> NDArray[np.int64]:
    """Return the stored values of an 8- or 16-bit type in the order of their unsigned forms, as int64."""
    size = 8 * np.dtype(dtype).itemsize
    return np.arange(1 << size).astype(f"u{size // 8}").view(dtype).astype(np.int64)
