"""Web Mercator tile addresses and their bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import pi

from compute.errors import InputError

MAX_ZOOM = 24
"""Deepest zoom: pixels of a centimetre, far below any scene's."""

HALF_WORLD_M = 6_378_137.0 * pi
"""Half the width of the Web Mercator square (EPSG:3857), in metres."""

TILE_PX = 256
"""Edge of a tile unless another is asked for, in pixels."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,7}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class TileAddress:
    """A tile of the XYZ scheme: row 0 is the northernmost.

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
    """Read the three numbers of a tile from a URL.

    Parameters
    ----------
    z, x, y : str
        Plain decimal digits without sign, space or leading zeros.

    Returns
    -------
    TileAddress
        Within bounds.

    Raises
    ------
    InputError
        One of them is not such a number or is out of bounds.
    """
    zoom = _parse("z", z, MAX_ZOOM)
    last = 2**zoom - 1
    return TileAddress(z=zoom, x=_parse("x", x, last), y=_parse("y", y, last))


def _parse(field: str, text: str, last: int) -> int:
    if _NUMBER.fullmatch(text) and int(text) <= last:
        return int(text)
    raise InputError(field, f"The tile's {field} must be a whole number from 0 to {last}, not {text[:20]!r}.")


def pixel_m(zoom: int, size: int = TILE_PX) -> float:
    """Return the edge of a pixel of a tile of `size` pixels, in metres of Web Mercator."""
    return float(2 * HALF_WORLD_M / (2**zoom * size))
