"""Mask role: clear rule, class filters, and look-up tables of mask codes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.products.bit_conditions import Clauses, Test

MASK_BITS = {"uint8": 8, "int8": 8, "uint16": 16, "int16": 16, "uint32": 32, "int32": 32}
"""Number of bits of the supported mask dtypes."""

TABLE_BITS = 16
"""Maximum number of bits of a mask that is classified by a look-up table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskRole:
    """A mask with classes or flags, and its clear rule.

    Attributes
    ----------
    measurement : str
        Canonical name of the measurement.
    dtype : str
        NumPy integer dtype in the product definition; the dtype of a file may differ.
    nodata : float or None
        Stored value for missing data; the nodata tag of a file takes precedence. None if not defined.
    clauses : tuple of tuple of (int, int)
        Clear rule: for a clear pixel, at least one test ``stored & bits == value`` of every clause is true.
    filters : tuple of (int, int, int, int)
        (bits, value, opening, dilation) of each filtered class; radii in pixels of the mask.
    classes : tuple of (str, int, int)
        (name, bits, value) of each class, in the order of the product definition.
    all_stored : bool
        Whether nodata is ignored, so that every stored value is a valid code.
    reason : str
        Exclusion reason of pixels that this mask excludes; if empty, the class names are the reasons.
    nodata_from : str
        Source of nodata (``"definition"`` or ``"products file"``); empty if not defined.
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
        """All codes of an 8- or 16-bit dtype, ordered by their unsigned values: (256,) or (65536,) int64."""
        return list_codes(self.dtype)

    @property
    def every_bit(self) -> int:
        """Integer with all bits of the dtype set; a test of all bits compares whole codes."""
        return (1 << MASK_BITS[self.dtype]) - 1

    @property
    def not_nodata(self) -> NDArray[np.bool_]:
        """Boolean array of the shape of `codes`, False for nodata."""
        return self.is_not_nodata(self.codes, self.nodata)

    def is_not_nodata(self, codes: NDArray[np.int64], nodata: float | None) -> NDArray[np.bool_]:
        """Return which codes differ from nodata.

        Parameters
        ----------
        codes : numpy.ndarray
            Stored values, int64, any shape.
        nodata : float or None
            Stored value for missing data; None if not defined.

        Returns
        -------
        numpy.ndarray
            bool, shape of `codes`; all True if `all_stored` is True or `nodata` is None.
        """
        none = self.all_stored or nodata is None
        return np.ones(codes.shape, bool) if none else codes != nodata

    @property
    def ignored_bits(self) -> list[int]:
        """Bits to ignore for each combination of filters; bit k of the index is 1 if filter k removed its class."""
        ignored_bits = [0]
        for bits, *_ in self.filters:
            ignored_bits += [each | bits for each in ignored_bits]
        return ignored_bits

    @property
    def halo(self) -> int:
        """Radius in mask pixels of the neighbourhood that determines whether a pixel is clear; 0 without filters."""
        return max((2 * opening + dilation for _, _, opening, dilation in self.filters), default=0)

    def as_type(self, dtype: str) -> MaskRole:
        """Return the role for files of another integer dtype, with tests of whole codes converted to this dtype."""
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
        """Convert the unsigned value of a code to its value in the dtype, which may be negative."""
        size = 1 << MASK_BITS[self.dtype]
        return value - size if self.dtype.startswith("int") and value >= size // 2 else value

    def is_clear(self, codes: NDArray[np.int64], ignored_bits: int = 0) -> NDArray[np.bool_]:
        """Return which codes are clear by the clear rule; nodata is not considered.

        Parameters
        ----------
        codes : numpy.ndarray
            Stored values, int64, any shape.
        ignored_bits : int, default: 0
            Bits of classes that filters removed from the pixel; clauses that test any of these bits count as true.

        Returns
        -------
        numpy.ndarray
            bool, shape of `codes`.
        """
        clear = np.ones(codes.shape, bool)
        for clause in self.clauses:
            clear &= self._meets(codes, clause, ignored_bits)
        return clear

    def clear_table(self, ignored_bits: int = 0) -> NDArray[np.bool_]:
        """Return the look-up table of clear codes, False for nodata.

        Parameters
        ----------
        ignored_bits : int, default: 0
            Ignored bits, as for `is_clear`.

        Returns
        -------
        numpy.ndarray
            (256,) or (65536,) bool, indexed by the stored values viewed as unsigned integers.
        """
        return self.is_clear(self.codes, ignored_bits) & self.not_nodata

    def failing_codes(self, bits: int, ignored_bits: int = 0) -> NDArray[np.bool_]:
        """Return which of `codes` fail a clause that tests at least one of the given bits.

        Parameters
        ----------
        bits : int
            Bits of a class.
        ignored_bits : int, default: 0
            Ignored bits, as for `is_clear`.

        Returns
        -------
        numpy.ndarray
            (256,) or (65536,) bool, in the order of `codes`.
        """
        codes = self.codes
        denied = np.zeros(codes.shape, bool)
        for clause in self.clauses:
            if any(bits & tested for tested, _ in clause):
                denied |= ~self._meets(codes, clause, ignored_bits)
        return denied

    def _meets(self, codes: NDArray[np.int64], clause: tuple[Test, ...], ignored_bits: int) -> NDArray[np.bool_]:
        if any(bits & ignored_bits for bits, _ in clause):
            return np.ones(codes.shape, bool)
        met = np.zeros(codes.shape, bool)
        for bits, value in clause:
            met |= self.matches(codes, bits, value)
        return met

    def matches(self, codes: NDArray[np.int64], bits: int, value: int) -> NDArray[np.bool_]:
        """Return which codes belong to a class.

        Parameters
        ----------
        codes : numpy.ndarray
            Stored values, int64, any shape.
        bits, value : int
            Bit test of the class, ``codes & bits == value``.

        Returns
        -------
        numpy.ndarray
            bool, shape of `codes`.
        """
        matching: NDArray[np.bool_] = (
            codes == self.stored_code(value) if bits == self.every_bit else (codes & bits) == value
        )
        return matching

    def filter_tables(self) -> NDArray[np.bool_]:
        """Return the look-up tables of clear codes for each combination of filters.

        Returns
        -------
        numpy.ndarray
            (2**filters, 256 or 65536) bool; bit k of the first index is 1 if filter k removed its class.
        """
        return np.stack([self.clear_table(each) for each in self.ignored_bits])


def list_codes(dtype: str) -> NDArray[np.int64]:
    """Return all values of an 8- or 16-bit integer dtype as int64, ordered by their unsigned values."""
    size = 8 * np.dtype(dtype).itemsize
    return np.arange(1 << size).astype(f"u{size // 8}").view(dtype).astype(np.int64)
