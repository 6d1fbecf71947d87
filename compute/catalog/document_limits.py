"""Limits on what EO3 documents state of their grids: shapes, extents and coordinate reference systems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any


class DocumentError(ValueError):
    """A document lacks something that is needed; the words begin a sentence about it."""


MAX_EDGE_PX = 10_000_000
"""Longest edge of a grid: a mosaic of the globe at 10 m has 4 million pixels."""

MAX_EXTENT = 1e9
"""Greatest coordinate of a grid in units of its CRS: the circumference of the Earth is 4e7 m."""

MAX_CRS_CHARACTERS = 20_000

_NAMES_FILE = re.compile(
    r"grids|parameterfile|\b(?:file|model|catalog)\s*=|\binit\s*=(?!\s*epsg:\d+(?:\s|$))", re.IGNORECASE
)
"""Parameters of PROJ and WKT by which a CRS names a file, which would be opened whatever it is."""


def refuse_crs(text: object) -> None:
    """Refuse a CRS that names files, before PROJ opens them.

    Parameters
    ----------
    text : object
        The ``crs`` of a document: an authority code, WKT or a PROJ string.

    Raises
    ------
    DocumentError
        It names a file, or is too long.
    """
    words = str(text)
    if len(words) > MAX_CRS_CHARACTERS:
        raise DocumentError(f"Its crs is over {MAX_CRS_CHARACTERS} characters long")
    if _NAMES_FILE.search(words):
        raise DocumentError("Its crs names a file of grid shifts or parameters, which is not opened; name it as EPSG:n")


def refuse_grid(entry: Mapping[str, Any]) -> None:
    """Refuse a grid that no scene can have.

    Parameters
    ----------
    entry : mapping
        With ``shape`` (rows, columns) and ``transform`` (six numbers or more).

    Raises
    ------
    DocumentError
        Its shape or its extent is out of bounds.
    """
    rows, columns = (int(number) for number in entry["shape"])
    if not (0 < rows <= MAX_EDGE_PX and 0 < columns <= MAX_EDGE_PX):
        raise DocumentError(
            f"Its grid has the shape {str(entry['shape'])[:60]}; an edge has 1 to {MAX_EDGE_PX:,} pixels"
        )
    a, b, c, d, e, f = (float(number) for number in entry["transform"][:6])
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, columns) for y in (0, rows)]
    if not all(isfinite(number) and abs(number) <= MAX_EXTENT for corner in corners for number in corner):
        raise DocumentError("Its grid reaches beyond what any map of the Earth has")
