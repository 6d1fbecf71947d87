"""Pixels that a product calls not contiguous are no observations: in both readers, against NumPy on hand-made files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from compute.errors import InputError
from compute.plan import NdviPlan, make_plan
from compute.products import MaskRole, ProductDefinition, Roles, resolve_roles, shipped_profiles
from compute.scenes import Scene
from compute.settings import Settings
from tests.fixtures.engine import compute_here
from tests.fixtures.files import region_of, write_scene
from tests.fixtures.scenes import DATA
from tests.strategies import request_of, roles_of, scene_of

SIZE = 60
PLACE: Mapping[str, Any] = {"lon": 147.0, "lat": -42.0, "size": SIZE, "crs": "EPSG:32655"}
CONTIGUITY = MaskRole(
    measurement="contiguity", dtype="uint8", nodata=255.0, clauses=(((255, 1),),), reason="discontiguous"
)

Pixels = Mapping[str, NDArray[Any]]


def pixels_of(seed: int) -> Pixels:
    random = np.random.default_rng(seed)
    contiguity = random.choice(np.array([0, 1, 1, 1, 255, 3], np.uint8), (SIZE, SIZE))
    mask = random.choice(np.array([0, 1, 1, 2], np.uint8), (SIZE, SIZE))
    bands = {name: random.integers(1, 6000, (SIZE, SIZE)).astype(np.int16) for name in ("red", "nir")}
    return {"mask": mask, "contiguity": contiguity, **bands}


def asking(roles: Roles) -> Roles:
    return replace(roles, conditions=(CONTIGUITY,))


def plan_of(scenes: list[Scene], roles: Roles, **fields: Any) -> NdviPlan:
    fields = {"region": region_of(scenes), "crs": "native", "resampling": "nearest"} | fields
    return make_plan(request_of(**fields), scenes, {"landsat": roles}, Settings(chunk_px=64))


def scene(name: str, time: str, pixels: Pixels, folder: Path) -> Scene:
    made = scene_of(name, time, **PLACE)
    bands = {**made.source.bands, "contiguity": made.source.bands["mask"]}
    return write_scene(replace(made, source=replace(made.source, bands=bands)), pixels, folder)


@pytest.mark.parametrize("reader", ["exact", "odc"])
def test_only_contiguous_pixels_are_observations(tmp_path: Path, reader: str) -> None:
    pixels = [pixels_of(seed) for seed in range(3)]
    scenes = [scene(f"s{n}", f"2020-01-{5 + 7 * n:02d}T00:00:00", each, tmp_path) for n, each in enumerate(pixels)]
    plain, asked = (compute_here(plan_of(scenes, roles, reader=reader)) for roles in (roles_of(), asking(roles_of())))
    seen = [(each["mask"] == 1) & (each["red"] > 0) for each in pixels]
    whole = [clear & (each["contiguity"] == 1) for clear, each in zip(seen, pixels, strict=True)]
    for result, observed in ((plain, seen), (asked, whole)):
        assert int(result.clear_count.sum()) == int(np.sum(observed))
        at = _inside(result, scenes[0])
        np.testing.assert_array_equal(result.clear_count.values[0][at], np.sum(observed, 0))
        bands = [(each["red"].astype(float), each["nir"].astype(float)) for each in pixels]
        total = np.sum(np.where(observed, [(nir - red) / (nir + red) for red, nir in bands], 0), 0)
        count = np.sum(observed, 0)
        expected = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        np.testing.assert_allclose(result.ndvi_mean.values[0][at], expected, atol=1e-7)


def _inside(result: Any, made: Scene) -> tuple[slice, slice]:
    """Where the scene lies in a result on its own grid."""
    _, _, left, _, _, top = made.source.bands["red"].grid.transform
    column, row = round((left + 15 - float(result.x[0])) / 30), round((float(result.y[0]) - top + 15) / 30)
    return slice(row, row + SIZE), slice(column, column + SIZE)


def test_contiguity_may_lie_on_a_grid_of_its_own(tmp_path: Path) -> None:
    """As Sentinel-2's does: a quarter of the bands' pixels, each from the nearest pixel of its file."""
    coarse = scene_of("coarse", **(PLACE | {"size": SIZE // 2, "pixel": 60.0, "origin": 15.0}))
    fine = scene_of("fine", **PLACE)
    a, b, _, d, e, _ = coarse.source.bands["red"].grid.transform
    _, _, left, _, _, top = fine.source.bands["red"].grid.transform
    grid = replace(coarse.source.bands["red"].grid, transform=(a, b, left, d, e, top))
    whole = np.random.default_rng(1).integers(0, 2, (SIZE // 2, SIZE // 2)).astype(np.uint8)
    pixels = {**pixels_of(2), "contiguity": whole}
    band = replace(fine.source.bands["mask"], grid=grid)
    made = replace(fine, source=replace(fine.source, bands={**fine.source.bands, "contiguity": band}))
    result = compute_here(plan_of([write_scene(made, pixels, tmp_path)], asking(roles_of())))
    expected = (pixels["mask"] == 1) & (np.kron(whole, np.ones((2, 2), int)) == 1)
    np.testing.assert_array_equal(result.clear_count.values[0][_inside(result, made)], expected)


def test_what_is_nowhere_contiguous_needs_no_bands(tmp_path: Path) -> None:
    pixels = {**pixels_of(1), "contiguity": np.zeros((SIZE, SIZE), np.uint8)}
    made = scene("s", "2020-01-05T00:00:00", pixels, tmp_path)
    for name in ("red", "nir"):
        (tmp_path / f"s-{name}.tif").unlink()
    assert compute_here(plan_of([made], asking(roles_of()))).clear_count.sum() == 0


def test_one_more_band_is_counted(tmp_path: Path) -> None:
    made = scene("s", "2020-01-05T00:00:00", pixels_of(1), tmp_path)
    plain, asked = (plan_of([made], roles) for roles in (roles_of(), asking(roles_of())))
    # Both are cut to whole bytes.
    assert asked.bytes_to_read == pytest.approx(plain.bytes_to_read * 6 / 5, abs=2)
    assert asked.task_bytes > plain.task_bytes


@pytest.mark.parametrize("product", shipped_profiles())
def test_a_profile_names_the_measurement_that_analysis_ready_data_has(product: str) -> None:
    path = DATA / f"definitions/products/{product}.odc-product.yaml"
    definition = ProductDefinition.from_document(yaml.safe_load(path.read_text(encoding="utf-8")))
    profile = shipped_profiles()[product]
    assert resolve_roles(definition, profile).conditions == ()
    (role,) = resolve_roles(definition, profile.model_copy(update={"contiguity": "nbart_contiguity"})).conditions
    assert role == replace(
        CONTIGUITY, measurement="oa_nbart_contiguity", classes=(("contiguous", 1, 1),), nodata_from="definition"
    )
    assert np.flatnonzero(role.clear_table()).tolist() == [1]
    with pytest.raises(InputError, match="no measurement 'gaps'"):
        resolve_roles(definition, profile.model_copy(update={"contiguity": "gaps"}))
