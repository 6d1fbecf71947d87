"""Random walks over the tiles of a result, and random views of 800 x 600 pixels, without repeated tiles."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from math import ceil, log2

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from compute.result.layers import LAYERS
from compute.scenes import Grid
from compute.tiles.tile_geometry import LONLAT, WEB_MERCATOR, result_geometry
from compute.tiles.web_mercator import HALF_WORLD_M, TILE_PX, pixel_m
from tests.benchmarks.results import LABELS

VIEW_PX = (800, 600)
"""Width and height of a view in pixels."""

_STRIDE = 20
"""Tiles of one season in a row before the walk changes to the next, about as many as a view has."""

_LATTICE = 5
"""Points along each edge of a tile that are tested for the result."""

Place = tuple[int, int]
"""Column and row of a tile."""

Box = tuple[float, float, float, float]
"""Left, bottom, right and top in metres of Web Mercator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WalkZoom:
    """Zoom of a walk, with the tiles that show the result.

    Attributes
    ----------
    name : str
        ``native``, ``quarter`` (a quarter as many pixels along each edge) or ``full`` (the whole result in one view).
    zoom : int
        Zoom of the tiles.
    places : frozenset of Place
        Tiles that show the result.
    centre : (float, float)
        Centre of the result in metres of Web Mercator.
    """

    name: str
    zoom: int
    places: frozenset[Place]
    centre: tuple[float, float]


def find_walk_zooms(grid: Grid) -> list[WalkZoom]:
    """Return the three zooms of a result, the deepest first."""
    native = result_geometry(grid).native_zoom
    out = max(0, ceil(log2(max(grid.shape) / min(VIEW_PX))))
    zooms = {"native": native, "quarter": native - 2, "full": native - out}
    west, south, east, north = result_geometry(grid).bbox()
    to_map = Transformer.from_crs(LONLAT, WEB_MERCATOR, always_xy=True).transform
    (left, right), (bottom, top) = to_map([west, east], [south, north])
    centre = (left + right) / 2, (bottom + top) / 2
    box = left, bottom, right, top
    return [
        WalkZoom(name=name, zoom=z, places=_find_tiles_with_result(grid, z, box), centre=centre)
        for name, z in zooms.items()
    ]


def _find_tiles_with_result(grid: Grid, zoom: int, box: Box) -> frozenset[Place]:
    """Return the tiles of a box that have a lattice point within the grid."""
    places = list(product(*_find_tile_spans(zoom, box)))
    inside = (np.arange(_LATTICE) + 0.5) / _LATTICE
    corners, metres = np.array(places, float), pixel_m(zoom) * TILE_PX
    x = (corners[:, 0, None, None] + inside[:, None]) * metres - HALF_WORLD_M + 0 * inside
    y = HALF_WORLD_M - (corners[:, 1, None, None] + inside) * metres + 0 * inside[:, None]
    to_grid = Transformer.from_crs(WEB_MERCATOR, grid.crs, always_xy=True).transform
    column, row = ~Affine(*grid.transform) * to_grid(x, y)
    within = (column > 0) & (row > 0) & (row < grid.shape[0]) & (column < grid.shape[1])
    shown: NDArray[np.bool_] = np.any(within, axis=(1, 2))
    return frozenset(place for place, seen in zip(places, shown, strict=True) if seen)


def _find_tile_spans(zoom: int, box: Box) -> tuple[range, range]:
    """Return the columns and rows of the tiles that overlap a box."""
    left, bottom, right, top = box
    metres = pixel_m(zoom) * TILE_PX
    columns = range(int((left + HALF_WORLD_M) // metres), int((right + HALF_WORLD_M) // metres) + 1)
    rows = range(int((HALF_WORLD_M - top) // metres), int((HALF_WORLD_M - bottom) // metres) + 1)
    return columns, rows


def draw_walk(look: WalkZoom, random: np.random.Generator) -> Iterator[str]:
    """Yield paths of tiles without end: from neighbour to neighbour, through layers and seasons, without repetition.

    At a low zoom the walk soon has used all tiles; it continues with the same tiles under another token of the result.

    Parameters
    ----------
    look : WalkZoom
        Zoom of the walk.
    random : numpy.random.Generator
        Source of random numbers.
    """
    while True:
        token = _draw_token(random)
        sheets = deque(
            (_format_prefix(token, *sheet), _walk_places(look.places, random)) for sheet in product(LAYERS, LABELS)
        )
        while sheets:
            prefix, places = sheets.popleft()
            seen = [f"{prefix}/{look.zoom}/{x}/{y}.i16" for x, y in islice(places, _STRIDE)]
            yield from seen
            if len(seen) == _STRIDE:
                sheets.append((prefix, places))


def _draw_token(random: np.random.Generator) -> str:
    return random.bytes(16).hex()


def _format_prefix(token: str, layer: str, label: str) -> str:
    return f"/tiles/{token}/{layer}/{label}"


def _walk_places(places: frozenset[Place], random: np.random.Generator) -> Iterator[Place]:
    """Yield every place once, the next one beside the last wherever possible."""
    unseen = set(places)
    near: list[Place] = []
    while unseen:
        choices = near or sorted(unseen)
        here = choices[random.integers(len(choices))]
        unseen.remove(here)
        yield here
        around = product(*(range(number - 1, number + 2) for number in here))
        near = [(x, y) for x, y in around if (x, y) in unseen]


@dataclass(frozen=True, kw_only=True, slots=True)
class MapView:
    """View of 800 x 600 pixels of the first season's means.

    Attributes
    ----------
    box : Box
        Extent of the view.
    paths : list of str
        Paths of its tiles that show the result, under a token of its own.
    """

    box: Box
    paths: list[str]


def draw_views(look: WalkZoom, random: np.random.Generator) -> Iterator[MapView]:
    """Yield views without end: around random tiles of the result, or around its centre if one view shows all of it.

    Parameters
    ----------
    look : WalkZoom
        Zoom of the views.
    random : numpy.random.Generator
        Source of random numbers.
    """
    places = sorted(look.places)
    metres = pixel_m(look.zoom)
    while True:
        x, y = look.centre
        if look.name != "full":
            column, row = places[random.integers(len(places))]
            x, y = (column + 0.5) * TILE_PX * metres - HALF_WORLD_M, HALF_WORLD_M - (row + 0.5) * TILE_PX * metres
        # A random offset, so that no two views are equal.
        x, y = (middle + random.uniform(-TILE_PX, TILE_PX) / 2 * metres for middle in (x, y))
        half_width, half_height = (px / 2 * metres for px in VIEW_PX)
        box = x - half_width, y - half_height, x + half_width, y + half_height
        prefix = _format_prefix(_draw_token(random), "ndvi_mean", LABELS[0])
        seen = [place for place in product(*_find_tile_spans(look.zoom, box)) if place in look.places]
        yield MapView(box=box, paths=[f"{prefix}/{look.zoom}/{column}/{row}.i16" for column, row in seen])


def draw_tile_boxes(look: WalkZoom, random: np.random.Generator) -> Iterator[Box]:
    """Yield the boxes of random tiles without end.

    Parameters
    ----------
    look : WalkZoom
        Zoom of the tiles.
    random : numpy.random.Generator
        Source of random numbers.
    """
    places, metres = sorted(look.places), pixel_m(look.zoom) * TILE_PX
    while True:
        column, row = places[random.integers(len(places))]
        left, top = column * metres - HALF_WORLD_M, HALF_WORLD_M - row * metres
        yield left, top - metres, left + metres, top
