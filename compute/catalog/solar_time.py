"""Acquisition times in UTC, and local solar days."""

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
pass over Fiji would be cut in two, its scenes dated a day apart; further east, more days would not be datacube's."""

_SECONDS_PER_DEGREE = 240
"""A day turned by 360 degrees."""

_HALF_TURN = 180.0


def read_time(value: str | datetime) -> datetime:
    """Read a time of a document; without a zone it is UTC, as for datacube, whatever this machine's own zone.

    Parameters
    ----------
    value : str or datetime.datetime
        ISO 8601, or another form that dateutil reads; month and day are the first where they are left out.

    Returns
    -------
    datetime.datetime
        UTC, timezone-aware.

    Raises
    ------
    ValueError
        It is no time, or its zone has a name in place of an offset.
    """
    moment = value if isinstance(value, datetime) else _parse(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _parse(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        first = datetime(1, 1, 1)  # noqa: DTZ001 - without a zone, which is told from none
        moment: datetime = dateutil.parser.parse(text, default=first, tzinfos=_zone)
        return moment


def _zone(name: str | None, offset: int | None) -> timezone | None:
    """Return a zone by its offset; left to itself, dateutil takes a name for this machine's zone where it has it."""
    if name is None and offset is None:
        return None
    if offset is None:
        raise ValueError(f"the zone {str(name)[:20]} of a time has no offset; give one, such as +10:00")
    return timezone(timedelta(seconds=offset))


def read_span(field: Any, document: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Read when an acquisition began and ended.

    Parameters
    ----------
    field : datacube.drivers.postgres._fields.DateRangeDocField
        The search field ``time`` of the product. Its own `extract` cannot compare times with a zone to some without.
    document : mapping
        An EO3 document.

    Raises
    ------
    ValueError
        There is no time, or one cannot be read.
    """
    begins, ends = (list(_times(each.offset, document)) for each in (field.lower, field.greater))
    if not (begins and ends):
        raise ValueError("it has no time")
    return min(begins), max(ends)


def _times(offsets: Any, document: Mapping[str, Any]) -> Iterator[datetime]:
    for offset in [offsets] if isinstance(offsets[0], str) else offsets:
        value = get_doc_offset(offset, dict(document))
        if value is not None:
            yield read_time(value)


def solar_day(time: datetime, longitude: float) -> date:
    """Return the local solar day, counted across 180 degrees to `DATE_LINE`.

    Parameters
    ----------
    time : datetime.datetime
        UTC.
    longitude : float
        Degrees; whole turns do not matter.
    """
    degrees = (longitude - DATE_LINE) % 360 + DATE_LINE
    return (time + timedelta(seconds=int(degrees * _SECONDS_PER_DEGREE))).date()


def centre_longitude(grid: Grid, footprint: BaseGeometry) -> float:
    """Return the longitude of the middle of a scene.

    It is that of the middle of the grid, so scenes of one tile have one longitude however much of it they show. Where
    a grid in degrees goes round the Earth, it is the middle of the shortest arc that holds the footprint.

    Parameters
    ----------
    grid : Grid
        Of the scene.
    footprint : shapely geometry
        In the CRS of the grid.

    Returns
    -------
    float
        Degrees; not finite where the middle of the grid lies nowhere on Earth.
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
    """Return the middle of what the widest gap between the parts of a footprint, in degrees, leaves of the circle."""
    bounds = shapely.bounds(shapely.get_parts(footprint))
    west, east = bounds[np.argsort(bounds[:, 0])][:, [0, 2]].T
    reach = np.maximum.accumulate(east)
    gaps = np.append(west[1:], west[0] + 360) - reach
    widest = int(np.argmax(gaps))
    return float(west[(widest + 1) % len(west)] + (360 - gaps[widest]) / 2)
