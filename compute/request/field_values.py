"""Values of request fields: their choices, limits and canonical forms, and refusals of unusable ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from compute.errors import InputError

if TYPE_CHECKING:
    from compute.products import ClearClass

Resampling = Literal["nearest", "average", "bilinear", "cubic", "mode", "min", "max", "med", "q1", "q3"]
"""Resampling of the red and near-infrared bands to the output grid."""

EXACT_RESAMPLINGS = ("average", "nearest", "bilinear")
"""Resamplings of the exact reader; datacube's reader has all of GDAL's."""

Average = Literal["clear", "all"]
"""Source pixels of an area mean. ``clear``: clear and valid ones, each by its own pixel of the mask. ``all``: all valid
ones if the mask is clear at the centre of the output pixel, as in GDAL's warp and in the notebook's recipe."""

MIN_AREA = 0.5
"""Default of the minimum share of an output pixel that is clear and valid."""

Reader = Literal["exact", "odc"]
"""Reader and warper: ``exact`` is Greenup's own, ``odc`` datacube's, which warps with GDAL and may mix scenes."""

Landsat7 = Literal["all", "slc-on", "nominal"]
"""Landsat 7 scenes: all, those without gaps, or those from the nominal orbit; see
`compute.plan.sensor_selection.LANDSAT_7_LAST`."""

Weight = Literal["observation", "month", "year"]
"""Values of equal weight in a season's mean: observations, the means of months, or the means of season-years."""

NATIVE = "native"
"""CRS that stands for the scenes' own grid, alignment included."""

FIRST_DAY = date(1972, 7, 23)
"""Launch of Landsat 1, before any scene."""

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""First and last year of a date: far beyond all scenes, and within what calendars can express."""

MAX_RESOLUTION = 1e7
"""Coarsest pixel, in units of the CRS: a quarter of the Earth's circumference in metres."""

_EPSG = re.compile(r"EPSG:([0-9]{4,6})", re.IGNORECASE)
_INTEGER = re.compile(r"-?[0-9]{1,9}")
_PRODUCT = re.compile(r"[\w.-]+")


def canonical_clear(clear: Sequence[ClearClass]) -> tuple[ClearClass, ...]:
    """Sort the classes, numbers first, as their order has no meaning."""
    names = [str(each) for each in clear]
    if not names or any(not name or len(name) > 80 or "," in name or name != name.strip() for name in names):
        raise InputError("clear", f"The clear classes {names!s:.60} hold an unusable one; give names or integers.")
    numbers = {int(name) for name in names if _INTEGER.fullmatch(name)}
    return (*sorted(numbers), *sorted({name for name in names if not _INTEGER.fullmatch(name)}))


def check_products(products: tuple[str, ...]) -> None:
    """Refuse an empty list of products, and text that cannot be the name of one."""
    if not products:
        raise InputError("product", "The request names no product; give at least one.")
    for product in products:
        if not _PRODUCT.fullmatch(product):
            raise InputError("product", f"The product {product[:40]!r} is not the name of a product; correct it.")


def check_time(start: date, end: date) -> None:
    """Refuse days out of order or out of bounds."""
    if start.year < FIRST_YEAR or end.year > LAST_YEAR:
        raise InputError("time", f"The dates {start}/{end} are not all from {FIRST_YEAR} to {LAST_YEAR}; correct them.")
    if start > end:
        raise InputError("time", f"The first day {start} is after the last day {end}; give FIRST/LAST.")
    if end < FIRST_DAY:
        raise InputError("time", f"The last day {end} is before {FIRST_DAY}, when Landsat began; give a later one.")


def canonical_crs(crs: str) -> str:
    """Return ``native``, or the EPSG code of a two-dimensional map projection or of degrees.

    Raises
    ------
    InputError
        It is neither.
    """
    if crs == NATIVE:
        return crs
    code = _EPSG.fullmatch(crs)
    if code is None or not _is_two_dimensional(int(code[1])):
        raise InputError("crs", f"The crs {crs[:40]!r} is not a known map projection; give EPSG:n or native.")
    return f"EPSG:{int(code[1])}"


@lru_cache(maxsize=64)
def _is_two_dimensional(code: int) -> bool:
    """Return whether an EPSG code is a CRS of maps: two axes, projected or in degrees."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        known = CRS.from_epsg(code)
    except CRSError:
        return False
    return len(known.axis_info) == 2 and (known.is_projected or known.is_geographic)


def check_reader(reader: str, resampling: str, *, filtered: bool = False) -> None:
    """Refuse a resampling or mask filters that the reader does not support."""
    if reader != "exact" and filtered:
        raise InputError("mask-filter", f"The reader {reader} has no mask filters; give --reader exact for them.")
    if reader == "exact" and resampling not in EXACT_RESAMPLINGS:
        known = ", ".join(EXACT_RESAMPLINGS)
        raise InputError("resampling", f"The exact reader has no {resampling}; give one of {known}, or --reader odc.")
