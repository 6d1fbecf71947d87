"""From an EO3 dataset document to a scene, with the values that datacube itself would give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from datacube.model import Product
from datacube.utils.dates import parse_time
from datacube.utils.uris import uri_resolve
from odc.geo import CRS
from shapely.errors import ShapelyError
from shapely.geometry import Polygon, shape
from shapely.geometry.base import BaseGeometry

from compute.products import Stated
from compute.products.scaling import NOTHING_STATED
from compute.scenes import NAMED_PROPERTIES, Band, Grid, Property, Scene, Source

Document = Mapping[str, Any]

UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, ShapelyError)
"""What datacube, pyproj, shapely and this module raise on a document that is not as it should be."""

_SOLAR_SECONDS_PER_DEGREE = 240
"""A day turned by 360 degrees."""


class SceneReader:
    """Reads the scenes of one product, sharing the grids that are equal.

    The properties of a `datacube.model.Dataset` evaluate every search field for each access, half a millisecond
    each time. This evaluates the two fields it needs.

    Parameters
    ----------
    product : datacube.model.Product
        As the index gives it.
    measurements : sequence of str
        Canonical names of the bands to describe.
    """

    def __init__(self, product: Product, measurements: Sequence[str]) -> None:
        fields = product.metadata_type.dataset_fields
        self._product = product.name
        self._measurements = measurements
        self._time: Any = fields["time"]
        self._longitude: Any = fields["lon"]
        self._grids: dict[tuple[Any, ...], Grid] = {}
        self._crs: dict[str, str] = {}

    def read(self, document: Document, location: str) -> Scene:
        """Read one document.

        Parameters
        ----------
        document : mapping
            An EO3 document as it is stored in an index: with ``extent`` and ``grid_spatial``.
        location : str
            Address of the document; paths of bands are relative to it.

        Returns
        -------
        Scene
            With `time`, `solar_day`, footprint and addresses as datacube has them.

        Raises
        ------
        Exception
            One of `UNREADABLE`: the document lacks something, or stores a band in a way that cannot be read.
        """
        properties = document["properties"]
        time = self._centre(document)
        crs = self._crs_code(document["crs"])
        bands = {name: self._band(document, name, crs, location) for name in self._measurements}
        return Scene(
            source=Source(id=str(document["id"]), product=self._product, bands=bands),
            platform=str(properties.get("eo:platform", "")),
            time=time,
            solar_day=(time + self._solar_offset(document)).date(),
            footprint=_footprint(document),
            crs=crs,
            maturity=str(properties.get("dea:dataset_maturity", "")),
            synthetic=properties.get("greenup:synthetic") is True,
            region_code=str(properties.get("odc:region_code") or ""),
            properties=dict(_named_properties(document)),
        )

    def _centre(self, document: Document) -> datetime:
        """Return the middle of the acquisition, in UTC, as `Dataset.center_time` does."""
        span = self._time.extract(document)
        begin, end = parse_time(span.begin), parse_time(span.end)
        return (begin + (end - begin) // 2).astimezone(UTC)

    def _solar_offset(self, document: Document) -> timedelta:
        """Return local solar time less UTC at the middle longitude, as `datacube.api.query.solar_day` does."""
        span = self._longitude.extract(document)
        middle = (span.begin + span.end) * 0.5
        return timedelta(seconds=int(middle * _SOLAR_SECONDS_PER_DEGREE))

    def _band(self, document: Document, name: str, crs: str, location: str) -> Band:
        entry = document["measurements"][name]
        return Band(
            uri=uri_resolve(location, entry.get("path")),
            index=_band_number(name, entry),
            grid=self._grid(document["grids"][entry.get("grid", "default")], crs),
            stated=_stated(entry),
        )

    def _grid(self, entry: Document, crs: str) -> Grid:
        rows, columns = entry["shape"]
        key = (crs, rows, columns, *entry["transform"][:6])
        grid = self._grids.get(key)
        if grid is None:
            a, b, c, d, e, f = (float(number) for number in key[3:])
            grid = self._grids[key] = Grid(crs=crs, shape=(int(rows), int(columns)), transform=(a, b, c, d, e, f))
        return grid

    def _crs_code(self, text: str) -> str:
        code = self._crs.get(text)
        if code is None:
            crs = CRS(text)
            code = self._crs[text] = crs.to_wkt() if crs.epsg is None else f"EPSG:{crs.epsg}"
        return code


def local_first(locations: Sequence[str]) -> str:
    """Return the location that datacube reads a dataset from: the newest local one, else the newest."""
    return next((location for location in locations if location.startswith("file:")), locations[0])


def missing_measurements(document: Document, names: Iterable[str]) -> list[str]:
    """Return which of some measurements an EO3 document does not have, sorted."""
    return sorted(set(names) - set(document.get("measurements") or {}))


def _named_properties(document: Document) -> Iterator[tuple[str, Property]]:
    """Yield what `Scene.properties` holds, by full name; a list or a null is no value."""
    if isinstance(document.get("label"), str):
        yield "label", document["label"]
    for name, value in document["properties"].items():
        if name.rpartition(":")[2] in NAMED_PROPERTIES and isinstance(value, str | bool | int | float):
            yield name, value


def _footprint(document: Document) -> BaseGeometry:
    geometry = document.get("geometry")
    if geometry is not None:
        outline = shape(geometry)
        if outline.length == 0:
            raise ValueError("its geometry has no extent")
        return outline
    grid = document["grids"]["default"]
    rows, columns = grid["shape"]
    a, b, c, d, e, f = grid["transform"][:6]
    corners = [(0, 0), (columns, 0), (columns, rows), (0, rows)]
    return Polygon([(a * x + b * y + c, d * x + e * y + f) for x, y in corners])


def _band_number(name: str, entry: Document) -> int:
    """Return the band in its file, from 1, as `datacube.storage.BandInfo` reads ``band`` and ``layer``."""
    number = entry.get("band", entry.get("layer", 1))
    if not isinstance(number, int) or isinstance(entry.get("layer"), str):
        raise NotImplementedError(f"the measurement {name} is a named layer of its file, not a numbered band")
    return number


def _stated(entry: Document) -> Stated:
    """Return scale, offset and nodata that a document states of a measurement, as EO3 or as STAC's raster extension."""
    bands = entry.get("raster:bands") or [{}]
    found = {**bands[min(int(entry.get("band", 1)), len(bands)) - 1], **entry}
    scale, offset = found.get("scale_factor", found.get("scale")), found.get("add_offset", found.get("offset"))
    numbers = [None if value is None else float(value) for value in (scale, offset, found.get("nodata"))]
    return (
        NOTHING_STATED
        if numbers == [None, None, None]
        else Stated(scale=numbers[0], offset=numbers[1], nodata=numbers[2])
    )
