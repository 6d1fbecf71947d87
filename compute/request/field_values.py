"""Choices, limits, canonical forms and validation of the values of request fields."""

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
"""Resamplings that the exact reader supports; datacube's reader supports all of `Resampling`."""

Average = Literal["clear", "all"]
"""Source pixels of an area mean. ``clear``: valid pixels whose own mask pixel is clear. ``all``: all valid pixels, if
the mask is clear at the centre of the output pixel, as in GDAL's warp."""

MIN_AREA = 0.5
"""Default minimum share of an output pixel's area that is clear and valid."""

Reader = Literal["exact", "odc"]
"""Reader of scenes: ``exact`` is Greenup's own; ``odc`` is datacube's, which warps with GDAL and may take the bands of
one pixel from different scenes."""

Landsat7 = Literal["all", "slc-on", "nominal"]
"""Landsat 7 scenes: all, those without gaps, or those from the nominal orbit; see
`compute.plan.sensor_selection.LANDSAT_7_LAST`."""

Weight = Literal["observation", "month", "year"]
"""Values with equal weight in a seasonal mean: observations, monthly means, or means of season-years."""

NATIVE = "native"
"""Value of the field ``crs`` that selects the grid of the scenes, including its alignment."""

FIRST_DAY = date(1972, 7, 23)
"""Launch date of Landsat 1; all scenes are later."""

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""First and last year allowed in dates; all scenes lie within them, and date libraries can represent them."""

MAX_RESOLUTION = 1e7
"""Maximum pixel size in units of the CRS; in metres, a quarter of the Earth's circumference."""

_EPSG = re.compile(r"EPSG:([0-9]{4,6})", re.IGNORECASE)
_INTEGER = re.compile(r"-?[0-9]{1,9}")
_PRODUCT = re.compile(r"[\w.-]+")


def canonical_clear(clear: Sequence[ClearClass]) -> tuple[ClearClass, ...]:
    """Sort clear classes, integers first, and remove duplicates; their order has no meaning.

    Raises
    ------
    InputError
        The list is empty, or a class is empty, too long, padded with spaces or contains a comma.
    """
    names = [str(each) for each in clear]
    if not names or any(not name or len(name) > 80 or "," in name or name != name.strip() for name in names):
        raise InputError("clear", f"The clear classes {names!s:.60} hold an unusable one; give names or integers.")
    numbers = {int(name) for name in names if _INTEGER.fullmatch(name)}
    return (*sorted(numbers), *sorted({name for name in names if not _INTEGER.fullmatch(name)}))


def check_products(products: tuple[str, ...]) -> None:
    """Raise an `InputError` if the list of products is empty or contains text that cannot be a product name."""
    if not products:
        raise InputError("product", "The request names no product; give at least one.")
    for product in products:
        if not _PRODUCT.fullmatch(product):
            raise InputError("product", f"The product {product[:40]!r} is not the name of a product; correct it.")


def check_time(start: date, end: date) -> None:
    """Raise an `InputError` if the dates are out of order or out of bounds."""
    if start.year < FIRST_YEAR or end.year > LAST_YEAR:
        raise InputError("time", f"The dates {start}/{end} are not all from {FIRST_YEAR} to {LAST_YEAR}; correct them.")
    if start > end:
        raise InputError("time", f"The first day {start} is after the last day {end}; give FIRST/LAST.")
    if end < FIRST_DAY:
        raise InputError("time", f"The last day {end} is before {FIRST_DAY}, when Landsat began; give a later one.")


def canonical_crs(crs: str) -> str:
    """Return the canonical form of ``native`` or of the EPSG code of a two-dimensional projected or geographic CRS.

    Raises
    ------
    InputError
        The text is neither.
    """
    if crs == NATIVE:
        return crs
    code = _EPSG.fullmatch(crs)
    if code is None or not _is_two_dimensional(int(code[1])):
        raise InputError("crs", f"The crs {crs[:40]!r} is not a known map projection; give EPSG:n or native.")
    return f"EPSG:{int(code[1])}"


@lru_cache(maxsize=64)
def _is_two_dimensional(code: int) -> bool:
    """Return whether an EPSG code is a projected or geographic CRS with two axes."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        known = CRS.from_epsg(code)
    except CRSError:
        return False
    return len(known.axis_info) == 2 and (known.is_projected or known.is_geographic)


def check_reader(reader: str, resampling: str, *, filtered: bool = False) -> None:
    """Raise an `InputError` if the reader does not support the resampling or the mask filters of a request."""
    if reader != "exact" and filtered:
        raise InputError("mask-filter", f"The reader {reader} has no mask filters; give --reader exact for them.")
    if reader == "exact" and resampling not in EXACT_RESAMPLINGS:
        known = ", ".join(EXACT_RESAMPLINGS)
        raise InputError("resampling", f"The exact reader has no {resampling}; give one of {known}, or --reader odc.")
