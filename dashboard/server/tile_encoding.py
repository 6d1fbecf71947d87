"""Encoding of tiles for the browser."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from isal import igzip_lib

from compute.tiles import Tile
from compute.tiles.png_encoding import png
from compute.tiles.styles import Style


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The body of an answer, and what its headers say of it.

    Attributes
    ----------
    body : bytes
        What is sent.
    content_type : str
        Of what is sent, or of what it is once gzip is undone.
    etag : str
        Names the content, packed or not.
    squeezed : bool
        Whether the body is packed by gzip.
    """

    body: bytes
    content_type: str
    etag: str
    squeezed: bool


def pack(tile: Tile, style: Style | None, *, squeeze: bool) -> Packed:
    """Return a tile as a picture, or as values where there is no style; releases the GIL for most of its time."""
    body = tile.to_bytes() if style is None else png(tile.values, style)
    return Packed(
        body=_gzip(body) if squeeze else body,
        content_type="application/octet-stream" if style is None else "image/png",
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        squeezed=squeeze,
    )


def _gzip(body: bytes) -> bytes:
    """Return what zlib makes of it in nine times the time."""
    squeezed: bytes = igzip_lib.compress(body, level=igzip_lib.ISAL_DEFAULT_COMPRESSION, flag=igzip_lib.COMP_GZIP)
    return squeezed
