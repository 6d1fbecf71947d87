"""The warp against PROJ at every pixel, shapely's areas, and plain NumPy; and that chunking changes no bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from compute import kernels
from compute.kernels import resample
from compute.kernels.resample import Accumulators, AverageTable, BandWindows, ClearPixels, lattice, point_sampling
from compute.scenes import Grid
from compute.scenes.alignment import alignment_of, file_window, first_pixel, widen_window
from compute.scenes.warp import WarpGeometry, find_turns, shift_by_turns, warp_geometry
from tests.strategies import STORED

pytestmark = pytest.mark.unit

Pixels = np.ndarray[Any, Any]

OUTPUTS = ("EPSG:3577", "EPSG:32756", "EPSG:3857", "EPSG:4326", "EPSG:6933")
CRS = ("EPSG:3577", "EPSG:32655", "EPSG:32656", "EPSG:3857", "EPSG:4326")
SINUSOIDAL = "ESRI:54008"
DEGREES = 0.00027
NODATA = {"int16": -999, "uint16": 0, "float32": -999.0}
BANDS = np.array([[-999.0, 1.0, 10000.0, 1e-4, 0.0], [-999.0, 1.0, 10000.0, 1e-4, 0.0]])

# Asking PROJ for a way takes longer than a test.
way_of = lru_cache(partial(Transformer.from_crs, always_xy=True))


def grid_at(crs: str, place: tuple[float, float], shape: tuple[int, int], pixel: float = 30.0, **how: Any) -> Grid:
    """A grid whose first pixel is at (lon, lat), `part` of a pixel off multiples; rows go down unless mirrored."""
    x, y = way_of("EPSG:4326", crs).transform(*place)
    size = pixel / 30.0 * (DEGREES if crs == "EPSG:4326" else 30.0)
    part, (right, up) = how.get("part", 0.0), how.get("signs", (1.0, -1.0))
    column, row = round(x / size / right), round(y / size / up)
    transform = (right * size, 0.0, right * size * (column + part), 0.0, up * size, up * size * (row + part))
    return Grid(crs=crs, shape=shape, transform=transform)


def cut(grid: Grid, top: int, left: int, shape: tuple[int, int]) -> Grid:
    """A part of a grid, its origin rounded as it may be."""
    a, _, c, _, e, f = grid.transform
    return Grid(crs=grid.crs, shape=shape, transform=(a, 0.0, c + left * a, 0.0, e, f + top * e))


def exact_places(block: Grid, source: Grid, offset: float = 0.0) -> Pixels:
    """Row and column in the file of every pixel corner of a block, or of every centre, through PROJ: (2, y, x)."""
    more = 1 if offset == 0.0 else 0
    column, row = np.meshgrid(*(np.arange(n + more) + offset for n in block.shape[::-1]))
    a, b, c, d, e, f = block.transform
    x, y = way_of(block.crs, source.crs).transform(a * column + b * row + c, d * column + e * row + f)
    a, b, c, d, e, f = (~Affine(*source.transform))[:6]
    return np.array([d * x + e * y + f, a * x + b * y + c])


def corners_of(geometry: WarpGeometry, source: Grid) -> Pixels:
    """Row and column in the file of every pixel corner of a block, as interpolated: (2, y, x)."""
    rows, columns = geometry.shape
    lines: Pixels = np.empty((rows + 1, 2, columns + 1))
    for y in range(rows + 1):
        at, down = (y, 0.0) if y < rows else (y - 1, 1.0)
        lattice.place_line(lattice.lattice_arrays(geometry), at, down, 0.0, lines[y])
    return np.array(np.moveaxis(lines, 0, 1) - np.reshape(first_pixel(source), (2, 1, 1)))


def centres_of(geometry: WarpGeometry, source: Grid) -> Pixels:
    """Row and column in the file of every pixel centre of a block, as interpolated: (2, y, x)."""
    lines: Pixels = np.empty((geometry.shape[0], 2, geometry.shape[1]))
    for y, line in enumerate(lines):
        lattice.place_line(lattice.lattice_arrays(geometry), y, 0.5, 0.5, line)
    return np.array(np.moveaxis(lines, 0, 1) - np.reshape(first_pixel(source), (2, 1, 1)))


places = st.tuples(st.floats(145.5, 150.5), st.floats(-43.0, -12.0))
parts = st.sampled_from([0.0, 0.5, 0.25, 1 / 3])
signs = st.sampled_from([(1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, -1.0), (-1.0, 1.0)])


@st.composite
def grid_pairs(draw: st.DrawFn, *, most: int = 80, ratios: tuple[float, ...] = (1.0,)) -> tuple[Grid, Grid]:
    """A block, and a file that lies about there: on it, over its border, or around it."""
    place, shape = draw(places), (draw(st.integers(1, most)), draw(st.integers(1, most)))
    block = grid_at(draw(st.sampled_from(CRS)), place, shape, part=draw(parts), signs=draw(signs))
    pixel = 30.0 / draw(st.sampled_from(ratios))
    source = grid_at(draw(st.sampled_from(CRS)), place, (1, 1), pixel, part=draw(parts), signs=draw(signs))
    top, left, bottom, right = warp_geometry(block, source).source_window() or (0, 0, 1, 1)
    row, column = first_pixel(source)
    rows, columns = bottom - top, right - left
    file = cut(
        source,
        top - row + draw(st.integers(-5, rows // 2)),
        left - column + draw(st.integers(-5, columns // 2)),
        (draw(st.integers(rows // 2 + 1, rows + 9)), draw(st.integers(columns // 2 + 1, columns + 9))),
    )
    return block, file


@dataclass(frozen=True, kw_only=True)
class Look:
    """One date of one scene."""

    red: Pixels
    nir: Pixels
    mask: Pixels
    bands: Pixels


def look_at(file: Grid, dtype: str = "int16", seed: int = 0, missing: float = 0.1) -> Look:
    """Noise with holes, those of red and nir in different places."""
    random, nodata = np.random.default_rng(seed), NODATA[dtype]
    red, nir = (random.integers(1, 10000, file.shape).astype(dtype) for _ in range(2))
    for values in (red, nir):
        values[random.random(file.shape) < missing] = nodata
        if dtype == "float32":
            values[random.random(file.shape) < missing / 2] = np.nan
    bands = BANDS.copy()
    bands[:, 0] = nodata
    return Look(red=red, nir=nir, mask=random.integers(0, 4, file.shape).astype(np.uint8), bands=bands)


kinds = st.tuples(st.sampled_from(sorted(STORED)), st.integers(0, 999), st.sampled_from([0.0, 0.001, 0.1, 0.6]))

CLEAR = np.isin(np.arange(256), [1, 2])


def nothing(shape: tuple[int, int]) -> tuple[Pixels, Pixels, Pixels]:
    return np.zeros(shape, np.int64), np.zeros(shape, np.uint16), np.zeros(shape, bool)


def windows_of(look: Look, at: tuple[int, int] = (0, 0)) -> BandWindows:
    """All of a look, its first pixel at a place."""
    return BandWindows(red=look.red, nir=look.nir, at=at, numbers=look.bands)


def judged(look: Look, at: tuple[int, int], clear: Pixels | None = None) -> BandWindows:
    """All of a look, each of its pixels judged; its own arrays stay as they are."""
    red, nir = look.red.copy(), look.nir.copy()
    usable = resample.usable_pixels(red, nir, clear, look.bands)
    return BandWindows(red=red, nir=nir, at=at, numbers=look.bands, usable=usable)


def valid(look: Look) -> Pixels:
    """Where both bands are finite, no nodata and in their range."""
    within = [
        np.isfinite(values) & (values != nodata) & (values >= least) & (values <= most)
        for values, (nodata, least, most, *_) in zip((look.red, look.nir), look.bands, strict=True)
    ]
    return within[0] & within[1]


def adding(sums: tuple[Pixels, Pixels, Pixels], **how: Any) -> Accumulators:
    """Total, count and taken as kernels take them."""
    return Accumulators(total=sums[0], count=sums[1], taken=sums[2], beyond=np.zeros(2, np.int64), **how)


def listed(clear: Pixels) -> ClearPixels:
    """The pixels where an array is true, as kernels list them."""
    starts = np.concatenate([[0], np.cumsum(clear.sum(1))])
    return ClearPixels(starts=starts, columns=np.nonzero(clear)[1].astype(np.uint16))


def averaged(values: Pixels, at: tuple[int, int], table: AverageTable, known: Pixels) -> tuple[Pixels, Pixels]:
    """Means of a file by the weights of a table, NaN where nothing is known, and the share of the weights that is."""
    (_, wide), value_sum, weight_sum, whole = table.extent, 0.0, 0.0, 0.0
    for tap in range(table.weights.shape[1]):
        row, column = (table.base[:, z].astype(int) + table.origin[z] - at[z] for z in range(2))
        inside, row, column = within(values.shape, row + tap // wide, column + tap % wide)
        seen = inside & known[row, column]
        weight = table.weights[:, tap] * seen
        value_sum = value_sum + np.where(seen, values[row, column], 0).astype(float) * weight
        weight_sum = weight_sum + weight
        whole = whole + table.weights[:, tap].astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight_sum > 0, value_sum / weight_sum, np.nan), np.where(whole > 0, weight_sum / whole, 0.0)


def observed(block: Grid, file: Grid, look: Look, resampling: str, most_bytes: int = 10**8) -> tuple[Pixels, ...]:
    """Sums of one look over a block, read through the smallest window."""
    geometry, sums = warp_geometry(block, file), nothing(block.shape)
    window = file_window(geometry.source_window(), file)
    if window is None:
        return sums
    top, left, bottom, right = window
    read = np.s_[top:bottom, left:right]
    row, column = first_pixel(file)
    at, index = (row + top, column + left), resample.nearest_index(geometry)
    part, added = replace(look, red=look.red[read], nir=look.nir[read]), adding(sums)
    if resampling == "nearest":
        clear = resample.find_clear_by_index(look.mask[read], at, index, CLEAR, sums[2])
        resample.accumulate_nearest(windows_of(part, at), index, clear, added)
        return sums
    bands, free = judged(part, at, CLEAR[look.mask[read]]), resample.untaken_pixels(sums[2])
    if resampling == "average":
        resample.accumulate_average(bands, resample.average_weights(geometry, most_bytes=most_bytes), free, added)
    else:
        resample.accumulate_bilinear(bands, geometry, free, added)
    return sums


def within(shape: tuple[int, int], row: Pixels, column: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Where places lie in a file, and the places, at 0 where they do not."""
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    return inside, np.where(inside, row, 0), np.where(inside, column, 0)


# Geometry


@settings(max_examples=60)
@given(grid_pairs())
def test_every_corner_lies_where_proj_has_it(pair: tuple[Grid, Grid]) -> None:
    block, file = pair
    geometry = warp_geometry(block, file)
    assert geometry.lies.all()
    np.testing.assert_allclose(corners_of(geometry, file), exact_places(block, file), rtol=0, atol=1e-6)


@settings(max_examples=60)
@given(
    st.sampled_from(OUTPUTS),
    st.sampled_from(["EPSG:32655", "EPSG:4326", "EPSG:6933"]),
    st.floats(10.0, 50_000.0),
    st.tuples(st.floats(140.0, 154.0), st.floats(-80.0, 80.0)),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
def test_at_every_output_size_and_latitude_corners_and_centres_lie_where_proj_has_them(
    crs: str, source: str, pixel: float, place: tuple[float, float], shape: tuple[int, int]
) -> None:
    block, file = grid_at(crs, place, shape, pixel), grid_at(source, place, (1, 1))
    a, _, c, _, e, f = block.transform
    x, y = c + a * np.array([0, shape[1]]), f + e * np.array([0, shape[0]])
    _, latitudes = way_of(crs, "EPSG:4326").transform(*np.meshgrid(x, y))
    assume(np.isfinite(latitudes).all() and abs(latitudes).max() < 80.0)
    geometry = warp_geometry(block, file)
    off = 1e-6 if abs(latitudes).max() < 60.0 else 1e-4
    np.testing.assert_allclose(corners_of(geometry, file), exact_places(block, file), rtol=0, atol=off)
    np.testing.assert_allclose(centres_of(geometry, file), exact_places(block, file, 0.5), rtol=0, atol=off)


@pytest.mark.parametrize(("pixel", "source", "cell"), [(10, 10, 32), (30, 10, 32), (33, 30, 16), (250, 30, 4)])
def test_cells_are_as_wide_as_their_pixel_sizes_say(pixel: float, source: float, cell: int) -> None:
    for crs in CRS:
        block, file = (grid_at(each, (147.0, -42.0), (9, 9), size) for each, size in ((crs, pixel), (CRS[1], source)))
        assert warp_geometry(block, file).cell == cell


@settings(max_examples=60)
@given(grid_pairs(ratios=(0.3, 1.0, 3.0)))
def test_the_source_window_holds_every_corner_and_little_else(pair: tuple[Grid, Grid]) -> None:
    block, file = pair
    window = warp_geometry(block, file).source_window()
    assert window is not None
    corners = exact_places(block, file) + np.reshape(first_pixel(file), (2, 1, 1))
    first, last = corners.min((1, 2)), corners.max((1, 2))
    assert (np.array(window[:2]) <= first - 0.9).all()
    assert (np.array(window[:2]) >= first - 2.1).all()
    assert (np.array(window[2:]) >= last + 0.9).all()
    assert (np.array(window[2:]) <= last + 2.1).all()


@given(parts, st.sampled_from([30.0, 10.0, 25.0, 1 / 3]), signs, *[st.integers(-(10**6), 10**6)] * 2)
def test_grids_that_differ_by_whole_pixels_share_an_alignment(
    part: float, pixel: float, signs: tuple[float, float], row: int, column: int
) -> None:
    grid = grid_at("EPSG:32655", (147.0, -42.0), (3, 3), pixel, part=part, signs=signs)
    moved = cut(grid, row, column, (5, 7))
    assert alignment_of(moved) == alignment_of(grid)
    assert np.subtract(first_pixel(moved), first_pixel(grid)).tolist() == [row, column]


@pytest.mark.parametrize("crs", CRS)
@pytest.mark.parametrize("part", [0.0, 0.5, 1 / 3])
def test_on_its_own_grid_every_pixel_lies_on_itself(crs: str, part: float) -> None:
    block = grid_at(crs, (147.0, -42.0), (50, 40), part=part)
    geometry, (row, column) = warp_geometry(block, block), first_pixel(block)
    values = look_at(block, missing=0.0).red
    np.testing.assert_allclose(corners_of(geometry, block)[0, :, 0], np.arange(51.0), rtol=0, atol=1e-7)
    index = resample.nearest_index(geometry)
    places = np.indices(block.shape) + np.reshape((row, column), (2, 1, 1))
    np.testing.assert_array_equal(index.places + np.reshape(index.origin, (2, 1, 1)), places)
    table = resample.average_weights(geometry)
    assert table.extent == (1, 1)
    np.testing.assert_array_equal(averaged(values, (row, column), table, values > 0)[0], values)


@pytest.mark.parametrize("crs", CRS)
@pytest.mark.parametrize("ratio", [2, 3, 7])
def test_pixels_that_divide_an_output_pixel_weigh_alike_and_no_others_do(crs: str, ratio: int) -> None:
    file = grid_at(crs, (147.0, -42.0), (40 * ratio, 50 * ratio), 30.0 / ratio, part=1 / 3)
    a, b, c, d, e, f = file.transform
    block = Grid(crs=crs, shape=(40, 50), transform=(ratio * a, b, c, d, ratio * e, f))
    values, table = look_at(file, missing=0.0).red, resample.average_weights(warp_geometry(block, file))
    assert table.extent == (ratio, ratio)
    means, _ = averaged(values, first_pixel(file), table, values > 0)
    np.testing.assert_allclose(means, values.reshape(40, ratio, 50, ratio).mean((1, 3)), rtol=0, atol=0.05)


def test_a_rotated_source_is_placed_as_well() -> None:
    block = grid_at("EPSG:3577", (147.0, -42.0), (40, 40))
    straight = grid_at("EPSG:32655", (147.0, -42.0), (1, 1))
    rotated = Affine(*straight.transform) @ Affine.rotation(30.0)
    file = replace(straight, transform=tuple(rotated[:6]))
    np.testing.assert_allclose(
        corners_of(warp_geometry(block, file), file), exact_places(block, file), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("pixel", [100.0, 2000.0])
def test_cells_torn_by_the_edge_of_a_map_lie_nowhere_and_the_others_do(pixel: float) -> None:
    block = grid_at("EPSG:3832", (179.93, -17.0), (3, 256), pixel)
    geometry = warp_geometry(block, grid_at(SINUSOIDAL, (179.0, -17.0), (1, 1), 500.0))
    assert geometry.lies.any(1).all()
    assert (~geometry.lies).any()
    nowhere = np.isnan(centres_of(geometry, block)[0]).sum(1)
    assert (nowhere <= 3 * max(geometry.cell, 2)).all()
    table = resample.average_weights(geometry)
    assert max(table.extent) < 2 * pixel / 500.0 + 3, "no footprint spans the map"


# Across 180 degrees


def seen(block: Grid, files: list[tuple[Grid, Pixels]]) -> tuple[Pixels, Pixels]:
    """What a block sees of some files by the nearest pixel, and how often."""
    values, times = np.zeros(block.shape), np.zeros(block.shape, int)
    for file, stored in files:
        for turn in find_turns(warp_geometry(block, file).source_window(), file):
            index = resample.nearest_index(warp_geometry(block, file, turn))
            values += resample.take_nearest(stored, first_pixel(file), index, 0)
            times += resample.take_nearest(np.ones(file.shape, np.uint8), first_pixel(file), index, 0)
    return values, times


def sides(crs: str, parts: int) -> list[tuple[Grid, Pixels]]:
    """Files that end at 180 degrees east and begin at 180 west, or one around the globe; values are longitudes."""
    edge, top = way_of("EPSG:4326", crs).transform(180.0, -16.0)
    bottom = way_of("EPSG:4326", crs).transform(180.0, -18.0)[1]
    columns, rows = (36_000, 200) if crs == "EPSG:4326" else (34_000, 200)
    size, high = 2 * edge / columns, (top - bottom) / rows
    whole = Grid(crs=crs, shape=(rows, columns), transform=(size, 0.0, -edge, 0.0, -high, top))
    values = np.broadcast_to(((np.arange(columns) + 0.5) / columns * 360.0 - 180.0) % 360.0, whole.shape)
    halves = [cut(whole, 0, 0, (rows, 300)), cut(whole, 0, columns - 300, (rows, 300))]
    if parts == 1:
        return [(whole, values)]
    return [(halves[0], values[:, :300]), (halves[1], values[:, -300:])]


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("source", ["EPSG:4326", "EPSG:6933"])
@pytest.mark.parametrize("crs", ["EPSG:3832", "EPSG:32660", "EPSG:32601", "EPSG:3460", "EPSG:4326"])
@pytest.mark.parametrize("pixel", [300.0, 1500.0])
def test_every_pixel_across_180_degrees_is_seen_once(crs: str, source: str, parts: int, pixel: float) -> None:
    west = grid_at(crs, (179.8, -16.8), (41, 150), pixel)
    values, times = seen(west, sides(source, parts))
    assert (times == 1).all()
    a, _, c, _, e, f = west.transform
    column, row = np.meshgrid(np.arange(150) + 0.5, np.arange(41) + 0.5)
    longitudes, _ = way_of(crs, "EPSG:4326").transform(a * column + c, e * row + f)
    np.testing.assert_allclose(values, longitudes % 360.0, rtol=0, atol=0.0054)


@pytest.mark.parametrize("crs", ["EPSG:3832", "EPSG:4326"])
@pytest.mark.parametrize("pixel", [300.0, 2000.0])
def test_chunks_across_180_degrees_change_no_bit(crs: str, pixel: float) -> None:
    block = grid_at(crs, (179.7, -16.8), (40, 180), pixel)
    whole, _ = seen(block, sides("EPSG:4326", 1))
    for left, right in pairwise([0, 37, 64, 101, 102, 180]):
        part, _ = seen(cut(block, 0, left, (40, right - left)), sides("EPSG:4326", 1))
        np.testing.assert_array_equal(part, whole[:, left:right])


def test_a_block_moved_by_a_turn_of_whole_pixels_shares_the_alignment_of_the_file_there() -> None:
    block = Grid(crs="EPSG:4326", shape=(5, 7), transform=(0.25, 0.0, 181.0, 0.0, -0.25, -16.0))
    file = Grid(crs="EPSG:4326", shape=(80, 80), transform=(0.25, 0.0, -180.0, 0.0, -0.25, -10.0))
    assert find_turns(warp_geometry(block, file).source_window(), file) == (-1,)
    moved = shift_by_turns(block, file, -1)
    assert alignment_of(moved) == alignment_of(file)
    assert np.subtract(first_pixel(moved), first_pixel(file)).tolist() == [24, 4]


@pytest.mark.parametrize("source", ["EPSG:32655", "EPSG:3577", "EPSG:4326", "EPSG:6933"])
def test_elsewhere_a_block_is_looked_at_as_proj_has_it(source: str) -> None:
    block, file = grid_at("EPSG:3577", (147.0, -42.0), (40, 40)), grid_at(source, (147.0, -42.0), (40, 40))
    assert find_turns(warp_geometry(block, file).source_window(), file) == (0,)
    assert find_turns(None, file) == (0,)


def test_a_block_outside_of_what_proj_knows_lies_nowhere() -> None:
    block = Grid(crs="EPSG:4326", shape=(40, 40), transform=(0.001, 0.0, 147.0, 0.0, -0.001, 95.0))
    file = grid_at("EPSG:32655", (147.0, -42.0), (9, 9))
    geometry, look = warp_geometry(block, file), look_at(file)
    assert geometry.source_window() is None
    assert file_window(None, file) is None
    index, table = resample.nearest_index(geometry), resample.average_weights(geometry)
    everywhere = np.ones(block.shape, bool)
    assert not resample.find_clear_by_index(look.mask, first_pixel(file), index, ~CLEAR | CLEAR, ~everywhere)
    assert not table.weights.any()
    sums = nothing(block.shape)
    at = first_pixel(file)
    resample.accumulate_average(judged(look, at), table, listed(everywhere), adding(sums, min_area=0.0))
    resample.accumulate_bilinear(judged(look, at), geometry, listed(everywhere), adding(sums, min_area=0.0))
    assert not sums[1].any()


# Chunks


@settings(max_examples=120)
@given(
    grid_pairs(ratios=(0.4, 1.0, 2.3, 7.0)),
    kinds,
    st.sampled_from(["nearest", "bilinear", "average"]),
    st.lists(st.integers(1, 79), max_size=2),
    st.lists(st.integers(1, 79), max_size=2),
    st.booleans(),
)
def test_neither_chunks_nor_windows_nor_tables_change_a_bit(
    pair: tuple[Grid, Grid],
    kind: tuple[str, int, float],
    resampling: str,
    down: list[int],
    along: list[int],
    kept: bool,
) -> None:
    block, file = pair
    look = look_at(file, *kind)
    whole = observed(block, file, look, resampling)
    rows, columns = (
        [0, *sorted({c for c in cuts if c < n}), n] for cuts, n in zip((down, along), block.shape, strict=True)
    )
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            part = cut(block, top, left, (bottom - top, right - left))
            for found, expected in zip(
                observed(part, file, look, resampling, 10**8 if kept else 0), whole, strict=True
            ):
                np.testing.assert_array_equal(found, expected[top:bottom, left:right])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 999), st.sampled_from([0.0, 0.02, 0.3, 1.0]))
def test_the_clear_part_of_a_mask_is_the_smallest_that_holds_every_clear_pixel(
    rows: int, columns: int, seed: int, share: float
) -> None:
    mask = (np.random.default_rng(seed).random((rows, columns)) < share).astype(np.uint8)
    found, (row, column) = resample.clear_bounds(mask, CLEAR), np.nonzero(mask)
    expected = (row.min(), column.min(), row.max() + 1, column.max() + 1) if mask.any() else None
    assert found == expected


@settings(max_examples=60)
@given(
    grid_pairs(ratios=(0.4, 1.0, 2.3, 7.0)),
    kinds,
    st.sampled_from(["nearest", "bilinear", "average"]),
    st.tuples(*[st.integers(0, 80)] * 4),
)
def test_what_is_clear_and_as_far_around_it_as_a_pixel_reaches_is_all_that_need_be_read(
    pair: tuple[Grid, Grid], kind: tuple[str, int, float], resampling: str, part: tuple[int, int, int, int]
) -> None:
    block, file = pair
    look = look_at(file, *kind)
    rows, columns = (sorted(part[axis::2]) for axis in range(2))
    mask = np.zeros_like(look.mask)
    mask[slice(*rows), slice(*columns)] = look.mask[slice(*rows), slice(*columns)]
    found = resample.clear_bounds(mask, CLEAR)
    assume(found is not None and warp_geometry(block, file).source_window() is not None)
    top, left, bottom, right = widen_window(found, warp_geometry(block, file).reach())
    around = np.s_[max(top, 0) : bottom, max(left, 0) : right]
    red, nir = (np.full_like(band, look.bands[0, 0]) for band in (look.red, look.nir))
    red[around], nir[around] = look.red[around], look.nir[around]
    little = observed(block, file, replace(look, mask=mask, red=red, nir=nir), resampling)
    for less, all_of_it in zip(little, observed(block, file, replace(look, mask=mask), resampling), strict=True):
        np.testing.assert_array_equal(less, all_of_it)


# What is resampled


def exact_means(block: Grid, file: Grid, values: Pixels, known: Pixels) -> tuple[Pixels, Pixels]:
    """Means over the exact footprints, and the share of each footprint that is known."""
    down, along = exact_places(block, file)
    rings = np.stack([along, down], -1)
    quads: Any = shapely.polygons(np.stack([rings[:-1, :-1], rings[:-1, 1:], rings[1:, 1:], rings[1:, :-1]], 2))
    means, shares = np.full(block.shape, np.nan), np.zeros(block.shape)
    for place in np.ndindex(*block.shape):
        left, top, right, bottom = quads[place].bounds
        rows = np.arange(max(int(np.floor(top)), 0), min(int(np.ceil(bottom)), file.shape[0]))
        columns = np.arange(max(int(np.floor(left)), 0), min(int(np.ceil(right)), file.shape[1]))
        row, column = np.meshgrid(rows, columns, indexing="ij")
        areas = shapely.area(shapely.intersection(quads[place], shapely.box(column, row, column + 1, row + 1)))
        areas = areas * known[row, column]
        shares[place] = areas.sum() / quads[place].area
        if areas.any():
            means[place] = (areas * np.where(known[row, column], values[row, column], 0.0)).sum() / areas.sum()
    return means, shares


@settings(max_examples=40)
@given(grid_pairs(most=12, ratios=(0.4, 1.0, 1.7, 4.0)), kinds)
def test_averages_are_those_of_exact_areas(pair: tuple[Grid, Grid], kind: tuple[str, int, float]) -> None:
    block, file = pair
    values, nodata = look_at(file, *kind).red, NODATA[kind[0]]
    known = np.isfinite(values) & (values != nodata)
    exact, shares = exact_means(block, file, values, known)
    table = resample.average_weights(warp_geometry(block, file))
    means, seen_shares = averaged(values, first_pixel(file), table, known)
    np.testing.assert_allclose(seen_shares, shares, rtol=0, atol=1e-3)
    assert np.isnan(means[shares == 0.0]).all()
    assert np.isfinite(means[shares > 1e-4]).all()
    # What little is known of a footprint is weighed in the same steps.
    seen = shares > 1e-4
    np.testing.assert_array_less((np.abs(means - exact) * shares)[seen], 0.2)


@settings(max_examples=40)
@given(st.integers(0, 259), st.integers(0, 139), st.integers(0, 999))
def test_a_single_missing_value_is_left_out_of_all_means_above_it_and_of_no_other(
    row: int, column: int, seed: int
) -> None:
    block, wide = grid_at("EPSG:3577", (146.0, -42.0), (200, 100)), grid_at("EPSG:32655", (146.0, -42.0), (260, 140))
    file = cut(wide, -30, -20, wide.shape)
    values = look_at(file, seed=seed, missing=0.0).red
    table, at = resample.average_weights(warp_geometry(block, file)), first_pixel(file)
    holed = values.copy()
    holed[row, column] = NODATA["int16"]
    means, _ = averaged(holed, at, table, holed == values)
    assert np.count_nonzero(means != averaged(values, at, table, values > 0)[0]) <= 9


@settings(max_examples=40)
@given(grid_pairs(ratios=(0.5, 1.0, 2.5)), kinds, st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_observations_of_averages_are_those_of_the_means_of_usable_pixels(
    pair: tuple[Grid, Grid], kind: tuple[str, int, float], kept: bool, min_area: float
) -> None:
    block, file = pair
    look, at, table = look_at(file, *kind), first_pixel(file), resample.average_weights(warp_geometry(block, file))
    random = np.random.default_rng(kind[1])
    clear, taken = random.random(block.shape) < 0.5, random.random(block.shape) < 0.2
    total, count, done = *nothing(block.shape)[:2], taken.copy()
    anew = resample.average_weights(warp_geometry(block, file), most_bytes=0)
    sums = adding((total, count, done), min_area=min_area)
    resample.accumulate_average(judged(look, at, CLEAR[look.mask]), table if kept else anew, listed(clear), sums)
    usable = valid(look) & CLEAR[look.mask]
    (red, shares), (nir, _) = (averaged(values, at, table, usable) for values in (look.red, look.nir))
    means = look.bands.copy()
    means[:, :3] = np.inf, -np.inf, np.inf
    expected, enough = nothing(block.shape), shares >= max(min_area - 2.0**-12, 1e-12)
    kernels.accumulate(red, nir, clear & enough, means, *expected[:2])
    np.testing.assert_array_equal(total, expected[0])
    np.testing.assert_array_equal(count, expected[1])
    np.testing.assert_array_equal(done, taken | (count > 0))


@given(kinds, st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))
def test_usable_pixels_are_those_that_the_plain_kernel_counts(
    kind: tuple[str, int, float], least: float, most: float
) -> None:
    file = Grid(crs="EPSG:32655", shape=(9, 11), transform=(30.0, 0.0, 0.0, 0.0, -30.0, 0.0))
    look = look_at(file, *kind)
    look.bands[:, 1:3] = 5000.0 * least, 5000.0 * most
    bands = judged(look, (0, 0), CLEAR[look.mask])
    np.testing.assert_array_equal(bands.usable, valid(look) & CLEAR[look.mask])
    assert bands.usable is not None
    for judged_values, values in ((bands.red, look.red), (bands.nir, look.nir)):
        np.testing.assert_array_equal(judged_values, np.where(bands.usable, values, 0))


def test_a_table_of_pixels_of_one_size_takes_22_bytes_for_each_or_is_not_kept() -> None:
    block, place = grid_at("EPSG:3577", (147.0, -42.0), (70, 70)), (147.0, -42.0)
    geometry = warp_geometry(block, grid_at("EPSG:32655", place, (1, 1)))
    table = resample.average_weights(geometry, most_bytes=22 * 70 * 70)
    assert table.is_kept
    assert table.base.nbytes + table.weights.nbytes == 22 * 70 * 70
    assert not resample.average_weights(geometry, most_bytes=22 * 70 * 70 - 1).is_kept


def test_more_source_pixels_than_16_bits_count_are_found_as_well() -> None:
    block = grid_at("EPSG:3577", (147.0, -42.0), (2, 700), 3000.0)
    file = grid_at("EPSG:32655", (147.0, -42.0), (300, 300))
    geometry, at = warp_geometry(block, file), first_pixel(file)
    index, table = resample.nearest_index(geometry), resample.average_weights(geometry)
    assert index.places.dtype == np.uint32
    places = index.places.astype(int) + np.reshape(np.subtract(index.origin, at), (2, 1, 1))
    near = np.s_[:, :, :32]
    np.testing.assert_allclose(places[near] + 0.5, exact_places(block, file, 0.5)[near], rtol=0, atol=0.6)
    assert not table.is_kept
    sums, sevens = nothing(block.shape), np.full((300, 300), 7, np.int16)
    everywhere = listed(np.ones(block.shape, bool))
    usable = np.ones(sevens.shape, np.uint8)
    bands = BandWindows(red=sevens, nir=3 * sevens, at=at, numbers=BANDS, usable=usable)
    resample.accumulate_average(bands, table, everywhere, adding(sums, min_area=0.0))
    assert sums[1].any()
    np.testing.assert_array_equal(sums[0], sums[1].astype(np.int64) << 31)


def test_read_only_arrays_share_a_compiled_form_with_others() -> None:
    file = Grid(crs="EPSG:32655", shape=(4, 4), transform=(30.0, 0.0, 0.0, 0.0, -30.0, 0.0))
    look, sums = look_at(file), nothing((4, 4))
    for writeable in (True, False):
        for values in (look.red, look.nir, look.bands):
            values.flags.writeable = writeable
        resample.accumulate_window(windows_of(look), (0, 0), listed(sums[1] == 0), adding(sums))
        forms = len(point_sampling._accumulate_window.signatures)
    resample.accumulate_window(
        windows_of(replace(look, red=look.red.copy())), (0, 0), listed(sums[1] == 0), adding(sums)
    )
    assert len(point_sampling._accumulate_window.signatures) == forms


@settings(max_examples=40)
@given(grid_pairs(ratios=(0.5, 1.0, 2.5)), kinds)
def test_the_nearest_pixel_is_the_one_that_a_centre_lies_in(
    pair: tuple[Grid, Grid], kind: tuple[str, int, float]
) -> None:
    block, file = pair
    look, index = look_at(file, *kind), resample.nearest_index(warp_geometry(block, file))
    centres = exact_places(block, file, 0.5)
    assume((np.abs(centres - np.rint(centres)) > 1e-5).all())
    row, column = np.floor(centres).astype(int)
    inside, row, column = within(file.shape, row, column)
    mask, red, nir = (np.where(inside, values[row, column], 0) for values in (look.mask, look.red, look.nir))
    np.testing.assert_array_equal(resample.take_nearest(look.mask, first_pixel(file), index, 0), mask)
    taken = np.random.default_rng(kind[1]).random(block.shape) < 0.2
    found = resample.find_clear_by_index(look.mask, first_pixel(file), index, CLEAR, taken)
    clear = inside & CLEAR[mask] & ~taken
    np.testing.assert_array_equal(~found.elsewhere(block.shape), clear)
    assert len(found) == clear.sum()
    sums, expected = nothing(block.shape), nothing(block.shape)
    resample.accumulate_nearest(windows_of(look, first_pixel(file)), index, listed(clear), adding(sums))
    kernels.accumulate(red.astype(kind[0]), nir.astype(kind[0]), clear, look.bands, *expected[:2])
    np.testing.assert_array_equal(sums[0], expected[0])
    np.testing.assert_array_equal(sums[1], expected[1])


def between_four(file: Grid, values: Pixels, known: Pixels, centres: Pixels) -> Pixels:
    """Bilinear means over what is known, where that weighs at least one half."""
    corner = np.floor(centres - 0.5).astype(int)
    down, along = centres - 0.5 - corner
    value, weight = np.zeros(down.shape), np.zeros(down.shape)
    for a, b in np.ndindex(2, 2):
        row, column = corner[0] + a, corner[1] + b
        inside, row, column = within(file.shape, row, column)
        share = (down if a else 1 - down) * (along if b else 1 - along) * (inside & known[row, column])
        value += share * np.where(share > 0, values[row, column], 0)
        weight += share
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight >= 0.5, value / weight, np.nan)


@settings(max_examples=40)
@given(grid_pairs(ratios=(0.5, 1.0, 2.5)), kinds)
def test_bilinear_weighs_the_known_ones_of_four_pixels(pair: tuple[Grid, Grid], kind: tuple[str, int, float]) -> None:
    block, file = pair
    look, sums = look_at(file, *kind), nothing(block.shape)
    everywhere, geometry = listed(np.ones(block.shape, bool)), warp_geometry(block, file)
    resample.accumulate_bilinear(judged(look, first_pixel(file)), geometry, everywhere, adding(sums))
    centres = exact_places(block, file, 0.5)
    red, nir = (between_four(file, values, valid(look), centres) for values in (look.red, look.nir))
    seen = np.isfinite(red) & np.isfinite(nir)
    np.testing.assert_array_equal(sums[1] > 0, seen)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(sums[0][seen] / 2**32, ((nir - red) / (nir + red))[seen], rtol=0, atol=1e-4)


# The block's own pixel grid


@settings(max_examples=60)
@given(kinds, st.tuples(*[st.integers(1, 20)] * 4), st.tuples(*[st.integers(-22, 22)] * 2))
def test_a_window_of_the_same_grid_adds_what_the_plain_kernel_adds(
    kind: tuple[str, int, float], sizes: tuple[int, int, int, int], offset: tuple[int, int]
) -> None:
    file = Grid(crs="EPSG:32655", shape=sizes[:2], transform=(30.0, 0.0, 0.0, 0.0, -30.0, 0.0))
    look, shape = look_at(file, *kind), sizes[2:]
    row, column = np.ix_(np.arange(shape[0]) + offset[0], np.arange(shape[1]) + offset[1])
    inside, row, column = within(sizes[:2], row, column)
    taken = np.random.default_rng(kind[1]).random(shape) < 0.2
    found = resample.find_clear_in_window(look.mask, offset, CLEAR, taken)
    clear = inside & CLEAR[look.mask[row, column]] & ~taken
    np.testing.assert_array_equal(~found.elsewhere(shape), clear)
    assert len(found) == clear.sum()
    total, count, done = *nothing(shape)[:2], taken.copy()
    for first in (offset, (10**6, 0)):
        resample.accumulate_window(windows_of(look), first, listed(clear), adding((total, count, done)))
    expected = nothing(shape)
    kernels.accumulate(look.red[row, column], look.nir[row, column], clear, look.bands, *expected[:2])
    np.testing.assert_array_equal(total, expected[0])
    np.testing.assert_array_equal(count, expected[1])
    np.testing.assert_array_equal(done, taken | (count > 0))
