"""What ``products.toml`` says of a product: which measurement is red, nir, mask, and which classes are clear."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from compute.errors import InputError
from compute.products.harmonising import Sensor


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BandProfile(_Strict):
    """How stored values of red or nir become reflectance: ``stored * scale + offset``."""

    measurement: str
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    nodata: float | None = None
    """Stored value that means "no observation"; left out, what the product definition says."""
    valid: tuple[float, float] | None = None
    """Least and greatest stored value that is an observation; left out, every value is."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.valid and not self.valid[0] <= self.valid[1]:
            raise ValueError("valid must be [least, greatest]")
        return self


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value if isinstance(value, tuple) else (value,)


class BitsProfile(_Strict):
    """A condition on bits of the mask: the number formed by `bits` is one of `value`."""

    bits: Annotated[tuple[Annotated[int, Field(ge=0, le=15)], ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    """Bit positions, the least significant of the number first; bit 0 is the mask's lowest."""
    value: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    """The number or numbers that are clear."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if len(set(self.bits)) < len(self.bits) or max(self.value) >= 2 ** len(self.bits):
            raise ValueError("bits must differ and be able to form each value")
        return self


def _as_band(value: object) -> object:
    return {"measurement": value} if isinstance(value, str) else value


ClearClass = str | int


def _clear_kind(value: object) -> str:
    """Tell the two forms of `clear` apart, so that a mistake in one is not explained as the other."""
    first = value[0] if isinstance(value, tuple) and value else None
    return "tuple[bits]" if isinstance(first, dict | BitsProfile) else "tuple[classes]"


class ProductProfile(_Strict):
    """One ``[products.NAME]`` table.

    `clear` is a list of class names or integers, of which a clear pixel has any one, or one or several
    ``{ bits = ..., value = ... }`` conditions, all of which a clear pixel meets. `sensor` is only needed to harmonise
    several sensors, and to be warned where that is not done. `contiguity` is a measurement that is 1 where all bands
    have data; left out, it is neither read nor asked for.
    """

    red: Annotated[BandProfile, BeforeValidator(_as_band)]
    nir: Annotated[BandProfile, BeforeValidator(_as_band)]
    mask: str
    clear: Annotated[
        Annotated[tuple[ClearClass, ...], Tag("tuple[classes]")]
        | Annotated[tuple[BitsProfile, ...], Tag("tuple[bits]")],
        Discriminator(_clear_kind),
        BeforeValidator(_as_tuple),
        Field(min_length=1),
    ]
    sensor: Sensor | None = None
    contiguity: str | None = None


class _ProductsFile(_Strict):
    products: dict[str, ProductProfile]


def shipped_profiles() -> dict[str, ProductProfile]:
    """Return the profiles that come with Greenup.

    Returns
    -------
    dict of str to ProductProfile
        By ODC product name.
    """
    text = files("compute.products").joinpath("products.toml").read_text(encoding="utf-8")
    return _parse(text, "the shipped products.toml")


def load_profiles(path: Path | None) -> dict[str, ProductProfile]:
    """Return the shipped profiles, overridden and extended by those of a file.

    Parameters
    ----------
    path : pathlib.Path or None
        A ``products.toml``; None for the shipped profiles alone.

    Returns
    -------
    dict of str to ProductProfile
        By ODC product name.

    Raises
    ------
    InputError
        The file cannot be read, is not TOML, or has an unknown key or an unusable value.
    """
    shipped = shipped_profiles()
    if path is None:
        return shipped
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError("products", f"The products file {path.name} cannot be read as UTF-8 text.") from None
    return shipped | _parse(text, path.name)


def _parse(text: str, name: str) -> dict[str, ProductProfile]:
    try:
        return _ProductsFile.model_validate(tomllib.loads(text)).products
    except tomllib.TOMLDecodeError as error:
        raise InputError("products", f"{name} is not valid TOML: {error}.") from None
    except ValidationError as error:
        raise InputError("products", _first_sentence(name, error)) from None


def _first_sentence(name: str, error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("tuple[", "function-")))
    if first["type"] == "extra_forbidden":
        return f"{name} has an unknown key {where}; known there are {', '.join(_known_keys(where))}."
    return f"{name} has an unusable value at {where}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."


def _known_keys(where: str) -> list[str]:
    parts = where.split(".")
    if len(parts) == 1:
        return ["products"]
    if len(parts) == 3:
        return list(ProductProfile.model_fields)
    return list((BitsProfile if "clear" in parts else BandProfile).model_fields)
