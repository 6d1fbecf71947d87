"""Field cases of files and places: names, formats, unneeded bands, damaged files, 180 degrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tests.field_cases.records import FieldCase, File, Ground
from tests.field_cases.serving import HOST, TOKEN
from tests.field_cases.shorthand import CLEAR, LATER, NIR, PLAIN, RED, product, scene, seen

DJF = "2019-DJF"


def named(name: str, why: str, *red: File, **changes: Any) -> FieldCase:
    """Return a case of one scene for each red file, a pass apart."""
    row = FieldCase(
        name=name,
        why=why,
        products=product(),
        profile=PLAIN,
        scenes=tuple(
            scene(f"scene_{place}", f"2019-01-{5 + 16 * place:02d}T23:51:08Z", red=file)
            for place, file in enumerate(red)
        ),
        expected={DJF: seen(len(red))},
    )
    return replace(row, **changes)


def red(path: str = "", **fields: Any) -> File:
    return File(values=RED, path=path, **fields)


NAMES = (
    named("name_with_hash", "a path of a document is a path: # begins nothing", red(), red("red#2.tif")),
    named("name_with_percent", "%20 in a file's name is no blank", red("red%20B4.tif"), red("100%.tif")),
    named("name_with_question_mark", "? in a file's name begins no query", red(), red("red?B4&x=1.tif")),
    named(
        "name_with_blanks",
        "blanks, commas, brackets, plus and equals signs",
        red("red B4, (1) [a].tif"),
        red("a+b=c;d.tif"),
    ),
    named("name_beyond_ascii", "names in UTF-8", red("rød_ČB4.tif"), red("赤.tif")),
    named("name_beyond_ascii_of_folders", "folders have names too", red("später/ré d#1/red.tif")),
    named("name_without_extension", "the content says what a file is", red("red_without"), red("red.20190121")),
    named("name_in_capitals", ".TIF and .TIFF", red("RED.TIF"), red("RED.TIFF")),
    named(
        "name_with_parent_folders",
        ".. is the folder above",
        red("../shared_0/red.tif"),
        red("deep/../../shared_1/./red.tif", name="../shared_1/red.tif"),
    ),
)

FORMATS = (
    named(
        "format_envi",
        "ENVI rasters have a header beside them, which datacube reads",
        red(),
        red("red.img", driver="ENVI"),
        scenes=(
            scene("tif"),
            scene(
                "envi",
                LATER,
                red=File(values=RED, path="red.img", driver="ENVI"),
                nir=File(values=NIR, path="nir.img", driver="ENVI"),
                qa=File(values=CLEAR, path="qa.img", driver="ENVI"),
            ),
        ),
        refusal=("envi",),
    ),
    named(
        "format_erdas",
        "ERDAS Imagine may name any other file as its pixels: it is left out by name",
        red(),
        red("red.img", driver="HFA"),
        expected={DJF: seen()},
        names=("red.img",),
        by_oracle=False,
    ),
    named(
        "bands_of_one_file",
        "band is the number of a band in its file, from 1",
        scenes=(
            scene(
                red=File(values=np.stack([CLEAR, NIR, RED]), path="stack.tif", entry={"band": 3}),
                nir=File(values=np.stack([CLEAR, NIR, RED]), path="stack.tif", entry={"band": 2}),
                qa=File(values=np.stack([CLEAR, NIR, RED]), dtype="int16", path="stack.tif", entry={"band": 1}),
            ),
        ),
        expected={DJF: seen()},
    ),
    named(
        "layers_of_one_file",
        "an integer layer is the number of a band as well",
        scenes=(
            scene(
                red=File(values=np.stack([NIR, RED]), path="stack.tif", entry={"layer": 2}),
                nir=File(values=np.stack([NIR, RED]), path="stack.tif", entry={"layer": 1}),
            ),
        ),
        expected={DJF: seen()},
    ),
)

AOT = {"aot": {"dtype": "uint16", "nodata": 0}}
MISSING = File(values=CLEAR, content=b"")


def without(name: str) -> Callable[[dict[str, Any]], None]:
    """Return a change that removes a measurement from a document."""

    def change(document: dict[str, Any]) -> None:
        del document["measurements"][name]

    return change


NEEDS = (
    named(
        "band_that_is_not_needed",
        "a document is judged by the bands that are needed",
        products=product(**AOT),
        scenes=(
            scene("missing", bands={"aot": MISSING}),
            scene("layer", LATER, bands={"aot": replace(MISSING, path="aot.nc", entry={"layer": "aot"})}),
            scene("grid", "2019-02-06T23:51:08Z", bands={"aot": replace(MISSING, entry={"grid": "g60m"})}),
            scene("absent", "2019-02-22T23:51:08Z", bands={"aot": MISSING}, change=without("aot")),
            scene(
                "damaged", "2018-12-20T23:51:08Z", bands={"aot": replace(MISSING, content=b"II*\0 no raster at all")}
            ),
        ),
        expected={DJF: seen(5)},
        by_oracle=True,
    ),
    named(
        "band_that_is_missing",
        "a scene whose file is missing is left out and named with file and reason",
        scenes=(scene("whole"), scene("no_red", LATER, red=File(values=RED, path="red_of_january.tif", content=b""))),
        expected={DJF: seen()},
        names=("red_of_january.tif",),
        by_oracle=False,
    ),
    named(
        "band_that_is_damaged",
        "a scene whose file is damaged is left out and named with file and reason",
        scenes=(
            scene("whole"),
            scene("garbled", LATER, nir=File(values=NIR, path="nir_of_january.tif", content=b"II*\0" + bytes(200))),
        ),
        expected={DJF: seen()},
        names=("nir_of_january.tif",),
        by_oracle=False,
    ),
    named(
        "band_of_another_size",
        "a file of another size than its grid is left out and named",
        scenes=(
            scene("whole"),
            scene("small", LATER, nir=File(values=NIR[:1], path="nir_of_one_row.tif")),
        ),
        expected={DJF: seen()},
        names=("nir_of_one_row.tif",),
        by_oracle=False,
    ),
    named(
        "needed_band_that_a_document_lacks",
        "a document without a band that is needed is named",
        scenes=(scene("whole"), scene("no_nir", LATER, change=without("nir"))),
        refusal=("nir",),
        by_oracle=False,
    ),
)

OVER = Ground(crs="EPSG:32701", left=181_350.0, top=8_062_650.0)
"""180 degrees lies between the second and the third column, at 17.5 degrees south."""

BEYOND = Ground(crs="EPSG:32760", left=818_550.0, top=8_062_650.0)
"""The same place in the zone west of it."""

PACIFIC = Ground(crs="EPSG:3832", left=3_339_540.0, top=-1_966_260.0)
"""Mercator with 150 degrees east in its middle; 180 degrees lies in the second column."""

PACIFIC_BOX = "179.9996252,-17.5004527,180.0006492,-17.4999874"
"""The box around that ground, a tenth of a pixel smaller."""

GLOBAL = Ground(crs="EPSG:4326", left=179.9, top=-17.4, pixel=0.001, shape=(200, 200))
"""A grid in degrees that goes on east of 180."""

TAVEUNI = """{"type": "MultiPolygon", "coordinates": [
  [[[179.99, -17.6], [180.0, -17.6], [180.0, -17.4], [179.99, -17.4], [179.99, -17.6]]],
  [[[-180.0, -17.6], [-179.99, -17.6], [-179.99, -17.4], [-180.0, -17.4], [-180.0, -17.6]]]]}"""
"""A region over 180 degrees as RFC 7946 has it: in two parts."""


def over_180(name: str, why: str, ground: Ground, region: str, **changes: Any) -> FieldCase:
    """Return a case of one scene across 180 degrees, with its region as text."""
    one = named(name, why, red(), ground=ground, request={"region": region})
    return replace(one, **({"scenes": (scene(time="2019-01-05T22:10:08Z"),)} | changes))


def evenly(ground: Ground) -> Any:
    """Return a scene with constant values on a ground."""
    return scene(
        time="2019-01-05T22:10:08Z",
        ground=ground,
        red=np.full(ground.shape, 500),
        nir=np.full(ground.shape, 1500),
        qa=np.ones(ground.shape),
    )


HALF = {DJF: seen(mean=np.full((2, 4), 0.5))}
PLACES = (
    over_180("region_in_two_parts", "RFC 7946 cuts a region at 180 degrees", OVER, TAVEUNI),
    over_180("region_in_two_parts_west_zone", "the zone west of 180 degrees reaches over it", BEYOND, TAVEUNI),
    over_180("region_beyond_180", "a box may go on east of 180", OVER, "179.99,-17.6,180.01,-17.4", refusal=("180",)),
    over_180("region_beyond_minus_180", "or west of -180", OVER, "-180.01,-17.6,-179.99,-17.4", refusal=("180",)),
    over_180("region_wrapped", "or from east to west", OVER, "179.99,-17.6,-179.99,-17.4", refusal=("180",)),
    over_180("grid_over_180", "a CRS that holds both sides", PACIFIC, PACIFIC_BOX),
    over_180(
        "warp_over_180",
        "no pixel is lost at 180 degrees where sources are in degrees",
        PACIFIC,
        PACIFIC_BOX,
        scenes=(evenly(GLOBAL),),
        request={"region": PACIFIC_BOX, "crs": "EPSG:3832", "resolution": "30"},
        expected=HALF,
        by_oracle=False,
    ),
    over_180(
        "warp_over_180_by_nearest",
        "no pixel is lost at 180 degrees where sources are in degrees",
        PACIFIC,
        PACIFIC_BOX,
        scenes=(evenly(GLOBAL),),
        request={"region": PACIFIC_BOX, "crs": "EPSG:3832", "resolution": "30", "resampling": "nearest"},
        expected=HALF,
        by_oracle=False,
    ),
)


def served(path: str, name: str = "red.tif") -> File:
    """Return a red file that is served by HTTP; SCENE in the path stands for its folder."""
    return File(values=RED, path=f"{HOST}/{path}", name=name)


SERVED = (
    named(
        "address_without_extension",
        "an address names a resource, not a type of file",
        served("plain/scene_0/red", "red"),
        served("plain/scene_1/red.tif"),
        by_oracle=False,
    ),
    named(
        "address_with_a_token",
        "a signed address is used as it is, and its token told to nobody",
        served(f"signed/scene_0/red.tif?{TOKEN}"),
        secrets=(TOKEN, "bm90LWEtc2VjcmV0"),
        by_oracle=False,
    ),
    named(
        "address_with_a_wrong_token",
        "a scene that is refused is left out and named, its token is not",
        scenes=(
            scene("whole"),
            scene("refused", LATER, red=served("signed/refused/red_of_january.tif?sig=d3Jvbmc", "red_of_january.tif")),
        ),
        expected={DJF: seen()},
        names=("red_of_january.tif",),
        secrets=("d3Jvbmc",),
        by_oracle=False,
    ),
    named("address_that_moved", "a redirect is followed", served("moved/scene_0/red.tif"), by_oracle=False),
    named("address_that_is_busy", "503 is tried again", served("busy/scene_0/red.tif"), by_oracle=False),
    named(
        "address_with_escapes",
        "%20 in an address is a blank of the name",
        served("plain/scene_0/red%20of%20January.tif", "red of January.tif"),
        by_oracle=False,
    ),
)

CASES = (*NAMES, *FORMATS, *NEEDS, *PLACES, *SERVED)
