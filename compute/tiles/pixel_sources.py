"""Pixel sources of tiles: protocol and base class, blocks in this process, and fallback between sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from compute.engine import Block
from compute.result.chunk_windows import borders
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import Key, block_key
from compute.scenes.pixel_frames import BlockPixel, ResultPixel
from compute.tiles.tile_chunks import blank_tile, chunks_under_tile, paste_patches
from compute.tiles.tile_patches import ControlPoints, Patch, PatchRequest, PixelReadings, cut_patches, read_pixels

PixelState = Literal["clear", "too few clear", "never clear", "not computed yet", "outside"]
"""State of a pixel in a season. ``too few clear`` means fewer observations than the minimum of the request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelValue:
    """Value of one level-0 pixel in one season.

    Attributes
    ----------
    label : str
        Season label.
    state : str
        State of the pixel.
    ndvi_mean : float or None
        Mean NDVI as computed (float32); None unless the state is ``"clear"``.
    clear_count : int or None
        Number of observations; None if the block is not computed yet or the position is outside the result.
    clear_months : int or None
        Number of different calendar months with an observation, on request.
    ndvi_std : float or None
        Standard deviation of the observations, on request; None without a mean.
    unclear_count : mapping of str to int, or None
        Number of dates on which the pixel has data but no observation, by reason, on request.
    """

    label: str
    state: PixelState
    ndvi_mean: float | None = None
    clear_count: int | None = None
    clear_months: int | None = None
    ndvi_std: float | None = None
    unclear_count: Mapping[str, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """View of a tile: layer, season and control points.

    Attributes
    ----------
    layer : str
        ``"ndvi_mean"`` or ``"clear_count"``.
    season : int
        Position of the season among the labels.
    level : int
        Overview level of the values.
    control : ControlPoints
        Control points of the tile, which determine its size.
    """

    layer: str
    season: int
    level: int
    control: ControlPoints


class PixelSource(Protocol):
    """Source of the pixel values of a result, complete or not."""

    async def pixels(self, view: View) -> NDArray[np.int16]:
        """Return a tile: (y, x) int16 values, encoded by `compute.engine.overview_levels.LAYER_ENCODING`, or codes."""

    async def values(self, pixel: ResultPixel) -> list[PixelValue]:
        """Return the values of one pixel in every season."""


class BlockPixels(ABC):
    """Pixels of a result from its available blocks; other blocks are treated as not computed yet.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    """

    def __init__(self, stack: SeasonStack) -> None:
        self._stack = stack

    @abstractmethod
    async def patches(self, request: PatchRequest) -> dict[Key, Patch]:
        """Return the patches of the available blocks of a request, by block key."""

    @abstractmethod
    async def readings(self, places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
        """Return the values of one pixel of each available block, by block key."""

    async def pixels(self, view: View) -> NDArray[np.int16]:
        """Return the values of a tile; see `PixelSource`."""
        tile = blank_tile(self._stack.grid.shape, view.control)
        # Blocks that were cut together share a patch.
        paste_patches(tile, set((await self.patches(patch_request(self._stack, view))).values()))
        return tile

    async def values(self, pixel: ResultPixel) -> list[PixelValue]:
        """Return the values of one pixel in every season; see `PixelSource`."""
        places = block_pixels(self._stack, pixel)
        return pixel_values(self._stack, places, await self.readings(places))


class LocalPixels(BlockPixels):
    """Pixels from blocks in the memory of this process.

    Parameters
    ----------
    stack : SeasonStack
        Stack in which some or all values of `graph` are a `Block`, such as a result of `dask.compute`.
    """

    async def patches(self, request: PatchRequest) -> dict[Key, Patch]:
        """Return the patches of a tile; see `BlockPixels`."""
        return cut_patches(self._held(request.windows), request)

    async def readings(self, places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
        """Return the values of one pixel of each block; see `BlockPixels`."""
        return read_pixels(self._held(places), places)

    def _held(self, keys: Mapping[Key, object]) -> dict[Key, Block]:
        graph = self._stack.graph
        return {key: graph[key] for key in keys if isinstance(graph.get(key), Block)}


class FallbackPixels(BlockPixels):
    """Pixels of each block from the first of several sources that has the block.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    sources : sequence of BlockPixels
        Sources of the same result, in the order of preference.
    """

    def __init__(self, stack: SeasonStack, sources: Sequence[BlockPixels]) -> None:
        super().__init__(stack)
        self._sources = sources

    async def patches(self, request: PatchRequest) -> dict[Key, Patch]:
        """Return the patches of a tile; see `BlockPixels`."""
        found: dict[Key, Patch] = {}
        for source in self._sources:
            windows = {key: window for key, window in request.windows.items() if key not in found}
            found |= await source.patches(replace(request, windows=windows))
        return found

    async def readings(self, places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
        """Return the values of one pixel of each block; see `BlockPixels`."""
        found: dict[Key, PixelReadings] = {}
        for source in self._sources:
            found |= await source.readings({key: place for key, place in places.items() if key not in found})
        return found


def patch_request(stack: SeasonStack, view: View) -> PatchRequest:
    """Return the request for the patches of a view, with the windows of the blocks that it may show.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    view : View
        Layer, season, level and control points.
    """
    windows = {
        block_key(stack.token, view.season, row, column): window
        for row, column, window in chunks_under_tile(stack.chunks, view.control)
    }
    # If the minimum is one observation, every clear pixel has a mean.
    split = view.layer == "ndvi_mean" and stack.min_clear > 1
    return PatchRequest(layer=view.layer, level=view.level, control=view.control, windows=windows, split=split)


def block_pixels(stack: SeasonStack, pixel: ResultPixel) -> dict[Key, BlockPixel]:
    """Convert a pixel of the result to a pixel of its block, by the key of the block in every season.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    pixel : ResultPixel
        Pixel inside the result.
    """
    edges = [borders(sizes) for sizes in stack.chunks]
    chunk_row, chunk_column = (
        int(np.searchsorted(edge, place, side="right")) - 1 for edge, place in zip(edges, pixel, strict=True)
    )
    place = BlockPixel((pixel[0] - int(edges[0][chunk_row]), pixel[1] - int(edges[1][chunk_column])))
    return {block_key(stack.token, n, chunk_row, chunk_column): place for n in range(len(stack.labels))}


def pixel_values(stack: SeasonStack, places: Iterable[Key], found: Mapping[Key, PixelReadings]) -> list[PixelValue]:
    """Convert the readings of a pixel to its values in every season.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    places : iterable of Key
        Key of the block of the pixel in each season.
    found : mapping of Key to PixelReadings
        Values of the pixel by key; missing blocks are treated as not computed yet.
    """
    return [_pixel_value(label, found.get(key), stack.reasons) for label, key in zip(stack.labels, places, strict=True)]


def _pixel_value(label: str, found: PixelReadings | None, reasons: Sequence[str]) -> PixelValue:
    if found is None:
        return PixelValue(label=label, state="not computed yet")
    mean, count = (_known(found[name]) for name in ("ndvi_mean", "clear_count"))
    return PixelValue(
        label=label,
        state="clear" if mean is not None else "too few clear" if count else "never clear",
        ndvi_mean=mean,
        clear_count=count,
        clear_months=found.get("clear_months"),
        ndvi_std=_known(found.get("ndvi_std")),
        unclear_count=dict(zip(reasons, found["unclear_count"], strict=True)) if reasons else None,
    )


def _known(value: Any) -> Any:
    return None if value is None or isnan(value) else value
