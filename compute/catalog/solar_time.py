"""Acquisition times in UTC, and solar days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any

import dateutil.parser
import numpy as np
import shapely
from datacube.utils.documents import get_doc_offset
from pyproj import CRS, Transformer
from shapely.geometry.base import BaseGeometry

from compute.scenes import Grid

DATE_LINE = -177.0
"""Longitude at which the solar day changes: east of Fiji and Wrangel Island, west of Tonga and Samoa. At 180 degrees, a
pass over Fiji would be split into two days; further east, more solar days would differ from those of datacube."""

_SECONDS_PER_DEGREE = 240
"""Seconds of a day per degree of longitude: 86400 s / 360 degrees."""

_HALF_TURN = 180.0


def read_time(value: str | datetime) -> datetime:
    """Parse a time in a document; a time without a time zone is interpreted as UTC, as in datacube.

    Parameters
    ----------
    value : str or datetime.datetime
        Time in ISO 8601 or another format that dateutil supports. A missing month or day defaults to 1.

    Returns
    -------
    datetime.datetime
        Timezone-aware time in UTC.

    Raises
    ------
    ValueError
        The value is not a time, or its time zone is a name without a known offset.
    """
    moment = value if isinstance(value, datetime) else _parse(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _parse(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        first = datetime(1, 1, 1)  # noqa: DTZ001 - naive, so that a missing time zone remains missing
        moment: datetime = dateutil.parser.parse(text, default=first, tzinfos=_parse_zone)
        return moment


def _parse_zone(name: str | None, offset: int | None) -> timezone | None:
    """Return a time zone by its offset; by default, dateutil also interprets names of the machine's time zone."""
    if name is None and offset is None:
        return None
    if offset is None:
        raise ValueError(f"the zone {str(name)[:20]} of a time has no offset; give one, such as +10:00")
    return timezone(timedelta(seconds=offset))


def read_span(field: Any, document: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Read the start and end times of an acquisition.

    Parameters
    ----------
    field : datacube.drivers.postgres._fields.DateRangeDocField
        Search field ``time`` of the product. Its method `extract` (datacube 1.9) cannot compare times with and without
        a time zone, and is not used.
    document : mapping
        EO3 document.

    Returns
    -------
    (datetime.datetime, datetime.datetime)
        Earliest start and latest end, in UTC.

    Raises
    ------
    ValueError
        The start or end time is missing or cannot be parsed.
    """
    begins, ends = (list(_read_times(each.offset, document)) for each in (field.lower, field.greater))
    if not (begins and ends):
        raise ValueError("it has no time")
    return min(begins), max(ends)


def _read_times(offsets: Any, document: Mapping[str, Any]) -> Iterator[datetime]:
    for offset in [offsets] if isinstance(offsets[0], str) else offsets:
        value = get_doc_offset(offset, dict(document))
        if value is not None:
            yield read_time(value)


def solar_day(time: datetime, longitude: float) -> date:
    """Return the solar day as `datacube.api.query.solar_day`, but with the date line at `DATE_LINE`.

    Parameters
    ----------
    time : datetime.datetime
        Time in UTC.
    longitude : float
        Longitude in degrees, in any range.
    """
    degrees = (longitude - DATE_LINE) % 360 + DATE_LINE
    return (time + timedelta(seconds=int(degrees * _SECONDS_PER_DEGREE))).date()


def centre_longitude(grid: Grid, footprint: BaseGeometry) -> float:
    """Return the longitude of the centre of a scene.

    The centre of its grid is used, so that all scenes of a tile have the same longitude. If a grid in degrees is wider
    than 180 degrees, the middle of the shortest arc that contains the footprint is used instead.

    Parameters
    ----------
    grid : Grid
        Grid of the scene.
    footprint : shapely geometry
        Footprint in the CRS of the grid.

    Returns
    -------
    float
        Longitude in degrees; not finite if the centre of the grid has no geographic position.
    """
    transformer, in_degrees = _to_degrees(grid.crs)
    (left, top), _, (right, bottom), _ = grid.corners
    if in_degrees and abs(right - left) > _HALF_TURN:
        return _middle_of_arc(footprint)
    return float(transformer.transform((left + right) / 2, (top + bottom) / 2)[0])


@cache
def _to_degrees(crs: str) -> tuple[Transformer, bool]:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True), CRS(crs).is_geographic


def _middle_of_arc(footprint: BaseGeometry) -> float:
    """Return the middle of the shortest arc of longitudes that contains all parts of a footprint, in degrees."""
    bounds = shapely.bounds(shapely.get_parts(footprint))
    west, east = bounds[np.argsort(bounds[:, 0])][:, [0, 2]].T
    reach = np.maximum.accumulate(east)
    gaps = np.append(west[1:], west[0] + 360) - reach
    widest = int(np.argmax(gaps))
    return float(west[(widest + 1) % len(west)] + (360 - gaps[widest]) / 2)
