"""One scene of each acquisition: processings, copies and parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from compute.plan import NdviPlan, make_plan
from compute.plan.acquisition_selection import choose_processings
from compute.plan.processing_ranks import MATURITIES, baseline_of, platform_of, region_of
from compute.scenes import Scene
from compute.settings import Settings
from tests.strategies import request_of, roles_of, scene_of

pytestmark = pytest.mark.unit

DAY = "2020-01-05T00:00:00"


def version_of(name: str, maturity: str = "", *, processed: str = "", **where: Any) -> Scene:
    """A scene of a region, with or without a statement of its processing."""
    own = {key: where.pop(key) for key in ("region_code", "properties") if key in where}
    scene = scene_of(name, where.pop("time", DAY), **where)
    done = datetime.fromisoformat(processed).replace(tzinfo=UTC) if processed else None
    return replace(scene, maturity=maturity, processed=done, **({"region_code": "090089"} | own))


def halves_of(scene: Scene) -> tuple[Scene, Scene]:
    """A scene as two: each with half of its grid, and its outline."""
    grid = scene.source.bands["red"].grid
    rows, columns = grid.shape
    a, b, c, d, e, f = grid.transform
    north = replace(grid, shape=(rows // 2, columns))
    south = replace(north, transform=(a, b, c, d, e, f + e * (rows // 2)))
    return with_grid(scene, "north", north), with_grid(scene, "south", south)


def with_grid(scene: Scene, name: str, grid: Any) -> Scene:
    bands = {each: replace(band, grid=grid, uri=f"file:///{name}/{each}.tif") for each, band in _bands(scene)}
    return replace(scene, source=replace(scene.source, id=name, bands=bands, home=f"/{name}"))


def _bands(scene: Scene) -> Any:
    return scene.source.bands.items()


def names_of(*scenes: Scene) -> list[str]:
    return [scene.id for scene in choose_processings(scenes).kept]


def notes_of(*scenes: Scene) -> tuple[str, ...]:
    return planned(scenes).notes


def planned(scenes: Sequence[Scene], **fields: Any) -> NdviPlan:
    request = request_of(**({"products": sorted({scene.product for scene in scenes})} | fields))
    return make_plan(request, scenes, {product: roles_of(product) for product in request.products}, Settings())


# Which is better


def test_the_most_mature_processing_stays() -> None:
    versions = [version_of("c", "nrt"), version_of("a", "final"), version_of("b", "interim")]
    assert names_of(*versions) == ["a"]
    assert names_of(versions[0], versions[2]) == ["b"]
    assert "Left out: 1 of 2 scenes found, of which a more mature processing is used." in notes_of(*versions[:2])


@pytest.mark.parametrize("word", ["Final", "FINAL ", "definitive", "Consolidated"])
def test_a_maturity_may_be_spelled_otherwise(word: str) -> None:
    for early in ("NRT", "near-real-time", "Near Real Time", "nrt"):
        assert names_of(version_of("z", early, processed="2024-01-01"), version_of("a", word)) == ["a"]
    assert names_of(version_of("a", word), version_of("b", "final")) == ["a", "b"]


def test_a_maturity_that_nobody_knows_is_ranked_and_said() -> None:
    early, odd, late = version_of("z", "nrt"), version_of("y", "validated"), version_of("a", "interim")
    assert names_of(early, odd) == ["y"]
    assert names_of(odd, late) == ["a"]
    (_, note) = notes_of(early, odd)
    assert note == (
        "Warning: the dataset maturity 'validated' is not known and ranks between nrt and interim; "
        "the known ones are nrt, interim, final."
    )


@pytest.mark.parametrize("maturity", ["", "final"])
def test_the_newest_processing_stays_where_maturity_says_nothing(maturity: str) -> None:
    old = version_of("z", maturity, processed="2021-01-05T12:00:00")
    new = version_of("a", maturity, processed="2021-01-05T13:00:00")
    assert names_of(old, new) == ["a"]
    assert notes_of(old, new) == ("Left out: 1 of 2 scenes found, of which a newer processing is used.",)


@pytest.mark.parametrize(
    "properties",
    [
        {"sentinel:processing_baseline": "05.00"},
        {"s2:processing_baseline": "5.0"},
        {"s2:product_uri": "S2A_MSIL2A_20200105T000000_N0500_R073_T55GEN_20230101T000000.SAFE"},
    ],
)
def test_a_higher_baseline_goes_before_a_later_processing(properties: dict[str, str]) -> None:
    old = version_of("z", processed="2023-06-01", properties={"sentinel:processing_baseline": "02.14"})
    new = version_of("a", processed="2023-01-01", properties=properties)
    assert baseline_of(new) == (5, 0)
    assert names_of(old, new) == ["a"]


def test_a_scene_that_says_nothing_of_its_processing_loses() -> None:
    silent = version_of("z")
    for stated in (version_of("a", "nrt"), version_of("a", processed="2021-01-01")):
        assert names_of(silent, stated) == ["a"]
    assert "of which a processing with a stated maturity or date is used." in notes_of(silent, stated)[0]


# What is one acquisition


def test_a_scene_that_is_indexed_twice_counts_once() -> None:
    one = version_of("a", "final", processed="2021-01-01")
    again = replace(one, source=replace(one.source, id="b"))
    assert names_of(one, again) == ["b"]
    assert notes_of(one, again) == ("Left out: 1 of 2 scenes found, which the index holds twice.",)
    elsewhere = version_of("c", "final", processed="2021-01-01", properties={"label": "scene_final"})
    assert names_of(replace(one, properties={"label": "scene_final"}), elsewhere) == ["c"]


def test_processings_may_differ_by_seconds_and_in_their_zone() -> None:
    moved = version_of("nrt", "nrt", time="2020-01-05T00:00:09", crs="EPSG:32654")
    assert names_of(moved, version_of("final", "final")) == ["final"]


@pytest.mark.parametrize(
    "other",
    [
        version_of("other", "nrt", region_code="090090"),
        version_of("other", "nrt", platform="landsat-9"),
        version_of("other", "nrt", time="2020-01-21T00:00:00"),
        version_of("other", "nrt", time="2020-01-05T01:39:00"),
        version_of("other", "nrt", lon=147.9, time="2020-01-05T00:00:02"),
        version_of("other", "nrt", lat=-41.5, region_code=""),
        version_of("other", "nrt", product="sentinel", platform="sentinel-2a"),
        version_of("other", "nrt", product="sentinel", platform=""),
        version_of("other", "nrt", product="sentinel", lon=147.5),
    ],
    ids=["region", "platform", "day", "orbit", "half of a tile", "row", "satellite", "unknown satellite", "ground"],
)
def test_another_acquisition_stays(other: Scene) -> None:
    assert names_of(version_of("one", "final"), other) == ["one", "other"]


@pytest.mark.parametrize(
    "unsaid",
    [{"region_code": ""}, {"platform": ""}, {"region_code": "", "platform": ""}, {"region_code": "90089"}],
)
@pytest.mark.parametrize("both", [False, True])
def test_the_same_ground_in_the_same_minute_is_one_whatever_is_not_said(unsaid: dict[str, str], both: bool) -> None:
    early = version_of("early", "nrt", **unsaid)
    assert names_of(early, version_of("late", "final", **(unsaid if both else {}))) == ["late"]


def test_two_products_of_one_platform_may_hold_one_acquisition() -> None:
    early = version_of("z", "nrt", product="sentinel", region_code="T55GEN", time="2020-01-05T00:00:05")
    late = version_of("a", "final")
    assert names_of(early, late) == ["a"]
    assert notes_of(early, late)[0] == (
        "Left out: 1 of 2 scenes found, of which a more mature processing in landsat is used."
    )
    assert names_of(version_of("z", product="sentinel"), version_of("a")) == ["z"]
    assert notes_of(version_of("z"), version_of("a", product="sentinel"))[0].endswith("which landsat holds as well.")


def test_halves_of_a_tile_are_not_processings_of_one_another() -> None:
    tile = version_of("tile", "final", processed="2021-01-01", size=100)
    north, south = halves_of(tile)
    assert names_of(north, replace(south, processed=datetime(2023, 1, 1, tzinfo=UTC))) == ["north", "south"]


def test_strips_in_files_of_the_whole_tile_are_not_processings_of_one_another() -> None:
    north = version_of("north", "final", processed="2021-01-01T00:00")
    south = version_of("south", "final", processed="2021-01-01T00:40", time="2020-01-05T00:00:20")
    assert names_of(north, south) == ["north", "south"]
    again = version_of("again", "final", processed="2023-01-01T00:00")
    assert names_of(north, south, again, replace(south, source=again.source, processed=again.processed)) == [
        "again",
        "again",
    ]


def test_an_outline_that_lies_elsewhere_does_not_make_two_of_one() -> None:
    early = version_of("early", "nrt", outline=shapely.box(0, 0, 1, 1))
    assert names_of(early, version_of("late", "final")) == ["late"]


def test_scenes_that_nothing_tells_apart_are_one_look_together() -> None:
    assert names_of(version_of("a"), version_of("b")) == ["a", "b"]
    (block, *_) = planned([version_of("a"), version_of("b")]).blocks
    assert block.groups == ((0, 1),)


@pytest.mark.parametrize(
    ("code", "short"),
    [("090089", "90089"), ("90_089", "90089"), ("T55HCA", "55HCA"), ("55hca", "55HCA"), ("", ""), ("TAS1", "TAS1")],
)
def test_region_codes_are_compared_by_their_letters(code: str, short: str) -> None:
    assert region_of(version_of("a", region_code=code)) == short


def test_platforms_are_compared_whatever_their_spelling() -> None:
    assert platform_of(version_of("a", platform="LANDSAT_8")) == platform_of(version_of("a", platform="landsat-8"))
    plan = planned([version_of("a", platform="Landsat-8"), version_of("b", platform="LANDSAT_8", lon=147.3)])
    assert plan.seasons[0].dates == 1


VERSIONS = st.lists(
    st.tuples(
        st.sampled_from(MATURITIES),
        st.sampled_from(["090089", "091089"]),
        st.sampled_from(["05", "21"]),
        st.integers(0),
    ),
    min_size=1,
    max_size=12,
    unique=True,
).map(
    lambda each: [
        replace(
            version_of(f"s{number:02}", maturity, region_code=code, time=f"2020-01-{day}T00:00:00", size=50),
            processed=datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=days % 9),
        )
        for number, (maturity, code, day, days) in enumerate(each)
    ]
)


@given(VERSIONS.flatmap(lambda scenes: st.tuples(st.just(scenes), st.permutations(scenes))))
def test_whatever_the_order_the_best_of_each_acquisition_stays(both: tuple[list[Scene], list[Scene]]) -> None:
    scenes, shuffled = both

    def goodness(scene: Scene) -> Any:
        return MATURITIES.index(scene.maturity), scene.processed

    best: dict[tuple[str, date], Any] = {}
    for scene in scenes:
        key = scene.region_code, scene.solar_day
        best[key] = max(best.get(key, goodness(scene)), goodness(scene))
    kept = choose_processings(shuffled).kept
    expected = {scene.id for scene in scenes if goodness(scene) == best[scene.region_code, scene.solar_day]}
    assert {scene.id for scene in kept} == expected
    assert kept == [scene for scene in shuffled if scene in kept]
