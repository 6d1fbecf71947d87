"""The language of ``products.toml``: bands, masks and clear rules of a product, validated by pydantic."""

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
from compute.products.scaling import version_of

Finite = Annotated[float, Field(allow_inf_nan=False)]
Nodata = float | Literal["none"] | None
"""A stored value; ``"none"`` where every stored value means something; None for what is stated nearer to the pixel."""

HIGHEST_BIT = 31
"""Masks have at most 32 bits."""


class StrictTable(BaseModel):
    """A table of a products file, which has no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class OffsetProfile(StrictTable):
    """An offset chosen for each scene by a property of its document."""

    by: str = Field(min_length=1, max_length=80)
    """Property of the document, whole or by its name after the colon."""
    since: Annotated[str, BeforeValidator(str), Field(alias="from")]
    """Least version of that property with the offset."""
    offset: Finite
    """In units of reflectance."""
    unless: str | None = None
    """Property that is true where the stored values have been corrected already."""

    @model_validator(mode="after")
    def _version(self) -> Self:
        if version_of(self.since) is None:
            raise ValueError('from must be a version such as "04.00"')
        return self


def _offset_kind(value: object) -> str:
    return "<rule>" if isinstance(value, dict | OffsetProfile) else "<number>"


Offset = Annotated[
    Annotated[Finite, Tag("<number>")] | Annotated[OffsetProfile, Tag("<rule>")], Discriminator(_offset_kind)
]
"""A number in units of reflectance, or a rule that gives it scene by scene."""


class _Scaled(StrictTable):
    """Scale, offset and nodata of a band: its reflectance is ``stored * scale + offset``."""

    measurement: str
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Left out, as the file, the document or the product definition states it, else 1."""
    offset: Offset | None = None
    """In units of reflectance; left out, as stated elsewhere, else 0."""
    nodata: Nodata = None
    """Stored value that is no observation; left out, as stated elsewhere."""
    override: bool = False
    """Whether scale, offset and nodata given here hold against what file, document and definition state."""


class BandProfile(_Scaled):
    """Red or near infrared."""

    valid: tuple[float, float] | None = None
    """Least and greatest stored value that is an observation; left out, every value is."""
    valid_reflectance: tuple[float, float] | None = None
    """The same in units of reflectance."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, each in (("valid", self.valid), ("valid_reflectance", self.valid_reflectance)):
            if each and not each[0] <= each[1]:
                raise ValueError(f"{name} must be [least, greatest]")
        if self.valid and self.valid_reflectance:
            raise ValueError("valid and valid_reflectance exclude each other")
        return self


class ThresholdProfile(_Scaled):
    """A condition on the value of a band, such as a cloud probability below 40 or a blue reflectance below 0.375."""

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
        """The limits that are given, by their names."""
        return {name: value for name in THRESHOLDS if (value := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
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
"""Keys of a table that make it a `ThresholdProfile`."""


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value if isinstance(value, tuple) else (value,)


class BitsProfile(StrictTable):
    """A condition on bits of the mask: the number formed by `bits` is one of `value`."""

    bits: Annotated[
        tuple[Annotated[int, Field(ge=0, le=HIGHEST_BIT)], ...], BeforeValidator(_as_tuple), Field(min_length=1)
    ]
    """Bit positions, the least significant of the number first; bit 0 is the mask's lowest."""
    value: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    """The number or numbers that are clear."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if len(set(self.bits)) < len(self.bits) or max(self.value) >= 2 ** len(self.bits):
            raise ValueError("bits must differ and be able to form each value")
        return self


ClearClass = str | int


class AnyProfile(StrictTable):
    """Conditions of which one must hold."""

    any: Annotated[tuple[ClearPart, ...], Field(min_length=1)]


class AllProfile(StrictTable):
    """Conditions that must all hold."""

    all: Annotated[tuple[ClearPart, ...], Field(min_length=1)]


def _clear_kind(value: object) -> str:
    """Tell the forms of a condition apart, so that a mistake in one is not explained as another."""
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
"""A class by name or code, a condition on bits, or several of them joined."""

ClearRule = Annotated[tuple[ClearPart, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
"""Conditions of a clear pixel. Classes of one flag are joined by *or*, everything else by *and*."""


class MaskProfile(StrictTable):
    """A mask and its clear rule."""

    measurement: str
    clear: ClearRule | None = None
    """Left out, `ProductProfile.clear`."""
    nodata: Nodata = None
    """Left out, as the file or the product definition states it."""


def _mask_kind(value: object) -> str:
    if isinstance(value, ThresholdProfile) or (isinstance(value, dict) and set(value) & set(THRESHOLDS)):
        return "<threshold>"
    return "<mask>"


def _as_masks(value: object) -> object:
    """Return the masks as a tuple of tables; a name stands for a table of one key, ``"none"`` for no mask."""
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
    """One ``[products.NAME]`` table.

    `mask` is a measurement, a table, a list of tables that must all be clear, or ``"none"``. `clear` belongs to the
    mask that has no rule of its own. `sensor` is only needed to harmonise several sensors, to be warned where that is
    not done, and for the offset of Sentinel-2. `contiguity` is a measurement that is 1 where all bands have data; left
    out, it is not read.
    """

    red: Annotated[BandProfile, BeforeValidator(_as_band)]
    nir: Annotated[BandProfile, BeforeValidator(_as_band)]
    mask: Annotated[tuple[AnyMask, ...], BeforeValidator(_as_masks)]
    clear: ClearRule | None = None
    sensor: Sensor | None = None
    contiguity: str | None = None

    @model_validator(mode="after")
    def _ruled(self) -> Self:
        without = [each for each in self.mask if isinstance(each, MaskProfile) and each.clear is None]
        if len(without) > 1 or (without and self.clear is None):
            raise ValueError(f"the mask {without[-1].measurement} has no clear rule; give it clear = [...]")
        if self.clear is not None and not without:
            raise ValueError("clear belongs to a mask without a clear rule of its own; there is none")
        return self
