"""Classify the pixels of masks after morphological filters: clear, or excluded for a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compute.kernels.morphology import filter_mask
from compute.kernels.resample import clear_bounds, clear_codes
from compute.products import CLEAR, MaskRole, filter_verdicts, mask_verdicts
from compute.products.mask_role import MASK_BITS, TABLE_BITS
from compute.products.scaling import Scaling, cast_nodata, merge_scaling
from compute.scenes.pixel_frames import ArrayWindow

FILTERING_BYTES_PER_PX = 8
"""Working memory of a mask filter in bytes per pixel: class, three pixel sets, distances, states and verdict."""

CLEAR_ALONE = np.arange(256) == 1
"""Look-up table for masks with 1 for clear and 0 for unclear pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskCodes:
    """Codes of a window of a mask, with a look-up table of clear codes.

    Attributes
    ----------
    codes : numpy.ndarray
        (rows, columns) 8- or 16-bit integers: stored values, or verdicts (see `compute.products.exclusion_reasons`).
    table : numpy.ndarray
        (256,) or (65536,) bool: True for clear codes, indexed by the codes viewed as unsigned integers.
    """

    codes: NDArray[np.generic]
    table: NDArray[np.bool_]

    @property
    def clear(self) -> NDArray[np.bool_]:
        """Clear pixels: (rows, columns) bool."""
        return clear_codes(self.codes, self.table)

    @property
    def clear_window(self) -> ArrayWindow | None:
        """Smallest window that contains all clear pixels; None if no pixel is clear."""
        found = clear_bounds(self.codes, self.table)
        return None if found is None else ArrayWindow(found)


class MaskClassifier:
    """Classifier of the windows of one mask. Thread-safe.

    Parameters
    ----------
    role : MaskRole
        Bits, classes, filters and clear rule of the mask.
    reasons : sequence of str
        Exclusion reasons to count; empty to count none.
    """

    def __init__(self, role: MaskRole, reasons: Sequence[str] = ()) -> None:
        self._role = role
        self._reasons = tuple(reasons)
        self._kinds: dict[tuple[str, float | None], _Kind] = {}
        self.halo = role.halo

    def classify(self, stored: NDArray[np.generic], inner: ArrayWindow, nodata: float | None = None) -> MaskCodes:
        """Filter and classify a window of a mask.

        Parameters
        ----------
        stored : numpy.ndarray
            (rows, columns) values in the dtype of the file: the window with `halo` more pixels on each side, clipped to
            the file.
        inner : ArrayWindow
            The window without its halo, in pixels of `stored`.
        nodata : float or None
            Nodata of the file or of the scene's document; None if neither states one.

        Returns
        -------
        MaskCodes
            Codes of the window without its halo: stored values of at most 16 bits if the mask has no filters and no
            reasons are counted, else verdicts.
        """
        codes = _narrow_type(stored)
        kind = self._kind(codes.dtype.name, nodata)
        top, left, bottom, right = inner
        if kind.is_wide:
            return MaskCodes(codes=kind.told_directly(codes[top:bottom, left:right]), table=kind.told_table)
        if not self._role.filters and not self._reasons:
            return MaskCodes(codes=np.ascontiguousarray(codes[top:bottom, left:right]), table=kind.table)
        told = filter_mask(codes, kind.role.filters, *kind.told)
        return MaskCodes(codes=np.ascontiguousarray(told[top:bottom, left:right]), table=kind.told_table)

    def _kind(self, dtype: str, nodata: float | None) -> _Kind:
        kind = self._kinds.get((dtype, nodata))
        if kind is None:
            own = Scaling(nodata=self._role.nodata)
            stated = cast_nodata(merge_scaling(Scaling(nodata=nodata), own).nodata, dtype)
            role = replace(self._role.as_type(dtype), nodata=stated)
            kind = self._kinds[dtype, nodata] = _Kind(role, self._reasons, dtype)
        return kind


class _Kind:
    """Look-up tables of a mask, for files of one dtype and one nodata value."""

    def __init__(self, role: MaskRole, reasons: tuple[str, ...], dtype: str) -> None:
        self.role = role
        self.is_wide = MASK_BITS.get(dtype, 64) > TABLE_BITS
        self._reasons = reasons
        self._clear = CLEAR if reasons else np.uint8(1)

    @cached_property
    def table(self) -> NDArray[np.bool_]:
        return self.role.clear_table()

    @property
    def told_table(self) -> NDArray[np.bool_]:
        """Look-up table of verdicts: True for clear pixels, which have `CLEAR` if reasons are counted, else 1."""
        return np.asarray(np.arange(256) == self._clear)

    @cached_property
    def told(self) -> tuple[NDArray[np.uint8], np.uint8, NDArray[np.uint8]]:
        """Arguments of `filter_mask`: verdicts of codes, verdict of clear pixels, and verdicts by filter."""
        if self._reasons:
            return mask_verdicts(self.role, self._reasons), self._clear, filter_verdicts(self.role, self._reasons)
        return self.role.filter_tables().view(np.uint8), self._clear, np.zeros(len(self.role.filters), np.uint8)

    def told_directly(self, stored: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return verdicts from the rules of the mask, for values whose look-up table would be too large."""
        codes = _whole_numbers(stored)
        known = np.isfinite(stored) & (codes == stored)
        held = self.role.is_not_nodata(codes, self.role.nodata) & np.isfinite(stored)
        clear = self.role.is_clear(codes) & held & known
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
        """Return whether a class is part of the rule for clear pixels."""
        return any((bits, value) in clause for clause in self.role.clauses)


def _narrow_type(stored: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return values as a 16-bit dtype if they are wider and it can represent them exactly, else unchanged."""
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
    """Return values rounded to int64, with NaN as 0 and floating-point values clipped to plus or minus 2**62."""
    if stored.dtype.kind in "iu":
        return stored.astype(np.int64)
    bounded = np.clip(np.nan_to_num(stored.astype(np.float64)), -(2.0**62), 2.0**62)
    return np.rint(bounded).astype(np.int64)
