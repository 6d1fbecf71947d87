"""The plan of hand-made scenes: what is read where, under which label, and what it will cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from compute.errors import GreenupError, NoScenesError, TooLargeError
from compute.plan import WORKER_BYTES, BlockPlan, NdviPlan, make_plan
from compute.products import Roles
from compute.request.region import Region, parse_bbox, parse_geojson
from compute.request.seasons import parse_seasons
from compute.result.stack import build_stack
from compute.scenes import Grid, Scene
from compute.settings import Settings
from tests.strategies import request_of, roles_of, scene_of

pytestmark = pytest.mark.unit

ROLES = {product: roles_of(product) for product in ("landsat", "sentinel")}
SMALL = Settings(chunk_px=256)

#: A quarter of each season of a year, one scene each.
YEAR = [scene_of(f"s{month:02}", f"2020-{month:02}-10T00:00:00") for month in range(1, 12)]


def plan_of(scenes: Sequence[Scene], *, settings_: Settings = SMALL, **fields: Any) -> NdviPlan:
    request_ = request_of(**({"products": sorted({scene.product for scene in scenes})} | fields))
    roles: Mapping[str, Roles] = {product: ROLES[product] for product in request_.products}
    return make_plan(request_, scenes, roles, settings_)


def groups_of(plan: NdviPlan, label: str) -> set[tuple[str, ...]]:
    """The groups of a season by the names of their scenes, over all of its blocks."""
    season = plan.labels.index(label)
    blocks = [block for block in plan.blocks if block.season == season]
    return {tuple(plan.sources[index].id for index in group) for block in blocks for group in block.groups}


def names_of(plan: NdviPlan, block: BlockPlan) -> set[str]:
    return {plan.sources[index].id for index in chain.from_iterable(block.groups)}


def outline_of(grid: Grid) -> shapely.Polygon:
    dx, _, left, _, dy, top = grid.transform
    return shapely.box(left, top + dy * grid.shape[0], left + dx * grid.shape[1], top)


def refusal(make: Callable[[], object], kind: type[GreenupError]) -> str:
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Groups and labels


def test_scenes_of_one_platform_and_solar_day_are_one_look_in_the_order_of_time() -> None:
    scenes = [
        scene_of("later", "2020-01-05T00:00:30"),
        scene_of("first", "2020-01-05T00:00:05"),
        scene_of("other-platform", "2020-01-05T00:10:00", platform="landsat-9"),
        scene_of("other-product", "2020-01-05T00:00:20", product="sentinel", platform="sentinel-2a"),
        scene_of("other-day", "2020-01-21T00:00:05"),
    ]
    plan = plan_of(scenes)
    assert groups_of(plan, "DJF") == {("first", "later"), ("other-platform",), ("other-product",), ("other-day",)}
    assert [source.id for source in plan.sources] == ["first", "other-product", "later", "other-platform", "other-day"]
    (season,) = plan.seasons
    assert (season.dates, season.scenes) == (4, 5)


def test_the_solar_day_decides_the_season_of_a_look() -> None:
    # One pass over Tasmania in the morning of 1 December, local solar time, begins on 30 November in UTC.
    pass_ = [scene_of("begin", "2019-11-30T23:59:50"), scene_of("end", "2019-12-01T00:00:20")]
    assert pass_[0].solar_day == pass_[1].solar_day == date(2019, 12, 1)
    plan = plan_of(pass_, start=date(2019, 6, 1), by="season-year")
    assert plan.labels == ("2020-DJF",)
    assert groups_of(plan, "2020-DJF") == {("begin", "end")}
    assert plan.months == (2019 * 12 + 11,) * 2
    assert plan_of(pass_, start=date(2019, 6, 1), seasons=parse_seasons("DJF")).labels == ("DJF",)
    refusal(lambda: plan_of(pass_, start=date(2019, 6, 1), seasons=parse_seasons("SON")), NoScenesError)


def test_climatology_labels_stand_in_the_order_of_the_definition() -> None:
    assert plan_of(YEAR).labels == ("DJF", "MAM", "JJA", "SON")
    assert plan_of(YEAR, seasons=parse_seasons("SON,DJF,JJA")).labels == ("SON", "DJF", "JJA")


def test_season_years_stand_in_the_order_of_time() -> None:
    scenes = [scene_of(day, f"{day}T00:00:00") for day in ("2019-12-24", "2020-02-10", "2020-12-10", "2020-06-01")]
    plan = plan_of(scenes, by="season-year", start=date(2019, 12, 1), end=date(2021, 2, 28))
    assert plan.labels == ("2020-DJF", "2020-JJA", "2021-DJF")
    assert groups_of(plan, "2020-DJF") == {("2019-12-24",), ("2020-02-10",)}
    assert groups_of(plan, "2021-DJF") == {("2020-12-10",)}


def test_a_climatology_merges_years_and_a_wet_season_crosses_the_year_end() -> None:
    scenes = [scene_of(day, f"{day}T00:00:00") for day in ("2018-12-24", "2020-01-10", "2020-06-01")]
    span: dict[str, Any] = {
        "start": date(2018, 11, 1),
        "end": date(2020, 10, 31),
        "seasons": parse_seasons("wet=11-4,dry=5-10"),
    }
    assert groups_of(plan_of(scenes, **span), "wet") == {("2018-12-24",), ("2020-01-10",)}
    assert plan_of(scenes, by="season-year", **span).labels == ("2019-wet", "2020-wet", "2020-dry")


@pytest.mark.parametrize(
    ("by", "start", "end", "missing"),
    [
        ("season", "2019-12-01", "2020-02-29", {"DJF": ()}),
        ("season", "2019-12-15", "2020-02-29", {"DJF": ("2019-12",)}),
        ("season", "2019-01-01", "2020-02-29", {"DJF": ("2018-12",)}),
        ("season-year", "2019-01-01", "2020-02-29", {"2020-DJF": ()}),
        ("season-year", "2020-01-01", "2020-02-28", {"2020-DJF": ("2019-12", "2020-02")}),
    ],
)
def test_months_that_the_dates_cut_are_missing(
    by: str, start: str, end: str, missing: dict[str, tuple[str, ...]]
) -> None:
    plan = plan_of([scene_of("a")], by=by, start=date.fromisoformat(start), end=date.fromisoformat(end))
    assert {season.label: season.missing for season in plan.seasons} == missing


def test_scenes_outside_every_season_are_not_read() -> None:
    plan = plan_of(YEAR, seasons=parse_seasons("JJA"))
    assert [source.id for source in plan.sources] == ["s06", "s07", "s08"]


# Chunks


def test_blocks_tile_the_output_grid() -> None:
    plan = plan_of(YEAR, crs="native")
    assert len(plan.blocks) == len(plan.labels) * len(plan.chunks[0]) * len(plan.chunks[1])
    tiles = np.zeros((len(plan.labels), *plan.grid.shape), np.uint8)
    for block in plan.blocks:
        (y, x), (rows, columns) = plan.block_origin(block), plan.block_shape(block)
        tiles[block.season, y : y + rows, x : x + columns] += 1
        grid = plan.block_grid(block)
        assert (grid.crs, grid.shape) == (plan.grid.crs, (rows, columns))
        assert Affine(*grid.transform) == Affine(*plan.grid.transform) @ Affine.translation(x, y)
    assert (tiles == 1).all()
    order = [(block.season, block.row, block.column) for block in plan.blocks]
    assert order == sorted(order)


def test_a_chunk_reads_the_scenes_that_touch_it_and_no_other() -> None:
    scenes = [
        scene_of(f"{lon}-{lat}", lon=lon, lat=lat, size=400)
        for lon in (146.85, 147.0, 147.15)
        for lat in (-42.1, -41.9)
    ]
    plan = plan_of(scenes, crs="native")
    assert len({frozenset(names_of(plan, block)) for block in plan.blocks}) > 3
    for block in plan.blocks:
        chunk = outline_of(plan.block_grid(block))
        near = {scene.id for scene in scenes if scene.footprint.intersects(chunk.buffer(3 * 30))}
        within = {scene.id for scene in scenes if scene.footprint.intersects(chunk)}
        assert within <= names_of(plan, block) <= near


@pytest.mark.parametrize("crs", ["EPSG:3577", "EPSG:3857", "EPSG:32654"])
def test_a_chunk_reads_every_scene_with_a_pixel_in_it_after_warping(crs: str) -> None:
    scenes = [scene_of(f"{lon}", lon=lon, size=500) for lon in (146.8, 147.2)]
    scenes.append(scene_of("zone", lon=146.9, size=500, crs="EPSG:32654"))
    plan = plan_of(scenes, crs=crs, resolution=60)
    back = {scene.crs: Transformer.from_crs(crs, scene.crs, always_xy=True) for scene in scenes}
    for block in plan.blocks:
        grid = plan.block_grid(block)
        xs = grid.transform[2] + grid.transform[0] * np.linspace(0, grid.shape[1], 30)
        ys = grid.transform[5] + grid.transform[4] * np.linspace(0, grid.shape[0], 30)
        points = np.stack(np.meshgrid(xs, ys)).reshape(2, -1)
        for scene in scenes:
            moved = back[scene.crs].transform(*points)
            if shapely.contains_xy(scene.footprint, *moved).any():
                assert scene.id in names_of(plan, block)


def test_scenes_beside_the_region_are_not_read() -> None:
    plan = plan_of([scene_of("here"), scene_of("there", lon=144.5)])
    assert [source.id for source in plan.sources] == ["here"]
    refusal(lambda: plan_of([scene_of("there", lon=144.5)]), NoScenesError)


@pytest.mark.parametrize("crs", ["native", "EPSG:32660", "EPSG:3832", "EPSG:3857", "EPSG:4326"])
@pytest.mark.parametrize("bbox", ["179.4,-17.2,179.8,-16.8", "-179.9,-17.2,-179.6,-16.8"])
def test_a_scene_across_180_degrees_is_read_on_both_sides(crs: str, bbox: str) -> None:
    fiji = scene_of("fiji", lon=179.9, lat=-17.0, crs="EPSG:32660", size=6000)
    resolution = {"native": None, "EPSG:4326": 0.001}.get(crs, 100)
    plan = plan_of([fiji], crs=crs, resolution=resolution, region=parse_bbox(bbox))
    assert all(names_of(plan, block) == {"fiji"} for block in plan.blocks)


@pytest.mark.parametrize("lon", [179.7, 179.95, -179.95, -179.7])
@pytest.mark.parametrize("zone", ["EPSG:32660", "EPSG:32601", "EPSG:4326"])
@pytest.mark.parametrize("crs", ["EPSG:32760", "EPSG:3832", "EPSG:4326"])
def test_scenes_on_both_sides_meet_a_region_over_180_degrees(crs: str, zone: str, lon: float) -> None:
    size: dict[str, Any] = {"pixel": 0.001, "size": 200, "origin": 0.0} if zone == "EPSG:4326" else {"size": 700}
    scene = scene_of("a", lon=lon, lat=-17.0, crs=zone, **size)
    triangle = parse_geojson(shapely.to_geojson(shapely.Polygon([(179.5, -17.2), (180.5, -17.2), (180, -16.8)])))
    resolution = 0.001 if crs == "EPSG:4326" else 100
    plan = plan_of([scene], crs=crs, resolution=resolution, region=triangle, settings_=Settings(chunk_px=256))
    assert {name for block in plan.blocks for name in names_of(plan, block)} == {"a"}
    masks = [np.broadcast_to(inside(block.polygon, grid), grid.shape) for block, grid in grids_of(plan)]
    assert sum(mask.sum() for mask in masks) == pytest.approx(0.5 * np.prod(plan.grid.shape), rel=0.03)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_scenes_on_the_other_side_of_the_world_are_not_read(crs: str) -> None:
    fiji = scene_of("fiji", lon=179.9, lat=-17.0, crs="EPSG:32660", size=6000)
    africa: dict[str, Any] = {
        "region": parse_bbox("20,-17.2,20.1,-16.8"),
        "resolution": 0.001 if crs == "EPSG:4326" else 100,
    }
    refusal(lambda: plan_of([fiji], crs=crs, **africa), NoScenesError)


def test_a_scene_that_the_crs_cannot_express_is_kept() -> None:
    world = scene_of("world", crs="EPSG:4326", pixel=0.01, origin=0.0, outline=shapely.box(-180, -90, 180, 90))
    plan = plan_of([world], crs="EPSG:3857", resolution=1000)
    assert [source.id for source in plan.sources] == ["world"]


# Regions


def ring_region(*holes: shapely.LinearRing) -> Region:
    return parse_geojson(shapely.to_geojson(shapely.Polygon(shapely.Point(147, -42).buffer(0.2).exterior, holes)))


def test_a_box_masks_nothing() -> None:
    assert {block.polygon for block in plan_of(YEAR).blocks} == {None}


@pytest.mark.parametrize("hole", [False, True])
def test_the_masks_of_chunks_are_the_polygon(hole: bool) -> None:
    holes = [shapely.Point(147, -42).buffer(0.08).exterior] if hole else []
    plan = plan_of([scene_of("a")], region=ring_region(*holes), crs="native", settings_=Settings(chunk_px=128))
    mask = np.zeros(plan.grid.shape, bool)
    for block in plan.blocks:
        (y, x), shape = plan.block_origin(block), plan.block_shape(block)
        mask[y : y + shape[0], x : x + shape[1]] = inside(block.polygon, plan.block_grid(block))
        assert bool(block.groups) or not mask[y : y + shape[0], x : x + shape[1]].any()
    # By pixel centres in degrees; along the outline an edge straight in degrees or in metres may differ by a pixel.
    rows, columns = np.mgrid[: plan.grid.shape[0], : plan.grid.shape[1]]
    dx, _, left, _, dy, top = plan.grid.transform
    back = Transformer.from_crs(plan.grid.crs, "EPSG:4326", always_xy=True)
    lon, lat = back.transform(left + dx * (columns + 0.5), top + dy * (rows + 0.5))
    expected = shapely.contains_xy(plan.request.region.geometry, lon, lat)
    assert (mask != expected).mean() < 1e-3
    assert {block.polygon is None for block in plan.blocks} == {True, False}


def grids_of(plan: NdviPlan) -> list[tuple[BlockPlan, Grid]]:
    return [(block, plan.block_grid(block)) for block in plan.blocks]


def inside(polygon: bytes | None, grid: Grid) -> Any:
    """Which pixel centres a block's polygon holds."""
    if polygon is None:
        return True
    shape = shapely.from_wkb(polygon)
    if shape.is_empty:
        return False
    return rasterio.features.geometry_mask([shape], grid.shape, Affine(*grid.transform), invert=True)


@settings(max_examples=6)
@given(st.integers(64, 300), st.lists(st.floats(0.02, 0.2), min_size=3, max_size=9))
def test_chunking_does_not_change_which_pixels_a_polygon_holds(chunk_px: int, radii: list[float]) -> None:
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    star = np.column_stack([147 + np.multiply(radii, np.cos(angles)), -42 + np.multiply(radii, np.sin(angles))])
    region = parse_geojson(shapely.to_geojson(shapely.Polygon(star)))
    whole, cut = (
        plan_of([scene_of("a")], region=region, resolution=150, settings_=Settings(chunk_px=px))
        for px in (16384, chunk_px)
    )
    assert len(whole.blocks) == 1
    mask = np.zeros(cut.grid.shape, bool)
    for block in cut.blocks:
        (y, x), shape = cut.block_origin(block), cut.block_shape(block)
        mask[y : y + shape[0], x : x + shape[1]] = inside(block.polygon, cut.block_grid(block))
    np.testing.assert_array_equal(mask, np.broadcast_to(inside(whole.blocks[0].polygon, whole.grid), mask.shape))


# Figures


@pytest.mark.parametrize("per_task", [1, 2, 3, 64])
def test_the_number_of_tasks_is_that_of_the_graph(per_task: int) -> None:
    scenes = [scene_of(f"d{day:02}", f"2020-01-{day:02}T00:00:00", size=500 + 200 * day) for day in range(1, 8)]
    plan = plan_of(scenes, settings_=Settings(chunk_px=256, max_groups_per_task=per_task))
    graph = build_stack(plan, "t").graph
    assert plan.task_count == len(graph)
    assert plan.summary()["tasks"] == len(graph)
    assert set(build_stack(plan, "t").keys) <= set(graph)


def test_bytes_to_read_are_those_of_the_part_of_the_scenes_in_the_region() -> None:
    # Mask 1 byte, red and nir 2 each; three scenes over the whole region, one over a half of it.
    scenes = [scene_of(f"s{day}", f"2020-01-0{day}T00:00:00") for day in range(1, 4)]
    plan = plan_of(scenes, crs="native")
    rows, columns = plan.grid.shape
    assert plan.bytes_to_read == pytest.approx(3 * rows * columns * 5, rel=0.01)
    dx, _, left, _, _, _ = plan.grid.transform
    _, bottom, _, top = outline_of(plan.grid).bounds
    half = scene_of("half", "2020-01-20T00:00:00", outline=shapely.box(left, bottom, left + dx * columns / 2, top))
    assert plan_of([*scenes, half], crs="native").bytes_to_read == pytest.approx(3.5 * rows * columns * 5, rel=0.01)
    assert plan_of(scenes, resolution=300).bytes_to_read == pytest.approx(plan.bytes_to_read, rel=0.25)


def test_an_outline_that_crosses_itself_is_repaired() -> None:
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32655", always_xy=True).transform(147, -42)
    corners = [(x - 5e4, y - 5e4), (x + 5e4, y + 5e4), (x + 5e4, y - 5e4), (x - 5e4, y + 5e4)]
    crossed = scene_of("crossed", outline=shapely.Polygon(corners))
    plan = plan_of([crossed], crs="native")
    # Left and right of its waist in the middle of the region, which is higher than wide, lie two triangles.
    assert plan.grid.shape[0] > plan.grid.shape[1]
    assert plan.bytes_to_read == pytest.approx(plan.grid.shape[1] ** 2 / 2 * 5, rel=0.05)


def test_an_outline_without_area_costs_nothing_and_breaks_nothing() -> None:
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32655", always_xy=True).transform(147, -42)
    flat = shapely.Polygon([(x, y), (x + 500, y), (x, y)])
    assert plan_of([scene_of("flat", outline=flat)]).bytes_to_read == 0
    assert plan_of([scene_of("none", outline=shapely.Polygon()), scene_of("a")]).sources[0].id == "a"


def test_the_summary_says_what_the_plan_holds() -> None:
    plan = plan_of(YEAR, crs="native")
    summary = plan.summary()
    rows, columns = plan.grid.shape
    assert summary["result_bytes"] == plan.result_bytes == 4 * rows * columns * 6
    assert summary["scenes"] == len(plan.sources) == 11
    assert sum(season["dates"] for season in summary["seasons"]) == 11
    assert summary["blocks"] == len(plan.blocks)
    assert summary["grid"]["shape"] == [rows, columns]
    assert summary["worker_bytes"] == plan.worker_bytes() == WORKER_BYTES + plan.task_bytes
    assert plan.worker_bytes(4) == WORKER_BYTES + 4 * plan.task_bytes
    assert summary["task_bytes"] > 26 * summary["chunk_shape"][0] * summary["chunk_shape"][1]


def test_scenes_in_another_zone_are_noted() -> None:
    scenes = [scene_of("a"), scene_of("b"), scene_of("c", crs="EPSG:32654")]
    assert plan_of(scenes, crs="native").notes == ("1 of 3 scenes lie in another CRS and are warped to EPSG:32655.",)
    assert plan_of(scenes).notes == ()


# Purity


@settings(max_examples=15)
@given(st.permutations([*YEAR, scene_of("twin", "2020-01-10T00:00:00"), scene_of("far", lon=147.3, size=400)]))
def test_the_order_of_scenes_does_not_matter(scenes: list[Scene]) -> None:
    straight = plan_of(sorted(scenes, key=lambda scene: scene.id), crs="native")
    assert plan_of(scenes, crs="native") == straight


# Limits


def test_a_result_over_the_limit_is_refused_with_size_limit_and_remedy() -> None:
    sentence = refusal(lambda: plan_of(YEAR, settings_=Settings(max_result_gib=0.01)), TooLargeError)
    assert "0.01 GiB" in sentence
    assert "smaller region" in sentence


def test_too_many_scenes_are_refused_with_number_and_limit() -> None:
    sentence = refusal(lambda: plan_of(YEAR, settings_=Settings(max_scenes=10)), TooLargeError)
    assert "11 scenes, more than 10" in sentence
    assert plan_of(YEAR, settings_=Settings(max_scenes=3), seasons=parse_seasons("JJA")).labels == ("JJA",)


def test_an_edge_over_the_limit_is_refused() -> None:
    assert "1,000" in refusal(lambda: plan_of(YEAR, settings_=Settings(max_edge_px=1000)), TooLargeError)


def test_nothing_to_read_is_refused() -> None:
    refusal(lambda: plan_of([], products=("landsat",)), NoScenesError)
    refusal(lambda: plan_of(YEAR[:2], seasons=parse_seasons("JJA")), NoScenesError)
