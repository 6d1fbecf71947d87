"""The output grid and its chunks, against odc-geo, pyproj and plain counting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from compute.errors import InputError, TooLargeError
from compute.plan import fit_chunks, level_count
from compute.plan.output_grid import output_grid
from compute.request.region import Region, parse_bbox, parse_geojson, region_from_bbox
from compute.scenes import Grid, Scene
from tests.strategies import request_of, scene_of

pytestmark = pytest.mark.unit

REDS = {"landsat": "red", "sentinel": "red"}


def grid_of(*scenes: Scene, max_edge_px: int = 200_000, **fields: Any) -> Grid:
    request_ = request_of(**fields)
    return output_grid(request_, scenes or (scene_of("a"),), REDS, max_edge_px=max_edge_px)


def edges(grid: Grid) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a grid."""
    dx, _, left, _, dy, top = grid.transform
    return left, top + dy * grid.shape[0], left + dx * grid.shape[1], top


def densified_bounds(region: Region, crs: str) -> tuple[float, float, float, float]:
    """Bounds of a region in `crs` by projecting ten thousand points of its outline."""
    ring = shapely.get_coordinates(shapely.segmentize(region.geometry, max(region.geometry.length / 10_000, 1e-9)))
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*ring.T)
    return x.min(), y.min(), x.max(), y.max()


def in_degrees(left: float, bottom: float, right: float, top: float, crs: str) -> Region:
    """The polygon in degrees of a rectangle in `crs`, its edges following those of the rectangle."""
    outline = shapely.segmentize(shapely.box(left, bottom, right, top), (right - left) / 400)
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lonlat = shapely.transform(outline, lambda xy: np.column_stack(back.transform(*xy.T)))
    return parse_geojson(shapely.to_geojson(lonlat))


# Chunks and levels


@given(st.integers(1, 200_000), st.integers(64, 4096), st.integers(0, 9).map(lambda n: 2**n))
def test_chunks_fill_an_edge_evenly(length: int, target: int, multiple: int) -> None:
    chunks = fit_chunks(length, target, multiple)
    assert sum(chunks) == length
    assert min(chunks) > 0
    size = chunks[0]
    assert set(chunks[:-1]) <= {size}
    assert chunks[-1] <= size
    if len(chunks) > 1:
        assert size % multiple == 0
    if multiple <= target:
        assert size <= target * 1.5
    if len(chunks) > 1 and multiple <= target / 4:
        assert size >= target / 1.5


@given(st.integers(1, 50_000), st.integers(64, 2048), st.integers(0, 9).map(lambda n: 2**n))
def test_a_sliver_stands_only_where_no_size_near_the_target_avoids_it(length: int, target: int, multiple: int) -> None:
    chunks = fit_chunks(length, target, multiple)
    if chunks[-1] * 2 >= chunks[0]:
        return
    sizes = range(multiple, int(target * 1.5) + 1, multiple)
    near = [size for size in sizes if target / 1.5 <= size]
    assert not [size for size in near if ((length - 1) % size + 1) * 2 >= size]


@given(st.integers(1, 300_000), st.integers(1, 300_000))
def test_levels_halve_the_longer_edge_to_one_screen(rows: int, columns: int) -> None:
    levels, edge = 0, max(rows, columns)
    while edge > 512:
        levels, edge = levels + 1, (edge + 1) // 2
    assert level_count((rows, columns)) == levels


@pytest.mark.parametrize(("edge", "levels"), [(1, 0), (512, 0), (513, 1), (1024, 1), (1025, 2), (140_000, 9)])
def test_levels_of_familiar_sizes(edge: int, levels: int) -> None:
    assert level_count((edge, 3)) == levels


# Native grids


@settings(max_examples=40)
@given(
    st.floats(144.5, 149.5),
    st.floats(-43.5, -40.5),
    st.floats(1e-5, 0.4),
    st.sampled_from([(30.0, 15.0), (30.0, 0.0), (10.0, 0.0), (25.0, 12.5), (30.0, 7.3)]),
)
def test_a_native_grid_keeps_the_scenes_pixels(
    west: float, south: float, size: float, alignment: tuple[float, float]
) -> None:
    pixel, origin = alignment
    scene = scene_of("a", pixel=pixel, origin=origin)
    grid = grid_of(scene, crs="native", region=region_from_bbox(west, south, west + size, south + size))
    own = scene.source.bands["red"].grid.transform
    assert grid.crs == "EPSG:32655"
    assert grid.transform[0] == pixel
    assert grid.transform[4] == -pixel
    assert grid.transform[5] < 0, "a northern zone has negative northings south of the equator"
    columns, rows = (grid.transform[2] - own[2]) / pixel, (grid.transform[5] - own[5]) / pixel
    assert columns == pytest.approx(round(columns), abs=1e-6)
    assert rows == pytest.approx(round(rows), abs=1e-6)


def test_half_a_pixel_of_alignment_is_kept_to_the_bit() -> None:
    grid = grid_of(crs="native")
    assert grid.transform[2] % 30 == 15.0
    assert grid.transform[5] % 30 == 15.0


def test_most_scenes_decide_among_several_zones() -> None:
    west = [scene_of(f"w{n}", crs="EPSG:32654") for n in range(2)]
    east = [scene_of(f"e{n}", crs="EPSG:32655") for n in range(3)]
    assert grid_of(*west, *east, crs="native").crs == "EPSG:32655"
    assert grid_of(*west, *east[:1], crs="native").crs == "EPSG:32654"
    assert grid_of(*west, *east[:2], crs="native").crs == "EPSG:32654"
    assert grid_of(*east[:2], *west, crs="native") == grid_of(*west, *east[:2], crs="native")


@pytest.mark.parametrize("landsats", [1, 5])
def test_the_finest_product_decides_however_many_scenes_the_others_have(landsats: int) -> None:
    coarse = [scene_of(f"l{n}") for n in range(landsats)]
    fine = [scene_of(f"s{n}", product="sentinel", pixel=10.0, origin=0.0) for n in range(3)]
    assert grid_of(*coarse, *fine, crs="native").resolution == (10.0, 10.0)
    assert grid_of(*coarse, *fine).resolution == (10.0, 10.0)


def test_a_native_grid_has_no_resolution_of_its_own() -> None:
    with pytest.raises(InputError, match="leave --resolution out"):
        grid_of(crs="native", resolution=10)


def test_a_rotated_grid_cannot_be_native_and_can_be_warped() -> None:
    scene = scene_of("a")
    band = scene.source.bands["red"]
    a, _, c, _, e, f = band.grid.transform
    tilted = Grid(crs=band.grid.crs, shape=band.grid.shape, transform=(a, 1.0, c, 1.0, e, f))
    object.__setattr__(band, "grid", tilted)
    with pytest.raises(InputError, match="rotated"):
        grid_of(scene, crs="native")
    with pytest.raises(InputError, match="rotated"):
        grid_of(scene)
    assert grid_of(scene, resolution=30).resolution == (30.0, 30.0)


# Grids of an EPSG code


@settings(max_examples=40)
@given(
    st.floats(144.5, 149.5),
    st.floats(-43.5, -40.5),
    st.floats(1e-4, 0.5),
    st.sampled_from([("EPSG:3577", 30.0), ("EPSG:3857", 25.0), ("EPSG:32655", 10.0), ("EPSG:4326", 0.00025)]),
)
def test_an_epsg_grid_is_snapped_as_odc_geo_snaps(
    west: float, south: float, size: float, crs: tuple[str, float]
) -> None:
    region = region_from_bbox(west, south, west + size, south + size)
    grid = grid_of(region=region, crs=crs[0], resolution=crs[1])
    bounds = densified_bounds(region, crs[0])
    theirs = GeoBox.from_bbox(bounds, crs[0], resolution=crs[1], anchor="edge")
    left, bottom, right, top = edges(grid)
    for ours, other in zip((left, bottom, right, top), theirs.boundingbox, strict=True):
        assert ours / crs[1] == pytest.approx(round(ours / crs[1]), abs=1e-6)
        # Ten thousand points find a bulge that 128 miss by less than a pixel.
        assert abs(ours - other) <= crs[1] * 1.001


@settings(max_examples=40)
@given(
    st.floats(144.5, 149.5),
    st.floats(-43.5, -40.5),
    st.floats(1e-3, 0.5),
    st.sampled_from(["native", "EPSG:3577", "EPSG:32655"]),
)
def test_the_envelope_holds_the_region_to_a_hundredth_of_a_pixel_and_no_row_more(
    west: float, south: float, size: float, crs: str
) -> None:
    region = region_from_bbox(west, south, west + size, south + size)
    grid = grid_of(region=region, crs=crs)
    left, bottom, right, top = edges(grid)
    inner = densified_bounds(region, grid.crs)
    slack = 30 * 0.01 + (inner[2] - inner[0]) / 1e4
    assert left <= inner[0] + slack
    assert bottom <= inner[1] + slack
    assert right >= inner[2] - slack
    assert top >= inner[3] - slack
    assert inner[0] - left < 30 + slack
    assert inner[1] - bottom < 30 + slack
    assert right - inner[2] < 30 + slack
    assert top - inner[3] < 30 + slack


@pytest.mark.parametrize(("crs", "origin"), [("native", 15.0), ("EPSG:32655", 0.0)])
def test_a_region_on_pixel_borders_grows_by_nothing(crs: str, origin: float) -> None:
    left, bottom = 499_980 + origin, -4_650_000 + origin
    region = in_degrees(left, bottom, left + 3000, bottom + 1500, "EPSG:32655")
    grid = grid_of(region=region, crs=crs)
    assert grid.shape == (50, 100)
    assert edges(grid) == (left, bottom, left + 3000, bottom + 1500)


def test_a_box_on_borders_in_degrees_grows_by_nothing() -> None:
    grid = grid_of(region=parse_bbox("146.8,-42.2,147.2,-41.8"), crs="EPSG:4326", resolution=0.1)
    assert grid.shape == (4, 4)
    assert edges(grid) == pytest.approx((146.8, -42.2, 147.2, -41.8))


@pytest.mark.parametrize("crs", ["native", "EPSG:3577", "EPSG:4326"])
def test_a_region_within_one_pixel_has_a_pixel(crs: str) -> None:
    resolution = 0.001 if crs == "EPSG:4326" else None
    grid = grid_of(region=parse_bbox("147.00001,-42.00001,147.00002,-42.0000"), crs=crs, resolution=resolution)
    assert 1 <= grid.shape[0] <= 2
    assert 1 <= grid.shape[1] <= 2


def test_pixels_much_larger_than_the_region_make_one() -> None:
    assert grid_of(resolution=1e7).shape == (1, 1)


# What is refused


@pytest.mark.parametrize("resolution", [1e-300, 1e-4, 0.01])
def test_a_grid_of_too_many_pixels_is_refused_with_the_limit(resolution: float) -> None:
    with pytest.raises(TooLargeError, match="more than 200,000; give a coarser") as caught:
        grid_of(resolution=resolution)
    assert caught.value.field == "resolution"


def test_the_whole_world_at_the_scenes_resolution_is_refused() -> None:
    with pytest.raises(InputError):
        grid_of(region=parse_bbox("-180,-90,180,90"))


@pytest.mark.parametrize("crs", ["EPSG:2193", "EPSG:32601", "EPSG:27700", "EPSG:3031"])
def test_a_crs_made_for_elsewhere_is_refused_with_where(crs: str) -> None:
    with pytest.raises(InputError, match="made for longitudes") as caught:
        grid_of(crs=crs, resolution=30)
    assert caught.value.field == "crs"


def test_the_scenes_own_crs_is_never_for_elsewhere() -> None:
    # Digital Earth Australia stores Tasmania in UTM 55 north, which EPSG says is for 0 to 84 degrees north.
    assert grid_of(crs="EPSG:32655").crs == "EPSG:32655"
    with pytest.raises(InputError, match="made for"):
        grid_of(scene_of("a", crs="EPSG:32755"), crs="EPSG:32655")


def test_degrees_have_no_pixel_size_from_metres() -> None:
    with pytest.raises(InputError, match="give --resolution") as caught:
        grid_of(crs="EPSG:4326")
    assert caught.value.field == "resolution"


def test_a_region_that_a_crs_cannot_express_is_refused() -> None:
    polar = scene_of("a", lon=0.0, lat=-80.0, crs="EPSG:3857")
    with pytest.raises(InputError):
        grid_of(polar, region=parse_bbox("-1,-90,1,-89"), crs="EPSG:3395", resolution=1000)


# Over 180 degrees

FIJI = "179.9,-17.1,-179.9,-16.9"


def fiji(crs: str = "EPSG:32660") -> Scene:
    return scene_of("fiji", lon=179.95, lat=-17.0, crs=crs, size=6000)


@pytest.mark.parametrize("text", [FIJI, "179.9,-17.1,180.1,-16.9", "-180.1,-17.1,-179.9,-16.9"])
@pytest.mark.parametrize("crs", ["native", "EPSG:32660", "EPSG:32760", "EPSG:32701", "EPSG:3460", "EPSG:3832"])
def test_a_region_over_180_degrees_is_no_wider_than_it_is(text: str, crs: str) -> None:
    grid = grid_of(fiji(), crs=crs, region=parse_bbox(text), resolution=None if crs == "native" else 30)
    assert max(grid.shape) < 800
    assert min(grid.shape) > 700


def test_a_grid_of_degrees_goes_on_past_180() -> None:
    grid = grid_of(fiji(), crs="EPSG:4326", region=parse_bbox(FIJI), resolution=0.001)
    assert edges(grid) == pytest.approx((179.9, -17.1, 180.1, -16.9))
    assert edges(grid_of(fiji(), crs="EPSG:4326", region=parse_bbox("181,-17,182,-16"), resolution=0.1)) == (
        pytest.approx((-179.0, -17.0, -178.0, -16.0))
    )


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:6933", "EPSG:3577", "EPSG:8857"])
def test_a_map_that_ends_at_180_degrees_is_refused_with_one_that_goes_on(crs: str) -> None:
    with pytest.raises(InputError, match=r"native.*EPSG:3832") as caught:
        grid_of(fiji(), crs=crs, region=parse_bbox(FIJI), resolution=30)
    assert caught.value.field == "crs"
    if crs != "EPSG:3577":
        for text in ("179.6,-17.1,180,-16.9", "-180,-17.1,-179.8,-16.9"):
            assert max(grid_of(fiji(), crs=crs, region=parse_bbox(text), resolution=100).shape) < 700


@pytest.mark.parametrize(("crs", "bbox"), [("EPSG:3832", "-31,10,-29,11"), ("EPSG:3577", "-49,10,-47,11")])
def test_a_map_that_ends_elsewhere_is_refused_there(crs: str, bbox: str) -> None:
    scene = scene_of("there", lon=-30.0, lat=10.5, crs=crs)
    with pytest.raises(InputError, match=f"the map of {crs} ends"):
        grid_of(scene, crs=crs, region=parse_bbox(bbox), resolution=100)
