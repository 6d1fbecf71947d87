"""Tiles and pixel values of a result, finished or not, from its workers or its store.

Values are int16 (`LAYER_ENCODING`) with codes (`compute.kernels.NEVER_CLEAR` and its like). What colours them is in
`compute.tiles.styles`, to be imported from there: it brings Datashader, which most who ask for values never need.
"""

from compute.engine.overview_levels import LAYER_ENCODING
from compute.tiles.pixel_sources import LocalPixels, PixelSource, PixelValue, View
from compute.tiles.reader_processes import StoreReaders
from compute.tiles.stored_pixels import StoredPixels
from compute.tiles.stored_statistics import kept_statistics
from compute.tiles.tile_geometry import ResultGeometry, geometry_of
from compute.tiles.tile_patches import Control, warm_up
from compute.tiles.tile_queue import TileDesk
from compute.tiles.tile_service import ResultTiles, Tile, block_bbox, result_info
from compute.tiles.web_mercator import MAX_ZOOM, TILE_PX, TileAddress, parse_tile
from compute.tiles.worker_pixels import WorkerPixels

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
