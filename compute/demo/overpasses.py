"""Landsat 8 overpasses: times, WRS-2 footprints and sun positions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from math import acos, asin, cos, degrees, pi, radians, sin

import shapely
from shapely.geometry.base import BaseGeometry

from compute.demo.demo_spec import DemoSpec
from compute.demo.landscape import load_coast
from compute.demo.pixel_lattice import LatticeWindow, region_box, to_utm

_REVISIT = timedelta(days=16)
_NEXT_PATH_WEST = timedelta(days=7, seconds=370.65)
_NEXT_ROW_SOUTH = timedelta(seconds=23.93)
_ANCHOR = datetime(2023, 4, 30, 23, 50, 34, 384549, tzinfo=UTC)
"""Centre time of an actual acquisition of path 90, row 86 (ga_ls8c_ard_3 dataset 6241395f-f341-41b0-96b7-60f486c577d0),
from which the times of all other paths and rows are derived."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """Part of the region in one WRS-2 path and row.

    Attributes
    ----------
    path, row : int
        WRS-2 path and row.
    outline : shapely.Polygon
        Outline of the swath in UTM metres, clipped to the region.
    window : LatticeWindow
        Smallest window that contains the outline.
    """

    path: int
    row: int
    outline: BaseGeometry
    window: LatticeWindow

    @property
    def region_code(self) -> str:
        """Path and row as written by Digital Earth Australia, such as ``"090089"``."""
        return f"{self.path:03d}{self.row:03d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Acquisition:
    """Acquisition of a footprint.

    Attributes
    ----------
    footprint : Footprint
        The footprint.
    time : datetime.datetime
        Centre time in UTC.
    cycle : int
        Number of the 16-day repeat cycle, counted from that of the anchor acquisition.
    """

    footprint: Footprint
    time: datetime
    cycle: int

    @property
    def flight(self) -> int:
        """Number of the overpass, equal for all rows of one path and cycle."""
        return 1000 * self.footprint.path + self.cycle

    @property
    def label(self) -> str:
        """Label of the scene in the format of Digital Earth Australia; no actual scene has its version 0.0.0."""
        return f"ga_ls8c_ard_0-0-0_{self.footprint.region_code}_{self.time:%Y-%m-%d}_final"

    @property
    def sun(self) -> tuple[float, float]:
        """Azimuth and elevation of the sun at the centre of the footprint, as returned by `sun_position`."""
        centre = self.footprint.outline.centroid
        longitude = 147.0 + (centre.x - 500e3) / 82e3
        return sun_position(self.time, longitude, centre.y / 111e3)


def find_footprints(spec: DemoSpec) -> list[Footprint]:
    """Return the footprints that contain land of the region.

    Parameters
    ----------
    spec : DemoSpec
        Specification with paths, region and pixel size.

    Returns
    -------
    list of Footprint
        Footprints, sorted by path and row.
    """
    box = region_box(spec.region, spec.pixel_m)
    land = shapely.intersection(load_coast(), box)
    text = files("compute.demo").joinpath("wrs2.geojson").read_text(encoding="utf-8")
    found = []
    for feature in json.loads(text)["features"]:
        path, row = feature["properties"]["path"], feature["properties"]["row"]
        outline = shapely.intersection(to_utm(shapely.geometry.shape(feature["geometry"])), box)
        if path in spec.paths and outline.intersects(land):
            window = LatticeWindow.around_geometry(outline, spec.pixel_m)
            found.append(Footprint(path=path, row=row, outline=outline, window=window))
    return found


def list_acquisitions(footprint: Footprint, spec: DemoSpec) -> Iterator[Acquisition]:
    """Yield the acquisitions of a footprint in temporal order.

    Parameters
    ----------
    footprint : Footprint
        The footprint.
    spec : DemoSpec
        Specification with first and last UTC date.

    Yields
    ------
    Acquisition
        One acquisition every 16 days, at about 10:00 local solar time.
    """
    west, south = footprint.path - 90, footprint.row - 86
    phase = _ANCHOR + west * _NEXT_PATH_WEST + south * _NEXT_ROW_SOUTH
    start = datetime.combine(spec.start, datetime.min.time(), UTC)
    end = datetime.combine(spec.end, datetime.max.time(), UTC)
    cycle = -((phase - start) // _REVISIT)
    while (time := phase + cycle * _REVISIT) <= end:
        yield Acquisition(footprint=footprint, time=time, cycle=cycle)
        cycle += 1


def sun_position(time: datetime, longitude: float, latitude: float) -> tuple[float, float]:
    """Return the position of the sun, accurate to about one degree.

    Parameters
    ----------
    time : datetime.datetime
        Time in UTC.
    longitude, latitude : float
        Position in degrees.

    Returns
    -------
    azimuth, elevation : float
        Degrees clockwise from north, and degrees above the horizon.

    Notes
    -----
    Declination after Cooper (1969), *The absorption of radiation in solar stills*, Solar Energy 12. The equation of
    time, at most 16 minutes, is neglected.
    """
    day = time.timetuple().tm_yday
    declination = radians(23.45) * sin(2 * pi * (284 + day) / 365)
    solar_hours = (time.hour + time.minute / 60 + longitude / 15) % 24
    hour_angle, phi = radians(15 * (solar_hours - 12)), radians(latitude)
    elevation = asin(sin(phi) * sin(declination) + cos(phi) * cos(declination) * cos(hour_angle))
    ratio = (sin(declination) - sin(elevation) * sin(phi)) / (cos(elevation) * cos(phi))
    azimuth = degrees(acos(max(-1.0, min(1.0, ratio))))
    return azimuth if hour_angle < 0 else 360 - azimuth, degrees(elevation)
