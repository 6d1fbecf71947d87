"""Tiles and pixel values of one result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray

from compute import kernels
from compute.engine.overview_levels import LAYER_ENCODING
from compute.errors import InputError
from compute.plan.grid_outlines import project_onto
from compute.request.region import Bbox, Region
from compute.result.chunk_windows import Chunks, chunk_window
from compute.result.layers import LAYERS
from compute.result.stack import SeasonStack
from compute.scenes import Grid
from compute.tiles.colour_range import overview_control, stretched
from compute.tiles.pixel_sources import FallbackPixels, PixelSource, PixelValue, View
from compute.tiles.stored_pixels import StoredPixels
from compute.tiles.tile_geometry import WORLD, result_geometry
from compute.tiles.web_mercator import HALF_WORLD_M, TILE_PX, TileAddress, pixel_m
from compute.tiles.worker_pixels import WorkerPixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """Values of a tile.

    Attributes
    ----------
    values : numpy.ndarray
        (y, x) int16, northernmost row first: values encoded as in `compute.engine.overview_levels.LAYER_ENCODING`, or
        codes. The codes are `kernels.NEVER_CLEAR` (no observation), `kernels.TOO_FEW` (too few observations for a
        mean), `kernels.OUTSIDE` (outside the grid, or outside the region's polygon and without a value) and
        `kernels.NOT_COMPUTED`.
    complete : bool
        Whether all blocks that the tile shows are computed, so that it no longer changes.
    preview : numpy.ndarray or None
        (y, x) int16 values of the preview for pixels that are not computed yet, `kernels.OUTSIDE` for other pixels;
        None without a preview.
    """

    values: NDArray[np.int16]
    complete: bool
    preview: NDArray[np.int16] | None = None

    def over(self, other: Tile | None) -> Tile:
        """Return this tile with the values of a preview for pixels that are not computed yet.

        Parameters
        ----------
        other : Tile or None
            Tile of the preview at the same address; None if the address is outside the preview.
        """
        beneath = np.full_like(self.values, kernels.OUTSIDE)
        if other is not None:
            np.copyto(beneath, other.values, where=self.values == kernels.NOT_COMPUTED)
        return replace(self, preview=beneath)

    def to_bytes(self) -> bytes:
        """Return the values as little-endian int16, row by row, followed by the values of the preview, if any."""
        parts = (self.values,) if self.preview is None else (self.values, self.preview)
        return b"".join(part.astype("<i2", copy=False).tobytes() for part in parts)


class Gridded(Protocol):
    """Protocol of plans and stacks: grid, chunks and labels of a result."""

    @property
    def grid(self) -> Grid:
        """Pixel grid of the whole result."""

    @property
    def chunks(self) -> Chunks:
        """Sizes of the spatial chunks along y and x, in pixels."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Season labels."""


def block_bbox(result: Gridded, season: int, row: int, column: int) -> Bbox:  # noqa: ARG001  # equal for all seasons
    """Return the padded bounding box of a block in degrees; see `ResultGeometry.bbox`.

    Tiles that intersect it are redrawn when the block is finished.

    Parameters
    ----------
    result : NdviPlan or SeasonStack
        Result to which the block belongs.
    season, row, column : int
        Position of the block among the labels and the chunks.
    """
    return result_geometry(result.grid).bbox(chunk_window(result.chunks, row, column))


def result_info(result: Gridded) -> dict[str, Any]:
    """Return the metadata that clients need to request and decode tiles, with values for JSON.

    Returns
    -------
    dict
        ``bbox`` (west, south, east, north, in degrees), ``max_zoom`` (lowest zoom whose pixels are nowhere larger than
        those of the result), ``labels``, ``layers`` (``scale``, ``offset``, ``units`` and ``digits`` by name) and
        ``codes``.
    """
    geometry = result_geometry(result.grid)
    return {
        "bbox": list(geometry.bbox()),
        "max_zoom": geometry.native_zoom,
        "labels": list(result.labels),
        "layers": {name: asdict(encoding) for name, encoding in LAYER_ENCODING.items()},
        "codes": {
            "never_clear": kernels.NEVER_CLEAR,
            "outside": kernels.OUTSIDE,
            "not_computed": kernels.NOT_COMPUTED,
            "too_few_clear": kernels.TOO_FEW,
        },
    }


class ResultTiles:
    """Tiles and pixel values of one result, complete or not.

    Attributes
    ----------
    stack : SeasonStack
        The result.
    geometry : ResultGeometry
        Relation of the pixel grid to tiles, with zooms and bounding box.
    """

    def __init__(self, stack: SeasonStack, source: PixelSource, *, region: Region | None = None) -> None:
        self.stack = stack
        self.geometry = result_geometry(stack.grid)
        self._source = source
        self._region = region
        self._stretches: dict[str, tuple[float, float]] = {}

    @classmethod
    def on_workers(
        cls, stack: SeasonStack, client: Any, *, region: Region | None = None, kept: StoredPixels | None = None
    ) -> Self:
        """Return the tiles of a persisted stack, read from the workers that hold its blocks.

        Parameters
        ----------
        stack : SeasonStack
            Stack persisted on the cluster of `client`, complete or not.
        client : distributed.Client
            Asynchronous client.
        region : Region, optional
            Region of the request. Pixels without a value that are outside its polygon are `kernels.OUTSIDE`.
        kept : StoredPixels, optional
            Stored pixels of the same stack, for blocks that no worker holds.
        """
        held = WorkerPixels(stack, client)
        return cls(stack, held if kept is None else FallbackPixels(stack, [held, kept]), region=region)

    async def tile(self, layer: str, season: int, address: TileAddress, *, size: int = TILE_PX) -> Tile | None:
        """Return a tile in its current state.

        Parameters
        ----------
        layer : str
            ``"ndvi_mean"`` or ``"clear_count"``.
        season : int
            Position of the season among the labels.
        address : TileAddress
            Address of the tile.
        size : int
            Pixels along each edge: 256, or 512 for dense screens.

        Returns
        -------
        Tile or None
            Tile, or None if the whole tile is outside the result.

        Raises
        ------
        InputError
            The layer or season does not exist, or the size is not supported.
        """
        self._check(layer, season, size)
        control = self.geometry.control(address, size)
        level = self.geometry.level(address.z, size)
        values = await self._source.pixels(View(layer=layer, season=season, level=level, control=control))
        complete = not (values == kernels.NOT_COMPUTED).any()
        values[self._beyond_polygon(address, size) & (values < -kernels.LARGEST)] = kernels.OUTSIDE
        return None if (values == kernels.OUTSIDE).all() else Tile(values=values, complete=complete)

    async def stretch(self, layer: str) -> tuple[float, float] | None:
        """Return the range of nearly all values of a layer over all seasons, for the colours of all tiles.

        The range is computed from the finished blocks, and cached if all blocks are finished.

        Parameters
        ----------
        layer : str
            ``"ndvi_mean"`` or ``"clear_count"``.

        Returns
        -------
        (float, float) or None
            See `compute.tiles.colour_range.stretched`.

        Raises
        ------
        InputError
            The layer does not exist.
        """
        self._check(layer, 0, TILE_PX)
        if layer in self._stretches:
            return self._stretches[layer]
        control = overview_control(self.stack.grid.shape)
        views = [
            View(layer=layer, season=season, level=self.stack.levels, control=control)
            for season in range(len(self.stack.labels))
        ]
        tiles = [await self._source.pixels(view) for view in views]
        span = stretched(layer, tiles)
        if span and not any((tile == kernels.NOT_COMPUTED).any() for tile in tiles):
            self._stretches[layer] = span
        return span

    async def point(self, lon: float, lat: float) -> list[PixelValue]:
        """Return the values of the pixel at a position in degrees in every season, in the order of the labels.

        Parameters
        ----------
        lon, lat : float
            Longitude and latitude in degrees.
        """
        place = self.geometry.pixel_of(lon, lat)
        if place is None:
            return [PixelValue(label=label, state="outside") for label in self.stack.labels]
        return await self._source.values(place)

    def _check(self, layer: str, season: int, size: int) -> None:
        if layer not in LAYERS:
            raise InputError("layer", f"There is no layer {layer[:20]!r}; there are {', '.join(LAYERS)}.")
        if not 0 <= season < len(self.stack.labels):
            raise InputError("season", f"There is no season {season}; there are {', '.join(self.stack.labels)}.")
        if size not in (TILE_PX, 2 * TILE_PX):
            raise InputError("size", f"Tiles have {TILE_PX} or {2 * TILE_PX} pixels along an edge, not {size}.")

    def _beyond_polygon(self, address: TileAddress, size: int) -> NDArray[np.bool_]:
        """Return (y, x) bool, True for pixel centres outside the region's polygon; (1, 1) if all pixels are equal."""
        if self._polygon_m is None:
            return np.zeros((1, 1), bool)
        metres = pixel_m(address.z, size)
        left, top = address.x * size * metres - HALF_WORLD_M, HALF_WORLD_M - address.y * size * metres
        square = left, top - size * metres, left + size * metres, top
        part = shapely.intersection(self._polygon_m, shapely.box(*square))
        if part.area in (0.0, shapely.box(*square).area):
            return np.full((1, 1), part.area == 0.0)
        grid = Affine(metres, 0.0, left, 0.0, -metres, top)
        beyond: NDArray[np.bool_] = rasterio.features.geometry_mask([part], (size, size), grid)
        return beyond

    @cached_property
    def _polygon_m(self) -> Any:
        if self._region is None or self._region.polygon is None:
            return None
        return project_onto(self._region.geometry, WORLD)
