"""What the measurements of a product mean: roles, scaling, valid ranges and clear classes, described by data.

A *definition* is what the index says of a product (measurements, types, nodata, flags). A *profile* is what
``products.toml`` says of it (which measurement is red, which classes are clear). `resolve` joins the two into
`Roles`, the record that tasks carry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from math import isnan
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from compute.errors import InputError

_MASK_TYPES = {"uint8": 8, "int8": 8, "uint16": 16, "int16": 16}


# What the index says


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One measurement of an ODC product definition.

    Attributes
    ----------
    name : str
        Canonical name.
    dtype : str
        NumPy type of the stored values.
    nodata : float or None
        Stored value that means "no observation"; NaN is possible, None where the definition has none.
    flags : mapping
        The ``flags_definition`` of the document, by flag name; empty where there is none.
    """

    name: str
    dtype: str
    nodata: float | None
    flags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductDefinition:
    """One ODC product as its index describes it.

    Attributes
    ----------
    name : str
        Product name.
    description : str
        The definition's own sentence.
    measurements : mapping of str to Measurement
        By canonical name.
    aliases : mapping of str to str
        Alias to canonical name.
    """

    name: str
    description: str
    measurements: Mapping[str, Measurement]
    aliases: Mapping[str, str]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read an ODC product document.

        Parameters
        ----------
        document : mapping
            The parsed ``odc-product.yaml``.

        Returns
        -------
        ProductDefinition
            The measurements and aliases of the document.
        """
        entries = document.get("measurements", [])
        measurements = {
            m["name"]: Measurement(
                name=m["name"],
                dtype=str(m["dtype"]),
                nodata=None if m.get("nodata") is None else float(m["nodata"]),
                flags=m.get("flags_definition") or {},
            )
            for m in entries
        }
        aliases = {alias: m["name"] for m in entries for alias in m.get("aliases", [])}
        return cls(
            name=document["name"],
            description=str(document.get("description", "")),
            measurements=measurements,
            aliases=aliases,
        )

    def measurement(self, name: str) -> Measurement:
        """Look a measurement up by its name or alias.

        Raises
        ------
        InputError
            The product has no such measurement; the sentence lists those it has.
        """
        found = self.measurements.get(self.aliases.get(name, name))
        if found is None:
            known = ", ".join(sorted(self.measurements))
            raise InputError("product", f"Product {self.name} has no measurement {name!r}; it has {known}.")
        return found


# What products.toml says


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


def _as_band(value: object) -> object:
    return {"measurement": value} if isinstance(value, str) else value


ClearClass = str | int


class ProductProfile(_Strict):
    """One ``[products.NAME]`` table.

    `clear` is a list of class names or integers, of which a clear pixel has any one, or one or several
    ``{ bits = ..., value = ... }`` conditions, all of which a clear pixel meets.
    """

    red: Annotated[BandProfile, BeforeValidator(_as_band)]
    nir: Annotated[BandProfile, BeforeValidator(_as_band)]
    mask: str
    clear: Annotated[tuple[ClearClass, ...] | tuple[BitsProfile, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class _ProductsFile(_Strict):
    products: dict[str, ProductProfile]


def shipped_profiles() -> dict[str, ProductProfile]:
    """Return the profiles that come with Greenup.

    Returns
    -------
    dict of str to ProductProfile
        By ODC product name.
    """
    text = files("compute").joinpath("products.toml").read_text(encoding="utf-8")
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
        table = len(first["loc"])
        allowed = {1: ["products"], 3: list(ProductProfile.model_fields)}.get(table, list(BandProfile.model_fields))
        return f"{name} has an unknown key {where}; known there are {', '.join(allowed)}."
    return f"{name} has an unusable value at {where}: {first['msg'].rstrip('.')}."


# The two joined: what tasks carry


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
    nodata : float
        Stored value that is no observation; NaN where there is none (or where it is NaN).
    valid_min, valid_max : float
        Least and greatest stored value that is an observation; infinite where unbounded.
    """

    measurement: str
    dtype: str
    scale: float
    offset: float
    nodata: float
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
    nodata : float
        Stored value outside the scene; NaN where there is none.
    any_of : tuple of (int, int)
        (bits, value) pairs of which a clear pixel meets one: ``stored & bits == value``. Empty: no such test.
    all_of : tuple of (tuple of int, tuple of int)
        (bit positions, numbers) pairs that a clear pixel meets all.
    """

    measurement: str
    dtype: str
    nodata: float
    any_of: tuple[tuple[int, int], ...] = ()
    all_of: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()

    def table(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return the look-up table of clear codes.

        Returns
        -------
        numpy.ndarray
            (256,) or (65536,) bool, to be indexed by the stored values viewed as unsigned integers.
        """
        codes = np.arange(2 ** _MASK_TYPES[self.dtype])
        clear = np.zeros(codes.shape, bool) if self.any_of else np.ones(codes.shape, bool)
        for bits, value in self.any_of:
            clear |= (codes & bits) == value
        for positions, numbers in self.all_of:
            number = sum(((codes >> position) & 1) << n for n, position in enumerate(positions))
            clear &= np.isin(number, numbers)
        if not isnan(self.nodata):
            clear[int(self.nodata) % codes.size] = False
        return clear


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """What a task needs to know of a product to compute NDVI from it."""

    product: str
    red: BandRole
    nir: BandRole
    mask: MaskRole

    @property
    def measurements(self) -> tuple[str, str, str]:
        """Canonical names of mask, red and nir: the only bands that are ever read."""
        return self.mask.measurement, self.red.measurement, self.nir.measurement


ValidRange = tuple[float, float] | Literal["none"] | None


def resolve(
    definition: ProductDefinition,
    profile: ProductProfile,
    *,
    clear: Sequence[ClearClass] | None = None,
    valid_range: ValidRange = None,
) -> Roles:
    """Join what the index and ``products.toml`` say of a product.

    Parameters
    ----------
    definition : ProductDefinition
        From the index.
    profile : ProductProfile
        From ``products.toml``.
    clear : sequence of str or int, optional
        Classes to take as clear in place of the profile's.
    valid_range : (float, float) or "none", optional
        Range of stored values in place of the profile's, for both bands; ``"none"`` turns it off.

    Returns
    -------
    Roles
        Measurements with canonical names, types, nodata and the resolved clear rule.

    Raises
    ------
    InputError
        A measurement or class does not exist, or the mask is not an 8- or 16-bit integer.
    """
    if valid_range is not None:
        valid = None if valid_range == "none" else valid_range
        profile = profile.model_copy(
            update={
                "red": profile.red.model_copy(update={"valid": valid}),
                "nir": profile.nir.model_copy(update={"valid": valid}),
            }
        )
    return Roles(
        product=definition.name,
        red=_band_role(definition, profile.red),
        nir=_band_role(definition, profile.nir),
        mask=_mask_role(definition, profile.mask, profile.clear if clear is None else tuple(clear)),
    )


def _band_role(definition: ProductDefinition, band: BandProfile) -> BandRole:
    measurement = definition.measurement(band.measurement)
    nodata = measurement.nodata if band.nodata is None else band.nodata
    low, high = band.valid or (float("-inf"), float("inf"))
    return BandRole(
        measurement=measurement.name,
        dtype=measurement.dtype,
        scale=band.scale,
        offset=band.offset,
        nodata=float("nan") if nodata is None else nodata,
        valid_min=low,
        valid_max=high,
    )


def _mask_role(definition: ProductDefinition, name: str, clear: tuple[ClearClass | BitsProfile, ...]) -> MaskRole:
    measurement = definition.measurement(name)
    if measurement.dtype not in _MASK_TYPES:
        raise InputError(
            "product",
            f"The mask {measurement.name} of {definition.name} is {measurement.dtype}; "
            "a mask must be an 8- or 16-bit integer.",
        )
    nodata = float("nan") if measurement.nodata is None else measurement.nodata
    role = MaskRole(measurement=measurement.name, dtype=measurement.dtype, nodata=nodata)
    conditions = tuple((c.bits, c.value) for c in clear if isinstance(c, BitsProfile))
    if conditions:
        return replace(role, all_of=conditions)
    size = 2 ** _MASK_TYPES[measurement.dtype]
    named = _classes(measurement)
    pairs = (_class_pair(c, named, size, measurement) for c in clear if not isinstance(c, BitsProfile))
    return replace(role, any_of=tuple(dict.fromkeys(pairs)))


def _class_pair(
    wanted: ClearClass, named: Mapping[str, tuple[int, int]], size: int, measurement: Measurement
) -> tuple[int, int]:
    if isinstance(wanted, int) or wanted.lstrip("-").isdigit():
        return size - 1, int(wanted) % size
    if wanted not in named:
        known = ", ".join(named) or "none by name, so give integers"
        raise InputError("clear", f"The mask {measurement.name} has no class {wanted!r}; it has {known}.")
    return named[wanted]


def _classes(measurement: Measurement) -> dict[str, tuple[int, int]]:
    """Return (bits, value) by class name, as ODC's ``flags_definition`` gives them."""
    classes: dict[str, tuple[int, int]] = {}
    for flag, entry in measurement.flags.items():
        positions = entry["bits"] if isinstance(entry["bits"], list) else [entry["bits"]]
        bits, lowest = sum(1 << int(p) for p in positions), min(int(p) for p in positions)
        for number, meaning in entry["values"].items():
            if meaning is False:
                continue
            classes[flag if meaning is True else str(meaning)] = (bits, int(number) << lowest)
    return classes
