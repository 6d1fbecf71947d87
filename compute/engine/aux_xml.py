"""GDAL side-car files ``*.aux.xml``: nodata, scale and offset beside a raster.

GDAL itself is kept from looking for side-car files, as they may be of any format and name further files.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from compute.files.addresses import existing_path, is_local

_MOST_BYTES = 4 * 2**20
"""Largest such file that is read: with a histogram of every band it has some 10 kB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TagsBeside:
    """Nodata, scale and offset of one band in a side-car file; None where it declares none."""

    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None


NOTHING_BESIDE = TagsBeside()


def tags_beside(address: str, index: int) -> TagsBeside:
    """Return the side-car declarations of one band of a local file.

    Parameters
    ----------
    address : str
        Of the file.
    index : int
        Number of the band, from 1.

    Returns
    -------
    TagsBeside
        Of nothing where the file has none beside it, or one that cannot be read, as GDAL has it.
    """
    path = existing_path(address) if is_local(address) else None
    if path is None or path.lower().startswith("/vsi"):
        return NOTHING_BESIDE
    try:
        root = ET.fromstring(_content(f"{path}.aux.xml"))  # noqa: S314  # expat bounds entities, and opens none
    except (OSError, ValueError, ET.ParseError, RecursionError):
        return NOTHING_BESIDE
    band = next((each for each in root.iterfind("PAMRasterBand") if each.get("band") == str(index)), None)
    if band is None:
        return NOTHING_BESIDE
    scale, offset = _number(band, "Scale"), _number(band, "Offset")
    if scale is not None or offset is not None:
        # As GDAL has it, one without the other is no part of what the file itself declares.
        scale, offset = 1.0 if scale is None else scale, offset or 0.0
    return TagsBeside(nodata=_number(band, "NoDataValue"), scale=scale, offset=offset)


def _content(path: str) -> bytes:
    """Read a small regular file; a pipe is never waited for."""
    found = os.stat(path)  # noqa: PTH116  # for every window that is read, and a Path takes longer
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
        raise OSError
    return Path(path).read_bytes()


def _number(band: ET.Element, name: str) -> float | None:
    try:
        return float(band.findtext(name, ""))
    except ValueError:
        return None
