"""Roles of a product's measurements as tasks carry them: bands, masks and conditions, resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isinf

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from compute.products.mask_role import MaskRole
from compute.products.scaling import NOTHING_STATED, OffsetRule, Stated, in_stored_type, merge_scaling

BandNumbers = tuple[float, float, float, float, float]
"""Nodata (infinite where there is none), least and greatest valid stored value, scale and offset."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandRole:
    """One band of the index, ready to be read.

    Attributes
    ----------
    measurement : str
        Canonical name.
    dtype : str
        NumPy type of the stored values, by the product definition; a file may have another.
    scale, offset : float
        Reflectance is ``stored * scale + offset``, unless a scene's document or file states something nearer.
    nodata : float or None
        Stored value that is no observation, unless a scene's document or file states another; None where none is
        stated (NaN never is an observation).
    valid_min, valid_max : float
        Least and greatest value that is an observation; infinite where unbounded.
    valid_reflectance : bool
        Whether the valid range is in units of reflectance, else in stored ones.
    gain, bias : float
        Harmonised reflectance is ``reflectance * gain + bias``.
    offset_rule : OffsetRule or None
        How the products file chooses the offset of each scene.
    override : bool
        Whether the products file holds against documents and files.
    all_stored : bool
        Whether every stored value means something, whatever nodata is stated.
    scale_from, offset_from, nodata_from : str
        Source of each (``"definition"`` or ``"products file"``), empty where neither states it.
    """

    measurement: str
    dtype: str
    scale: float
    offset: float
    nodata: float | None
    valid_min: float
    valid_max: float
    valid_reflectance: bool = False
    gain: float = 1.0
    bias: float = 0.0
    offset_rule: OffsetRule | None = None
    override: bool = False
    all_stored: bool = False
    scale_from: str = ""
    offset_from: str = ""
    nodata_from: str = ""

    def scaling(self, document: Stated, file: Stated) -> Stated:
        """Return scale, offset and nodata of one file of a scene.

        Parameters
        ----------
        document, file : Stated
            What the scene's document and the file's tags state.
        """
        own = Stated(scale=self.scale, offset=self.offset, nodata=self.nodata)
        if self.override:
            return replace(own, nodata=document.nodata if self.nodata is None else self.nodata)
        return merge_scaling(file, merge_scaling(document, own))

    def numbers(
        self, dtype: DTypeLike, document: Stated = NOTHING_STATED, file: Stated = NOTHING_STATED
    ) -> BandNumbers:
        """Return the numbers by which kernels judge and scale one file of a scene.

        Parameters
        ----------
        dtype : dtype
            Of the values that are judged.
        document, file : Stated
            What the scene's document and the file's tags state.
        """
        found = self.scaling(document, file)
        scale, offset = (1.0 if found.scale is None else found.scale), found.offset or 0.0
        nodata = None if self.all_stored else in_stored_type(found.nodata, dtype)
        low, high = self.valid_min, self.valid_max
        if self.valid_reflectance:
            low, high = (_snapped((limit - offset) / scale) for limit in (low, high))
        return np.inf if nodata is None else nodata, low, high, self.gain * scale, self.gain * offset + self.bias


def _snapped(stored: float) -> float:
    """Return a limit in stored units without what dividing by a scale leaves beside a whole number."""
    if isinf(stored):
        return stored
    whole = np.rint(stored)
    return float(whole) if abs(stored - whole) < _SNAP else stored


_SNAP = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class RangeRole:
    """A condition on the values of a band: those between two limits are clear.

    Attributes
    ----------
    band : BandRole
        The band; its valid range are the limits.
    reason : str
        Name under which pixels that it alone speaks against are counted.
    open_min, open_max : bool
        Whether the limit itself is outside.
    """

    band: BandRole
    reason: str
    open_min: bool = False
    open_max: bool = False

    @property
    def measurement(self) -> str:
        """Canonical name."""
        return self.band.measurement

    @property
    def dtype(self) -> str:
        """NumPy type of the stored values by the product definition."""
        return self.band.dtype

    def clear(self, values: ArrayLike, document: Stated, file: Stated) -> NDArray[np.bool_]:
        """Return which stored values are within the limits: (y, x) bool; nodata and NaN never are."""
        stored = np.asarray(values)
        nodata, _, _, scale, offset = self.band.numbers(stored.dtype, document, file)
        low, high = self.band.valid_min, self.band.valid_max
        value = stored.astype(np.float64)
        if self.band.valid_reflectance:
            value = value * scale + offset
        elif stored.dtype.kind == "f":
            # As files of the type hold the limits: 0.2 of a float32 is 0.2.
            low, high = (float(np.array(limit).astype(stored.dtype)) for limit in (low, high))
        above = value > low if self.open_min else value >= low
        below = value < high if self.open_max else value <= high
        return np.asarray(above & below & (stored != nodata), bool)


Condition = MaskRole | RangeRole
"""What a clear pixel meets beside its mask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Bands, masks and conditions of a product, as a task needs them to compute NDVI.

    Attributes
    ----------
    product : str
        ODC product name.
    red, nir : BandRole
        The bands.
    mask : MaskRole or None
        What is clear; None where the product has no mask.
    conditions : tuple of MaskRole or RangeRole
        Further masks and conditions on bands, all of which a clear pixel meets; contiguity among them.
    sensor : str
        ``"tm"``, ``"etm+"``, ``"oli"`` or ``"msi"``; empty where the profile does not say.
    notes : tuple of str
        What people should know of how the product was understood.
    """

    product: str
    red: BandRole
    nir: BandRole
    mask: MaskRole | None
    conditions: tuple[Condition, ...] = ()
    sensor: str = ""
    notes: tuple[str, ...] = ()

    @property
    def read(self) -> tuple[BandRole | Condition, ...]:
        """Mask, red, nir and the bands of conditions: the only bands that are ever read, each once."""
        masks = () if self.mask is None else (self.mask,)
        each = {role.measurement: role for role in reversed((*masks, self.red, self.nir, *self.conditions))}
        return tuple(reversed(each.values()))

    @property
    def measurements(self) -> tuple[str, ...]:
        """Canonical names of the measurements that are read."""
        return tuple(role.measurement for role in self.read)

    @property
    def bands(self) -> NDArray[np.float64]:
        """Red and nir as `compute.kernels.accumulate` takes them, where files state nothing else: (2, 5) float64."""
        return np.array([band.numbers(band.dtype) for band in (self.red, self.nir)])
