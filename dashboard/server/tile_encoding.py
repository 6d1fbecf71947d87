"""Encoding of tiles as PNG or int16 values, with an ETag and optional gzip."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from isal import igzip_lib

from compute.tiles.png_encoding import png
from compute.tiles.styles import Style
from compute.tiles.tile_service import Tile


@dataclass(frozen=True, kw_only=True)
class EncodedTile:
    """Body of a tile response, and the values of its headers.

    Attributes
    ----------
    body : bytes
        Body of the response.
    content_type : str
        Media type of the body before compression.
    etag : str
        Quoted hash of the body before compression.
    is_compressed : bool
        Whether the body is compressed by gzip.
    """

    body: bytes
    content_type: str
    etag: str
    is_compressed: bool


def encode_tile(tile: Tile, style: Style | None, *, compress: bool) -> EncodedTile:
    """Return a tile encoded as PNG, or as int16 values if there is no style.

    Most of the time is spent without the GIL, so calls can run in threads.

    Parameters
    ----------
    tile : Tile
        Pixels of the tile.
    style : Style or None
        Style of the PNG; None for int16 values.
    compress : bool
        Whether to compress the body by gzip.
    """
    body = tile.to_bytes() if style is None else png(tile.values, style)
    return EncodedTile(
        body=_compress_gzip(body) if compress else body,
        content_type="application/octet-stream" if style is None else "image/png",
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        is_compressed=compress,
    )


def _compress_gzip(body: bytes) -> bytes:
    """Compress bytes with ISA-L, which takes a ninth of the time of zlib."""
    is_compressed: bytes = igzip_lib.compress(body, level=igzip_lib.ISAL_DEFAULT_COMPRESSION, flag=igzip_lib.COMP_GZIP)
    return is_compressed
