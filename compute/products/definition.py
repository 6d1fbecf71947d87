"""ODC product definitions as stored in the index: measurements, types, nodata, flags.

https://opendatacube.readthedocs.io/en/latest/about-core-concepts/products.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from compute.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One measurement of an ODC product definition.

    Attributes
    ----------
    name : str
        Canonical name.
    dtype : str
        NumPy dtype of the stored values.
    nodata : float or None
        Stored value for missing data, possibly NaN. None if not defined.
    flags : mapping
        ``flags_definition`` of the document, by flag name; empty if not defined.
    scale, offset : float or None
        ``scale_factor`` and ``add_offset``: the physical value is ``stored * scale + offset``. None if not defined.
    """

    name: str
    dtype: str
    nodata: float | None
    flags: Mapping[str, Any] = field(default_factory=dict)
    scale: float | None = None
    offset: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductDefinition:
    """One ODC product definition.

    Attributes
    ----------
    name : str
        Product name.
    description : str
        Description of the product.
    measurements : mapping of str to Measurement
        Measurements by canonical name.
    aliases : mapping of str to str
        Canonical names by alias.
    """

    name: str
    description: str
    measurements: Mapping[str, Measurement]
    aliases: Mapping[str, str]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Create a definition from an ODC product document.

        Parameters
        ----------
        document : mapping
            Parsed ODC product document.

        Returns
        -------
        ProductDefinition
            Definition with the measurements and aliases of the document.

        Raises
        ------
        InputError
            The nodata, scale or offset of a measurement is not a number.
        """
        entries = document.get("measurements") or []
        measurements = {entry["name"]: _measurement(entry, str(document["name"])) for entry in entries}
        aliases = {alias: m["name"] for m in entries for alias in m.get("aliases") or []}
        return cls(
            name=document["name"],
            description=str(document.get("description", "")),
            measurements=measurements,
            aliases=aliases,
        )

    def measurement(self, name: str) -> Measurement:
        """Return a measurement by name or alias.

        Raises
        ------
        InputError
            The product has no such measurement; the message lists the existing measurements.
        """
        found = self.measurements.get(name) or self.measurements.get(self.aliases.get(name, ""))
        if found is None:
            known = ", ".join(sorted(self.measurements))
            raise InputError("product", f"Product {self.name} has no measurement {name!r}; it has {known}.")
        return found


def _measurement(entry: Mapping[str, Any], product: str) -> Measurement:
    return Measurement(
        name=entry["name"],
        dtype=str(entry["dtype"]),
        nodata=_number(entry, "nodata", product),
        flags=entry.get("flags_definition") or {},
        scale=_number(entry, "scale_factor", product),
        offset=_number(entry, "add_offset", product),
    )


def _number(entry: Mapping[str, Any], key: str, product: str) -> float | None:
    try:
        return None if entry.get(key) is None else float(entry[key])
    except (TypeError, ValueError):
        sentence = f"The definition of {product} gives {entry['name']} the {key} {str(entry[key])[:40]!r}"
        raise InputError("product", f"{sentence}, which is not a number; correct it in the index.") from None
