"""Scene record: one dataset, reduced to what plans and tasks need of its index document."""

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
"""Local names of the properties that distinguish processings of one acquisition, and describe their scaling."""

_ENDINGS = ("baseline", "_applied")
"""Suffixes of operators' own names for such properties."""


def is_processing_property(name: str) -> bool:
    """Return whether a scene record keeps a property, by its local name (all that follows a colon)."""
    local = name.rpartition(":")[2]
    return local in NAMED_PROPERTIES or local.endswith(_ENDINGS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Pixel grid of one raster.

    Attributes
    ----------
    crs : str
        Coordinate reference system as an authority code, such as ``"EPSG:32655"``, or WKT where there is none.
    shape : tuple of int
        (rows, columns).
    transform : tuple of float
        (a, b, c, d, e, f) of the affine map from (column, row) to (x, y) in units of the CRS.
    """

    crs: str
    shape: tuple[int, int]
    transform: tuple[float, float, float, float, float, float]

    @property
    def geobox(self) -> GeoBox:
        """The grid as an odc-geo GeoBox."""
        return GeoBox(self.shape, Affine(*self.transform), self.crs)

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """(x, y) of the four corners, along the first row and back along the last."""
        (rows, columns), (a, b, c, d, e, f) = self.shape, self.transform
        ends = ((0, 0), (0, columns), (rows, columns), (rows, 0))
        return tuple((a * column + b * row + c, d * column + e * row + f) for row, column in ends)

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel size (y, x) in units of the CRS, both positive."""
        return abs(self.transform[4]), abs(self.transform[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """File, layer and grid of one measurement of one scene.

    Attributes
    ----------
    uri : str
        Absolute address, resolved by datacube's rules (``file://``, ``s3://``, ``https://``).
    index : int
        Band number in the file or layer, from 1; 0 for the only band of a layer.
    grid : Grid
        Pixel grid that is read: the band's own, which may differ between bands (Sentinel-2), or a coarser one over
        the same extent.
    stored : (int, int) or None
        (rows, columns) of the file where `grid` is coarser and read from its overviews; None where `grid` is the
        file's own.
    stated : Stated
        Scale, offset and nodata from the scene's document.
    layer : str
        Name of the variable in a netCDF or HDF5 file; empty where the file is the raster.
    """

    uri: str
    index: int
    grid: Grid
    stored: tuple[int, int] | None = None
    stated: Scaling = NO_SCALING
    layer: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Scene as a task needs it: product and files of its bands.

    Attributes
    ----------
    id : str
        UUID of the ODC dataset document.
    product : str
        Name of the ODC product.
    bands : mapping of str to Band
        Bands by canonical measurement name, for the roles of the request only.
    home : str
        Local folder of the document, below which its files may lie; empty where it is not a local file.
    """

    id: str
    product: str
    bands: Mapping[str, Band]
    home: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class UnreadScene:
    """Scene that cannot be read, with the reason.

    Attributes
    ----------
    scene : str
        UUID of the ODC dataset document.
    file : str
        Name of the file for people: relative to the scene's other files for a local one, else its address without
        credentials, query and fragment. Empty in records of earlier versions.
    reason : str
        Reason in words that end a sentence about the file, such as ``"does not exist"``.
    """

    scene: str
    file: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """Return a clause for people."""
        return f"{self.file} of scene {self.scene} {self.reason}" if self.file else f"scene {self.scene}"

    @classmethod
    def kept(cls, record: str | Mapping[str, str]) -> Self:
        """Return the record from JSON: a mapping of its fields, or the scene id alone as in earlier versions."""
        return cls(scene=record) if isinstance(record, str) else cls(**record)


def unique_unread(unread: Iterable[UnreadScene]) -> list[UnreadScene]:
    """Return one record for each scene, sorted; different blocks may report different files of a scene."""
    return list({each.scene: each for each in sorted(unread, reverse=True)}.values())[::-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """One ODC dataset, reduced to what a plan needs.

    Attributes
    ----------
    source : Source
        Product and files, which tasks read.
    platform : str
        ``eo:platform`` of the document, such as ``"landsat-8"``.
    time : datetime.datetime
        Centre of the acquisition as datacube computes it (`Dataset.center_time`), timezone-aware UTC.
    solar_day : datetime.date
        Local solar day at the longitude of the centre of its grid; see `compute.catalog.solar_time`.
    footprint : shapely.Polygon or shapely.MultiPolygon
        Outline of the valid data in the CRS of `crs`.
    crs : str
        CRS of `footprint`, the document's own.
    maturity : str
        ``dea:dataset_maturity`` (``"final"``, ``"interim"``, ``"nrt"``), empty where the document has none.
    processed : datetime.datetime or None
        Time of processing, UTC; None where the document does not state it.
    synthetic : bool
        Whether the document declares the scene synthetic (``greenup:synthetic``).
    region_code : str
        ``odc:region_code`` of the document (path and row, or tile), empty where it has none.
    properties : mapping of str to str, bool or float
        Properties of the document by their full names, as far as `is_processing_property` keeps them, and ``label``,
        the label of the document.
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
