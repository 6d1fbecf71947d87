"""Mask classification: clear or not, after opening and dilation, and the reason where it is not clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compute.kernels.morphology import told_by_filters
from compute.kernels.resample import clear_bounds, clear_codes
from compute.products import CLEAR, MaskRole, cover_verdicts, verdicts
from compute.products.mask_role import MASK_BITS, TABLE_BITS
from compute.products.scaling import Stated, in_stored_type, merge_scaling
from compute.scenes.pixel_frames import ArrayWindow

FILTERING_BYTES_PER_PX = 8
"""Memory of filtering a mask beside the mask: a class, three sets, distances, states and what it says."""

CLEAR_ALONE = np.arange(256) == 1
"""Table of windows that hold 1 where the ground is clear and 0 elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskCodes:
    """A window of a mask, and the table by which its codes are looked up.

    Attributes
    ----------
    codes : numpy.ndarray
        (rows, columns) 8- or 16-bit integers: stored values, or verdicts (see `compute.products.exclusion_reasons`).
    table : numpy.ndarray
        (256,) or (65536,) bool: which codes, seen as unsigned integers, are clear.
    """

    codes: NDArray[np.generic]
    table: NDArray[np.bool_]

    @property
    def clear(self) -> NDArray[np.bool_]:
        """(rows, columns) bool: where the mask shows the ground."""
        return clear_codes(self.codes, self.table)

    @property
    def clear_window(self) -> ArrayWindow | None:
        """Smallest window that holds all clear pixels; None where no pixel is clear."""
        found = clear_bounds(self.codes, self.table)
        return None if found is None else ArrayWindow(found)


class MaskReading:
    """Classify the windows of a mask; used by several threads.

    Parameters
    ----------
    role : MaskRole
        The mask and its clear rule.
    reasons : sequence of str
        Those that are counted; empty where none are.
    """

    def __init__(self, role: MaskRole, reasons: Sequence[str] = ()) -> None:
        self._role = role
        self._reasons = tuple(reasons)
        self._kinds: dict[tuple[str, float | None], _Kind] = {}
        self.halo = role.halo

    def classify(self, stored: NDArray[np.generic], inner: ArrayWindow, nodata: float | None = None) -> MaskCodes:
        """Filter a window of a mask, and classify it.

        Parameters
        ----------
        stored : numpy.ndarray
            (rows, columns) values of a window in the type of their file, with a halo of `halo` pixels as far as the
            file has them.
        inner : ArrayWindow
            The window without its halo, in pixels of `stored`.
        nodata : float or None
            As the file or the scene's document states it, None where neither does.

        Returns
        -------
        MaskCodes
            Without the halo: stored values where there is nothing to filter or to count by reason.
        """
        codes = _narrowed(stored)
        kind = self._kind(codes.dtype.name, nodata)
        top, left, bottom, right = inner
        if kind.is_wide:
            return MaskCodes(codes=kind.told_directly(codes[top:bottom, left:right]), table=kind.told_table)
        if not self._role.filters and not self._reasons:
            return MaskCodes(codes=np.ascontiguousarray(codes[top:bottom, left:right]), table=kind.table)
        told = told_by_filters(codes, kind.role.filters, *kind.told)
        return MaskCodes(codes=np.ascontiguousarray(told[top:bottom, left:right]), table=kind.told_table)

    def _kind(self, dtype: str, nodata: float | None) -> _Kind:
        kind = self._kinds.get((dtype, nodata))
        if kind is None:
            own = Stated(nodata=self._role.nodata)
            stated = in_stored_type(merge_scaling(Stated(nodata=nodata), own).nodata, dtype)
            role = replace(self._role.as_type(dtype), nodata=stated)
            kind = self._kinds[dtype, nodata] = _Kind(role, self._reasons, dtype)
        return kind


class _Kind:
    """The tables of a mask for files of one type and one nodata."""

    def __init__(self, role: MaskRole, reasons: tuple[str, ...], dtype: str) -> None:
        self.role = role
        self.is_wide = MASK_BITS.get(dtype, 64) > TABLE_BITS
        self._reasons = reasons
        self._clear = CLEAR if reasons else np.uint8(1)

    @cached_property
    def table(self) -> NDArray[np.bool_]:
        return self.role.table()

    @property
    def told_table(self) -> NDArray[np.bool_]:
        """Table of verdicts, or of 1 for clear."""
        return np.asarray(np.arange(256) == self._clear)

    @cached_property
    def told(self) -> tuple[NDArray[np.uint8], np.uint8, NDArray[np.uint8]]:
        """Verdicts of codes, the verdict of clear ground, and the verdicts of pixels that a filtered class covers."""
        if self._reasons:
            return verdicts(self.role, self._reasons), self._clear, cover_verdicts(self.role, self._reasons)
        return self.role.filter_tables().view(np.uint8), self._clear, np.zeros(len(self.role.filters), np.uint8)

    def told_directly(self, stored: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Classify values of which a table would be too large, one test after another."""
        codes = _whole_numbers(stored)
        known = np.isfinite(stored) & (codes == stored)
        held = self.role.is_held(codes, self.role.nodata) & np.isfinite(stored)
        clear = self.role.clear(codes) & held & known
        told = np.zeros(stored.shape, np.uint8)
        if not self._reasons:
            told[clear] = 1
            return told
        told[held] = len(self._reasons)
        for name, bits, value in reversed(self.role.classes):
            if name in self._reasons and not self._is_listed(bits, value):
                told[held & known & self.role.matches(codes, bits, value)] = self._reasons.index(name) + 1
        told[clear] = CLEAR
        return told

    def _is_listed(self, bits: int, value: int) -> bool:
        """Return whether the clear rule holds for a class."""
        return any((bits, value) in clause for clause in self.role.clauses)


def _narrowed(stored: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return 32-bit and larger values that a 16-bit type can hold as that type, and all others as they are."""
    if stored.dtype.name in ("uint8", "int8", "uint16", "int16"):
        return stored
    if stored.size and np.isfinite(stored).all():
        low, high = stored.min(), stored.max()
        for kind in (np.uint16, np.int16):
            limits = np.iinfo(kind)
            if (
                limits.min <= low
                and high <= limits.max
                and (stored.dtype.kind in "iu" or (stored == np.rint(stored)).all())
            ):
                return stored.astype(kind)
    return stored


def _whole_numbers(stored: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return values as int64; NaN and values beyond 2**62 become codes of their own."""
    if stored.dtype.kind in "iu":
        return stored.astype(np.int64)
    bounded = np.clip(np.nan_to_num(stored.astype(np.float64)), -(2.0**62), 2.0**62)
    return np.rint(bounded).astype(np.int64)
