"""The exact reader on hand-made files, against NumPy and PROJ pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer

from compute.plan import NdviPlan, make_plan
from compute.request.region import parse_bbox
from compute.scenes import Scene
from compute.settings import Settings
from tests.benchmarks.remote import Store, open_store
from tests.fixtures.engine import compute_here
from tests.fixtures.files import region_of, write_scene
from tests.strategies import request_of, roles_of, scene_of

NODATA = -999
SIZE = 90
PLACE = {"lon": 149.99, "lat": -42.0, "size": SIZE, "crs": "EPSG:32655"}
"""At the border of two UTM zones."""

Pixels = Mapping[str, NDArray[Any]]


def pixels_of(seed: int, size: int = SIZE) -> Pixels:
    """A mask with clouds in patches and an edge of nodata, and noisy bands with holes of their own."""
    random = np.random.default_rng(seed)
    patches = np.kron(random.random((size // 6 + 1, size // 6 + 1)) < 0.6, np.ones((6, 6), bool))[:size, :size]
    mask = np.where(patches, 1, 2).astype(np.uint8)
    mask[:, : seed % 7] = 0
    bands = {name: random.integers(1, 6000, (size, size)).astype(np.int16) for name in ("red", "nir")}
    for band in bands.values():
        band[random.random((size, size)) < 0.1] = NODATA
    return {"mask": mask, **bands}


def plan_of(scenes: Sequence[Scene], *, chunk_px: int = 64, roots: str = "", **fields: Any) -> NdviPlan:
    request = request_of(**({"region": region_of(scenes), "crs": "native", "resampling": "nearest"} | fields))
    return make_plan(request, scenes, {"landsat": roles_of()}, Settings(chunk_px=chunk_px, data_roots=roots))


def looks(scene: Scene, pixels: Pixels, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """NDVI that a scene observes at places in a CRS of its own, NaN where it does not."""
    a, _, left, _, e, top = scene.source.bands["red"].grid.transform
    row, column = (np.floor(place).astype(int) for place in ((y - top) / e, (x - left) / a))
    rows, columns = pixels["mask"].shape
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    at = np.where(inside, row, 0), np.where(inside, column, 0)
    red, nir = (pixels[name][at].astype(float) for name in ("red", "nir"))
    seen = inside & (pixels["mask"][at] == 1) & (red != NODATA) & (nir != NODATA)
    return np.where(seen, (nir - red) / (nir + red), np.nan)


def expected(
    groups: Sequence[Sequence[tuple[Scene, Pixels]]], result: Any, crs: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and count of a result's pixels: of each group, the first scene that shows the ground wins a pixel."""
    x, y = np.meshgrid(result.x, result.y)
    total, count = np.zeros(x.shape), np.zeros(x.shape, int)
    for group in groups:
        ndvi = np.full(x.shape, np.nan)
        for scene, pixels in group:
            places = Transformer.from_crs(crs, scene.crs, always_xy=True).transform(x, y)
            ndvi = np.where(np.isnan(ndvi), looks(scene, pixels, *places), ndvi)
        total, count = total + np.nan_to_num(ndvi), count + np.isfinite(ndvi)
    return np.divide(total, count, out=np.full(x.shape, np.nan), where=count > 0), count


def same(result: Any, mean: NDArray[Any], count: NDArray[Any]) -> None:
    assert int(count.sum()) > 2_000
    np.testing.assert_array_equal(result.clear_count.values[0], count)
    np.testing.assert_allclose(result.ndvi_mean.values[0], mean, atol=1e-7, rtol=0)


def test_of_overlapping_rows_of_one_day_one_scene_wins_a_pixel_for_all_bands(tmp_path: Path) -> None:
    upper, lower = pixels_of(3), pixels_of(5)
    north = write_scene(scene_of("north", "2020-01-05T00:00:00", **PLACE), upper, tmp_path)
    south = write_scene(scene_of("south", "2020-01-05T00:00:24", **(PLACE | {"lat": -42.012})), lower, tmp_path)
    result = compute_here(plan_of([south, north]))
    overlap = (
        expected([[(north, upper)]], result, "EPSG:32655")[1] + expected([[(south, lower)]], result, "EPSG:32655")[1]
    )
    assert (overlap == 2).sum() > 500
    same(result, *expected([[(north, upper), (south, lower)]], result, "EPSG:32655"))


def test_scenes_of_another_zone_are_warped_to_the_home_zone(tmp_path: Path) -> None:
    days = ("2020-01-05", "2020-01-12", "2020-01-21")
    pixels = [pixels_of(seed) for seed in range(3)]
    zones = ("EPSG:32655", "EPSG:32655", "EPSG:32656")
    scenes = [
        write_scene(scene_of(day, f"{day}T00:00:00", **(PLACE | {"crs": zone})), each, tmp_path)
        for day, zone, each in zip(days, zones, pixels, strict=True)
    ]
    plan = plan_of(scenes)
    assert plan.grid.crs == "EPSG:32655"
    assert any("another CRS" in note for note in plan.notes)
    result = compute_here(plan)
    same(result, *expected([[pair] for pair in zip(scenes, pixels, strict=True)], result, "EPSG:32655"))


@pytest.mark.parametrize("resampling", ["nearest", "average"])
@pytest.mark.parametrize(("crs", "pixel"), [("EPSG:3832", 60.0), ("EPSG:32760", 60.0), ("EPSG:4326", 0.0007)])
def test_no_column_is_lost_where_files_of_degrees_meet_at_180(
    tmp_path: Path, crs: str, pixel: float, resampling: str
) -> None:
    degrees: dict[str, Any] = {"lat": -17.0, "size": SIZE, "crs": "EPSG:4326", "pixel": 0.001, "origin": 0.0}
    pairs = []
    for name, lon in (("west", 179.9551), ("east", -179.9549)):
        clear = {"mask": np.ones((SIZE, SIZE), np.uint8)}
        pixels = clear | {band: pixels_of(len(name), SIZE)[band].clip(500) for band in ("red", "nir")}
        pairs.append((write_scene(scene_of(name, lon=lon, **degrees), pixels, tmp_path), pixels))
    region = parse_bbox("179.93,-17.03,-179.93,-16.97")
    plan = plan_of([scene for scene, _ in pairs], region=region, crs=crs, resolution=pixel, resampling=resampling)
    result = compute_here(plan)
    assert int(result.clear_count.min()) == int(result.clear_count.max()) == 1
    if resampling == "average":
        assert np.isfinite(result.ndvi_mean.values).all()
        return
    x, y = np.meshgrid(result.x, result.y)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    west, east = looks(*pairs[0], lon % 360.0, lat), looks(*pairs[1], lon % 360.0 - 360.0, lat)
    np.testing.assert_allclose(result.ndvi_mean.values[0], np.where(lon % 360.0 < 180.0, west, east), atol=1e-7)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 99), order=st.permutations(range(3)))
def test_neither_the_order_nor_the_chunks_change_a_bit(tmp_path: Path, seed: int, order: Sequence[int]) -> None:
    places = [PLACE, PLACE | {"lat": -42.012}, PLACE | {"crs": "EPSG:32656"}]
    scenes = [
        write_scene(scene_of(f"s{n}-{seed}", f"2020-01-05T00:00:0{n}", **place), pixels_of(seed + n), tmp_path)
        for n, place in enumerate(places)
    ]
    albers = {"crs": "EPSG:3577", "resampling": "average"}
    cut, whole = plan_of(scenes, **albers), plan_of([scenes[n] for n in order], chunk_px=4096, **albers)
    assert len(cut.blocks) > len(whole.blocks) == 1
    one, other = compute_here(cut), compute_here(whole)
    np.testing.assert_array_equal(one.ndvi_mean, other.ndvi_mean)
    np.testing.assert_array_equal(one.clear_count, other.clear_count)


@pytest.mark.parametrize("crs", ["native", "EPSG:3577"])
def test_an_outline_smaller_than_the_data_hides_no_pixel_whatever_the_chunks(tmp_path: Path, crs: str) -> None:
    whole = write_scene(scene_of("whole", "2020-01-05T00:00:00", **PLACE), pixels_of(1), tmp_path)
    west, south, _, north = whole.footprint.bounds
    narrow = replace(whole, footprint=shapely.box(west, south, west + 300, north))
    region = region_of([whole])
    results = [
        compute_here(plan_of([scene], chunk_px=chunk_px, region=region, crs=crs))
        for scene, chunk_px in ((whole, 64), (narrow, 64), (narrow, 4096))
    ]
    assert int(results[0].clear_count.sum()) > 2_000
    for each in results[1:]:
        np.testing.assert_array_equal(each.clear_count, results[0].clear_count)
        np.testing.assert_array_equal(each.ndvi_mean, results[0].ndvi_mean)


def test_a_file_of_another_size_than_its_document_says_is_left_out(tmp_path: Path) -> None:
    good, wrong = pixels_of(1), pixels_of(2, SIZE - 10)
    first = write_scene(scene_of("first", "2020-01-05T00:00:00", **PLACE), good, tmp_path)
    small = write_scene(scene_of("small", "2020-01-12T00:00:00", **(PLACE | {"size": SIZE - 10})), wrong, tmp_path)
    grids = scene_of("small", "2020-01-12T00:00:00", **PLACE).source.bands
    bands = {name: replace(band, grid=grids[name].grid) for name, band in small.source.bands.items()}
    result = compute_here(plan_of([first, replace(small, source=replace(small.source, bands=bands))]))
    same(result, *expected([[(first, good)]], result, "EPSG:32655"))


@pytest.mark.parametrize("garbage", [b"", b"<html>not found</html>", b"II*\x00" + bytes(40)])
def test_a_file_that_is_no_image_is_left_out(tmp_path: Path, garbage: bytes) -> None:
    good, bad = pixels_of(1), pixels_of(2)
    first = write_scene(scene_of("first", "2020-01-05T00:00:00", **PLACE), good, tmp_path)
    second = write_scene(scene_of("second", "2020-01-12T00:00:00", **PLACE), bad, tmp_path)
    (tmp_path / "second-nir.tif").write_bytes(garbage)
    result = compute_here(plan_of([first, second]))
    same(result, *expected([[(first, good)]], result, "EPSG:32655"))


def test_scenes_that_are_served_by_http_are_read_likewise_and_what_cannot_be_is_left_out(tmp_path: Path) -> None:
    pixels = [pixels_of(seed) for seed in (1, 2, 3)]
    scenes = [
        write_scene(scene_of(f"s{n}", f"2020-01-{5 + 7 * n:02}T00:00:00", **PLACE), pixels[n], tmp_path)
        for n in (0, 1, 2)
    ]
    (tmp_path / "s2-nir.tif").write_bytes(b"<html>not found</html>")
    with open_store(tmp_path, 0.0) as store:
        served = [served_by(store, scene) for scene in scenes]
        result = compute_here(plan_of(served, roots=f"http://{store.host}"))
        headers = {path for path, first, _ in store.served("run") if not first}
    same(result, *expected([[pair] for pair in zip(scenes[:2], pixels[:2], strict=True)], result, "EPSG:32655"))
    assert headers == {f"s{n}-{band}.tif" for n in (0, 1, 2) for band in ("mask", "red", "nir")}


def served_by(store: Store, scene: Scene) -> Scene:
    bands = {
        name: replace(band, uri=f"http://{store.host}/run/{Path(band.uri).name}")
        for name, band in scene.source.bands.items()
    }
    return replace(scene, source=replace(scene.source, bands=bands))
