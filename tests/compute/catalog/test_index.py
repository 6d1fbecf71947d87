"""The catalogue on a real index: definitions in, documents in, scenes out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import tzset
from typing import Any
from uuid import UUID, uuid4

import pytest
import shapely
import yaml
from affine import Affine
from datacube import Datacube
from datacube.api.query import solar_day
from datacube.storage import BandInfo
from datacube.utils.documents import NoDatesSafeLoader
from odc.geo.geom import Geometry
from shapely.geometry import box
from sqlalchemy import text

from compute.catalog import (
    AddReport,
    Extent,
    OdcCatalog,
    add_products,
    add_scenes,
    index_status,
    init_index,
    open_catalog,
)
from compute.errors import CatalogError, InputError
from compute.settings import Settings
from tests.fixtures.index import DEFINITIONS, SAMPLE, SINGLE

pytestmark = pytest.mark.index

PRODUCT = "ga_ls8c_ard_3"
BANDS = ["oa_fmask", "nbart_red", "nbart_nir"]
Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture
def sample(dea_catalog: OdcCatalog) -> OdcCatalog:
    """The catalogue with 22 real scenes."""
    report = add_scenes(dea_catalog, [SAMPLE, SINGLE])
    assert counts_of(report) == (22, 0, ())
    return dea_catalog


def counts_of(report: AddReport) -> tuple[int, int, tuple[tuple[str, str], ...]]:
    return report.added, report.present, report.failed


def document(**changes: Any) -> dict[str, Any]:
    """A real document with a new id, and changes."""
    original: dict[str, Any] = yaml.load(SINGLE.read_text(), Loader=NoDatesSafeLoader)
    return {**original, "id": str(uuid4()), **changes}


def written(folder: Path, content: Any, name: str = "scene.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


# Definitions


def test_products_are_listed_by_name_and_bring_the_metadata_types_they_need(dea_catalog: OdcCatalog) -> None:
    names = sorted(path.name.removesuffix(".odc-product.yaml") for path in (DEFINITIONS / "products").glob("*.yaml"))
    assert dea_catalog.products() == names
    assert {"eo3_landsat_ard", "eo3_sentinel_ard"} <= {t.name for t in dea_catalog.index.metadata_types.get_all()}


def test_adding_the_same_products_again_changes_nothing(dea_catalog: OdcCatalog) -> None:
    before = dea_catalog.products()
    assert sorted(add_products(dea_catalog, sorted((DEFINITIONS / "products").glob("*.yaml")))) == before
    assert dea_catalog.products() == before


def test_one_file_may_hold_several_definitions(empty_index: Settings, tmp_path: Path) -> None:
    products = [path.read_text() for path in sorted((DEFINITIONS / "products").glob("ga_ls*.yaml"))]
    stream = tmp_path / "all.yaml"
    stream.write_text("\n---\n".join(text.replace("---\n", "") for text in products))
    assert add_products(empty_index, [stream]) == [
        "ga_ls5t_ard_3",
        "ga_ls7e_ard_3",
        "ga_ls8c_ard_3",
        "ga_ls9c_ard_3",
    ]


def test_a_definition_has_the_measurements_flags_and_aliases_of_its_document(dea_catalog: OdcCatalog) -> None:
    definition = dea_catalog.definition(PRODUCT)
    assert definition.measurement("nbart_red").nodata == -999
    assert definition.measurement("fmask").name == "oa_fmask"
    assert definition.measurement("oa_fmask").flags["fmask"]["values"]["1"] == "valid"


def test_an_unknown_product_is_refused_naming_those_there_are(dea_catalog: OdcCatalog, empty_index: Settings) -> None:
    with pytest.raises(InputError, match=r"^The index has no product 'nope'; it has ga_ls5t_ard_3, .*ga_s2cm_ard_3\.$"):
        dea_catalog.find_scenes("nope", BANDS, region=None, time=None)
    with pytest.raises(InputError, match="no product 'nope'"):
        dea_catalog.extent(["nope"])


def test_another_definition_of_a_product_is_refused(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    product = yaml.load(
        (DEFINITIONS / "products" / f"{PRODUCT}.odc-product.yaml").read_text(), Loader=NoDatesSafeLoader
    )
    product["measurements"][0]["nodata"] = 0
    with pytest.raises(
        InputError, match=r"another definition of product ga_ls8c_ard_3, which differs at measurements\.0"
    ):
        add_products(dea_catalog, [written(tmp_path, product)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": "x"}, "neither an ODC product nor a metadata type"),
        ([1, 2], "neither an ODC product nor a metadata type"),
        ({"name": "x", "metadata_type": "nope", "metadata": {}}, r"no metadata type 'nope'; it has eo, eo3, telemetry"),
        ({"name": "x", "metadata_type": "eo3"}, "is not a valid definition"),
        ({"name": "x", "dataset": {}}, "is not a valid definition"),
    ],
)
def test_an_unusable_definition_is_refused_in_one_sentence(
    empty_index: Settings, tmp_path: Path, content: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        add_products(empty_index, [written(tmp_path, content)])
    assert refusal.value.field == "product"
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)


def test_a_definition_that_is_not_yaml_is_refused(empty_index: Settings, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: [")
    with pytest.raises(InputError, match=r"bad\.yaml: The file is not valid YAML at line"):
        add_products(empty_index, [tmp_path / "bad.yaml"])


# Scenes have the values that datacube has


def test_scenes_equal_what_datacube_says_of_the_same_datasets(sample: OdcCatalog) -> None:
    datasets = {str(ds.id): ds for ds in Datacube(index=sample.index).find_datasets(product=PRODUCT)}
    names = [*BANDS, "nbart_panchromatic"]
    scenes = sample.find_scenes(PRODUCT, names, region=None, time=None)
    assert {scene.id for scene in scenes} == set(datasets)
    for scene in scenes:
        dataset = datasets[scene.id]
        assert scene.time == dataset.center_time
        assert scene.time.tzinfo is UTC
        assert scene.solar_day == solar_day(dataset).astype(date)
        assert dataset.extent == Geometry(scene.footprint, scene.crs)
        assert scene.platform == "landsat-8"
        assert scene.maturity == dataset.metadata_doc["properties"]["dea:dataset_maturity"]
        assert scene.region_code == dataset.metadata.region_code
        assert list(scene.source.bands) == names
        for name, band in scene.source.bands.items():
            info = BandInfo(dataset, name)
            assert (band.uri, band.index) == (info.uri, info.band or 1)
            assert band.grid.crs == f"EPSG:{info.crs.epsg}"
        default = scene.source.bands["nbart_red"].grid
        rows, columns = default.shape
        unit = Affine(*default.transform) @ Affine.scale(columns, rows)
        assert unit.almost_equals(BandInfo(dataset, "nbart_red").transform)


def test_scenes_hold_the_properties_that_tell_processings_apart(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    named = {
        "sentinel:processing_baseline": "05.00",
        "earthsearch:boa_offset_applied": True,
        "processing_version": 2,
        "s2:product_uri": "S2A_MSIL2A.SAFE",
        "mgrs:tile_id": None,
        "eo:cloud_cover": 3.5,
    }
    original = document()
    add_scenes(dea_catalog, [written(tmp_path, original | {"properties": original["properties"] | named})])
    (scene,) = dea_catalog.find_scenes(PRODUCT, BANDS, region=None, time=None)
    assert scene.properties == {
        "label": original["label"],
        "sentinel:processing_baseline": "05.00",
        "earthsearch:boa_offset_applied": True,
        "processing_version": 2,
        "s2:product_uri": "S2A_MSIL2A.SAFE",
    }


def test_bands_have_their_own_grid_and_equal_grids_are_one_object(sample: OdcCatalog) -> None:
    scenes = sample.find_scenes(PRODUCT, [*BANDS, "nbart_panchromatic"], region=None, time=None)
    bands = scenes[0].source.bands
    assert bands["nbart_red"].grid.resolution == (30, 30)
    assert bands["nbart_panchromatic"].grid.resolution == (15, 15)
    grids = [band.grid for scene in scenes for band in scene.source.bands.values()]
    assert len({id(grid) for grid in grids}) == len(set(grids))


def test_an_alias_is_found_under_the_canonical_name(sample: OdcCatalog) -> None:
    scene = sample.find_scenes(PRODUCT, ["fmask"], region=None, time=None)[0]
    assert list(scene.source.bands) == ["oa_fmask"]


def test_a_measurement_that_the_product_lacks_is_refused(sample: OdcCatalog) -> None:
    with pytest.raises(InputError, match="has no measurement 'nbart_violet'; it has "):
        sample.find_scenes(PRODUCT, ["nbart_violet"], region=None, time=None)


def test_scenes_come_by_time_then_id(sample: OdcCatalog) -> None:
    scenes = sample.find_scenes(PRODUCT, BANDS, region=None, time=None)
    assert [(s.time, s.id) for s in scenes] == sorted((s.time, s.id) for s in scenes)


# Search


@pytest.mark.parametrize(
    "days",
    [
        (date(2017, 12, 4), date(2017, 12, 4)),
        (date(2017, 12, 5), date(2022, 2, 12)),
        (date(2022, 7, 18), date(2022, 7, 18)),
        (date(2022, 7, 19), date(2022, 7, 19)),
        (date(1999, 1, 1), date(2000, 1, 1)),
    ],
)
def test_a_time_range_is_one_of_solar_days_as_datacube_has_them(sample: OdcCatalog, days: tuple[date, date]) -> None:
    datasets = Datacube(index=sample.index).find_datasets(product=PRODUCT)
    expected = {str(each.id) for each in datasets if days[0] <= solar_day(each).astype(date) <= days[1]}
    found = sample.find_scenes(PRODUCT, BANDS, region=None, time=days)
    assert {scene.id for scene in found} == expected


def timed(folder: Path, *times: dict[str, Any]) -> Path:
    """Documents of a place near 153 degrees east, where a solar day begins about 13:48 UTC, with times of their own."""
    for number, time in enumerate(times):
        properties = {"eo:platform": "landsat-8", "odc:product_family": "ard", "odc:region_code": f"{number}"}
        properties |= {"eo:instrument": "OLI_TIRS", "odc:producer": "ga.gov.au", "odc:file_format": "GeoTIFF"}
        written(folder, document(properties=properties | time), f"{number}.json")
    return folder / "*.json"


def test_both_days_of_a_range_are_included_to_their_last_moment(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    moments = ("2020-03-01T13:30:00Z", "2020-03-01T14:10:00Z")
    add_scenes(dea_catalog, [timed(tmp_path, *({"datetime": each} for each in moments))])

    def found(first: date, last: date) -> list[str]:
        scenes = dea_catalog.find_scenes(PRODUCT, BANDS, region=None, time=(first, last))
        return [f"{scene.time:%Y-%m-%dT%H:%M:%SZ}" for scene in scenes]

    first_day, second_day = date(2020, 3, 1), date(2020, 3, 2)
    assert found(first_day, first_day) == [moments[0]]
    assert found(second_day, second_day) == [moments[1]]
    assert found(first_day, second_day) == list(moments)
    assert found(second_day + timedelta(1), date(2020, 12, 31)) == []
    extent = dea_catalog.extent([PRODUCT])
    assert extent is not None
    assert extent.time == (first_day, second_day)


NOON = datetime(2020, 3, 1, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [
        {"datetime": "2020-03-01 00:05:00"},
        {"datetime": "2020-03-01T10:05:00+10:00"},
        {"datetime": "2020-02-29T10:05:00-14:00"},
        {"datetime": "2020-03-01T00:05:00.000000Z", "dtr:start_datetime": "2020-03-01 00:04:50"},
        {"datetime": "1 Mar 2020 00:05 UTC", "dtr:end_datetime": "2020-03-01T11:05:10+11:00"},
    ],
    ids=["naive", "east", "west", "mixed begin", "mixed end"],
)
def test_a_time_is_utc_where_it_names_no_zone_and_is_found_whatever_its_zone(
    dea_catalog: OdcCatalog, tmp_path: Path, time: dict[str, Any]
) -> None:
    zone = os.environ.get("TZ")
    try:
        os.environ["TZ"] = "Australia/Hobart"
        tzset()
        assert counts_of(add_scenes(dea_catalog, [timed(tmp_path, time)])) == (1, 0, ())
        (scene,) = dea_catalog.find_scenes(PRODUCT, BANDS, region=None, time=(date(2020, 3, 1), date(2020, 3, 1)))
    finally:
        os.environ.pop("TZ") if zone is None else os.environ.update(TZ=zone)
        tzset()
    assert abs(scene.time - NOON) <= timedelta(seconds=5)
    assert scene.time.utcoffset() == timedelta(0)


def test_a_zone_that_has_a_name_only_is_refused(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    report = add_scenes(dea_catalog, [timed(tmp_path, {"datetime": "1 Mar 2020 00:05 AEDT"})])
    ((_, reason),) = report.failed
    assert "the zone AEDT of a time has no offset; give one, such as +10:00" in reason


def test_no_scene_that_datacube_finds_in_a_region_is_lost(sample: OdcCatalog) -> None:
    cube = Datacube(index=sample.index)
    for west in range(112, 156, 4):
        region = box(west, -38, west + 4, -24)
        expected = {str(d.id) for d in cube.find_datasets(product=PRODUCT, geopolygon=Geometry(region, "EPSG:4326"))}
        found = {scene.id for scene in sample.find_scenes(PRODUCT, BANDS, region=region, time=None)}
        assert expected <= found
        assert len(found - expected) <= 1


def test_a_scene_is_found_by_its_grid_and_not_by_its_box(sample: OdcCatalog) -> None:
    days = (date(2020, 5, 26), date(2020, 5, 26))
    (scene,) = sample.find_scenes(PRODUCT, BANDS, region=None, time=days)
    grid = scene.source.bands["oa_fmask"].grid.geobox.extent.to_crs("EPSG:4326", resolution=5000).geom
    west, _, _, north = grid.bounds
    corner = box(west - 0.1, north, west - 0.05, north + 0.05)
    assert sample.find_scenes(PRODUCT, BANDS, region=corner, time=days) == []
    for edge_point in [grid.centroid, *map(shapely.Point, grid.exterior.coords[::20])]:
        assert sample.find_scenes(PRODUCT, BANDS, region=edge_point.buffer(1e-6), time=days) == [scene]


@pytest.mark.parametrize("west", [179.0, -179.5])
def test_a_scene_across_the_antimeridian_is_found_from_both_sides(
    dea_catalog: OdcCatalog, tmp_path: Path, west: float
) -> None:
    crossing = document(
        crs="epsg:32660",
        geometry=None,
        grids={"default": {"shape": [6000, 7000], "transform": [30, 0, 520000, 0, -30, 8200000, 0, 0, 1]}},
    )
    for measurement in crossing["measurements"].values():
        measurement.pop("grid", None)
    crossing.pop("geometry")
    assert counts_of(add_scenes(dea_catalog, [written(tmp_path, crossing)])) == (1, 0, ())
    region = box(west, 72.5, west + 0.4, 73)
    assert len(dea_catalog.find_scenes(PRODUCT, BANDS, region=region, time=None)) == 1
    assert dea_catalog.find_scenes(PRODUCT, BANDS, region=box(0, 72.5, 10, 73), time=None) == []
    extent = dea_catalog.extent([PRODUCT])
    assert extent is not None
    assert 170 < extent.bbox[0] < 180 < extent.bbox[2] < 200


def test_an_archived_scene_and_one_without_location_are_not_found(sample: OdcCatalog) -> None:
    archived, lost, *rest = (scene.id for scene in sample.find_scenes(PRODUCT, BANDS, region=None, time=None))
    sample.index.datasets.archive([UUID(archived)])
    with sample.index._db.give_me_a_connection() as connection:
        connection.execute(text("delete from agdc.dataset_location where dataset_ref = :id"), {"id": lost})
    assert [scene.id for scene in sample.find_scenes(PRODUCT, BANDS, region=None, time=None)] == rest


def test_a_document_that_came_in_broken_by_other_ways_is_named(sample: OdcCatalog) -> None:
    with sample.index._db.give_me_a_connection() as connection:
        connection.execute(text("update agdc.dataset set metadata = metadata - 'grids'"))
    with pytest.raises(CatalogError, match=r"^The document of scene [0-9a-f-]{36} cannot be read as EO3 \(KeyError"):
        sample.find_scenes(PRODUCT, BANDS, region=None, time=None)


# Extent and status


def test_the_extent_covers_all_scenes_and_an_empty_product_has_none(sample: OdcCatalog) -> None:
    extent = sample.extent([PRODUCT, "ga_ls5t_ard_3"])
    assert isinstance(extent, Extent)
    assert extent.time == (date(2017, 12, 4), date(2022, 10, 27))
    west, south, east, north = extent.bbox
    assert 113 < west < 115 < 150 < east < 158
    assert -38 < south < -36 < -12 < north < -8
    assert sample.extent(["ga_ls5t_ard_3"]) is None
    assert sample.extent([]) is None


def test_status_counts_scenes_and_days_by_product(sample: OdcCatalog) -> None:
    status = index_status(sample)
    assert [product.name for product in status.products] == sample.products()
    counted = next(product for product in status.products if product.name == PRODUCT)
    assert (counted.scenes, counted.first, counted.last) == (22, date(2017, 12, 4), date(2022, 10, 27))
    assert {(p.scenes, p.first, p.last) for p in status.products if p.name != PRODUCT} == {(0, None, None)}


def test_a_product_without_place_and_time_has_a_status_too(empty_index: Settings, tmp_path: Path) -> None:
    search = {"label": {"description": "a label", "offset": ["label"]}}
    parts = {"id": ["id"], "sources": ["lineage"], "label": ["label"], "creation_dt": ["properties", "created"]}
    kind = {"name": "plain", "description": "no place", "dataset": {**parts, "search_fields": search}}
    product = {
        "name": "notes",
        "description": "notes",
        "metadata_type": "plain",
        "metadata": {"product": {"name": "n"}},
    }
    assert add_products(empty_index, [written(tmp_path, product, "p.json"), written(tmp_path, kind, "t.json")]) == [
        "notes"
    ]
    assert [(p.name, p.scenes, p.first) for p in index_status(empty_index).products] == [("notes", 0, None)]
    with (
        open_catalog(empty_index) as opened,
        pytest.raises(InputError, match="notes has no search fields for place and time"),
    ):
        opened.find_scenes("notes", [], region=None, time=None)


def test_initialising_again_keeps_everything(empty_index: Settings) -> None:
    add_products(empty_index, [DEFINITIONS / "products" / f"{PRODUCT}.odc-product.yaml"])
    assert [product.name for product in init_index(empty_index).products] == [PRODUCT]


def test_a_restarted_database_is_asked_again(sample: OdcCatalog, catalog: OdcCatalog) -> None:
    sample.products()
    with catalog.index._db.give_me_a_connection() as connection:
        killed = connection.execute(
            text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"),
            {"name": sample.index._db.url.database},
        )
        assert killed.scalars().all() == [True]
    assert len(sample.find_scenes(PRODUCT, BANDS, region=None, time=None)) == 22


# Adding scenes


def test_scenes_are_added_once(sample: OdcCatalog) -> None:
    assert counts_of(add_scenes(sample, [SAMPLE, SINGLE])) == (0, 22, ())


def test_a_document_twice_in_one_run_is_added_once(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    twin = document()
    paths = [written(tmp_path, twin, "a.json"), written(tmp_path, twin, "b.json")]
    assert counts_of(add_scenes(dea_catalog, paths)) == (1, 1, ())


def test_lineage_is_left_out(sample: OdcCatalog) -> None:
    (dataset,) = Datacube(index=sample.index).find_datasets(product=PRODUCT, time="2020-05-25")
    assert dataset.metadata_doc["lineage"] == {"source_datasets": {}}


def test_folders_are_searched_and_globs_expanded(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    deep = tmp_path / "088" / "080"
    deep.mkdir(parents=True)
    (deep / SINGLE.name).write_text(SINGLE.read_text())
    (deep / "notes.yaml").write_text("not: a document")
    written(tmp_path, document(), "one.json")
    report = add_scenes(dea_catalog, [tmp_path, tmp_path / "*.json", str(tmp_path / "**" / "*.odc-metadata.yaml")])
    assert counts_of(report) == (2, 0, ())
    assert report.passed_over == (str(deep / "notes.yaml"),)
    (scene,) = [
        s
        for s in dea_catalog.find_scenes(PRODUCT, BANDS, region=None, time=None)
        if "088" in s.source.bands["oa_fmask"].uri.split("/")
    ]
    assert scene.source.bands["oa_fmask"].uri == (deep / f"{SINGLE.name[:45]}").parent.as_uri() + (
        "/ga_ls8c_oa_3-1-0_088080_2020-05-25_final_fmask.tif"
    )


def test_the_location_of_a_document_goes_before_its_file(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    add_scenes(dea_catalog, [written(tmp_path, document(locations=["s3://bucket/a/scene.yaml", "file:///other"]))])
    (scene,) = dea_catalog.find_scenes(PRODUCT, ["nbart_red"], region=None, time=None)
    assert scene.source.bands["nbart_red"].uri.startswith("s3://bucket/a/ga_ls8c_nbart")


def test_a_folder_says_what_it_passes_over(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    names = ["a.yaml", "b.YML", "c.json", "d.odc-metadata.yaml.gz", "e.json.bz2", "f.proc-info.yaml"]
    others = ["readme.txt", "red.tif", "x.odc-product.yaml", "x.odc-type.yaml"]
    for name in (*names, *others):
        (tmp_path / name).write_text("{}")
    (tmp_path / SINGLE.name).write_text(SINGLE.read_text())
    report = add_scenes(dea_catalog, [tmp_path])
    assert counts_of(report) == (1, 0, ())
    assert [Path(name).name for name in report.passed_over] == names


def test_files_that_do_not_exist_and_empty_ones_are_warned_of(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    scene = document()
    (tmp_path / scene["measurements"]["nbart_red"]["path"]).touch()
    [(_, missing), (_, empty)] = add_scenes(dea_catalog, [written(tmp_path, scene)]).warnings
    assert missing == (
        "ga_ls8c_nbart_3-1-0_088080_2020-05-25_final_band05.tif, ga_ls8c_oa_3-1-0_088080_2020-05-25_final_fmask.tif "
        "do not exist on this machine."
    )
    assert empty == "ga_ls8c_nbart_3-1-0_088080_2020-05-25_final_band04.tif is empty on this machine."


UNNEEDED: list[tuple[Edit, str]] = [
    (lambda d: d["measurements"].pop("nbart_blue"), "It has no measurement nbart_blue"),
    (
        lambda d: d["measurements"]["nbart_blue"].update(grid="g7"),
        "Its measurement nbart_blue lies on the grid 'g7', which it does not have",
    ),
    (lambda d: d["measurements"]["nbart_blue"].update(band="x"), "Its measurement nbart_blue is in band 'x'"),
    (lambda d: d["measurements"].update(nbart_blue=None), "It has no measurement nbart_blue"),
]


@pytest.mark.parametrize(("edit", "warning"), UNNEEDED)
def test_a_measurement_that_is_not_needed_is_warned_of(
    dea_catalog: OdcCatalog, tmp_path: Path, edit: Edit, warning: str
) -> None:
    broken = document(location="https://example.com/scene.yaml")
    edit(broken)
    report = add_scenes(dea_catalog, [written(tmp_path, broken)])
    assert counts_of(report) == (1, 0, ())
    [(_, found)] = report.warnings
    assert found.startswith(warning)
    assert len(dea_catalog.find_scenes(PRODUCT, BANDS, region=None, time=None)) == 1
    with pytest.raises(CatalogError, match=r"nbart_blue.*; archive it in the index or correct it\.$"):
        dea_catalog.find_scenes(PRODUCT, ["nbart_blue"], region=None, time=None)


def test_without_a_profile_all_measurements_are_only_warned_of(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    broken = document(location="https://example.com/scene.yaml")
    broken["measurements"].pop("nbart_red")
    report = add_scenes(dea_catalog, [written(tmp_path, broken)], profiles={})
    assert counts_of(report) == (1, 0, ())
    assert [warning.partition(";")[0] for _, warning in report.warnings] == ["It has no measurement nbart_red"]


def square(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    return dict(shapely.geometry.mapping(box(west, south, east, north)))


OUTLINES: list[tuple[dict[str, Any], str]] = [
    (square(146.0, -26.0, 148.0, -24.0), "Its geometry is in degrees, while its crs is"),
    (square(8e5, -1.6e6, 9e5, -1.5e6), "Its geometry lies beside its grid."),
    (square(-5e5, -4e6, 1.5e6, -1e6), "Only "),
]


@pytest.mark.parametrize(("outline", "warning"), OUTLINES)
def test_an_outline_that_contradicts_its_grid_is_replaced_and_said(
    dea_catalog: OdcCatalog, tmp_path: Path, outline: dict[str, Any], warning: str
) -> None:
    scene = document(location="https://example.com/scene.yaml")
    rows, columns = scene["grids"]["default"]["shape"]
    right = shapely.geometry.shape(scene["geometry"]).centroid
    a, _, left, _, e, top, *_ = scene["grids"]["default"]["transform"]
    report = add_scenes(dea_catalog, [written(tmp_path, scene | {"geometry": outline})])
    [(_, said)] = report.warnings
    assert said.startswith(warning)
    assert said.endswith("The outline of its grid is stored instead, so that searches find its pixels.")
    lon, lat = Geometry(right, scene["crs"]).to_crs("EPSG:4326").coords[0]
    [found] = dea_catalog.find_scenes(PRODUCT, BANDS, region=box(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1), time=None)
    assert found.footprint.equals(box(left, top + e * rows, left + a * columns, top))


def test_outlines_of_real_documents_are_believed(dea_catalog: OdcCatalog) -> None:
    warnings = add_scenes(dea_catalog, [SAMPLE, SINGLE]).warnings
    assert [warning for _, warning in warnings if "geometry" in warning] == []


def test_progress_tells_the_total_where_each_file_is_a_document(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    add_scenes(dea_catalog, [SINGLE], progress=lambda done, total: calls.append((done, total)))
    add_scenes(dea_catalog, [SAMPLE], progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 1), (21, None)]


BROKEN: list[tuple[Edit, str]] = [
    (lambda d: d.update(product={"name": "nope"}), "The index has no product 'nope'; add its definition first."),
    (lambda d: d.pop("product"), "The index has no product 'None'; add its definition first."),
    (lambda d: d.pop("grids"), "The document lacks grids."),
    (lambda d: (d.pop("grids"), d.pop("crs")), "The document lacks crs and grids."),
    (lambda d: d.update(crs="epsg:nope"), "The document cannot be read as EO3 (CRSError"),
    (lambda d: d.update(id="x"), "The document has no valid UUID as its id."),
    (lambda d: d.pop("$schema"), "This is not an EO3 dataset document"),
    (lambda d: d["measurements"].pop("nbart_red"), "The document cannot be used: it has no measurement nbart_red."),
    (
        lambda d: d["measurements"]["nbart_red"].update(grid="g7"),
        "The document cannot be used: its measurement nbart_red lies on the grid 'g7', which it does not have.",
    ),
    (lambda d: d["measurements"]["nbart_red"].update(band="red"), "The document cannot be used: its measurement"),
    (lambda d: d["grids"]["default"].update(shape=[1]), "The document cannot be read as EO3 (ValueError"),
    (lambda d: d["grids"]["default"].pop("transform"), "The document cannot be read as EO3 (ValueError"),
    (lambda d: d["geometry"].update(type="Blob"), "The document cannot be read as EO3 (ValueError"),
    (lambda d: d["geometry"].update(coordinates=[]), "The document cannot be read as EO3 (IndexError"),
    (lambda d: d["geometry"].update(coordinates=[[[5e5, -3e6]] * 4]), "The document cannot be read as EO3 (ValueError"),
    (lambda d: d["properties"].update({"dtr:start_datetime": "soon"}), "The document cannot be read as EO3 ("),
    (lambda d: d["properties"].update({"odc:product_family": "other"}), "The document does not have the properties"),
    (lambda d: d.update(label="a\x00b"), "The index refused the document ("),
]


def test_broken_documents_are_named_and_do_not_keep_others_out(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    for number, (edit, _) in enumerate(BROKEN):
        broken = document()
        edit(broken)
        written(tmp_path, broken, f"{number:02}.json")
    written(tmp_path, [1], "30.json")
    written(tmp_path, document(), "31.json")
    report = add_scenes(dea_catalog, [tmp_path / "*.json"])
    assert report.added == 1
    reasons = {Path(name).name: reason for name, reason in report.failed}
    assert len(reasons) == len(BROKEN) + 1
    for number, (_, reason) in enumerate(BROKEN):
        assert reasons[f"{number:02}.json"].startswith(reason)
    assert all("\n" not in reason and reason.endswith(".") for reason in reasons.values())
    assert len(dea_catalog.find_scenes(PRODUCT, BANDS, region=None, time=None)) == 1


def test_unreadable_files_are_named(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(SINGLE.read_text() + "\n---\na: [1, 2\nb: }")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").mkdir()
    named = ["broken.yaml", "binary.yaml", "absent.yaml", "empty", "*.nothing"]
    report = add_scenes(dea_catalog, [tmp_path / name for name in named])
    assert report.added == 1
    assert [(Path(name).name, reason) for name, reason in report.failed] == [
        ("broken.yaml (document 2)", "The file is not valid YAML at line 164."),
        ("binary.yaml", "The file is not valid YAML."),
        ("absent.yaml", "The file cannot be read or does not exist."),
        ("empty", "The file is a folder without *.odc-metadata.yaml."),
        ("*.nothing", "The file cannot be read or does not exist."),
    ]


def test_the_shared_catalogue_is_the_embedded_one(catalog: OdcCatalog, index_settings: Settings) -> None:
    status = index_status(index_settings)
    assert (status.kind, status.location) == ("embedded", str(index_settings.home / "index"))
    with open_catalog(index_settings) as second:
        assert second.products() == catalog.products()
