"""Regions from text, files and uploads."""

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
    """Parse ``W,S,E,N`` with `parse_bbox`, or text that begins like JSON or XML with `parse_geojson`."""
    return parse_geojson(text) if text.lstrip("\ufeff \t\r\n").startswith(("{", "[", "<")) else parse_bbox(text)


def read_region(path: Path) -> Region:
    """Read a GeoJSON file; see `region_from_bytes`. Raises an `InputError` also if the file cannot be read."""
    require_regular_file(path, "region")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_GEOJSON_BYTES + 1)
    except OSError:
        raise InputError("region", f"The region file {path.name} cannot be read.") from None
    return region_from_bytes(content)


def region_from_bytes(content: bytes) -> Region:
    """Parse the content of a GeoJSON file.

    Parameters
    ----------
    content : bytes
        Text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark. Other bytes are decoded as Latin-1; wrongly
        decoded characters occur only in names, which are ignored.

    Raises
    ------
    InputError
        The content is a file of another format, or `parse_geojson` does not accept it.
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
