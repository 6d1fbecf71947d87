"""The catalogue of a list, and which scenes meet a region."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import Point, Polygon, box

from compute.catalog import Catalog, Extent, ListCatalog
from compute.catalog.scene_footprints import TOLERANCE_DEG, bounds_degrees, filter_by_region
from compute.errors import InputError
from compute.products import Measurement, ProductDefinition
from compute.request.region import region_from_bbox
from compute.scenes import Band, Grid, Scene, Source

pytestmark = pytest.mark.unit

GRID = Grid(crs="EPSG:32655", shape=(10, 10), transform=(30.0, 0.0, 5e5, 0.0, -30.0, -4e6))
NAMES = ("red", "nir", "mask")


def scene(number: int, footprint: Polygon, crs: str = "EPSG:32655", product: str = "p") -> Scene:
    bands = {name: Band(uri=f"file:///{number}/{name}.tif", index=1, grid=GRID) for name in NAMES}
    time = datetime(2020, 1, 1, 23, 59, tzinfo=UTC) + timedelta(days=number % 3)
    return Scene(
        source=Source(id=str(UUID(int=number)), product=product, bands=bands, home=f"/{number}"),
        platform="landsat-8",
        time=time,
        solar_day=time.date(),
        footprint=footprint,
        crs=crs,
    )


@pytest.fixture
def listed() -> Catalog:
    measurements = {name: Measurement(name=name, dtype="int16", nodata=-999) for name in NAMES}
    definition = ProductDefinition(name="p", description="", measurements=measurements, aliases={"b4": "red"})
    scenes = [scene(n, box(5e5, -4e6 - 1e4, 5e5 + 1e4, -4e6)) for n in (5, 4, 3)]
    return ListCatalog(scenes=scenes, definitions={"p": definition})


def test_a_list_is_searched_as_an_index_is(listed: Catalog) -> None:
    assert listed.products() == ["p"]
    found = listed.find_scenes("p", ["b4"], region=box(146.9, -36.3, 147.2, -36.1), time=None)
    assert [UUID(s.id).int for s in found] == [3, 4, 5]
    assert list(found[0].source.bands) == ["red"]
    assert listed.find_scenes("p", [], region=box(0, 0, 1, 1), time=None) == []
    days = (date(2020, 1, 2), date(2020, 1, 3))
    assert [UUID(s.id).int for s in listed.find_scenes("p", [], region=None, time=days)] == [4, 5]
    with pytest.raises(InputError, match="no product 'q'; it has p"):
        listed.find_scenes("q", [], region=None, time=None)
    with pytest.raises(InputError, match="no measurement 'blue'"):
        listed.find_scenes("p", ["blue"], region=None, time=None)


def test_the_extent_of_a_list(listed: Catalog) -> None:
    extent = listed.extent(["p"])
    assert isinstance(extent, Extent)
    assert extent.time == (date(2020, 1, 1), date(2020, 1, 3))
    to_degrees = Transformer.from_crs("EPSG:32655", "EPSG:4326", always_xy=True).transform
    corners = np.transpose(to_degrees([5e5, 5e5, 5.1e5, 5.1e5], [-4.01e6, -4e6, -4.01e6, -4e6]))
    assert extent.bbox == pytest.approx((*corners.min(axis=0), *corners.max(axis=0)), abs=1e-6)
    assert listed.extent(["q"]) is None
    listed.close()


def test_an_empty_list_says_how_to_begin() -> None:
    with pytest.raises(InputError, match="it has none yet, so add one with `greenup index add-product`"):
        ListCatalog(scenes=[]).definition("p")


@given(
    zone=st.integers(1, 60),
    north=st.floats(-8e6, 8e6),
    east=st.floats(2e5, 6e5),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_scene_meets_every_point_within_it_wherever_it_lies(
    zone: int, north: float, east: float, place: tuple[float, float]
) -> None:
    crs = f"EPSG:{32600 + zone}"
    one = scene(1, box(east, north, east + 185e3, north + 185e3), crs)
    x, y = east + place[0] * 185e3, north + place[1] * 185e3
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    assert filter_by_region([one], Point(lon, lat)) == [one]
    away = Point(lon, lat + 10 if lat < 0 else lat - 10)
    assert filter_by_region([one], away) == []


def test_scenes_of_several_zones_keep_their_order() -> None:
    scenes = [scene(n, box(5e5, -4.1e6, 6e5, -4e6), f"EPSG:326{54 + n % 2}") for n in range(6)]
    assert filter_by_region(scenes, box(140, -38, 150, -36)) == scenes
    assert filter_by_region(scenes, box(147.0, -37, 147.1, -36.5)) == [s for s in scenes if s.crs == "EPSG:32655"]


def test_the_tolerance_is_about_a_kilometre() -> None:
    one = scene(1, box(5e5, -4.1e6, 6e5, -4e6))
    box_degrees = bounds_degrees([one])
    assert box_degrees is not None
    west = box_degrees[0]
    assert filter_by_region([one], Point(west - TOLERANCE_DEG / 2, -36.5)) == [one]
    assert filter_by_region([one], Point(west - 0.1, -36.5)) == []


def test_the_box_of_scenes_on_both_sides_of_180_degrees_is_a_region() -> None:
    east, west = scene(1, box(8.0e5, 8.1e6, 8.1e5, 8.2e6)), scene(2, box(1.9e5, 8.1e6, 2.0e5, 8.2e6))
    both = [replace(each, crs=crs) for each, crs in ((east, "EPSG:32760"), (west, "EPSG:32701"))]
    bounds = bounds_degrees(both)
    assert bounds is not None
    assert 179.5 < bounds[0] < 180 < bounds[2] < 180.3
    region = region_from_bbox(*bounds)
    assert region.bbox == pytest.approx(bounds, abs=1e-6)
    assert filter_by_region(both, region.geometry) == both
    for lon in (-179.9, 180.1):
        assert filter_by_region(both, Point(lon, -16.9).buffer(0.05)) == both[1:]


def test_a_footprint_that_has_no_place_on_earth_is_kept() -> None:
    odd = scene(1, Polygon([(1e12, 0), (1e12, 1e12), (0, 1e12)]))
    assert filter_by_region([odd], box(0, 0, 1, 1)) == [odd]
    assert filter_by_region([], box(0, 0, 1, 1)) == []
