"""Read nodata, scale and offset from GDAL side-car files (``*.aux.xml``).

GDAL does not read them itself, because it may not open side-car files, which may have any format and refer to further
files. Format: https://gdal.org/doxygen/classGDALPamDataset.html
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from compute.files.addresses import existing_path, is_local

_MOST_BYTES = 4 * 2**20
"""Maximum size of a side-car file, in bytes. A file with histograms of all bands has about 10 kB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuxTags:
    """Nodata, scale and offset of one band from a side-car file; each is None if not declared."""

    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None


NO_AUX_TAGS = AuxTags()


def read_aux_tags(address: str, index: int) -> AuxTags:
    """Return the side-car declarations of one band of a local file.

    Parameters
    ----------
    address : str
        Address of the raster file.
    index : int
        Band number; the first is 1.

    Returns
    -------
    AuxTags
        Declared values. `NO_AUX_TAGS` if the raster is remote, or if its side-car file is missing, unreadable or too
        large, or lacks the band.
    """
    path = existing_path(address) if is_local(address) else None
    if path is None or path.lower().startswith("/vsi"):
        return NO_AUX_TAGS
    try:
        root = ET.fromstring(_content(f"{path}.aux.xml"))  # noqa: S314  # expat limits entities, loads no external ones
    except (OSError, ValueError, ET.ParseError, RecursionError):
        return NO_AUX_TAGS
    band = next((each for each in root.iterfind("PAMRasterBand") if each.get("band") == str(index)), None)
    if band is None:
        return NO_AUX_TAGS
    scale, offset = _number(band, "Scale"), _number(band, "Offset")
    if scale is not None or offset is not None:
        # As in GDAL, a scale or an offset alone overrides both values of the raster itself.
        scale, offset = 1.0 if scale is None else scale, offset or 0.0
    return AuxTags(nodata=_number(band, "NoDataValue"), scale=scale, offset=offset)


def _content(path: str) -> bytes:
    """Return the content of a small regular file.

    Raises
    ------
    OSError
        The file does not exist, cannot be read or is too large, or it is a pipe or device, which could block.
    """
    found = os.stat(path)  # noqa: PTH116  # faster than Path.stat, and called for every window
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
        raise OSError
    return Path(path).read_bytes()


def _number(band: ET.Element, name: str) -> float | None:
    try:
        return float(band.findtext(name, ""))
    except ValueError:
        return None
