"""Roles of a product's measurements as carried by tasks: bands, masks and conditions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isinf

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from compute.products.mask_role import MaskRole
from compute.products.scaling import NO_SCALING, Scaling, cast_nodata, merge_scaling
from compute.products.scene_offsets import OffsetRule

BandConstants = tuple[float, float, float, float, float]
"""Nodata (infinite if there is none), minimum and maximum valid stored value, scale and offset."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandRole:
    """One band of the spectral index.

    Attributes
    ----------
    measurement : str
        Canonical name.
    dtype : str
        NumPy dtype in the product definition; a file may have another.
    scale, offset : float
        Reflectance is ``stored * scale + offset``, unless the document or file of a scene states other numbers.
    nodata : float or None
        Stored value for missing data, unless the document or file of a scene states another; None if there is none. NaN
        is always missing.
    valid_min, valid_max : float
        Valid range, inclusive; infinite if unbounded.
    valid_reflectance : bool
        Whether the valid range is in units of reflectance rather than stored values.
    gain, bias : float
        Harmonised reflectance is ``reflectance * gain + bias``.
    offset_rule : OffsetRule or None
        Rule of the products file for the offset of each scene.
    override : bool
        Whether the products file takes precedence over documents and files.
    all_stored : bool
        Ignore nodata: every stored value is valid.
    scale_from, offset_from, nodata_from : str
        Source of each number (``"definition"`` or ``"products file"``); empty if neither states it.
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

    def resolve_scaling(self, document: Scaling, file: Scaling) -> Scaling:
        """Return scale, offset and nodata for one file of a scene.

        Parameters
        ----------
        document, file : Scaling
            Statements of the scene's document and of the file's tags.
        """
        own = Scaling(scale=self.scale, offset=self.offset, nodata=self.nodata)
        if self.override:
            return replace(own, nodata=document.nodata if self.nodata is None else self.nodata)
        return merge_scaling(file, merge_scaling(document, own))

    def kernel_constants(
        self, dtype: DTypeLike, document: Scaling = NO_SCALING, file: Scaling = NO_SCALING
    ) -> BandConstants:
        """Return the constants with which kernels validate and scale the values of one file.

        Parameters
        ----------
        dtype : dtype
            Dtype of the values.
        document, file : Scaling, optional
            Statements of the scene's document and of the file's tags.
        """
        found = self.resolve_scaling(document, file)
        scale, offset = (1.0 if found.scale is None else found.scale), found.offset or 0.0
        nodata = None if self.all_stored else cast_nodata(found.nodata, dtype)
        low, high = self.valid_min, self.valid_max
        if self.valid_reflectance:
            low, high = (_snap_limit((limit - offset) / scale) for limit in (low, high))
        return np.inf if nodata is None else nodata, low, high, self.gain * scale, self.gain * offset + self.bias


def _snap_limit(stored: float) -> float:
    """Return a limit in stored units, rounded to an integer if it differs by floating-point error only."""
    if isinf(stored):
        return stored
    whole = np.rint(stored)
    return float(whole) if abs(stored - whole) < _SNAP else stored


_SNAP = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class RangeRole:
    """Range condition on the values of a band: values within the limits are clear.

    Attributes
    ----------
    band : BandRole
        The band; its valid range holds the limits.
    reason : str
        Exclusion reason for pixels that this condition excludes.
    open_min, open_max : bool
        Whether the limit itself is excluded.
    """

    band: BandRole
    reason: str
    open_min: bool = False
    open_max: bool = False

    @property
    def measurement(self) -> str:
        """Canonical name of the measurement."""
        return self.band.measurement

    @property
    def dtype(self) -> str:
        """NumPy dtype in the product definition."""
        return self.band.dtype

    def is_clear(self, values: ArrayLike, document: Scaling, file: Scaling) -> NDArray[np.bool_]:
        """Return which stored values are within the limits.

        Parameters
        ----------
        values : array_like
            (y, x) stored values.
        document, file : Scaling
            Statements of the scene's document and of the file's tags.

        Returns
        -------
        numpy.ndarray
            (y, x) bool; False for nodata and NaN.
        """
        stored = np.asarray(values)
        nodata, _, _, scale, offset = self.band.kernel_constants(stored.dtype, document, file)
        low, high = self.band.valid_min, self.band.valid_max
        value = stored.astype(np.float64)
        if self.band.valid_reflectance:
            value = value * scale + offset
        elif stored.dtype.kind == "f":
            # Round the limits to the dtype, so that 0.2 in a float32 file equals the limit 0.2.
            low, high = (float(np.array(limit).astype(stored.dtype)) for limit in (low, high))
        above = value > low if self.open_min else value >= low
        below = value < high if self.open_max else value <= high
        return np.asarray(above & below & (stored != nodata), bool)


Condition = MaskRole | RangeRole
"""A further condition on clear pixels, beside the mask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Bands, masks and conditions of a product, as a task needs them.

    Attributes
    ----------
    product : str
        ODC product name.
    red, nir : BandRole
        The bands.
    mask : MaskRole or None
        The mask; None for a product without one.
    conditions : tuple of MaskRole or RangeRole
        Further masks, range conditions and contiguity, all of which a clear pixel passes.
    sensor : str
        ``"tm"``, ``"etm+"``, ``"oli"`` or ``"msi"``; empty if the profile does not name it.
    notes : tuple of str
        Warnings about the interpretation of the product, one sentence each.
    """

    product: str
    red: BandRole
    nir: BandRole
    mask: MaskRole | None
    conditions: tuple[Condition, ...] = ()
    sensor: str = ""
    notes: tuple[str, ...] = ()

    @property
    def roles_to_read(self) -> tuple[BandRole | Condition, ...]:
        """All measurements to read, each once: mask, red, nir and the bands of conditions."""
        masks = () if self.mask is None else (self.mask,)
        each = {role.measurement: role for role in reversed((*masks, self.red, self.nir, *self.conditions))}
        return tuple(reversed(each.values()))

    @property
    def measurements(self) -> tuple[str, ...]:
        """Canonical names of the measurements to read."""
        return tuple(role.measurement for role in self.roles_to_read)

    @property
    def band_constants(self) -> NDArray[np.float64]:
        """Constants of red and nir for `compute.kernels.accumulate`, without statements of files: (2, 5) float64."""
        return np.array([band.kernel_constants(band.dtype) for band in (self.red, self.nir)])
