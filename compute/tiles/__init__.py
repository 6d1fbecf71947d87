"""Tiles and values of a result, finished or not, from the workers that hold its blocks.

Values are int16 (`LAYER_ENCODING`) with codes (`compute.kernels.NEVER_CLEAR` and its like). What colours them is in
`compute.tiles.colours`, to be imported from there: it brings Datashader, which most who ask for values never need.
"""

from compute.levels import LAYER_ENCODING
from compute.patches import Control, warm_up
from compute.tiles.address import MAX_ZOOM, TILE_PX, TileAddress, parse_tile
from compute.tiles.desk import TileDesk
from compute.tiles.geometry import ResultGeometry, geometry_of
from compute.tiles.kept_statistics import kept_statistics
from compute.tiles.readers import StoreReaders
from compute.tiles.service import ResultTiles, Tile, block_bbox, result_info
from compute.tiles.source import LocalPixels, PixelSource, PixelValue, View
from compute.tiles.stored import StoredPixels
from compute.tiles.workers import WorkerPixels

__all__ = [
    "LAYER_ENCODING",
    "MAX_ZOOM",
    "TILE_PX",
    "Control",
    "LocalPixels",
    "PixelSource",
    "PixelValue",
    "ResultGeometry",
    "ResultTiles",
    "StoreReaders",
    "StoredPixels",
    "Tile",
    "TileAddress",
    "TileDesk",
    "View",
    "WorkerPixels",
    "block_bbox",
    "geometry_of",
    "kept_statistics",
    "parse_tile",
    "result_info",
    "warm_up",
]
