"""Tiles and pixel values of a result, complete or not, from its workers or its store.

Values are int16 (`LAYER_ENCODING`) with codes such as `compute.kernels.NEVER_CLEAR`. Import colours from
`compute.tiles.styles`, which loads Datashader: most uses of values do without.
"""

from compute.engine.overview_levels import LAYER_ENCODING
from compute.tiles.pixel_sources import LocalPixels, PixelSource, PixelValue, View
from compute.tiles.reader_processes import StoreReaders
from compute.tiles.stored_pixels import StoredPixels
from compute.tiles.stored_statistics import stored_region_statistics
from compute.tiles.tile_geometry import ResultGeometry, result_geometry
from compute.tiles.tile_patches import ControlPoints, warm_up
from compute.tiles.tile_queue import TileQueue
from compute.tiles.tile_service import ResultTiles, Tile, block_bbox, result_info
from compute.tiles.web_mercator import MAX_ZOOM, TILE_PX, TileAddress, parse_tile
from compute.tiles.worker_pixels import WorkerPixels

__all__ = [
    "LAYER_ENCODING",
    "MAX_ZOOM",
    "TILE_PX",
    "ControlPoints",
    "LocalPixels",
    "PixelSource",
    "PixelValue",
    "ResultGeometry",
    "ResultTiles",
    "StoreReaders",
    "StoredPixels",
    "Tile",
    "TileAddress",
    "TileQueue",
    "View",
    "WorkerPixels",
    "block_bbox",
    "parse_tile",
    "result_geometry",
    "result_info",
    "stored_region_statistics",
    "warm_up",
]
