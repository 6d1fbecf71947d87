"""Field cases of acquisitions: time zones, solar days, processings, parts of tiles, footprints."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.field_cases.records import GROUND, FieldCase, Ground, SceneFiles
from tests.field_cases.shorthand import CLEAR, INDEX, LATER, NIR, PLAIN, RED, product, put, scene, seen

DJF = "2019-DJF"
YEAR = {"time": "2018-09-01/2019-08-31"}
HOBART = {"TZ": "Australia/Hobart"}
LOS_ANGELES = {"TZ": "America/Los_Angeles"}

EVENING = Ground(crs="EPSG:32611", left=399_960.0, top=3_750_000.0)
"""118 degrees west: the solar day is eight hours behind UTC."""

FIJI = Ground(crs="EPSG:32760", left=720_000.0, top=8_040_000.0)
"""179 degrees east: the solar day is twelve hours ahead of UTC."""

SAMOA = Ground(crs="EPSG:32702", left=420_000.0, top=8_470_020.0)
"""172 degrees west: the solar day is eleven hours behind UTC."""


def times(name: str, why: str, *scenes: SceneFiles, **fields: Any) -> FieldCase:
    """Return a case about the times of its scenes."""
    return FieldCase(
        name=name,
        why=why,
        products=product(),
        profile=PLAIN,
        scenes=scenes,
        **({"expected": {DJF: seen()}, "request": YEAR} | fields),
    )


ZONES = (
    times(
        "time_without_a_zone",
        "a time without a zone is UTC, whatever TZ is",
        scene(time="2018-12-01 00:05:00"),
        environment=HOBART,
    ),
    times(
        "time_without_a_zone_far_west",
        "a time without a zone is UTC, whatever TZ is: here local time would be the evening of the last day",
        scene(time="2019-02-28T13:30:00"),
        environment=LOS_ANGELES,
    ),
    times(
        "time_with_an_offset",
        "a time with an offset is that moment: 1 December, 08:40 at UTC+10 is 30 November in UTC, and 1 December there",
        scene(time="2018-12-01T08:40:00+10:00"),
        environment=LOS_ANGELES,
    ),
    times(
        "time_as_a_range",
        "an acquisition with a start and an end counts by its middle",
        scene(
            time="2018-11-30T13:50:00",
            properties={"dtr:start_datetime": "2018-11-30T13:50:00", "dtr:end_datetime": "2018-11-30T13:56:00"},
        ),
        environment=HOBART,
    ),
)

ROW_2 = Ground(top=GROUND.top - 60.0)
BOTH = Ground(shape=(4, 4))
ROWS = (
    scene("row_1", "2018-11-30T23:59:50Z", ground=GROUND),
    scene("row_2", "2018-12-01T00:00:14Z", ground=ROW_2, properties={"odc:region_code": "089084"}),
)
TWICE = np.concatenate([INDEX, INDEX])

DAYS = (
    times(
        "pass_over_midnight_utc",
        "season and --time follow the solar day: both rows of one pass are of 1 December",
        *ROWS,
        ground=BOTH,
        request={"time": "2018-12-01/2019-02-28"},
        expected={DJF: seen(mean=TWICE)},
    ),
    times(
        "pass_over_midnight_utc_before",
        "the days before 1 December have neither row",
        *ROWS,
        scene("november", "2018-11-21T23:59:50Z", ground=GROUND),
        ground=BOTH,
        request={"time": "2018-09-01/2018-11-30"},
        expected={"2018-SON": seen(mean=TWICE, but={at: None for at in np.ndindex(4, 4) if at[0] > 1})},
    ),
    times(
        "part_of_a_pass_over_midnight_utc",
        "a part of a region equals that part of the whole",
        *ROWS,
        ground=ROW_2,
        expected={DJF: seen()},
    ),
    times(
        "solar_day_ahead_of_utc",
        "23:51 UTC on 30 November is the morning of 1 December at 152 degrees east",
        scene(time="2018-11-30T23:51:08Z"),
        scene("last", "2019-02-27T23:51:08Z"),
        scene("after", "2019-02-28T23:51:08Z"),
        request={"time": "2018-12-01/2019-02-28"},
        expected={DJF: seen(2)},
    ),
    times(
        "solar_day_behind_utc",
        "03:00 UTC on 1 December is the evening of 30 November at 118 degrees west",
        scene(time="2018-12-01T03:00:00Z"),
        scene("last", "2019-03-01T03:00:00Z"),
        ground=EVENING,
        request={"time": "2018-12-01/2019-02-28"},
        expected={DJF: seen()},
    ),
    times(
        "solar_day_at_the_date_line_east",
        "22:10 UTC on 30 November is 1 December at 179 degrees east",
        scene(time="2018-11-30T22:10:00Z"),
        scene("after", "2019-02-28T22:10:00Z"),
        ground=FIJI,
        expected={DJF: seen(), "2019-MAM": seen()},
    ),
    times(
        "solar_day_at_the_date_line_west",
        "21:20 UTC on 30 November is that day at 172 degrees west, and so is 08:00 UTC on 1 December",
        scene(time="2018-11-30T21:20:00Z"),
        scene("night", "2018-12-01T08:00:00Z", properties={"eo:platform": "landsat-7"}),
        scene("december", "2018-12-01T21:20:00Z", properties={"eo:platform": "landsat-9"}),
        ground=SAMOA,
        expected={"2018-SON": seen(2), DJF: seen()},
    ),
)

CLOUDY = put(CLEAR, {(0, 0): 2})
HIGH, LOW = "ffffffff-ffff-4fff-bfff-fffffffffffe", "00000000-0000-4000-8000-000000000002"
FIRST = {"odc:processing_datetime": "2019-01-06T12:00:00Z"}
AGAIN = {"odc:processing_datetime": "2021-05-01T12:00:00Z"}
WITHOUT_CLOUD = {DJF: seen(but={(0, 0): None})}
OTHER = RED * 2


def maturity(name: str) -> dict[str, str]:
    return {"dea:dataset_maturity": name}


PROCESSINGS = (
    times(
        "processed_again",
        "of one acquisition the newest processing counts, its clouds included",
        scene("old", red=OTHER, properties=FIRST, id=LOW),
        scene("new", qa=CLOUDY, properties=AGAIN, id=HIGH),
        expected=WITHOUT_CLOUD,
    ),
    times(
        "processed_again_with_the_lower_id",
        "ids have no order in time",
        scene("old", red=OTHER, properties=FIRST, id=HIGH.replace("e", "d")),
        scene("new", qa=CLOUDY, properties=AGAIN, id=LOW.replace("2", "3")),
        expected=WITHOUT_CLOUD,
    ),
    times(
        "processed_three_times",
        "a processing may move the time of the acquisition by some seconds",
        scene("old", red=OTHER, properties=FIRST),
        scene(
            "middle", "2019-01-05T23:51:10Z", red=OTHER, properties={"odc:processing_datetime": "2020-01-01T00:00:00Z"}
        ),
        scene("new", "2019-01-05T23:51:09Z", qa=CLOUDY, properties=AGAIN),
        expected=WITHOUT_CLOUD,
    ),
    times(
        "processed_again_without_region_code",
        "the same moment, platform and grid are one acquisition",
        scene("old", red=OTHER, properties=FIRST | {"odc:region_code": None}),
        scene("new", qa=CLOUDY, properties=AGAIN | {"odc:region_code": None}),
        expected=WITHOUT_CLOUD,
    ),
    times(
        "processed_again_without_platform",
        "the same moment, region code and grid are one acquisition",
        scene("old", red=OTHER, properties=FIRST | {"eo:platform": None}),
        scene("new", qa=CLOUDY, properties=AGAIN | {"eo:platform": None}),
        expected=WITHOUT_CLOUD,
    ),
    times(
        "maturity_in_other_spelling",
        "maturity before date of processing, in whatever letters",
        scene("nrt", red=OTHER, properties=AGAIN | maturity("NRT")),
        scene("final", qa=CLOUDY, properties=FIRST | maturity("Final")),
        expected=WITHOUT_CLOUD,
    ),
    FieldCase(
        name="maturity_in_two_products",
        why="near real time and final of one acquisition may be two products of one platform",
        products={"_nrt": product()[""], "_final": product()[""]},
        profile=f'[products."NAME_nrt, NAME_final"]\n{PLAIN}',
        scenes=(
            scene("nrt", product="_nrt", red=OTHER, properties=FIRST | maturity("nrt")),
            scene("final", product="_final", qa=CLOUDY, properties=AGAIN | maturity("final")),
            scene("alone", LATER, product="_nrt", properties=FIRST | maturity("nrt")),
        ),
        expected={DJF: seen(2, but={(0, 0): (1, INDEX[0, 0])})},
    ),
    times(
        "indexed_twice",
        "the same acquisition under two ids counts once",
        scene(),
        scene("copy"),
    ),
    times(
        "next_orbit_is_another_look",
        "two platforms see the same ground on one day: two observations",
        scene(),
        scene("other", "2019-01-05T23:59:08Z", properties={"eo:platform": "landsat-7"}),
        expected={DJF: seen(2)},
    ),
)

NOWHERE = -999
TALL = Ground(shape=(4, 4))
NORTH, SOUTH = (np.arange(4)[:, None] < 2) & np.ones((4, 4), bool), (np.arange(4)[:, None] > 1) & np.ones((4, 4), bool)
RED4, NIR4 = np.concatenate([RED, RED]), np.concatenate([NIR, NIR])
FINAL = maturity("final")


def half(name: str, kept: Any, time: str, **fields: Any) -> SceneFiles:
    """Return a scene of the tall ground with data in a part of it."""
    red, nir = (np.where(kept, values, NOWHERE) for values in (RED4, NIR4))
    return scene(name, time, red=red, nir=nir, qa=np.where(kept, 1, 255), **fields)


def outline(rows: tuple[int, int]) -> dict[str, Any]:
    """Return the outline of some rows of the tall ground."""
    ground = Ground(top=TALL.top - 30 * rows[0], shape=(rows[1] - rows[0], 4))
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in ground.corners]]}


PARTS = (
    times(
        "halves_of_a_tile",
        "two files of one tile, processed together, are two halves and not two processings",
        half("north", NORTH, "2019-01-05T23:51:08Z", properties=FINAL),
        half("south", SOUTH, "2019-01-05T23:51:26Z", properties=FINAL),
        ground=TALL,
        expected={DJF: seen(mean=TWICE)},
    ),
    times(
        "halves_with_outlines_of_their_own",
        "halves processed minutes apart show different ground, as their outlines say",
        half("north", NORTH, "2019-01-05T23:51:08Z", properties=FIRST, geometry=outline((0, 2))),
        half(
            "south",
            SOUTH,
            "2019-01-05T23:51:26Z",
            properties={"odc:processing_datetime": "2019-01-06T12:03:00Z"},
            geometry=outline((2, 4)),
        ),
        ground=TALL,
        expected={DJF: seen(mean=TWICE)},
    ),
    times(
        "three_strips_of_a_tile",
        "strips that overlap count each pixel once",
        half("first", np.arange(4)[:, None] < 2 + np.zeros((4, 4)), "2019-01-05T23:51:08Z"),
        half("second", (np.arange(4)[:, None] % 3 > 0) & np.ones((4, 4), bool), "2019-01-05T23:51:20Z"),
        half("third", SOUTH, "2019-01-05T23:51:32Z"),
        ground=TALL,
        expected={DJF: seen(mean=TWICE)},
    ),
)

DEGREES = {
    "type": "Polygon",
    "coordinates": [[[151.9, -33.9], [152.0, -33.9], [152.0, -33.8], [151.9, -33.8], [151.9, -33.9]]],
}
FAR = {
    "type": "Polygon",
    "coordinates": [[[9e5, 6.1e6], [9.1e5, 6.1e6], [9.1e5, 6.11e6], [9e5, 6.11e6], [9e5, 6.1e6]]],
}
WEST = {
    "type": "Polygon",
    "coordinates": [
        [
            [399960.0, 6249960.0],
            [400000.0, 6249960.0],
            [400000.0, 6250020.0],
            [399960.0, 6250020.0],
            [399960.0, 6249960.0],
        ]
    ],
}
AROUND = {
    "type": "Polygon",
    "coordinates": [[[3.9e5, 6.2e6], [4.1e5, 6.2e6], [4.1e5, 6.3e6], [3.9e5, 6.3e6], [3.9e5, 6.2e6]]],
}

FOOTPRINTS = (
    times(
        "footprint_smaller_than_its_data",
        "the footprint never decides which pixels count",
        scene(geometry=WEST),
    ),
    times("footprint_larger_than_its_data", "the footprint never decides which pixels count", scene(geometry=AROUND)),
    times("footprint_left_out", "a document needs no geometry: its grid says where it is", scene(geometry=None)),
    times(
        "footprint_in_degrees",
        "a geometry in degrees contradicts a crs in metres: found all the same, or named at add",
        scene(),
        scene("in_degrees", LATER, geometry=DEGREES),
        expected={DJF: seen(2)},
        refusal=("in_degrees", "geometry"),
    ),
    times(
        "footprint_elsewhere",
        "a geometry 500 km beside its grid contradicts it: found all the same, or named at add",
        scene(),
        scene("far_away", LATER, geometry=FAR),
        expected={DJF: seen(2)},
        refusal=("far_away", "geometry"),
    ),
)

CASES = (*ZONES, *DAYS, *PROCESSINGS, *PARTS, *FOOTPRINTS)
