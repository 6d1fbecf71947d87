"""Results of datacube for the field cases: plain `Datacube.load`, and ``--reader odc``.

``python -m tests.field_cases.beside`` prints a table of the differences.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from datacube import Datacube
from odc.geo.geobox import GeoBox

from compute.catalog import OdcCatalog, add_products, add_scenes
from compute.errors import GreenupError
from tests.field_cases.oracle import (
    OracleBand,
    OracleScene,
    compute_index,
    divide_or_nan,
    find_canonical_name,
    format_label,
    is_nodata,
    read_scenes,
)
from tests.field_cases.records import FieldCase, Ground, Numbers
from tests.field_cases.running import assert_numbers, environment, run_indexed, sample_result
from tests.field_cases.writing import Archive, write_archive

RIGHT = "the same"


DIFFERENCES: Mapping[str, tuple[str, ...]] = {
    "load applies no scale, offset or nodata that a file or document states; what is nearest to the pixel knows best": (
        "scale_of_the_document",
        "scale_of_the_file",
        "offset_of_a_file_before_its_flag",
        "nodata_of_the_document",
    ),
    "override is Greenup's own: a user's word against a definition known to be wrong": (
        "scale_by_override",
        "nodata_by_override",
    ),
    "load gives stored values; ESA stores them 1000 higher from baseline 04.00 on, scene by scene": (
        "offset_by_applied_flag",
        "offset_of_earthsearch_items",
        "offset_by_baseline_s2_l2a",
        "offset_by_rule_of_the_profile",
    ),
    "load casts to the type of the definition: integers wrap, which is wrong, and float files are refused": (
        "nodata_that_the_type_cannot_hold",
        "files_of_other_types",
        "files_of_wider_types",
        "red_and_nir_of_two_types",
        "mask_of_a_wider_type",
        "bands_of_one_file",
    ),
    "load averages what lies under clouds too, red and nir each by itself, and rounds to the stored type": (
        "mean_of_what_is_clear",
        "mean_of_all_under_a_clear_centre",
        "least_area_of_a_tenth",
        "least_area_of_all",
        "one_band_missing",
        "mask_of_20_m_over_bands_of_10_m",
        "two_rows_share_an_output_pixel",
    ),
    "load searches, and its coordinate names the season, by UTC; Greenup by the solar day, which passes share": (
        "time_with_an_offset",
        "time_as_a_range",
        "pass_over_midnight_utc",
        "pass_over_midnight_utc_before",
        "solar_day_at_the_date_line_east",
        "solar_day_at_the_date_line_west",
    ),
    "group_by solar_day makes one look of two platforms; Greenup counts both": ("next_orbit_is_another_look",),
    "load fuses all processings of an acquisition, in the order of their ids; Greenup uses the newest": (
        "processed_again",
        "processed_three_times",
        "processed_again_without_region_code",
    ),
    "load joins paths as URLs, in which # and ? begin something else; in a document they are names of files": (
        "name_with_hash",
        "name_with_percent",
        "name_with_question_mark",
        "name_beyond_ascii_of_folders",
    ),
}
"""Where `Datacube.load` gives something else: who is right and why, and the cases."""


def load_with_datacube(case: FieldCase, catalog: OdcCatalog, archive: Archive) -> Numbers:
    """Return the numbers of `Datacube.load` followed by the usual arithmetic of its users.

    Pixels equal to the nodata attribute are left out. Bands are scaled by their attributes, or else by
    ``products.toml``. Clear pixels are those of the oracle. A season is that of the time coordinate.
    """
    (scene, *_) = read_scenes(archive.definitions, archive.profiles, archive.documents)
    profile = archive.profiles.read_text()
    names = [str(each["name"]) for each in scene.definition["measurements"] if f'"{each["name"]}"' in profile]
    averaged = "resolution" in case.request
    loaded = Datacube(index=catalog.index).load(
        product=case.product(),
        measurements=names,
        like=_geobox(case.ground),
        time=tuple(case.fields["time"].split("/")),
        group_by="solar_day",
        resampling={"*": "average" if averaged else "nearest", "qa": "nearest"},
        skip_broken_datasets=False,
    )
    totals: dict[str, Any] = defaultdict(lambda: np.zeros((2, *case.ground.shape)))
    for place in range(loaded.sizes.get("time", 0)):
        layer = loaded.isel(time=place)
        seen = compute_index(scene, lambda entry, layer=layer: _band(scene, entry, layer), case.request)
        label = format_label(layer.time.values.astype("datetime64[s]").item().date(), case.fields["by"])
        totals[label] += np.stack([np.isfinite(seen), np.nan_to_num(seen)])
    return {label: (count.astype(int), divide_or_nan(total, count)) for label, (count, total) in totals.items()}


def _geobox(ground: Ground) -> GeoBox:
    return GeoBox(ground.shape, Affine(ground.pixel, 0, ground.left, 0, -ground.pixel, ground.top), ground.crs)


def _band(scene: OracleScene, entry: Mapping[str, Any] | str, layer: Any) -> OracleBand:
    entry = {"measurement": entry} if isinstance(entry, str) else entry
    band = layer[find_canonical_name(scene.definition, entry["measurement"])]
    offset = band.attrs.get("add_offset", entry.get("offset", 0.0))
    nodata = entry["nodata"] if entry.get("nodata") == "none" else band.attrs.get("nodata")
    return OracleBand(
        stored=band.values,
        held=~is_nodata(band.values, nodata),
        scale=float(band.attrs.get("scale_factor", entry.get("scale", 1.0))),
        offset=0.0 if isinstance(offset, Mapping) else float(offset),
        entry=entry,
    )


def compare_datacube(case: FieldCase, catalog: OdcCatalog, archive: Archive) -> str:
    """Return a short description of how `Datacube.load` differs."""
    try:
        found = load_with_datacube(case, catalog, archive)
    except Exception as error:  # noqa: BLE001  # any exception of datacube is its result
        return f"fails ({type(error).__name__})"
    return _difference(found, case)


def compare_odc_reader(case: FieldCase, catalog: OdcCatalog, archive: Archive) -> str:
    """Return a short description of how ``--reader odc`` differs."""
    try:
        outcome = run_indexed(case, catalog, archive, {}, reader="odc")
    except Exception as error:  # noqa: BLE001  # as above
        return f"fails ({type(error).__name__})"
    if outcome.result is None:
        return f"refused: {outcome.refusal}"
    try:
        return _difference(sample_result(outcome.result, case.ground), case)
    except AssertionError as error:
        return str(error)


def _difference(found: Numbers, case: FieldCase) -> str:
    try:
        assert_numbers(found, case.expected)
    except AssertionError:
        pass
    else:
        return RIGHT
    counts = {label: int(count.sum()) for label, (count, _) in found.items()}
    right = {label: int(count.sum()) for label, (count, _) in case.expected.items()}
    return f"{counts} observations, not {right}" if counts != right else "other means"


def index_archive(case: FieldCase, catalog: OdcCatalog, folder: Path) -> Archive:
    """Write and index a case."""
    archive = write_archive(case, folder)
    add_products(catalog, archive.definitions)
    add_scenes(catalog, [archive.folder])
    return archive


def is_comparable(case: FieldCase) -> bool:
    """Return whether a case has one product with correct numbers on a grid that plain loading supports."""
    return case.by_oracle and bool(case.expected) and len(case.products) == 1


def main() -> None:
    """Print the differences of both, case by case."""
    from compute.catalog import EmbeddedPostgres, init_index, open_catalog  # noqa: PLC0415
    from compute.settings import Settings  # noqa: PLC0415
    from tests.field_cases import CASES  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="greenup-test-") as home:
        settings = Settings(home=Path(home), index_url=None)
        server = EmbeddedPostgres(settings.home / "index")
        server.start()
        init_index(settings)
        with open_catalog(settings) as catalog:
            for case in filter(is_comparable, CASES):
                with tempfile.TemporaryDirectory() as folder, environment(case.environment):
                    try:
                        archive = index_archive(case, catalog, Path(folder))
                    except GreenupError as refusal:
                        print(f"| {case.name} | not indexed: {refusal} | |")
                        continue
                    verdicts = [each(case, catalog, archive) for each in (compare_datacube, compare_odc_reader)]
                    print(f"| {case.name} | {' | '.join(verdicts)} |", flush=True)
        server.stop()


if __name__ == "__main__":
    main()
