"""Roles of a product's measurements, as sent to the workers with each task: bands, masks and conditions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isinf

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from compute.products.mask_role import MaskRole
from compute.products.scaling import NO_SCALING, Scaling, cast_nodata, merge_scaling
from compute.products.scene_offsets import OffsetRule

BandConstants = tuple[float, float, float, float, float]
"""Nodata (infinity if not defined), minimum and maximum valid stored values, scale and offset."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandRole:
    """Scaling, nodata and valid range of one band.

    Attributes
    ----------
    measurement : str
        Canonical name of the measurement.
    dtype : str
        NumPy dtype in the product definition; the dtype of a file may differ.
    scale, offset : float
        Reflectance is ``stored * scale + offset``. Values in the document or file of a scene take precedence.
    nodata : float or None
        Stored value for missing data; None if not defined. A value in the document or file of a scene takes
        precedence. NaN is always treated as missing.
    valid_min, valid_max : float
        Inclusive limits of the valid range; infinite if unbounded.
    valid_reflectance : bool
        Whether the valid range is in units of reflectance rather than stored values.
    gain, bias : float
        Harmonised reflectance is ``reflectance * gain + bias``.
    offset_rule : OffsetRule or None
        Rule of the products file for the offset of each scene; None if it has none.
    override : bool
        Whether `scale`, `offset` and `nodata` take precedence over documents and files.
    all_stored : bool
        Whether nodata is ignored, so that every stored value is valid.
    scale_from, offset_from, nodata_from : str
        Source of each number: ``"definition"`` or ``"products file"``; empty if it is a default.
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
            Scaling stated by the document of the scene and by the tags of the file.

        Returns
        -------
        Scaling
            Merged scaling, see `merge_scaling`. If `override` is True, the scaling of the role, with nodata of the
            document if the role has none.
        """
        own = Scaling(scale=self.scale, offset=self.offset, nodata=self.nodata)
        if self.override:
            return replace(own, nodata=document.nodata if self.nodata is None else self.nodata)
        return merge_scaling(file, merge_scaling(document, own))

    def kernel_constants(
        self, dtype: DTypeLike, document: Scaling = NO_SCALING, file: Scaling = NO_SCALING
    ) -> BandConstants:
        """Return the constants for validation and scaling of the values of one file in kernels.

        Parameters
        ----------
        dtype : dtype
            Dtype of the stored values.
        document, file : Scaling, optional
            Scaling stated by the document of the scene and by the tags of the file. Default: nothing stated.

        Returns
        -------
        tuple of float
            Constants in the order of `BandConstants`; scale and offset include gain and bias.
        """
        found = self.resolve_scaling(document, file)
        scale, offset = (1.0 if found.scale is None else found.scale), found.offset or 0.0
        nodata = None if self.all_stored else cast_nodata(found.nodata, dtype)
        low, high = self.valid_min, self.valid_max
        if self.valid_reflectance:
            low, high = (_snap_limit((limit - offset) / scale) for limit in (low, high))
        return np.inf if nodata is None else nodata, low, high, self.gain * scale, self.gain * offset + self.bias


def _snap_limit(stored: float) -> float:
    """Round a limit in stored units if it differs from an integer only by floating-point error."""
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
        The band, with the limits as its valid range.
    reason : str
        Exclusion reason of pixels that do not meet the condition.
    open_min, open_max : bool
        Whether the lower and the upper limit are exclusive.
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
            Scaling stated by the document of the scene and by the tags of the file.

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
            # Round the limits to the dtype, so that the limit 0.2 equals a stored 0.2 in a float32 file.
            low, high = (float(np.array(limit).astype(stored.dtype)) for limit in (low, high))
        above = value > low if self.open_min else value >= low
        below = value < high if self.open_max else value <= high
        return np.asarray(above & below & (stored != nodata), bool)


Condition = MaskRole | RangeRole
"""Further condition for clear pixels, in addition to the mask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Bands, masks and conditions of a product, as sent to the workers with each task.

    Attributes
    ----------
    product : str
        ODC product name.
    red, nir : BandRole
        The bands.
    mask : MaskRole or None
        The mask; None for a product without one.
    conditions : tuple of MaskRole or RangeRole
        Further masks, range conditions and contiguity, all of which a clear pixel meets.
    sensor : str
        ``"tm"``, ``"etm+"``, ``"oli"`` or ``"msi"``; empty if the profile names no sensor.
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
        """Roles of the measurements to read, one per measurement, in the order mask, red, nir, conditions."""
        masks = () if self.mask is None else (self.mask,)
        each = {role.measurement: role for role in reversed((*masks, self.red, self.nir, *self.conditions))}
        return tuple(reversed(each.values()))

    @property
    def measurements(self) -> tuple[str, ...]:
        """Canonical names of the measurements to read."""
        return tuple(role.measurement for role in self.roles_to_read)

    @property
    def band_constants(self) -> NDArray[np.float64]:
        """`BandRole.kernel_constants` of red and nir, without scaling from documents and files: (2, 5) float64."""
        return np.array([band.kernel_constants(band.dtype) for band in (self.red, self.nir)])
