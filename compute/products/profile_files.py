"""Reading and validation of products files, with one-sentence error messages."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)

from compute.errors import InputError
from compute.files.text_files import UnfitFileError, read_text
from compute.products.profile import (
    AllProfile,
    AnyProfile,
    BandProfile,
    BitsProfile,
    MaskProfile,
    OffsetProfile,
    ProductProfile,
    StrictTable,
    ThresholdProfile,
)

_MOST_BYTES = 2**18
"""Maximum size of a products file in bytes; a product takes about 500 bytes."""


_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+'|[\w-]++)[ \t]*+\.[ \t]*+){16}""")
"""Pattern of a dotted key with more than 16 parts; tomllib of Python 3.11 needs memory quadratic in their number."""


class _ProductsFile(StrictTable):
    products: dict[str, ProductProfile]


def shipped_profiles() -> dict[str, ProductProfile]:
    """Return the profiles that are distributed with Greenup.

    Returns
    -------
    dict of str to ProductProfile
        Profiles by ODC product name.
    """
    text = files("compute.products").joinpath("products.toml").read_text(encoding="utf-8")
    return _parse(text, "the shipped products.toml")


def load_profiles(path: Path | None) -> dict[str, ProductProfile]:
    """Load the shipped profiles, updated with the profiles of a file.

    Parameters
    ----------
    path : pathlib.Path or None
        Products file; None to load only the shipped profiles.

    Returns
    -------
    dict of str to ProductProfile
        Profiles by ODC product name.

    Raises
    ------
    InputError
        The file cannot be read, is too large, is not valid TOML, or has an unknown key, an invalid value, or a product
        that is described twice.
    """
    shipped = shipped_profiles()
    if path is None:
        return shipped
    try:
        text = read_text(path, most_bytes=_MOST_BYTES)
    except UnfitFileError as error:
        raise InputError("products", f"The products file {path.name} {error}.") from None
    except (OSError, ValueError):
        raise InputError(
            "products", f"The products file {path.name} cannot be read as UTF-8 text; check its name and encoding."
        ) from None
    return shipped | _parse(text, path.name)


def _parse(text: str, name: str) -> dict[str, ProductProfile]:
    try:
        tables = _ProductsFile.model_validate(_parse_toml(text, name)).products
    except ValidationError as error:
        raise InputError("products", _describe_first_error(name, error)) from None
    except RecursionError:
        raise InputError("products", f"{name} nests conditions too deeply; write the clear rule more simply.") from None
    profiles: dict[str, ProductProfile] = {}
    for names, profile in tables.items():
        for product in (each.strip() for each in names.split(",")):
            if not product or product in profiles:
                raise InputError("products", f"{name} describes the product {product!r} twice or without a name.")
            profiles[product] = profile
    return profiles


def _parse_toml(text: str, name: str) -> dict[str, Any]:
    if _LONG_KEY.search(text):
        raise InputError("products", f"{name} has a key of more than 16 parts; a products file needs three.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("products", f"{name} is not valid TOML: {error}.") from None
    except ValueError:
        raise InputError("products", f"{name} holds a number of more than 4,300 digits.") from None


def _describe_first_error(name: str, error: ValidationError) -> str:
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"] if not str(part).startswith(("tuple[", "function-", "<", "tagged-"))]
    where = ".".join(parts)
    if first["type"] == "extra_forbidden":
        kinds = {str(part) for part in first["loc"]}
        return f"{name} has an unknown key {where}; known keys are {', '.join(_known_keys(parts, kinds))}."
    return f"{name} has an invalid value at {where}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."


_TABLES: dict[str, type[StrictTable]] = {
    "<rule>": OffsetProfile,
    "<bits>": BitsProfile,
    "<any>": AnyProfile,
    "<all>": AllProfile,
    "<threshold>": ThresholdProfile,
    "<mask>": MaskProfile,
}
"""Table types by pydantic tag, innermost first."""


def _known_keys(parts: list[str], kinds: set[str]) -> list[str]:
    if len(parts) == 1:
        return ["products"]
    table = next((table for tag, table in _TABLES.items() if tag in kinds), None)
    if table is None:
        table = ProductProfile if len(parts) == 3 else BandProfile
    return [each.alias or key for key, each in table.model_fields.items()]
