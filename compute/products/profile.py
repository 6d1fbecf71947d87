"""Schema of ``products.toml``: bands, masks and clear rules of a product, validated by pydantic."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from compute.products.harmonisation import Sensor
from compute.products.scene_offsets import parse_version

Finite = Annotated[float, Field(allow_inf_nan=False)]
Nodata = float | Literal["none"] | None
"""Stored value for missing data; ``"none"`` if every stored value is valid; None to use nodata of the file, document
or product definition."""

HIGHEST_BIT = 31
"""Highest bit position; masks have at most 32 bits."""


class StrictTable(BaseModel):
    """Base class of the tables in a products file; unknown keys raise a validation error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class OffsetProfile(StrictTable):
    """Rule for an offset that depends on a property in the document of each scene."""

    by: str = Field(min_length=1, max_length=80)
    """Name of the property, with or without the prefix before the colon."""
    since: Annotated[str, BeforeValidator(str), Field(alias="from")]
    """First version for which the offset applies, such as ``"04.00"``."""
    offset: Finite
    """Offset in units of reflectance."""
    unless: str | None = None
    """Name of a property that is true if the stored values are already corrected."""

    @model_validator(mode="after")
    def _require_version(self) -> Self:
        if parse_version(self.since) is None:
            raise ValueError('from must be a version such as "04.00"')
        return self


def _offset_kind(value: object) -> str:
    return "<rule>" if isinstance(value, dict | OffsetProfile) else "<number>"


Offset = Annotated[
    Annotated[Finite, Tag("<number>")] | Annotated[OffsetProfile, Tag("<rule>")], Discriminator(_offset_kind)
]
"""Offset in units of reflectance, or a rule that gives it for each scene."""


class _ScaledTable(StrictTable):
    """Scale, offset and nodata of a band: reflectance is ``stored * scale + offset``."""

    measurement: str
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Scale factor. Default: that of the file, document or product definition, else 1."""
    offset: Offset | None = None
    """Offset in units of reflectance. Default: that of the file, document or product definition, else 0."""
    nodata: Nodata = None
    """Stored value for missing data. Default: that of the file, document or product definition."""
    override: bool = False
    """Whether scale, offset and nodata of this table take precedence over file, document and definition."""


class BandProfile(_ScaledTable):
    """Description of the red or near-infrared band."""

    valid: tuple[float, float] | None = None
    """Minimum and maximum valid stored values. Default: unbounded."""
    valid_reflectance: tuple[float, float] | None = None
    """Minimum and maximum valid values in units of reflectance. Default: unbounded."""

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        for name, each in (("valid", self.valid), ("valid_reflectance", self.valid_reflectance)):
            if each and not each[0] <= each[1]:
                raise ValueError(f"{name} must be [least, greatest]")
        if self.valid and self.valid_reflectance:
            raise ValueError("valid and valid_reflectance exclude each other")
        return self


class ThresholdProfile(_ScaledTable):
    """Limits on the values of a band, such as a cloud probability below 40 or a blue reflectance below 0.375."""

    below: Finite | None = None
    at_most: Finite | None = None
    above: Finite | None = None
    at_least: Finite | None = None
    reflectance_below: Finite | None = None
    reflectance_at_most: Finite | None = None
    reflectance_above: Finite | None = None
    reflectance_at_least: Finite | None = None

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are not None, by name."""
        return {name: value for name in THRESHOLDS if (value := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _require_one_unit(self) -> Self:
        units = {name.startswith("reflectance") for name in self.limits}
        if len(units) != 1:
            raise ValueError(
                "give limits either in stored units (below = 40) or in reflectance (reflectance_below = 0.4)"
            )
        return self


THRESHOLDS = (
    *("below", "at_most", "above", "at_least"),
    *("reflectance_below", "reflectance_at_most", "reflectance_above", "reflectance_at_least"),
)
"""Keys that identify a table as a `ThresholdProfile`."""


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value if isinstance(value, tuple) else (value,)


class BitsProfile(StrictTable):
    """Condition on bits of a mask: the number formed by `bits` is one of `value`."""

    bits: Annotated[
        tuple[Annotated[int, Field(ge=0, le=HIGHEST_BIT)], ...], BeforeValidator(_as_tuple), Field(min_length=1)
    ]
    """Bit positions, least significant bit of the number first; bit 0 is the lowest bit of the mask."""
    value: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    """Accepted number or numbers."""

    @model_validator(mode="after")
    def _require_reachable(self) -> Self:
        if len(set(self.bits)) < len(self.bits) or max(self.value) >= 2 ** len(self.bits):
            raise ValueError("bits must differ and be able to form each value")
        return self


ClearClass = str | int


class AnyProfile(StrictTable):
    """Conditions joined by *or*."""

    any: Annotated[tuple[ClearPart, ...], Field(min_length=1)]


class AllProfile(StrictTable):
    """Conditions joined by *and*."""

    all: Annotated[tuple[ClearPart, ...], Field(min_length=1)]


def _clear_kind(value: object) -> str:
    """Return the tag of the form of a condition, so that pydantic reports errors of this form only."""
    if isinstance(value, AnyProfile) or (isinstance(value, dict) and "any" in value):
        return "<any>"
    if isinstance(value, AllProfile) or (isinstance(value, dict) and "all" in value):
        return "<all>"
    return "<bits>" if isinstance(value, dict | BitsProfile) else "<class>"


ClearPart = Annotated[
    Annotated[ClearClass, Tag("<class>")]
    | Annotated[BitsProfile, Tag("<bits>")]
    | Annotated[AnyProfile, Tag("<any>")]
    | Annotated[AllProfile, Tag("<all>")],
    Discriminator(_clear_kind),
]
"""A class name or code, a condition on bits, or a combination of these."""

ClearRule = Annotated[tuple[ClearPart, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
"""Conditions for a clear pixel. Classes of one flag are joined by *or*, everything else by *and*."""


class MaskProfile(StrictTable):
    """Description of a mask with classes or flags."""

    measurement: str
    clear: ClearRule | None = None
    """Clear rule. Default: `ProductProfile.clear`."""
    nodata: Nodata = None
    """Stored value for missing data. Default: that of the file or the product definition."""


def _mask_kind(value: object) -> str:
    if isinstance(value, ThresholdProfile) or (isinstance(value, dict) and set(value) & set(THRESHOLDS)):
        return "<threshold>"
    return "<mask>"


def _as_masks(value: object) -> object:
    """Convert masks to a tuple of tables; a plain name becomes a table, and ``"none"`` an empty tuple."""
    if value == "none":
        return ()
    return tuple({"measurement": each} if isinstance(each, str) else each for each in _as_list(value))


def _as_list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


AnyMask = Annotated[
    Annotated[MaskProfile, Tag("<mask>")] | Annotated[ThresholdProfile, Tag("<threshold>")], Discriminator(_mask_kind)
]


def _as_band(value: object) -> object:
    return {"measurement": value} if isinstance(value, str) else value


class ProductProfile(StrictTable):
    """Description of a product: one ``[products.NAME]`` table.

    Attributes
    ----------
    red, nir : BandProfile
        The bands.
    mask : tuple of MaskProfile or ThresholdProfile
        Masks and limits, all of which a clear pixel meets. In the file, they are given as a measurement name, a table
        or a list of both; ``"none"`` stands for no mask.
    clear : ClearRule or None
        Clear rule for a mask without its own clear rule.
    sensor : {"tm", "etm+", "oli", "msi"} or None
        Sensor, required for harmonisation. It also determines warnings about mixed sensors, and whether the offset of
        Sentinel-2 is considered (``"msi"`` or None).
    contiguity : str or None
        Measurement that is 1 at pixels with data in all bands; None to ignore contiguity.
    """

    red: Annotated[BandProfile, BeforeValidator(_as_band)]
    nir: Annotated[BandProfile, BeforeValidator(_as_band)]
    mask: Annotated[tuple[AnyMask, ...], BeforeValidator(_as_masks)]
    clear: ClearRule | None = None
    sensor: Sensor | None = None
    contiguity: str | None = None

    @model_validator(mode="after")
    def _require_clear_rules(self) -> Self:
        without = [each for each in self.mask if isinstance(each, MaskProfile) and each.clear is None]
        if len(without) > 1 or (without and self.clear is None):
            raise ValueError(f"the mask {without[-1].measurement} has no clear rule; give it clear = [...]")
        if self.clear is not None and not without:
            raise ValueError("clear belongs to a mask without a clear rule of its own; there is none")
        return self
