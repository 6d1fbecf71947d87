"""Regions from text, files and uploads, and refusals of other file formats."""

from __future__ import annotations

import json
from pathlib import Path

from compute.errors import InputError
from compute.files.file_kinds import require_regular_file
from compute.request.region.boxes import Region, parse_bbox
from compute.request.region.geojson import MAX_GEOJSON_BYTES, parse_geojson, refuse_bytes

_FORMATS = {
    b"PK\x03\x04": "a zip archive, as KMZ and zipped Shapefiles are",
    b"\x1f\x8b": "compressed",
    b"\x00\x00\x27\x0a": "a Shapefile",
    b"SQLite format 3\x00": "a GeoPackage or another SQLite database",
    b"fgb": "FlatGeobuf",
    b"PAR1": "Parquet",
    b"%PDF": "a PDF",
}


def parse_region(text: str) -> Region:
    """Read ``W,S,E,N`` or GeoJSON text; text of another format is refused as GeoJSON is."""
    return parse_geojson(text) if text.lstrip("\ufeff \t\r\n").startswith(("{", "[", "<")) else parse_bbox(text)


def read_region(path: Path) -> Region:
    """Read a GeoJSON file; see `region_from_bytes`."""
    require_regular_file(path, "region")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_GEOJSON_BYTES + 1)
    except OSError:
        raise InputError("region", f"The region file {path.name} cannot be read.") from None
    return region_from_bytes(content)


def region_from_bytes(content: bytes) -> Region:
    """Read a region from the bytes of a GeoJSON file.

    Parameters
    ----------
    content : bytes
        In UTF-8, UTF-16 or UTF-32, with a byte order mark or without; anything else is read as Latin-1, which only
        names can tell from UTF-8.

    Raises
    ------
    InputError
        See `parse_geojson`; also when it is empty, or a file of another format.
    """
    refuse_bytes(len(content))
    for start, name in _FORMATS.items():
        if content.startswith(start):
            raise InputError("region", f"The region file is {name}, not GeoJSON; save it as GeoJSON.")
    try:
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return parse_geojson(text)
