"""Addresses of Web Mercator tiles in the XYZ scheme, and the size of their pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import pi

from compute.errors import InputError

MAX_ZOOM = 24
"""Highest zoom, at which a pixel is about a centimetre."""

HALF_WORLD_M = 6_378_137.0 * pi
"""Half the edge length of the Web Mercator square (EPSG:3857) in metres: pi times the WGS 84 semi-major axis."""

TILE_PX = 256
"""Default edge of a tile, in pixels."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,7}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class TileAddress:
    """Address of a tile in the XYZ scheme; row 0 is the northernmost.

    Attributes
    ----------
    z : int
        Zoom, 0 to `MAX_ZOOM`.
    x, y : int
        Column and row, 0 to 2**z - 1.
    """

    z: int
    x: int
    y: int


def parse_tile(z: str, x: str, y: str) -> TileAddress:
    """Parse a tile address from a URL.

    Parameters
    ----------
    z, x, y : str
        Zoom, column and row as decimal digits without sign, spaces and leading zeros.

    Returns
    -------
    TileAddress
        Address of an existing tile.

    Raises
    ------
    InputError
        A number is malformed or out of bounds.
    """
    zoom = _parse("z", z, MAX_ZOOM)
    last = 2**zoom - 1
    return TileAddress(z=zoom, x=_parse("x", x, last), y=_parse("y", y, last))


def _parse(field: str, text: str, last: int) -> int:
    if _NUMBER.fullmatch(text) and int(text) <= last:
        return int(text)
    raise InputError(field, f"The tile's {field} must be a whole number from 0 to {last}, not {text[:20]!r}.")


def pixel_m(zoom: int, size: int = TILE_PX) -> float:
    """Return the edge length of a pixel in metres of Web Mercator.

    Parameters
    ----------
    zoom : int
        Zoom of the tile.
    size : int
        Pixels along each edge of the tile.
    """
    return float(2 * HALF_WORLD_M / (2**zoom * size))
