"""What the index says of a product: measurements, types, nodata, flags."""

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
        entries = document.get("measurements") or []
        measurements = {
            m["name"]: Measurement(
                name=m["name"],
                dtype=str(m["dtype"]),
                nodata=None if m.get("nodata") is None else float(m["nodata"]),
                flags=m.get("flags_definition") or {},
            )
            for m in entries
        }
        aliases = {alias: m["name"] for m in entries for alias in m.get("aliases") or []}
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
        found = self.measurements.get(name) or self.measurements.get(self.aliases.get(name, ""))
        if found is None:
            known = ", ".join(sorted(self.measurements))
            raise InputError("product", f"Product {self.name} has no measurement {name!r}; it has {known}.")
        return found
