"""Grids decide which scenes a place has, whatever footprints say and however a result is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer

from compute.errors import NoScenesError
from compute.plan import NdviPlan, make_plan
from compute.plan.scene_extents import project_extents
from compute.request.region import parse_bbox
from compute.result.chunk_windows import borders
from compute.scenes import Grid, Scene
from compute.settings import Settings
from tests.strategies import request_of, roles_of, scene_of

pytestmark = pytest.mark.unit

REGION = (146.8, -42.2, 147.2, -41.8)
ZONES = ("EPSG:32655", "EPSG:32656", "EPSG:4326", "EPSG:6933")
FOOTPRINTS: tuple[Any, ...] = (None, shapely.box(0, 0, 1, 1), shapely.box(5e5, 5.34e6, 5.001e5, 5.3401e6))


@st.composite
def scene_sets(draw: st.DrawFn) -> list[Scene]:
    """Scenes around the region, in several CRSs, rows of passes on both sides of midnight UTC among them."""
    scenes = []
    for number in range(draw(st.integers(1, 8))):
        crs = draw(st.sampled_from(ZONES))
        pixel = 3e-4 if crs == "EPSG:4326" else 30.0
        time = f"2020-{draw(st.sampled_from(['02-29T23:59:40', '03-01T00:00:10', '03-17T00:00:00']))}"
        where = {"lon": draw(st.floats(146.6, 147.4)), "lat": draw(st.floats(-42.4, -41.6))}
        size = draw(st.integers(20, 900))
        scene = scene_of(f"s{number}", time, crs=crs, pixel=pixel, origin=0.0, size=size, **where)
        outline = draw(st.sampled_from(FOOTPRINTS))
        scenes.append(scene if outline is None else replace(scene, footprint=outline))
    return scenes


def plan_of(scenes: Sequence[Scene], chunk_px: int = 256, **fields: Any) -> NdviPlan:
    settings_ = Settings(chunk_px=chunk_px)
    usual = {"crs": "EPSG:3577", "resolution": 60.0, "by": "season-year"}
    return make_plan(request_of(**(usual | fields)), scenes, {"landsat": roles_of()}, settings_)


def cover(scene: Scene, grid: Grid, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Which pixel centres lie in the files of a scene."""
    x, y = Affine(*grid.transform) @ (columns + 0.5, rows + 0.5)
    own = scene.source.bands["red"].grid
    at = ~Affine(*own.transform) @ Transformer.from_crs(grid.crs, own.crs, always_xy=True).transform(x, y)
    return (at[0] >= 0) & (at[0] < own.shape[1]) & (at[1] >= 0) & (at[1] < own.shape[0])


def looks_at(plan: NdviPlan, row: int, column: int) -> dict[str, set[tuple[str, ...]]]:
    """The groups that a pixel is computed from, by season, of scenes by name."""
    places = zip(plan.chunks, (row, column), strict=True)
    at = [int(borders(sizes).searchsorted(place, "right")) - 1 for sizes, place in places]
    blocks = [block for block in plan.blocks if [block.row, block.column] == at]
    return {
        plan.labels[block.season]: {tuple(plan.sources[each].id for each in group) for group in block.groups}
        for block in blocks
    }


@settings(max_examples=10)
@given(scenes=scene_sets(), chunk_px=st.sampled_from([64, 128, 256, 1024]), seed=st.integers(0, 99))
def test_a_pixel_has_every_scene_whose_files_hold_it_whatever_the_chunks(
    scenes: list[Scene], chunk_px: int, seed: int
) -> None:
    try:
        plan = plan_of(scenes, chunk_px)
    except NoScenesError:
        return
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(0, plan.grid.shape[0], 30), rng.integers(0, plan.grid.shape[1], 30)
    covered = {scene.id: cover(scene, plan.grid, rows, columns) for scene in scenes}
    for number, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        found = set(chain.from_iterable(chain.from_iterable(looks_at(plan, row, column).values())))
        assert found >= {name for name, inside in covered.items() if inside[number]}


@settings(max_examples=10)
@given(scenes=scene_sets())
def test_footprints_change_no_group(scenes: list[Scene]) -> None:
    def blocks_of(outline: Any) -> Any:
        try:
            plan = plan_of([replace(scene, footprint=outline or scene.footprint) for scene in scenes])
        except NoScenesError as error:
            return str(error)
        return plan.seasons, plan.blocks

    assert blocks_of(None) == blocks_of(shapely.box(0, 0, 1, 1)) == blocks_of(shapely.box(-1e8, -1e8, 1e8, 1e8))


@settings(max_examples=10)
@given(scenes=scene_sets(), corner=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)), size=st.floats(0.01, 0.1))
def test_a_part_of_a_region_has_the_groups_of_the_whole(
    scenes: list[Scene], corner: tuple[float, float], size: float
) -> None:
    west, south = REGION[0] + 0.4 * corner[0], REGION[1] + 0.4 * corner[1]
    bbox = f"{west!r},{south!r},{min(west + size, REGION[2])!r},{min(south + size, REGION[3])!r}"
    try:
        part = plan_of(scenes, region=parse_bbox(bbox))
    except NoScenesError:
        return
    whole = plan_of(scenes)
    names = {source.id for source in part.sources}

    def groups_of(plan: NdviPlan) -> dict[str, set[str]]:
        seasons: dict[str, set[str]] = {}
        for block in plan.blocks:
            seasons.setdefault(plan.labels[block.season], set()).update(
                plan.sources[each].id for group in block.groups for each in group
            )
        return {label: found & names for label, found in seasons.items() if found & names}

    assert groups_of(part) == groups_of(whole)


def test_a_part_with_one_row_of_a_pass_has_its_season() -> None:
    rows = [
        scene_of("north", "2020-02-29T23:59:50", lat=-41.85, size=800),
        scene_of("south", "2020-03-01T00:00:14", lat=-42.15, size=800),
    ]
    assert {scene.solar_day for scene in rows} == {date(2020, 3, 1)}
    assert plan_of(rows).labels == ("2020-MAM",)
    for bbox in ("146.95,-41.87,147.0,-41.85", "146.95,-42.17,147.0,-42.15"):
        assert plan_of(rows, region=parse_bbox(bbox)).labels == ("2020-MAM",)


def test_equal_outlines_are_projected_once() -> None:
    scenes = [scene_of(f"s{n}", f"2020-01-0{n + 1}T00:00:00") for n in range(3)]
    fine = scenes[0].source.bands["red"].grid
    a, _, c, _, e, f = fine.transform
    coarse = replace(fine, shape=(fine.shape[0] // 2, fine.shape[1] // 2), transform=(2 * a, 0.0, c, 0.0, 2 * e, f))
    bands = scenes[0].source.bands | {"mask": replace(scenes[0].source.bands["mask"], grid=coarse)}
    scenes[0] = replace(scenes[0], source=replace(scenes[0].source, bands=bands))
    outlines = project_extents(scenes, plan_of(scenes).grid).outlines
    assert outlines[0] is outlines[1] is outlines[2]


@pytest.mark.parametrize("shift", [-360.0, 0.0, 360.0])
def test_an_outline_past_180_degrees_meets_a_grid_on_either_side(shift: float) -> None:
    scene = scene_of("a", lon=179.9, lat=-17.0, crs="EPSG:32760", size=2000)
    grid = Grid(crs="EPSG:4326", shape=(100, 100), transform=(1e-3, 0.0, 179.95, 0.0, -1e-3, -17.0))
    moved = replace(grid, transform=(1e-3, 0.0, 179.95 + shift, 0.0, -1e-3, -17.0))
    assert project_extents([scene], moved).meet_grid(moved).tolist() == [True]
