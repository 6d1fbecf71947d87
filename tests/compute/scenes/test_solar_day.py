"""Times of documents and solar days."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from time import tzset
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from compute.catalog.solar_time import DATE_LINE, centre_longitude, read_span, read_time, solar_day
from compute.scenes import Grid

pytestmark = pytest.mark.unit

#: The search field of an EO3 product, as datacube makes it.
FIELD = SimpleNamespace(
    lower=SimpleNamespace(offset=[["properties", "dtr:start_datetime"], ["properties", "datetime"]]),
    greater=SimpleNamespace(offset=[["properties", "dtr:end_datetime"], ["properties", "datetime"]]),
)

MOMENTS = st.integers(315_532_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ZONES = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


@contextmanager
def zone_of_machine(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        tzset()
        yield
    tzset()


def test_the_zone_of_the_machine_is_given_back() -> None:
    before = os.environ.get("TZ")
    with zone_of_machine("Pacific/Fiji"):
        assert os.environ["TZ"] == "Pacific/Fiji"
    assert os.environ.get("TZ") == before


@given(
    moment=MOMENTS,
    zone=ZONES,
    machine=st.sampled_from(["UTC", "Australia/Hobart", "America/Denver", "Pacific/Kiritimati"]),
    form=st.sampled_from(["iso", "blank", "Z"]),
)
def test_a_time_is_one_instant_whatever_its_zone_and_that_of_the_machine(
    moment: datetime, zone: timezone, machine: str, form: str
) -> None:
    local, naive = moment.astimezone(zone), moment.replace(tzinfo=None)
    text = {"iso": local.isoformat(), "blank": naive.isoformat(sep=" "), "Z": f"{naive.isoformat()}Z"}[form]
    with zone_of_machine(machine):
        assert read_time(text) == read_time(local) == read_time(naive) == moment
        document = {"properties": {"datetime": text, "dtr:start_datetime": naive.isoformat()}}
        assert read_span(FIELD, document) == (moment, moment)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-12", "2020-12-01T00:00:00"),
        ("2020-12-31", "2020-12-31T00:00:00"),
        ("20201201T000500Z", "2020-12-01T00:05:00"),
        ("2020-12-01 00:05:00+1000", "2020-11-30T14:05:00"),
        ("Tue, 01 Dec 2020 00:05:00 GMT", "2020-12-01T00:05:00"),
        ("2020-12-01T00:05:00.123456789Z", "2020-12-01T00:05:00.123456"),
    ],
)
def test_other_forms_of_a_time_are_read(text: str, moment: str) -> None:
    with zone_of_machine("Australia/Hobart"):
        assert read_time(text) == datetime.fromisoformat(f"{moment}Z")


@pytest.mark.parametrize("text", ["2020-12-01 00:05 AEDT", "soon", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with zone_of_machine("Australia/Hobart"), pytest.raises(ValueError, match=r"offset|format|String"):
        read_time(text)


def test_a_document_without_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="it has no time"):
        read_span(FIELD, {"properties": {}})


# Solar days


@given(moment=MOMENTS, longitude=st.floats(-180, 180), turns=st.integers(-1, 2))
def test_a_solar_day_is_that_of_the_longitude_in_whole_turns(moment: datetime, longitude: float, turns: int) -> None:
    day = solar_day(moment, longitude)
    assert day == solar_day(moment, longitude + 360 * turns) or abs(longitude - DATE_LINE) < 1e-6
    if longitude > DATE_LINE + 1e-6:
        assert day == (moment + timedelta(seconds=int(240 * longitude))).date()


def test_a_pass_across_180_degrees_has_one_day() -> None:
    # 10:05 in the morning of 1 December in Fiji.
    moment = datetime(2020, 11, 30, 22, 5, tzinfo=UTC)
    days = {solar_day(moment + timedelta(seconds=24 * n), 180.4 - n * 0.4) for n in range(3)}
    assert days == {solar_day(moment, -179.6)} == {date(2020, 12, 1)}
    # Samoa is a day behind.
    assert solar_day(moment, -172) == date(2020, 11, 30)


def grid_of(crs: str, left: float, top: float, size: int = 100, pixel: float = 0.01) -> Grid:
    return Grid(crs=crs, shape=(size, size), transform=(pixel, 0.0, left, 0.0, -pixel, top))


@given(longitude=st.floats(-179.999, 179.999), latitude=st.floats(-70, 70))
def test_the_middle_of_a_grid_is_found_in_every_zone(longitude: float, latitude: float) -> None:
    zone = int((longitude + 180) // 6) + 1
    crs = f"EPSG:{32600 + zone if latitude > 0 else 32700 + zone}"
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(longitude, latitude)
    grid = grid_of(crs, x - 1e5, y + 1e5, 2000, 100.0)
    found = centre_longitude(grid, shapely.box(0, 0, 1, 1))
    assert abs((found - longitude + 180) % 360 - 180) < 1e-6


@pytest.mark.parametrize("left", [179.0, -181.0])
def test_the_middle_of_a_grid_in_degrees_may_lie_beyond_180(left: float) -> None:
    grid = grid_of("EPSG:4326", left, -17.0, 200)
    moment = datetime(2020, 11, 30, 22, 5, tzinfo=UTC)
    assert solar_day(moment, centre_longitude(grid, shapely.Polygon(grid.corners))) == date(2020, 12, 1)


@given(centre=st.floats(-180, 180), width=st.floats(0.1, 60))
def test_on_a_grid_of_the_whole_earth_the_footprint_tells_the_middle(centre: float, width: float) -> None:
    west, east = centre - width / 2, centre + width / 2
    pieces = [(west, east)]
    if west < -180:
        pieces = [(west + 360, 180), (-180, east)]
    elif east > 180:
        pieces = [(west, 180), (-180, east - 360)]
    footprint = shapely.MultiPolygon([shapely.box(a, -10, b, 10) for a, b in pieces if b > a])
    found = centre_longitude(grid_of("EPSG:4326", -180, 90, 360, 1.0), footprint)
    assert abs((found - centre + 180) % 360 - 180) < 1e-6


def test_a_picture_of_the_whole_earth_has_its_middle_at_greenwich() -> None:
    whole = grid_of("EPSG:4326", -180, 90, 360, 1.0)
    assert centre_longitude(whole, shapely.box(-180, -90, 180, 90)) == 0.0


def test_a_grid_whose_middle_lies_nowhere_has_no_longitude() -> None:
    corner = grid_of("ESRI:54009", 1.7e7, 9e6, 100, 1000.0)
    assert not np.isfinite(centre_longitude(corner, shapely.box(0, 0, 1, 1)))
