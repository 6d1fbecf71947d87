"""Scene records: the parts of a dataset document that plans and tasks need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Self

from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from compute.products.scaling import NO_SCALING, Scaling

Property = str | bool | float
"""Value of a property of a dataset document."""

NAMED_PROPERTIES = frozenset(
    ("processing_baseline", "boa_offset_applied", "processing_version", "product_id", "product_uri", "tile_id")
)
"""Properties, without their prefixes, that identify the processing of an acquisition or determine its scaling."""

_ENDINGS = ("baseline", "_applied")
"""Suffixes of other names of such properties, which differ between data providers."""


def is_processing_property(name: str) -> bool:
    """Return whether scene records keep a property, by its name without the prefix that ends in a colon."""
    local = name.rpartition(":")[2]
    return local in NAMED_PROPERTIES or local.endswith(_ENDINGS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Pixel grid of one raster.

    Attributes
    ----------
    crs : str
        Coordinate reference system: an authority code such as ``"EPSG:32655"``, or WKT if it has no code.
    shape : tuple of int
        (rows, columns).
    transform : tuple of float
        Coefficients (a, b, c, d, e, f) of the affine transform from (column, row) to (x, y) in units of the CRS.
    """

    crs: str
    shape: tuple[int, int]
    transform: tuple[float, float, float, float, float, float]

    @property
    def geobox(self) -> GeoBox:
        """odc-geo GeoBox of the grid."""
        return GeoBox(self.shape, Affine(*self.transform), self.crs)

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Coordinates (x, y) of the four corners, along the first row and back along the last row."""
        (rows, columns), (a, b, c, d, e, f) = self.shape, self.transform
        ends = ((0, 0), (0, columns), (rows, columns), (rows, 0))
        return tuple((a * column + b * row + c, d * column + e * row + f) for row, column in ends)

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel size (y, x), both positive, in units of the CRS."""
        return abs(self.transform[4]), abs(self.transform[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Raster of one measurement of one scene: file, layer, band and pixel grid.

    Attributes
    ----------
    uri : str
        Absolute address (``file://``, ``s3://``, ``https://``), resolved as in datacube.
    index : int
        Band number in the file or layer; the first is 1. 0 for a layer with a single band.
    grid : Grid
        Pixel grid to read: the grid of the file, which may differ between bands (Sentinel-2), or a coarser grid of the
        same extent.
    stored : (int, int) or None
        (rows, columns) of the file if `grid` is coarser, so that overviews are read; None if `grid` is the grid of the
        file.
    stated : Scaling
        Scale, offset and nodata from the scene's document.
    layer : str
        Name of the variable in a netCDF or HDF5 file; empty for other formats.
    """

    uri: str
    index: int
    grid: Grid
    stored: tuple[int, int] | None = None
    stated: Scaling = NO_SCALING
    layer: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Product and bands of a scene, as needed by tasks.

    Attributes
    ----------
    id : str
        UUID of the ODC dataset document.
    product : str
        Name of the ODC product.
    bands : mapping of str to Band
        Bands by canonical measurement name, limited to measurements with a role in the request.
    home : str
        Local folder of the document, below which its files may lie; empty if the document is not a local file.
    """

    id: str
    product: str
    bands: Mapping[str, Band]
    home: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class UnreadScene:
    """Record of a scene that could not be read.

    Attributes
    ----------
    scene : str
        UUID of the ODC dataset document.
    file : str
        Name of the unreadable file, for display: for a local file relative to the other files of the scene, else the
        address without credentials, query and fragment. Empty in records of earlier versions.
    reason : str
        Predicate of a sentence about the file, such as ``"does not exist"``.
    """

    scene: str
    file: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """Return scene, file and reason as a clause for display."""
        return f"{self.file} of scene {self.scene} {self.reason}" if self.file else f"scene {self.scene}"

    @classmethod
    def kept(cls, record: str | Mapping[str, str]) -> Self:
        """Create a record from its JSON form: a mapping of fields, or, from earlier versions, the scene id."""
        return cls(scene=record) if isinstance(record, str) else cls(**record)


def unique_unread(unread: Iterable[UnreadScene]) -> list[UnreadScene]:
    """Return one record per scene, in sorted order; blocks may report different files of the same scene."""
    return list({each.scene: each for each in sorted(unread, reverse=True)}.values())[::-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Record of one ODC dataset, as needed by plans.

    Attributes
    ----------
    source : Source
        Product and bands, which are passed to tasks.
    platform : str
        ``eo:platform`` of the document, such as ``"landsat-8"``.
    time : datetime.datetime
        Centre of the acquisition as datacube computes it (`Dataset.center_time`), timezone-aware UTC.
    solar_day : datetime.date
        Local solar day at the longitude of the centre of the scene's grid; see `compute.catalog.solar_time`.
    footprint : shapely.Polygon or shapely.MultiPolygon
        Footprint of the valid data, in `crs`.
    crs : str
        CRS of the footprint and of the document.
    maturity : str
        ``dea:dataset_maturity`` of the document (``"final"``, ``"interim"``, ``"nrt"``); empty if not stated.
    processed : datetime.datetime or None
        Time of processing in UTC; None if not stated.
    synthetic : bool
        Whether the document declares the scene synthetic (``greenup:synthetic``).
    region_code : str
        ``odc:region_code`` of the document (path and row, or tile); empty if not stated.
    properties : mapping of str to str, bool or float
        Properties of the document that `is_processing_property` selects, by full name, and its label as ``label``.
    """

    source: Source
    platform: str
    time: datetime
    solar_day: date
    footprint: BaseGeometry
    crs: str
    maturity: str = ""
    processed: datetime | None = None
    synthetic: bool = False
    region_code: str = ""
    properties: Mapping[str, Property] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """UUID of the ODC dataset document."""
        return self.source.id

    @property
    def product(self) -> str:
        """Name of the ODC product."""
        return self.source.product
