"""What tasks carry of a product: its roles, resolved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MASK_BITS = {"uint8": 8, "int8": 8, "uint16": 16, "int16": 16}
"""Bits of the types that a mask may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandRole:
    """One band of the index, ready to be read.

    Attributes
    ----------
    measurement : str
        Canonical name.
    dtype : str
        NumPy type of the stored values.
    scale, offset : float
        Reflectance is ``stored * scale + offset``.
    nodata : float or None
        Stored value that is no observation; None where there is none (NaN never is one).
    valid_min, valid_max : float
        Least and greatest stored value that is an observation; infinite where unbounded.
    """

    measurement: str
    dtype: str
    scale: float
    offset: float
    nodata: float | None
    valid_min: float
    valid_max: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskRole:
    """The mask and what is clear in it.

    Attributes
    ----------
    measurement : str
        Canonical name.
    dtype : str
        NumPy type of the stored values: an 8- or 16-bit integer.
    nodata : float or None
        Stored value outside the scene; None where there is none.
    any_of : tuple of (int, int)
        (bits, value) pairs of which a clear pixel meets one: ``stored & bits == value``. Empty: no such test.
    all_of : tuple of (tuple of int, tuple of int)
        (bit positions, numbers) pairs that a clear pixel meets all.
    filters : tuple of (int, int, int, int)
        For each class that is opened and widened first its (bits, value), and the radii of opening and dilation in
        pixels of the mask.
    classes : tuple of (str, int, int)
        Name, bits and value of every class that the product's definition names, in its order.
    """

    measurement: str
    dtype: str
    nodata: float | None
    any_of: tuple[tuple[int, int], ...] = ()
    all_of: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    filters: tuple[tuple[int, int, int, int], ...] = ()
    classes: tuple[tuple[str, int, int], ...] = ()

    @property
    def codes(self) -> NDArray[np.int64]:
        """All codes that the type can hold, seen as unsigned integers: (256,) or (65536,)."""
        return np.arange(2 ** MASK_BITS[self.dtype])

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which of `codes` are not nodata."""
        stored = self.codes.astype(f"u{np.dtype(self.dtype).itemsize}").view(self.dtype)
        return np.ones(stored.shape, bool) if self.nodata is None else stored != self.nodata

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

    def table(self, forgiven: int = 0) -> NDArray[np.bool_]:
        """Return the look-up table of clear codes.

        Parameters
        ----------
        forgiven : int
            Bits that do not speak against a pixel any more, because a class that they make was taken from it: tests
            of any of them are met.

        Returns
        -------
        numpy.ndarray
            (256,) or (65536,) bool, to be indexed by the stored values viewed as unsigned integers.
        """
        codes = self.codes
        clear = np.zeros(codes.shape, bool) if self.any_of else np.ones(codes.shape, bool)
        for bits, value in self.any_of:
            clear |= ((codes & bits) == value) | bool(bits & forgiven)
        for positions, numbers in self.all_of:
            clear &= self._meets(positions, numbers, forgiven)
        return clear & self.held

    def denied(self, bits: int, value: int, forgiven: int = 0) -> NDArray[np.bool_]:
        """Return for which of `codes` a class that they are of speaks against them.

        A class does where it is not among those that are clear, or where a test of one of its bits fails.

        Parameters
        ----------
        bits, value : int
            The class.
        forgiven : int
            As `table` takes it.
        """
        unlisted = bool(self.any_of) and (bits, value) not in self.any_of and not bits & forgiven
        denied = np.full(self.codes.shape, unlisted)
        for positions, numbers in self.all_of:
            if any(bits >> position & 1 for position in positions):
                denied |= ~self._meets(positions, numbers, forgiven)
        return denied

    def _meets(self, positions: tuple[int, ...], numbers: tuple[int, ...], forgiven: int) -> NDArray[np.bool_]:
        if any(forgiven >> position & 1 for position in positions):
            return np.ones(self.codes.shape, bool)
        number = sum(((self.codes >> position) & 1) << n for n, position in enumerate(positions))
        return np.isin(number, numbers)

    def filter_tables(self) -> NDArray[np.bool_]:
        """Return the tables of clear codes when some filtered classes are taken away.

        Returns
        -------
        numpy.ndarray
            (2**filters, 256 or 65536) bool: bit k of the first index says that filter k's class is taken away.
        """
        return np.stack([self.table(each) for each in self.forgiven])


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """What a task needs to know of a product to compute NDVI from it.

    Attributes
    ----------
    product : str
        ODC product name.
    red, nir : BandRole
        The bands.
    mask : MaskRole
        What is clear.
    contiguity : MaskRole or None
        Where all bands have data; None where that is not asked.
    sensor : str
        ``"tm"``, ``"etm+"``, ``"oli"`` or ``"msi"``; empty where the profile does not say.
    """

    product: str
    red: BandRole
    nir: BandRole
    mask: MaskRole
    contiguity: MaskRole | None = None
    sensor: str = ""

    @property
    def read(self) -> tuple[BandRole | MaskRole, ...]:
        """Mask, red, nir and, where it is asked, contiguity: the only bands that are ever read."""
        needed = self.mask, self.red, self.nir
        return needed if self.contiguity is None else (*needed, self.contiguity)

    @property
    def measurements(self) -> tuple[str, ...]:
        """Canonical names of what is read."""
        return tuple(role.measurement for role in self.read)

    @property
    def bands(self) -> NDArray[np.float64]:
        """Red and nir as `compute.kernels.accumulate` takes them: (2, 5) float64."""
        return np.array([self._numbers(self.red), self._numbers(self.nir)])

    @staticmethod
    def _numbers(band: BandRole) -> tuple[float, float, float, float, float]:
        nodata = np.inf if band.nodata is None else band.nodata
        return nodata, band.valid_min, band.valid_max, band.scale, band.offset
