"""Tiles against exact projection of every pixel, and against one another."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import shapely
import xarray as xr
from datashader import transfer_functions
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pyproj import Transformer

from compute.engine.overview_levels import LAYER_ENCODING
from compute.errors import InputError
from compute.kernels import LARGEST, NEVER_CLEAR, NOT_COMPUTED, OUTSIDE, TOO_FEW
from compute.plan.grid_outlines import project_onto
from compute.request.region import parse_bbox, parse_geojson
from compute.result.stack import SeasonStack
from compute.scenes import Grid
from compute.statistics.region_placement import place_region
from compute.tiles.pixel_sources import LocalPixels
from compute.tiles.png_encoding import png
from compute.tiles.styles import PALETTES, Style, colour_index, hex_colours, lookup_table
from compute.tiles.tile_geometry import result_geometry
from compute.tiles.tile_service import ResultTiles, Tile, block_bbox, result_info
from compute.tiles.web_mercator import HALF_WORLD_M, MAX_ZOOM, TileAddress, parse_tile, pixel_m
from tests.fixtures.stacks import PLACES, assembled, empty_stack, grid_at, noise, stack_of
from tests.strategies import accepted

SHAPE = (1203, 1437)
CRSS = st.sampled_from(sorted(PLACES))
LAYERS = st.sampled_from(["ndvi_mean", "clear_count"])


@cache
def between(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


@cache
def stack_at(crs: str, chunk_px: int = 400, seed: int = 0) -> SeasonStack:
    """Noise with two levels, in chunks of which the last are ragged."""
    return stack_of(grid_at(crs, SHAPE), noise(SHAPE, seed=seed), chunk_px)


def tile_of(stack: SeasonStack, address: TileAddress, layer: str = "ndvi_mean", size: int = 256) -> NDArray[np.int16]:
    """The values of a tile; all of them outside where there is none."""
    tile = asyncio.run(ResultTiles(stack, LocalPixels(stack)).tile(layer, 0, address, size=size))
    return np.full((size, size), OUTSIDE, np.int16) if tile is None else tile.values


def tile_at(grid: Grid, zoom: int, down: float, along: float) -> TileAddress:
    """The tile that shows a place of a grid, given as shares of its height and width."""
    a, _, c, _, e, f = grid.transform
    x, y = c + a * along * grid.shape[1], f + e * down * grid.shape[0]
    east, north = between(grid.crs, "EPSG:3857").transform(x, y)
    metres = pixel_m(zoom) * 256
    return TileAddress(z=zoom, x=int((east + HALF_WORLD_M) / metres), y=int((HALF_WORLD_M - north) / metres))


def places_of(address: TileAddress, size: int = 256) -> tuple[Any, Any]:
    """Web Mercator x and y of the pixel centres of a tile."""
    metres, offsets = pixel_m(address.z, size), np.arange(size) + 0.5
    x = (address.x * size + offsets) * metres - HALF_WORLD_M
    y = HALF_WORLD_M - (address.y * size + offsets) * metres
    return np.meshgrid(x, y)


def exact(stack: SeasonStack, address: TileAddress, layer: str, level: int, size: int = 256) -> NDArray[np.int16]:
    """A tile for which PROJ is asked about every pixel."""
    x, y = between("EPSG:3857", stack.grid.crs).transform(*places_of(address, size))
    a, _, c, _, e, f = stack.grid.transform
    # PROJ gives infinity where a projection is not defined, as in tiles of the whole world.
    rows, columns = (np.where(np.isfinite(each), np.floor(each), -1).astype(int) for each in ((y - f) / e, (x - c) / a))
    inside = (rows >= 0) & (columns >= 0) & (rows < stack.grid.shape[0]) & (columns < stack.grid.shape[1])
    values = assembled(stack, 0, level, layer)
    if level == 0:
        none = np.isnan(values) if layer == "ndvi_mean" else values == 0
        stored = np.rint(np.nan_to_num(values.astype(float)) / LAYER_ENCODING[layer].scale)
        values = np.where(none, NEVER_CLEAR, np.clip(stored, -LARGEST, LARGEST)).astype(np.int16)
    found = values[np.where(inside, rows, 0) >> level, np.where(inside, columns, 0) >> level]
    return np.where(inside, found, OUTSIDE)


# What a tile shows


@settings(max_examples=15)
@given(CRSS, LAYERS, st.sampled_from([256, 512]), st.floats(-0.1, 1.1), st.floats(-0.1, 1.1))
def test_at_native_zoom_a_tile_is_what_proj_says_of_every_pixel(
    crs: str, layer: str, size: int, down: float, along: float
) -> None:
    stack = stack_at(crs)
    zoom = result_geometry(stack.grid).native_zoom
    address = tile_at(stack.grid, zoom, down, along)
    assert result_geometry(stack.grid).level(zoom, size) == 0
    same = tile_of(stack, address, layer, size) == exact(stack, address, layer, 0, size)
    assert same.mean() >= 0.999


@settings(max_examples=25)
@given(CRSS, LAYERS, st.integers(-12, 4), st.floats(0, 1), st.floats(0, 1))
def test_at_any_zoom_a_tile_shows_the_level_of_that_zoom(
    crs: str, layer: str, deeper: int, down: float, along: float
) -> None:
    stack = stack_at(crs)
    geometry = result_geometry(stack.grid)
    address = tile_at(stack.grid, max(geometry.native_zoom + deeper, 0), down, along)
    same = tile_of(stack, address, layer) == exact(stack, address, layer, geometry.level(address.z))
    assert same.mean() >= 0.998


@settings(max_examples=25)
@given(CRSS, st.sampled_from([64, 100, 240, 750]), st.integers(-4, 1), st.floats(0, 1), st.floats(0, 1))
def test_chunks_never_change_a_tile(crs: str, chunk_px: int, deeper: int, down: float, along: float) -> None:
    cut, whole = stack_at(crs, chunk_px), stack_at(crs, 4096)
    assert len(whole.graph) == 1
    address = tile_at(cut.grid, result_geometry(cut.grid).native_zoom + deeper, down, along)
    np.testing.assert_array_equal(tile_of(cut, address), tile_of(whole, address))


@settings(max_examples=25)
@given(CRSS, st.integers(-5, 1), st.floats(0, 1), st.floats(0, 1))
def test_four_neighbours_are_the_quarters_of_one_picture(crs: str, deeper: int, down: float, along: float) -> None:
    stack = stack_at(crs)
    address = tile_at(stack.grid, result_geometry(stack.grid).native_zoom + deeper, down, along)
    quarters = [
        [tile_of(stack, TileAddress(z=address.z + 1, x=2 * address.x + dx, y=2 * address.y + dy)) for dx in (0, 1)]
        for dy in (0, 1)
    ]
    np.testing.assert_array_equal(np.block(quarters), tile_of(stack, address, size=512))


def test_from_afar_a_result_is_in_its_place_and_nowhere_else() -> None:
    for crs in PLACES:
        stack = stack_at(crs)
        tile = tile_of(stack, TileAddress(z=0, x=0, y=0))
        west, south, east, north = result_geometry(stack.grid).bbox()
        x, y = between("EPSG:3857", "EPSG:4326").transform(*places_of(TileAddress(z=0, x=0, y=0)))
        around = (x >= west - 2) & (x <= east + 2) & (y >= south - 2) & (y <= north + 2)
        assert (tile[~around] == OUTSIDE).all()
    whole = Grid(crs="EPSG:3577", shape=(400, 400), transform=(12_000.0, 0.0, -2.4e6, 0.0, -12_000.0, -0.8e6))
    stack = stack_of(whole, noise(whole.shape), 4096)
    world = TileAddress(z=0, x=0, y=0)
    found, expected = tile_of(stack, world) == OUTSIDE, exact(stack, world, "ndvi_mean", 0) == OUTSIDE
    assert (~expected).sum() > 500
    assert (found != expected).sum() <= 3


def test_values_beyond_the_encoding_saturate() -> None:
    grid = grid_at("EPSG:3577", (64, 64))
    pixels = noise(grid.shape, gaps=0.0)
    pixels.mean[0, :32], pixels.mean[0, 32:] = 40.0, -40.0
    pixels.count[:] = 60_000
    stack = stack_of(grid, pixels, 64)
    address = tile_at(grid, result_geometry(grid).native_zoom, 0.5, 0.5)
    assert set(np.unique(tile_of(stack, address))) == {-LARGEST, LARGEST, OUTSIDE}
    assert set(np.unique(tile_of(stack, address, "clear_count"))) == {LARGEST, OUTSIDE}


# What is not there


@settings(max_examples=25)
@given(CRSS, st.sets(st.integers(0, 15), max_size=16), st.integers(-4, 0), st.floats(0, 1), st.floats(0, 1))
def test_what_is_missing_is_missing_exactly_where_its_blocks_are(
    crs: str, missing: set[int], deeper: int, down: float, along: float
) -> None:
    stack = stack_at(crs, chunk_px=360)
    assert len(stack.graph) == 16
    left = {key: block for number, (key, block) in enumerate(stack.graph.items()) if number not in missing}
    address = tile_at(stack.grid, result_geometry(stack.grid).native_zoom + deeper, down, along)
    whole, whose = tile_of(stack, address), tile_of(numbered(crs), address)
    part = replace(stack, graph=left)
    tile = asyncio.run(ResultTiles(part, LocalPixels(part)).tile("ndvi_mean", 0, address))
    gone = np.isin(whose, list(missing))
    assert isinstance(tile, Tile)
    np.testing.assert_array_equal(tile.values, np.where(gone, NOT_COMPUTED, whole))
    assert tile.complete == (not gone.any())


@cache
def numbered(crs: str) -> SeasonStack:
    """A stack whose tiles say which block each of their pixels belongs to."""
    stack = stack_at(crs, chunk_px=360)
    blocks = [
        replace(
            block,
            ndvi_mean=np.full_like(block.ndvi_mean, number * 1e-4),
            levels=tuple(replace(level, ndvi_mean=np.full_like(level.ndvi_mean, number)) for level in block.levels),
        )
        for number, block in enumerate(stack.graph.values())
    ]
    return replace(stack, graph=dict(zip(stack.graph, blocks, strict=True)))


@pytest.mark.parametrize("crs", sorted(PLACES))
def test_a_blocks_envelope_holds_every_pixel_that_it_changes(crs: str) -> None:
    stack = stack_at(crs, chunk_px=360)
    for number, (_, season, row, column) in enumerate(stack.graph):
        west, south, east, north = block_bbox(stack, int(season), int(row), int(column))
        address = tile_at(stack.grid, result_geometry(stack.grid).native_zoom - 3, 0.5, 0.5)
        changed = tile_of(numbered(crs), address) == number
        x, y = between("EPSG:3857", "EPSG:4326").transform(*places_of(address))
        assert ((x >= west) & (x <= east) & (y >= south) & (y <= north))[changed].all()
        assert (east - west) * (north - south) < 0.5


def test_there_is_no_tile_where_there_is_no_result() -> None:
    stack = stack_at("EPSG:3577")
    tiles = ResultTiles(stack, LocalPixels(stack))
    assert asyncio.run(tiles.tile("ndvi_mean", 0, TileAddress(z=8, x=0, y=0))) is None


def test_outside_the_polygon_nothing_is_called_never_clear() -> None:
    stack = stack_of(grid_at("EPSG:3577", (200, 200)), noise((200, 200), gaps=0.5), 64)
    address = tile_at(stack.grid, result_geometry(stack.grid).native_zoom - 1, 0.5, 0.5)
    west, south, east, north = result_geometry(stack.grid).bbox()
    region = parse_geojson(shapely.to_geojson(shapely.Polygon([(west, south), (east, south), (west, north)])))
    plain = tile_of(stack, address)
    masked = asyncio.run(ResultTiles(stack, LocalPixels(stack), region=region).tile("ndvi_mean", 0, address))
    assert isinstance(masked, Tile)
    outline = shapely.transform(
        region.geometry,
        lambda points: np.column_stack(between("EPSG:4326", "EPSG:3857").transform(*points.T)),
    )
    beyond = ~shapely.contains_xy(outline, *places_of(address))
    expected = np.where(beyond & (plain == NEVER_CLEAR), OUTSIDE, plain)
    assert ((expected == OUTSIDE) & (plain == NEVER_CLEAR)).sum() > 1000
    assert (masked.values != expected).mean() < 1e-3
    np.testing.assert_array_equal(masked.values[plain > NEVER_CLEAR], plain[plain > NEVER_CLEAR])


# Single values


def test_a_place_has_what_else_was_asked_for() -> None:
    stack = stack_at("EPSG:32655")
    key, block = next(iter(stack.graph.items()))
    months, std = np.full(block.clear_count.shape, 2, np.uint8), np.full(block.ndvi_mean.shape, 0.5, np.float32)
    looks = np.stack([np.full(block.clear_count.shape, number, np.uint16) for number in (4, 0)])
    rich = replace(block, clear_months=months, ndvi_std=std, unclear_count=looks)
    asked = replace(stack, graph={key: rich}, reasons=("cloud", "invalid"))
    (value,) = asyncio.run(ResultTiles(asked, LocalPixels(asked)).point(*centre_of(stack.grid, 5, 5)))
    assert (value.clear_months, value.ndvi_std, value.unclear_count) == (2, 0.5, {"cloud": 4, "invalid": 0})
    never = replace(asked, graph={key: replace(rich, ndvi_std=std * np.nan)})
    (value,) = asyncio.run(ResultTiles(never, LocalPixels(never)).point(*centre_of(stack.grid, 5, 5)))
    assert value.ndvi_std is None


@given(CRSS, st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))
def test_a_place_has_the_value_of_its_pixel(crs: str, row: int, column: int) -> None:
    stack = stack_at(crs)
    (value,) = asyncio.run(ResultTiles(stack, LocalPixels(stack)).point(*centre_of(stack.grid, row, column)))
    mean, count = (assembled(stack, 0, 0, layer)[row, column] for layer in ("ndvi_mean", "clear_count"))
    assert value.label == "DJF"
    assert value.clear_count == count
    assert value.state == ("clear" if count else "never clear")
    assert value.ndvi_mean == (mean if count else None)


def test_a_place_says_why_it_has_no_value() -> None:
    stack = stack_at("EPSG:32655")
    place = centre_of(stack.grid, 5, 5)
    block = next(iter(stack.graph.values()))
    strict = replace(
        block, ndvi_mean=np.full_like(block.ndvi_mean, np.nan), clear_count=np.ones_like(block.clear_count)
    )
    for graph, state, count in (
        ({}, "not computed yet", None),
        ({next(iter(stack.graph)): strict}, "too few clear", 1),
    ):
        part = replace(stack, graph=graph)
        (value,) = asyncio.run(ResultTiles(part, LocalPixels(part)).point(*place))
        assert (value.state, value.ndvi_mean, value.clear_count) == (state, None, count)
    for outside in ((0.0, 0.0), (float("nan"), 0.0), (place[0], 89.99), centre_of(stack.grid, -1, 5)):
        (value,) = asyncio.run(ResultTiles(stack, LocalPixels(stack)).point(*outside))
        assert value.state == "outside"


def centre_of(grid: Grid, row: int, column: int) -> tuple[float, float]:
    a, _, c, _, e, f = grid.transform
    x, y = c + a * (column + 0.5), f + e * (row + 0.5)
    lon, lat = between(grid.crs, "EPSG:4326").transform(x, y)
    return lon, lat


# Levels and zooms


@pytest.mark.parametrize("crs", sorted(PLACES))
@pytest.mark.parametrize("size", [256, 512])
def test_a_levels_pixels_are_never_coarser_than_the_tiles_and_more_than_half_as_large(crs: str, size: int) -> None:
    grid = grid_at(crs, (7000, 5000))
    geometry = result_geometry(grid)
    assert geometry.levels == 4
    used = set()
    for zoom in range(MAX_ZOOM + 1):
        ratios = pixel_m(zoom, size) / pixel_sizes(grid) / 2 ** geometry.level(zoom, size)
        used.add(geometry.level(zoom, size))
        assert ratios.min() >= 1 - 1e-5 or geometry.level(zoom, size) == 0
        assert ratios.min() < 2 or geometry.level(zoom, size) == geometry.levels
    assert used == set(range(5))
    native = geometry.native_zoom
    assert (pixel_m(native) <= pixel_sizes(grid) * (1 + 1e-5)).all()
    assert (pixel_m(native - 1) > pixel_sizes(grid)).any()


def pixel_sizes(grid: Grid) -> NDArray[np.float64]:
    """Longer and shorter extent, in metres of Web Mercator, of some pixels of a grid."""
    random = np.random.default_rng(0)
    a, _, c, _, e, f = grid.transform
    column, row = random.uniform(0, grid.shape[1], 200), random.uniform(0, grid.shape[0], 200)
    to_map = between(grid.crs, "EPSG:3857")
    at, right, down = (
        np.stack(to_map.transform(c + a * (column + dx), f + e * (row + dy))) for dx, dy in ((0, 0), (1, 0), (0, 1))
    )
    return np.concatenate([np.hypot(*(right - at)), np.hypot(*(down - at))])


def test_a_client_is_told_what_it_needs() -> None:
    stack = empty_stack(grid_at("EPSG:3577", SHAPE), 2, 400)
    info = result_info(stack)
    assert info["labels"] == ["DJF", "MAM"]
    assert info["layers"]["ndvi_mean"] == {"scale": 1e-4, "offset": 0.0, "units": "NDVI", "digits": 3}
    codes = {"never_clear": -32768, "outside": -32767, "not_computed": -32766, "too_few_clear": -32765}
    assert info["codes"] == codes
    west, south, east, north = info["bbox"]
    assert west < 146.9 < east < 148
    assert -43 < south < -42.1 < north


# Addresses


@given(st.integers(0, MAX_ZOOM), st.data())
def test_a_tile_is_read_from_three_plain_numbers(zoom: int, data: st.DataObject) -> None:
    x, y = (data.draw(st.integers(0, 2**zoom - 1)) for _ in range(2))
    assert parse_tile(str(zoom), str(x), str(y)) == TileAddress(z=zoom, x=x, y=y)


@pytest.mark.parametrize(
    ("field", "numbers"),
    [
        ("z", ("25", "0", "0")),
        ("z", ("-1", "0", "0")),
        ("z", ("1.0", "0", "0")),
        ("x", ("1", "2", "0")),
        ("x", ("3", "+1", "0")),
        ("x", ("3", "01", "0")),
        ("x", ("3", " 1", "0")),
        ("y", ("0", "0", "1")),
        ("y", ("3", "1", "")),
        ("y", ("3", "1", "1\n")),
        ("y", ("3", "1", "1_0")),
        ("y", ("24", "1", "9" * 5000)),
    ],
)
def test_any_other_number_is_refused(field: str, numbers: tuple[str, str, str]) -> None:
    with pytest.raises(InputError) as refusal:
        parse_tile(*numbers)
    assert refusal.value.field == field


@given(st.text(), st.text(), st.text())
def test_any_text_is_a_tile_or_refused(z: str, x: str, y: str) -> None:
    accepted(lambda: parse_tile(z, x, y))
    accepted(lambda: parse_tile("3", x, y))


@pytest.mark.parametrize(
    ("field", "layer", "season", "size"),
    [
        ("layer", "red", 0, 256),
        ("season", "ndvi_mean", 1, 256),
        ("season", "ndvi_mean", -1, 256),
        ("size", "ndvi_mean", 0, 100),
    ],
)
def test_what_a_result_does_not_have_is_refused(field: str, layer: str, season: int, size: int) -> None:
    stack = stack_at("EPSG:3577")
    with pytest.raises(InputError) as refusal:
        asyncio.run(ResultTiles(stack, LocalPixels(stack)).tile(layer, season, TileAddress(z=0, x=0, y=0), size=size))
    assert refusal.value.field == field


# Colours

STYLES = [
    Style(),
    Style(span=(0.2, 0.8), reverse=True),
    Style(palette="viridis", span=(-1.0, 1.0)),
    Style(palette="inferno", reverse=True),
    Style(palette="grey", span=(0.0, 0.3)),
    Style(palette="cbl2", span=(0.13, 0.87)),
    Style.for_layer("clear_count"),
]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_png_page_and_datashader_agree(style: Style) -> None:
    values = np.arange(-LARGEST, LARGEST, dtype=np.int16)[: 65_536 // 128 * 128 - 128].reshape(128, -1)
    with Image.open(io.BytesIO(png(values, style))) as picture:
        assert picture.mode == "P"
        drawn = np.asarray(picture.convert("RGBA"))
    quantities = LAYER_ENCODING[style.layer].decode(values)
    page = np.array([[int(colour[n : n + 2], 16) for n in (1, 3, 5)] for colour in hex_colours(style)])
    (low, high), last = style.span, len(page) - 1
    number = np.floor((quantities - low) / (high - low) * last + 0.5).clip(0, last).astype(int)
    np.testing.assert_array_equal(drawn[..., :3], page[number])
    assert (drawn[..., 3] == 255).all()
    shaded = (
        transfer_functions.shade(xr.DataArray(quantities), cmap=hex_colours(style), span=style.span, how="linear")
        .data.view(np.uint8)
        .reshape(drawn.shape)
    )
    # Between water and land the colour leaps: there a table shows one of them, and datashader a mixture.
    steady = np.abs(quantities) > (high - low) / last
    assert np.abs(shaded.astype(int) - drawn)[steady | (style.palette != "land")].max() <= 4


def test_water_is_below_0_whatever_the_span() -> None:
    for span in ((-1.0, 1.0), (-0.1, 0.9)):
        values = np.array([[-1, -600, 600, 9000]], np.int16)
        colours = lookup_table(Style(span=span))[colour_index(values, Style(span=span))][0, :, :3]
        assert (colours[1] == (0xB9, 0xD3, 0xE0)).all()
        assert not (colours[2:] == (0xB9, 0xD3, 0xE0)).all(axis=1).any()


def test_pixels_without_a_value_look_different() -> None:
    values = np.array([[NEVER_CLEAR, OUTSIDE], [5000, TOO_FEW]], np.int16).repeat(16, 0).repeat(16, 1)
    values[:, -8:] = NOT_COMPUTED
    with Image.open(io.BytesIO(png(values, Style()))) as picture:
        drawn = np.asarray(picture.convert("RGBA"))
    assert drawn[0, 0, 3] not in (0, 255)
    assert drawn[0, 20, 3] == 0
    assert drawn[-1, 0, 3] == 255
    line, grey = (110, 120, 128, 120), (168, 175, 179, 120)
    assert (drawn[0, 0] == grey).all()
    pending, too_few = drawn[:, -8:].reshape(-1, 4), drawn[-8:, 16:24]
    assert {tuple(each) for each in pending.tolist()} == {(0, 0, 0, 0), line}
    # Half of it, falling to the right where the other falls to the left.
    stripes = (too_few == grey).all(axis=2)
    assert stripes.mean() == 0.5
    assert (stripes | (too_few == (0, 0, 0, 0)).all(axis=2)).all()
    assert (stripes[1:, 1:] == stripes[:-1, :-1]).all()


@pytest.mark.parametrize("palette", sorted(PALETTES))
def test_the_lightness_of_a_palette_runs_one_way(palette: str) -> None:
    lightness = lookup_table(without_water(palette))[3:, :3] @ np.array([0.299, 0.587, 0.114])
    steps = np.diff(lightness)
    assert (steps >= -1).all() or (steps <= 1).all()


def without_water(palette: str) -> Style:
    return Style(palette=palette) if palette == "classes" else Style(palette=palette, span=(0.0, 1.0))


DEUTERANOPE = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]])
PROTANOPE = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
"""Of linear RGB, from Machado, Oliveira and Fernandes (2009), https://doi.org/10.1109/TVCG.2009.113."""


@pytest.mark.parametrize("sight", [np.eye(3), DEUTERANOPE, PROTANOPE], ids=["all cones", "deuteranope", "protanope"])
@pytest.mark.parametrize("palette", sorted(PALETTES))
def test_a_palette_can_be_read_without_red_or_green_cones(palette: str, sight: NDArray[np.float64]) -> None:
    coded = lookup_table(without_water(palette))[3:, :3] / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    luminance = np.clip(linear @ sight.T, 0, 1) @ np.array([0.2126, 0.7152, 0.0722])
    lightness = 116 * np.cbrt(luminance) - 16
    steps = np.diff(lightness) * np.sign(lightness[-1] - lightness[0])
    assert steps.min() > -1.0
    assert abs(lightness[-1] - lightness[0]) > 50


@pytest.mark.parametrize(
    ("field", "query"),
    [
        ("palette", {"palette": "jet"}),
        ("span", {"span": "1,0"}),
        ("span", {"span": "0,nan"}),
        ("span", {"span": "0,inf"}),
        ("span", {"span": "0"}),
        ("span", {"span": "0,1,2"}),
        ("reverse", {"reverse": "yes"}),
        ("style", {"opacity": "1"}),
    ],
)
def test_a_malformed_style_is_refused(field: str, query: dict[str, str]) -> None:
    with pytest.raises(InputError) as refusal:
        Style.from_query(query, "ndvi_mean")
    assert refusal.value.field == field


def test_a_style_is_the_layers_own_but_for_what_is_asked() -> None:
    assert Style.from_query({}, "clear_count") == Style.for_layer("clear_count")
    asked = Style.from_query({"palette": "grey", "span": "0,0.5", "reverse": "1"}, "ndvi_mean")
    assert asked == Style(palette="grey", span=(0.0, 0.5), reverse=True)


# Over 180 degrees

OVER_180 = {
    "EPSG:32660": (100.0, 780_000.0),
    "EPSG:3832": (100.0, 3_310_000.0),
    "EPSG:4326": (0.001, 179.7),
}


def over_180(crs: str) -> Grid:
    pixel, left = OVER_180[crs]
    _, top = between("EPSG:4326", crs).transform(180.0, -16.8)
    return Grid(crs=crs, shape=(300, 600), transform=(pixel, 0.0, left, 0.0, -pixel, top))


@pytest.mark.parametrize("crs", OVER_180)
def test_the_envelope_goes_on_past_180_degrees_and_so_do_those_of_its_parts(crs: str) -> None:
    geometry = result_geometry(over_180(crs))
    west, south, east, north = geometry.bbox()
    assert 179.6 < west < 180 < east < 180.4
    for window in ((0, 0, 300, 100), (0, 500, 300, 600), (0, 200, 300, 500)):
        part = geometry.bbox(window)
        assert west - 0.01 <= part[0] < part[2] <= east + 0.01
        assert part[2] - part[0] < 0.35
        assert south - 0.01 <= part[1] < part[3] <= north + 0.01


@pytest.mark.parametrize("crs", OVER_180)
def test_a_place_is_one_whichever_way_its_longitude_is_written(crs: str) -> None:
    geometry = result_geometry(over_180(crs))
    for lon in (179.9, 180.0, 180.1):
        places = [geometry.place_of(lon + turn, -16.9) for turn in (-360.0, 0.0)]
        np.testing.assert_allclose(places[0], places[1], atol=1e-6)
        assert geometry.pixel_of(lon, -16.9) is not None


@pytest.mark.parametrize("crs", OVER_180)
def test_tiles_on_both_sides_of_180_degrees_see_the_result(crs: str) -> None:
    grid, zoom = over_180(crs), 10
    row = int((HALF_WORLD_M - between("EPSG:4326", "EPSG:3857").transform(180.0, -16.95)[1]) / pixel_m(zoom) / 256)
    a, _, c, _, e, f = grid.transform
    for column in (0, 2**zoom - 1):
        control = result_geometry(grid).control(TileAddress(z=zoom, x=column, y=row))
        offsets = np.arange(0, 256 + control.step, control.step) * pixel_m(zoom)
        x, y = np.meshgrid(
            column * 256 * pixel_m(zoom) - HALF_WORLD_M + offsets, HALF_WORLD_M - row * 256 * pixel_m(zoom) - offsets
        )
        lon, lat = between("EPSG:3857", "EPSG:4326").transform(x, y)
        exact_x, exact_y = between("EPSG:4326", crs).transform(lon, lat)
        if crs == "EPSG:4326":
            exact_x = lon % 360.0
        known = np.isfinite(control.nodes[1])
        assert known.any()
        np.testing.assert_allclose(control.nodes[1][known], ((exact_x - c) / a)[known], atol=1e-5)
        np.testing.assert_allclose(control.nodes[0][known], ((exact_y - f) / e)[known], atol=1e-5)
        inside = (control.nodes[1] > 0) & (control.nodes[1] < 600)
        assert inside.any()


@pytest.mark.parametrize("crs", OVER_180)
@pytest.mark.parametrize(
    "text", ["-179.95,-16.95,-179.9,-16.9", "180.05,-16.95,180.1,-16.9", "179.95,-16.95,180.05,-16.9"]
)
def test_a_region_is_found_on_the_result_in_either_writing(crs: str, text: str) -> None:
    grid, region = over_180(crs), parse_bbox(text)
    left, bottom, right, top = project_onto(region.geometry, grid).bounds
    a, _, c, _, _, f = grid.transform
    assert c < left < right < c + a * 600
    assert f - a * 300 < bottom < top < f
    cut, places = place_region(empty_stack(grid, 1, 512), region)
    assert len(places) >= 1
    assert shapely.from_wkb(cut.polygon).area == pytest.approx((right - left) * (top - bottom), rel=0.05)
