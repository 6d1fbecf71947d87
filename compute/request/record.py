"""The request record, its canonical JSON form and its query-string form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self, get_args
from urllib.parse import parse_qsl, urlencode

from compute.errors import InputError
from compute.kernels import IndexRange
from compute.products import ClearClass, Harmonise, MaskFilter, ValidRange
from compute.request.field_parsing import FROM_JSON, FROM_TEXT, as_text, parse_region, parse_time
from compute.request.field_values import (
    MIN_AREA,
    NATIVE,
    Average,
    Landsat7,
    Reader,
    Resampling,
    Weight,
    canonical_clear,
    check_choice,
    check_crs,
    check_numbers,
    check_products,
    check_reader,
    check_time,
)
from compute.request.mask_filters import canonical_filters, filters_document
from compute.request.region import Region
from compute.request.seasons import STANDARD, By, Season, format_seasons, parse_seasons

_IN_TIME = ("start", "end")
"""Fields that JSON and query strings hold together, as ``time``."""


@dataclass(frozen=True, kw_only=True)
class NdviRequest:
    """A seasonal NDVI request, complete and canonical: equal requests give equal JSON.

    Attributes
    ----------
    products : tuple of str
        ODC product names, sorted; their scenes are concatenated.
    region : Region
        Box or polygon in degrees.
    start, end : datetime.date
        First and last solar day, both included.
    by : {"season", "season-year"}
        Merge the years into a climatology, or keep them apart.
    seasons : tuple of Season
        Season definitions.
    crs : str
        ``"EPSG:n"`` or ``"native"``.
    resolution : float or None
        Pixel size in units of the CRS; None for the scenes' own.
    resampling : str
        How red and nir are warped.
    average : {"clear", "all"}
        Pixels that a mean over areas is taken of: those that are clear and valid, or all that are valid.
    min_area : float
        Least share of an output pixel, from 0 to 1, that must be clear and valid where a mean over areas is taken.
    index_range : (float, float) or None
        Least and greatest index that is an observation; None for every one.
    reader : {"exact", "odc"}
        Who reads and warps.
    clear : tuple of str or int, or None
        Mask classes that are clear, sorted; None for each product's own.
    valid_range : (float, float), "none" or None
        Range of stored values that are observations; ``"none"`` turns it off, None for each product's own.
    min_clear : int
        Fewest observations that make a mean.
    mask_filters : tuple of MaskFilter
        Mask classes that are opened and widened first, sorted by class; the exact reader alone does so.
    weight : {"observation", "month", "year"}
        What weighs alike in a mean: observations, the means of months (of a year each), or the means of season-years.
    months : bool
        Whether the number of different calendar months with a clear look is kept beside each count.
    std : bool
        Whether the standard deviation of the observations is kept.
    reasons : bool
        Whether looks that are no observations are counted by their reason.
    landsat7 : {"all", "slc-on", "nominal"}
        What is used of Landsat 7: all, until its scan-line corrector failed, or until it left its nominal orbit.
    harmonise : {"none", "roy2016"}
        Whose coefficients bring the reflectance of TM and ETM+ to that of OLI.
    """

    products: tuple[str, ...]
    region: Region
    start: date
    end: date
    by: By = "season"
    seasons: tuple[Season, ...] = STANDARD
    crs: str = "EPSG:3577"
    resolution: float | None = None
    resampling: Resampling = "average"
    average: Average = "clear"
    min_area: float = MIN_AREA
    index_range: IndexRange | None = None
    reader: Reader = "exact"
    clear: tuple[ClearClass, ...] | None = None
    valid_range: ValidRange = None
    min_clear: int = 1
    mask_filters: tuple[MaskFilter, ...] = ()
    weight: Weight = "observation"
    months: bool = False
    std: bool = False
    reasons: bool = False
    landsat7: Landsat7 = "all"
    harmonise: Harmonise = "none"

    def __post_init__(self) -> None:
        check_products(self.products)
        check_time(self.start, self.end)
        parse_seasons(format_seasons(self.seasons))
        check_crs(self.crs)
        check_choice("by", self.by, get_args(By))
        check_choice("resampling", self.resampling, get_args(Resampling))
        check_choice("average", self.average, get_args(Average))
        check_choice("reader", self.reader, get_args(Reader))
        check_reader(self.reader, self.resampling, filtered=bool(self.mask_filters))
        check_choice("weight", self.weight, get_args(Weight))
        check_choice("landsat7", self.landsat7, get_args(Landsat7))
        check_choice("harmonise", self.harmonise, get_args(Harmonise))
        check_numbers(self.resolution, self.min_clear, self.valid_range, self.min_area, self.index_range)
        object.__setattr__(self, "min_area", float(self.min_area))
        if self.index_range is not None:
            object.__setattr__(self, "index_range", tuple(float(value) for value in self.index_range))
        if self.resolution is not None:
            object.__setattr__(self, "resolution", float(self.resolution))
        if isinstance(self.valid_range, tuple):
            object.__setattr__(self, "valid_range", tuple(float(value) for value in self.valid_range))
        object.__setattr__(self, "products", tuple(sorted(set(self.products))))
        if self.clear is not None:
            object.__setattr__(self, "clear", canonical_clear(self.clear))
        object.__setattr__(self, "mask_filters", canonical_filters(self.mask_filters))
        object.__setattr__(self, "crs", self.crs if self.crs == NATIVE else f"EPSG:{int(self.crs[5:])}")

    def to_json(self) -> str:
        """Return the canonical JSON text: sorted keys, no spaces, defaults included."""
        return json.dumps(self._document(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read `to_json`'s text again.

        Raises
        ------
        InputError
            A field is missing, unknown or not usable.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError("request", "The request is not JSON; give an object of request fields.") from None
        if not isinstance(document, dict):
            raise InputError("request", "The request is not a JSON object; give an object of request fields.")
        return cls._from_document(document)

    def to_query(self) -> str:
        """Return the request as a URL query string of its canonical fields, those at their default left out."""
        document = self._document()
        at_default = {each.name for each in fields(self) if getattr(self, each.name) == each.default}
        return urlencode({key: as_text(document[key]) for key in sorted(document) if key not in at_default})

    @classmethod
    def from_query(cls, query: str) -> Self:
        """Read `to_query`'s text again; of a key given twice the last counts.

        Raises
        ------
        InputError
            A field is missing, unknown or not usable.
        """
        document: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
        for key, parse in FROM_TEXT.items():
            if key in document:
                document[key] = parse(document[key])
        return cls._from_document(document)

    def _document(self) -> dict[str, Any]:
        return {
            "products": list(self.products),
            "region": ",".join(repr(value) for value in self.region.bbox)
            if self.region.polygon is None
            else json.dumps(self.region.geojson, separators=(",", ":")),
            "time": f"{self.start}/{self.end}",
            "by": self.by,
            "seasons": format_seasons(self.seasons),
            "crs": self.crs,
            "resolution": self.resolution,
            "resampling": self.resampling,
            "average": self.average,
            "min_area": self.min_area,
            "index_range": None if self.index_range is None else list(self.index_range),
            "reader": self.reader,
            "clear": None if self.clear is None else list(self.clear),
            "valid_range": list(self.valid_range) if isinstance(self.valid_range, tuple) else self.valid_range,
            "min_clear": self.min_clear,
            "weight": self.weight,
            "months": self.months,
            "std": self.std,
            "reasons": self.reasons,
            "mask_filters": filters_document(self.mask_filters),
            "landsat7": self.landsat7,
            "harmonise": self.harmonise,
        }

    @classmethod
    def _from_document(cls, document: Mapping[str, Any]) -> Self:
        known = {"products", "region", "time", *(each.name for each in fields(cls) if each.name not in _IN_TIME)}
        for key in document:
            if key not in known:
                raise InputError(
                    "request", f"The request has no field {str(key)[:40]!r}; it has {', '.join(sorted(known))}."
                )
        values = {key: value for key, value in document.items() if value is not None}
        for key in ("products", "region", "time"):
            if key not in values:
                raise InputError(key, f"The request has no {key}; give one.")
        values["start"], values["end"] = parse_time(str(values.pop("time")))
        values["region"] = parse_region(str(values["region"]))
        for key, convert in FROM_JSON.items():
            if key in values:
                values[key] = convert(values[key])
        return cls(**values)
