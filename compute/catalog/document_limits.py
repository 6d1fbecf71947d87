"""Limits on the grids of EO3 documents: shape, extent and coordinate reference system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any


class DocumentError(ValueError):
    """Error raised if an EO3 document is unusable; the message is a sentence without full stop."""


MAX_EDGE_PX = 10_000_000
"""Maximum edge length of a grid in pixels; a global mosaic at 10 m is 4 million pixels wide."""

MAX_EXTENT = 1e9
"""Maximum absolute coordinate of a grid in units of its CRS; the circumference of the Earth is 4e7 m."""

MAX_CRS_CHARACTERS = 20_000

_NAMES_FILE = re.compile(
    r"grids|parameterfile|\b(?:file|model|catalog)\s*=|\binit\s*=(?!\s*epsg:\d+(?:\s|$))", re.IGNORECASE
)
"""Pattern of parameters with which PROJ opens files: ``+nadgrids``, ``+geoidgrids``, ``PARAMETERFILE``, ``+init``."""


def refuse_crs(text: object) -> None:
    """Refuse a CRS that references files, which PROJ would open.

    Parameters
    ----------
    text : object
        ``crs`` of a document: an authority code, WKT text or PROJ string.

    Raises
    ------
    DocumentError
        The CRS references a file or is too long.
    """
    words = str(text)
    if len(words) > MAX_CRS_CHARACTERS:
        raise DocumentError(f"Its crs is over {MAX_CRS_CHARACTERS} characters long")
    if _NAMES_FILE.search(words):
        raise DocumentError("Its crs names a file of grid shifts or parameters, which is not opened; name it as EPSG:n")


def refuse_grid(entry: Mapping[str, Any]) -> None:
    """Refuse a grid with an impossible shape or extent.

    Parameters
    ----------
    entry : mapping
        Grid of an EO3 document, with ``shape`` (rows, columns) and ``transform`` (six or more numbers).

    Raises
    ------
    DocumentError
        The shape or extent is out of bounds.
    """
    rows, columns = (int(number) for number in entry["shape"])
    if not (0 < rows <= MAX_EDGE_PX and 0 < columns <= MAX_EDGE_PX):
        raise DocumentError(
            f"Its grid has the shape {str(entry['shape'])[:60]}; an edge has 1 to {MAX_EDGE_PX:,} pixels"
        )
    a, b, c, d, e, f = (float(number) for number in entry["transform"][:6])
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, columns) for y in (0, rows)]
    if not all(isfinite(number) and abs(number) <= MAX_EXTENT for corner in corners for number in corner):
        raise DocumentError("Its grid extends beyond any map of the Earth")
