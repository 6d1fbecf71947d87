"""Conversion of EO3 dataset documents to scenes, with the same values as in datacube."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from math import isfinite
from typing import Any

from datacube.model import Product
from odc.geo import CRS
from shapely.errors import ShapelyError
from shapely.geometry import Polygon, shape
from shapely.geometry.base import BaseGeometry

from compute.catalog.document_limits import DocumentError, refuse_crs, refuse_grid
from compute.catalog.solar_time import centre_longitude, read_span, read_time, solar_day
from compute.files.addresses import document_folder, join_path, part_number
from compute.products.scaling import NO_SCALING, Scaling
from compute.scenes import Band, Grid, Property, Scene, Source, is_processing_property

Document = Mapping[str, Any]

UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    ShapelyError,
)
"""Exceptions that datacube, pyproj, shapely and this module raise for malformed documents."""

_PROCESSED = ("odc:processing_datetime", "processing:datetime", "s2:generation_time", "created")
"""Properties with the processing time, in order of preference."""


class SceneReader:
    """Converter of the documents of one product to scenes; equal grids are shared between scenes.

    In datacube 1.9, each access to a property of `datacube.model.Dataset` evaluates all search fields, which takes half
    a millisecond. This class only evaluates the fields ``time`` and ``lon``.

    Parameters
    ----------
    product : datacube.model.Product
        Product in the index.
    measurements : sequence of str
        Canonical names of the bands to include.
    """

    def __init__(self, product: Product, measurements: Sequence[str]) -> None:
        fields = product.metadata_type.dataset_fields
        self._product = product.name
        self._measurements = measurements
        self._time: Any = fields["time"]
        self._longitude: Any = fields["lon"]
        self._grids: dict[tuple[Any, ...], Grid] = {}
        self._crs: dict[str, str] = {}

    def read_scene(self, document: Document, location: str) -> Scene:
        """Convert one document.

        Parameters
        ----------
        document : mapping
            EO3 document as stored in an index, with ``extent`` and ``grid_spatial``.
        location : str
            Address of the document; band paths are relative to it.

        Returns
        -------
        Scene
            Scene with the same time, footprint and addresses as `datacube.model.Dataset`.

        Raises
        ------
        Exception
            One of `UNREADABLE`: the document is malformed, lacks a required part, or describes an unsupported band.
        """
        properties = document["properties"]
        begin, end = read_span(self._time, document)
        time = begin + (end - begin) // 2
        crs = self._crs_code(document["crs"])
        footprint = _footprint(document)
        bands = {name: self.read_band(document, name, location) for name in self._measurements}
        return Scene(
            source=Source(id=str(document["id"]), product=self._product, bands=bands, home=document_folder(location)),
            platform=str(properties.get("eo:platform") or properties.get("platform") or ""),
            time=time,
            solar_day=solar_day(time, self._centre_longitude(document, crs, footprint)),
            footprint=footprint,
            crs=crs,
            maturity=str(properties.get("dea:dataset_maturity") or ""),
            processed=_processing_time(properties),
            synthetic=properties.get("greenup:synthetic") is True,
            region_code=str(properties.get("odc:region_code") or ""),
            properties=dict(_processing_properties(document)),
        )

    def _centre_longitude(self, document: Document, crs: str, footprint: BaseGeometry) -> float:
        """Return the longitude of the scene's centre, from the search field ``lon`` if the grid does not give it."""
        middle = centre_longitude(self._grid(document["grids"]["default"], crs), footprint)
        if isfinite(middle):
            return middle
        span = self._longitude.extract(document)
        return float(span.begin + span.end) / 2

    def read_band(self, document: Document, name: str, location: str) -> Band:
        """Return the band (file, band number, layer, grid and scaling) of a measurement.

        Parameters
        ----------
        document : mapping
            EO3 document as stored in an index.
        name : str
            Canonical name of the measurement.
        location : str
            Address of the document; the band's path is relative to it.

        Raises
        ------
        Exception
            As for `read_scene`.
        """
        entry = document["measurements"].get(name)
        if not isinstance(entry, Mapping):
            raise DocumentError(f"It has no measurement {name}")
        on = entry.get("grid", "default")
        if not document["grids"].get(on):
            raise DocumentError(f"Its measurement {name} lies on the grid {on!r}, which it does not have")
        index, layer = _band_and_layer(document, name, location)
        return Band(
            uri=join_path(location, entry.get("path")),
            index=index,
            grid=self._grid(document["grids"][on], self._crs_code(document["crs"])),
            layer=layer,
            stated=_read_scaling(entry),
        )

    def _grid(self, entry: Document, crs: str) -> Grid:
        rows, columns = entry["shape"]
        refuse_grid(entry)
        key = (crs, rows, columns, *entry["transform"][:6])
        grid = self._grids.get(key)
        if grid is None:
            a, b, c, d, e, f = (float(number) for number in key[3:])
            grid = self._grids[key] = Grid(crs=crs, shape=(int(rows), int(columns)), transform=(a, b, c, d, e, f))
        return grid

    def _crs_code(self, text: str) -> str:
        code = self._crs.get(text)
        if code is None:
            refuse_crs(text)
            crs = CRS(text)
            code = self._crs[text] = crs.to_wkt() if crs.epsg is None else f"EPSG:{crs.epsg}"
        return code


def describe_document_error(error: Exception, document: str) -> str:
    """Return the reason why a document is unusable, as a sentence without full stop.

    Parameters
    ----------
    error : Exception
        One of `UNREADABLE`.
    document : str
        Subject of the sentence, such as ``"The document"``.
    """
    words = str(error).strip().partition("\n")[0].rstrip(".")
    if isinstance(error, DocumentError):
        return f"{document} cannot be used: {words[0].lower()}{words[1:]}"
    return f"{document} cannot be read as EO3 ({type(error).__name__}: {words})"


def choose_location(locations: Sequence[str]) -> str:
    """Return the location from which datacube reads a dataset: the newest local location, else the newest."""
    return next((location for location in locations if location.startswith("file:")), locations[0])


def _processing_time(properties: Document) -> datetime | None:
    """Return the processing time of a scene; None if it is missing or cannot be parsed."""
    for name in _PROCESSED:
        if properties.get(name):
            with suppress(ValueError, TypeError, OverflowError):
                return read_time(properties[name])
    return None


def _processing_properties(document: Document) -> Iterator[tuple[str, Property]]:
    """Yield (full name, value) for each entry of `Scene.properties`, without lists and nulls."""
    if isinstance(document.get("label"), str):
        yield "label", document["label"]
    for name, value in document["properties"].items():
        if is_processing_property(name) and isinstance(value, str | bool | int | float):
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


def _band_and_layer(document: Document, name: str, location: str) -> tuple[int, str]:
    """Return band number and layer in the file, interpreted as in `datacube.storage.BandInfo`."""
    entry = document["measurements"][name]
    number, layer = entry.get("band"), entry.get("layer")
    if number is None and isinstance(layer, int):
        number, layer = layer, None
    if not (number is None or isinstance(number, int)) or not (layer is None or isinstance(layer, str)):
        raise DocumentError(f"Its measurement {name} is in band {number!r} and layer {layer!r}, which is not valid")
    layer = layer if layer and _has_layers(document) else ""
    if number is None and not entry.get("path"):
        part = part_number(location)
        number = None if part is None else part + 1
    return number or (0 if layer else 1), layer


def _has_layers(document: Document) -> bool:
    """Return whether the file format supports layers; datacube ignores layers of other formats."""
    stored = str(document["properties"].get("odc:file_format") or "netCDF").lower()
    return "netcdf" in stored or "hdf" in stored


def _read_scaling(entry: Document) -> Scaling:
    """Return the scaling that a document states for a measurement, in EO3 or STAC raster extension keys."""
    bands = entry.get("raster:bands") or [{}]
    found = {**bands[min(int(entry.get("band") or 1), len(bands)) - 1], **entry}
    values = found.get("scale_factor", found.get("scale")), found.get("add_offset", found.get("offset"))
    scale, offset, nodata = (None if value is None else float(value) for value in (*values, found.get("nodata")))
    stated = Scaling(scale=scale, offset=offset, nodata=nodata)
    return NO_SCALING if stated == NO_SCALING else stated
