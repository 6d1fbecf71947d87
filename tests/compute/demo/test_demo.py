"""The demo scenes: valid, repeatable, consistent with one another and with the truth they are drawn from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import yaml
from datacube import Datacube
from datacube.api.query import solar_day
from datacube.cfg import ODCConfig
from datacube.index.hl import Doc2Dataset
from datacube.utils.documents import NoDatesSafeLoader

from compute.demo import DemoSpec, product_document, true_ndvi, write_scenes
from compute.demo.landscape import survey_window
from compute.demo.overpasses import find_footprints, list_acquisitions, sun_position
from compute.demo.pixel_lattice import LatticeWindow
from compute.errors import InputError

TYPES = Path(__file__).parents[3] / "compute" / "catalog" / "metadata_types"
# The north-east: two paths and two rows overlap here, the Midlands, a plateau, a coast and two lakes lie in it.
REGION = (147.0, -42.0, 148.2, -41.0)
WINTER = DemoSpec(pixel_m=900, start=date(2021, 7, 1), end=date(2021, 7, 20), paths=(90, 91), region=REGION)
YEAR = DemoSpec(pixel_m=2000, start=date(2020, 12, 1), end=date(2021, 11, 30), paths=(90, 91))


class Scene:
    """One written scene, read back."""

    def __init__(self, document: Path) -> None:
        self.document: dict[str, Any] = yaml.load(document.read_text(), Loader=NoDatesSafeLoader)
        self.folder = document.parent
        grid = self.document["grids"]["default"]
        self.pixel = grid["transform"][0]
        self.left, self.top = grid["transform"][2], grid["transform"][5]
        self.outline = shapely.geometry.shape(self.document["geometry"])
        self.time = datetime.fromisoformat(self.document["properties"]["datetime"])
        self.mask, self.red, self.nir = (self.band(n) for n in ("oa_fmask", "nbart_red", "nbart_nir"))

    def path(self, measurement: str) -> Path:
        return self.folder / self.document["measurements"][measurement]["path"]

    def band(self, measurement: str) -> np.ndarray:
        with rasterio.open(self.path(measurement)) as source:
            assert [source.height, source.width] == self.document["grids"]["default"]["shape"]
            assert list(source.transform)[:6] == self.document["grids"]["default"]["transform"][:6]
            pixels: np.ndarray = source.read(1)
            return pixels

    @property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = self.mask.shape
        x = self.left + (np.arange(columns) + 0.5) * self.pixel
        y = self.top - (np.arange(rows) + 0.5) * self.pixel
        return np.meshgrid(x, y)

    def placed(self, pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the pixels on the grid of centres (x, y), 0 elsewhere."""
        left, top = (centre[0, 0] for centre in self.centres)
        row, column = round((y[0, 0] - top) / self.pixel), round((left - x[0, 0]) / self.pixel)
        whole = np.zeros(x.shape, pixels.dtype)
        whole[row : row + pixels.shape[0], column : column + pixels.shape[1]] = pixels
        return whole

    @property
    def ndvi(self) -> np.ndarray:
        return (self.nir - self.red.astype(float)) / (self.nir + self.red.astype(float))

    @property
    def clear(self) -> np.ndarray:
        return np.isin(self.mask, (1, 4, 5))


@pytest.fixture(scope="module")
def winter(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    """A few scenes of July."""
    return [Scene(p) for p in write_scenes(tmp_path_factory.mktemp("winter"), WINTER, processes=1)]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    """A year of the two paths that see most of the island, in coarse pixels."""
    return [Scene(p) for p in write_scenes(tmp_path_factory.mktemp("year"), YEAR, processes=1)]


def digests(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()
    }


def test_the_number_of_processes_changes_no_byte(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    progress: list[tuple[int, int]] = []
    documents = write_scenes(one, WINTER, processes=1)
    write_scenes(two, WINTER, processes=2, progress=lambda done, total: progress.append((done, total)))
    assert digests(one) == digests(two)
    assert progress[-1] == (len(documents), len(documents))


@pytest.fixture
def resolve() -> Iterator[Doc2Dataset]:
    """What decides whether datacube takes a document, with the real product in an index in memory."""
    with Datacube(config=ODCConfig(raw_dict={"default": {"index_driver": "memory"}})) as dc:
        kind = yaml.safe_load((TYPES / "eo3_landsat_ard.odc-type.yaml").read_text())
        dc.index.metadata_types.add(dc.index.metadata_types.from_doc(kind))
        dc.index.products.add(dc.index.products.from_doc(yaml.safe_load(product_document().read_text())))
        yield Doc2Dataset(dc.index)


def test_datacube_accepts_the_documents_for_the_real_product(winter: list[Scene], resolve: Doc2Dataset) -> None:
    for scene in winter:
        dataset, error = resolve(scene.document, scene.folder.as_uri())
        assert error is None
        assert dataset is not None
        assert resolve.index.datasets.add(dataset, with_lineage=False).product.name == "ga_ls8c_ard_3"
        assert dataset.crs.epsg == 32655
        assert dataset.metadata.region_code == scene.document["properties"]["odc:region_code"]
        assert (dataset.metadata.platform, dataset.metadata.dataset_maturity) == ("landsat-8", "final")


def test_a_document_says_that_the_scene_is_synthetic(winter: list[Scene]) -> None:
    for scene in winter:
        assert scene.document["properties"]["greenup:synthetic"] is True
        assert "landsat:landsat_product_id" not in scene.document["properties"]
    assert len({scene.document["id"] for scene in winter}) == len(winter)


def test_the_utc_day_and_the_solar_day_differ_on_some_paths_only() -> None:
    footprint = {f.path: f for f in find_footprints(DemoSpec()) if f.row == 89}
    first = {path: next(list_acquisitions(f, DemoSpec())) for path, f in footprint.items()}
    for path, acquisition in first.items():
        local = acquisition.time + timedelta(hours=147 / 15)
        assert 9 <= local.hour <= 10
        assert (local.date() != acquisition.time.date()) == (path <= 91)
    days = {path: a.time.toordinal() % 16 for path, a in first.items()}
    assert (days[91] - days[90]) % 16 == 7
    assert (days[92] - days[91]) % 16 == 8  # seven days later, and past midnight


def test_datacube_sees_the_local_solar_day(winter: list[Scene], resolve: Doc2Dataset) -> None:
    scene = winter[0]
    dataset, _ = resolve(scene.document, scene.folder.as_uri())
    assert dataset is not None
    assert scene.time.hour == 23
    assert solar_day(dataset).astype(object) == scene.time.date() + timedelta(days=1)


def test_the_overpass_times_are_those_of_a_real_scene() -> None:
    spec = DemoSpec(start=date(2023, 4, 30), end=date(2023, 4, 30))
    (found,) = (a for f in find_footprints(spec) if f.region_code == "090089" for a in list_acquisitions(f, spec))
    real_row_86 = datetime(2023, 4, 30, 23, 50, 34, 384549, tzinfo=UTC)
    assert found.time - real_row_86 == timedelta(seconds=3 * 23.93)


def test_the_sun_stands_where_a_real_document_says() -> None:
    # ga_ls8c_ard_3-1-0_088080_2020-05-25: azimuth 34.2, elevation 31.8.
    azimuth, elevation = sun_position(datetime(2020, 5, 25, 23, 35, 48, tzinfo=UTC), 154.5, -28.85)
    assert azimuth == pytest.approx(34.2, abs=1.5)
    assert elevation == pytest.approx(31.8, abs=1.5)


def test_nodata_lies_exactly_outside_the_swath_in_all_bands(winter: list[Scene]) -> None:
    for scene in winter:
        x, y = scene.centres
        inside = shapely.contains_xy(scene.outline, x, y)
        assert inside.any()
        assert not inside.all()
        np.testing.assert_array_equal(scene.mask != 0, inside)
        np.testing.assert_array_equal(scene.red != -999, inside)
        np.testing.assert_array_equal(scene.nir != -999, inside)
        for band in (scene.red, scene.nir):
            assert band[inside].min() >= 1
            assert band[inside].max() <= 10000


def test_pixel_centres_lie_on_multiples_of_the_pixel_size_south_of_the_equator(winter: list[Scene]) -> None:
    for scene in winter:
        assert ((scene.left + scene.pixel / 2) / scene.pixel).is_integer()
        assert ((scene.top - scene.pixel / 2) / scene.pixel).is_integer()
        assert scene.outline.bounds[1] < scene.outline.bounds[3] <= scene.top < -4e6
        assert scene.outline.bounds[0] >= scene.left


def test_files_are_cogs_with_tiles_overviews_and_nodata(tmp_path: Path) -> None:
    spec = DemoSpec(pixel_m=180, start=date(2021, 7, 13), end=date(2021, 7, 13), paths=(90,), region=REGION)
    scene = Scene(write_scenes(tmp_path, spec, processes=1)[0])
    for name, dtype, nodata in (("nbart_red", "int16", -999), ("nbart_nir", "int16", -999), ("oa_fmask", "uint8", 0)):
        with rasterio.open(scene.path(name)) as source:
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert source.block_shapes == [(512, 512)]
            assert source.overviews(1)[0] == 2
            assert (source.dtypes[0], source.nodata) == (dtype, nodata)
            assert source.compression.name == "deflate"
        with rasterio.open(scene.path(name), overview_level=0) as overview:
            pixels = overview.read(1)
        # Neither classes nor reflectances are mixed with nodata or with one another's codes.
        assert set(np.unique(pixels)) <= set(range(6)) if dtype == "uint8" else pixels[pixels != nodata].min() >= 1


def test_windows_that_overlap_show_one_landscape() -> None:
    whole = LatticeWindow(pixel_m=900, row=5080, column=560, shape=(60, 70))
    part = LatticeWindow(pixel_m=900, row=5087, column=571, shape=(30, 25))
    large, small = survey_window(whole, WINTER.seed), survey_window(part, WINTER.seed)
    assert len(np.unique(large.cover)) > 4
    for name in ("cover", "base", "swing", "delay", "bright", "elevation"):
        np.testing.assert_array_equal(getattr(large, name)[7:37, 11:36], getattr(small, name))


def test_rows_of_one_pass_show_the_same_sky_where_they_overlap(winter: list[Scene]) -> None:
    pairs = [(a, b) for a in winter for b in winter if b.time - a.time == timedelta(seconds=23.93)]
    assert pairs
    for upper, lower in pairs:
        masks = [scene.placed(scene.mask, *grid([upper, lower])) for scene in (upper, lower)]
        both = (masks[0] != 0) & (masks[1] != 0)
        assert both.sum() > 20
        np.testing.assert_array_equal(masks[0][both], masks[1][both])


def test_clear_pixels_show_the_truth_up_to_noise(winter: list[Scene]) -> None:
    for scene in winter:
        x, y = (v[scene.clear] for v in scene.centres)
        if not x.size:
            continue
        error = scene.ndvi[scene.clear] - true_ndvi([scene.time], x, y, WINTER)[0]
        assert abs(error.mean()) < 0.002
        assert np.abs(error).max() < 0.06


def grid(scenes: list[Scene]) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres of all pixels that any of the scenes may hold."""
    size = scenes[0].pixel
    left, right = min(s.left for s in scenes), max(s.left + s.mask.shape[1] * size for s in scenes)
    top, bottom = max(s.top for s in scenes), min(s.top - s.mask.shape[0] * size for s in scenes)
    return np.meshgrid(np.arange(left, right, size) + size / 2, np.arange(top, bottom, -size) - size / 2)


def clear_mean(scenes: list[Scene], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the mean of the clear observations, NaN where there is none."""
    total, count = np.zeros(x.shape), np.zeros(x.shape)
    for scene in scenes:
        total += scene.placed(np.where(scene.clear, scene.ndvi, 0.0), x, y)
        count += scene.placed(scene.clear, x, y)
    return np.divide(total, count, out=np.full(x.shape, np.nan), where=count > 0)


@pytest.mark.parametrize("start", [date(2020, 12, 1), date(2021, 3, 1), date(2021, 6, 1), date(2021, 9, 1)], ids=str)
def test_the_clear_mean_of_a_season_is_the_true_mean(year: list[Scene], start: date) -> None:
    x, y = grid(year)
    days = [datetime.combine(start + timedelta(days=d), time(0), UTC) for d in range(0, 92, 2)]
    mean = clear_mean([s for s in year if days[0] <= s.time < days[-1]], x, y)
    truth = true_ndvi(days, x.ravel(), y.ravel(), YEAR).mean(axis=0).reshape(x.shape)
    flown = np.logical_or.reduce([s.placed(s.mask, x, y) > 0 for s in year])
    land = flown & (truth > 0)
    seen = land & np.isfinite(mean)
    assert seen.sum() > 0.9 * land.sum()
    assert abs((mean - truth)[seen].mean()) <= 0.01


def test_farmland_greens_up_in_spring_and_browns_in_summer() -> None:
    midlands = np.array([524000.0]), np.array([-4630000.0])
    x, y = (v + np.arange(-6000, 6001, 600) for v in midlands)
    spring, summer = true_ndvi(
        [datetime(2021, 10, 7, tzinfo=UTC), datetime(2021, 2, 1, tzinfo=UTC)], x, y, DemoSpec(pixel_m=600)
    ).mean(axis=1)
    assert spring > 0.55
    assert summer < spring - 0.15


def test_every_mask_class_occurs(year: list[Scene]) -> None:
    assert set(np.unique(np.concatenate([s.mask.ravel() for s in year]))) == set(range(6))


def test_a_missed_cloud_edge_biases_what_the_mask_calls_clear(winter: list[Scene], tmp_path: Path) -> None:
    spec = DemoSpec(**{**WINTER.__dict__, "missed_cloud": 0.5})
    worse = [Scene(p) for p in write_scenes(tmp_path, spec, processes=1)]
    assert sum(int(s.clear.sum()) for s in worse) > sum(int(s.clear.sum()) for s in winter)
    for leaky, perfect in zip(worse, winter, strict=True):
        assert (leaky.clear | ~perfect.clear).all()
        np.testing.assert_array_equal(leaky.red, perfect.red)


def test_a_complete_set_is_not_written_again(tmp_path: Path) -> None:
    documents = write_scenes(tmp_path, WINTER, processes=1)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.tif")}
    assert write_scenes(tmp_path, WINTER, processes=1) == documents
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.tif")} == before


def test_an_interrupted_set_is_finished(tmp_path: Path) -> None:
    documents = write_scenes(tmp_path, WINTER, processes=1)
    whole = digests(tmp_path)
    lost = documents[1].parent
    half = documents[0].parents[6] / "partial" / "interrupted"
    half.mkdir(parents=True)
    (documents[0].parents[6] / "complete").unlink()
    for file in lost.iterdir():
        file.rename(half / file.name)
    lost.rmdir()
    kept = documents[0].stat().st_mtime_ns
    assert write_scenes(tmp_path, WINTER, processes=1) == documents
    assert digests(tmp_path) == whole
    assert documents[0].stat().st_mtime_ns == kept


def test_a_set_of_another_specification_is_replaced_and_strangers_are_left(tmp_path: Path) -> None:
    stranger = tmp_path / "notes.txt"
    stranger.write_text("mine")
    old = write_scenes(tmp_path, WINTER, processes=1)
    new = write_scenes(tmp_path, DemoSpec(**{**WINTER.__dict__, "seed": 9}), processes=1)
    assert not any(p.exists() for p in old)
    assert all(p.exists() for p in new)
    assert stranger.read_text() == "mine"
    old_ids = {Path(p).name for p in old}
    assert old_ids == {p.name for p in new}


@pytest.mark.parametrize(
    "wrong", [{"pixel_m": 10}, {"start": date(2022, 3, 1)}, {"missed_cloud": 1.0}, {"missed_cloud": -0.1}]
)
def test_impossible_specifications_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        DemoSpec(**wrong)


def test_the_package_carries_its_own_data_and_its_origin() -> None:
    definition = yaml.safe_load(product_document().read_text())
    assert definition["name"] == "ga_ls8c_ard_3"
    folder = product_document().parent
    assert "Apache License 2.0" in (folder / "NOTICE").read_text()
    assert len(json.loads((folder / "wrs2.geojson").read_text())["features"]) == 23
