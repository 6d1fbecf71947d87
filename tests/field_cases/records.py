"""Records of a field case: files in an archive, the request, and the correct numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
"""(clear count, mean) by season label, each (y, x) on the ground of the case; a mean is NaN where nothing is clear."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """North-up pixel grid.

    Attributes
    ----------
    crs : str
        Authority code.
    left, top : float
        Coordinates of the upper left corner, in units of the CRS.
    pixel : float
        Edge of a pixel, in units of the CRS.
    shape : (int, int)
        (rows, columns).
    """

    crs: str = "EPSG:32756"
    left: float = 399_960.0
    top: float = 6_250_020.0
    pixel: float = 30.0
    shape: tuple[int, int] = (2, 4)

    @property
    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates x and y of the pixel centres, each (y, x)."""
        rows, columns = self.shape
        x = self.left + (np.arange(columns) + 0.5) * self.pixel
        y = self.top - (np.arange(rows) + 0.5) * self.pixel
        return tuple(np.meshgrid(x, y))  # type: ignore[return-value]

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Closed ring of the outline."""
        right, bottom = self.left + self.pixel * self.shape[1], self.top - self.pixel * self.shape[0]
        return [(self.left, self.top), (right, self.top), (right, bottom), (self.left, bottom), (self.left, self.top)]


GROUND = Ground()
"""2 x 4 pixels of 30 m near Sydney, 152 degrees east; corners are multiples of 60 m and 30 m."""


@dataclass(frozen=True, kw_only=True)
class File:
    """Band on disk; fields with their defaults are not stated in the file.

    Attributes
    ----------
    values : array
        (y, x) stored values.
    dtype : str or None
        NumPy data type in the file; None for that of the product definition.
    nodata, scale, offset : float or None
        Tags of the file.
    path : str
        Path in the document; empty for ``MEASUREMENT.tif``.
    name : str
        Name of the file on disk, if it differs from `path`.
    driver : str
        GDAL's short name of the format.
    zoom : float
        Edge of a pixel, relative to the scene's grid.
    entry : mapping
        Further keys of the measurement in the document.
    content : bytes or None
        Content in place of a raster; None for the raster, empty for no file.
    """

    values: ArrayLike
    dtype: str | None = None
    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None
    path: str = ""
    name: str = ""
    driver: str = "GTiff"
    zoom: float = 1.0
    entry: Mapping[str, Any] = field(default_factory=dict)
    content: bytes | None = None


def _same(document: dict[str, Any]) -> None:
    """Leave a document unchanged."""


@dataclass(frozen=True, kw_only=True)
class SceneFiles:
    """Dataset document with its files.

    Attributes
    ----------
    name : str
        Label, and name of the folder.
    time : str
        ``datetime`` of the document.
    bands : mapping of str to File
        Files by measurement.
    ground : Ground or None
        Grid of the bands; None for that of the case.
    geometry : mapping, "grid" or None
        ``geometry`` of the document; "grid" for the outline of the grid, None for no geometry.
    properties : mapping
        Changes of the document's properties; None removes one.
    product : str
        Suffix of the product's name, if a case has several products.
    id : str or None
        UUID; None for one derived from the names.
    change : callable
        Function that edits the finished document in place.
    """

    name: str
    time: str
    bands: Mapping[str, File]
    ground: Ground | None = None
    geometry: Mapping[str, Any] | str | None = "grid"
    properties: Mapping[str, Any] = field(default_factory=dict)
    product: str = ""
    id: str | None = None
    change: Callable[[dict[str, Any]], None] = _same


@dataclass(frozen=True, kw_only=True)
class FieldCase:
    """One row of the table.

    Attributes
    ----------
    name : str
        Short unique name; the product is called ``field_NAME``.
    why : str
        The rule, and its source.
    products : mapping of str to mapping
        Measurements by name as in a product definition, by suffix of the product's name.
    profile : str
        ``products.toml``: the body of the product's table, or whole tables if it begins with ``[``; ``NAME`` stands for
        the product's name.
    scenes : tuple of SceneFiles
        Scenes to index.
    expected : mapping
        Correct numbers; empty if only a refusal is correct.
    request : mapping of str to str
        Fields of the request as text, where they differ from the usual ones.
    ground : Ground
        Grid of the numbers, and the requested box.
    refusal : tuple of str
        Parts of the sentence of a refusal, case-insensitive. With `expected`, either outcome is correct.
    says : tuple of str
        Parts of the sentences of the plan, case-insensitive.
    names : tuple of str
        Files or documents that are reported as left out, in addition to the numbers.
    secrets : tuple of str
        Parts of addresses that must not appear in any message.
    environment : mapping of str to str
        Environment variables, such as ``TZ``.
    by_oracle : bool
        Whether the oracle supports the files and grids.
    """

    name: str
    why: str
    products: Mapping[str, Mapping[str, Mapping[str, Any]]]
    profile: str
    scenes: tuple[SceneFiles, ...]
    expected: Numbers = field(default_factory=dict)
    request: Mapping[str, str] = field(default_factory=dict)
    ground: Ground = GROUND
    refusal: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    by_oracle: bool = True

    def product(self, suffix: str = "") -> str:
        """Return the name of a product."""
        return f"field_{self.name}{suffix}"

    @property
    def fields(self) -> dict[str, str]:
        """Fields of the request as text."""
        usual = {
            "products": ",".join(self.product(suffix) for suffix in self.products),
            "time": "2018-12-01/2019-02-28",
            "crs": "native",
            "by": "season-year",
        }
        return usual | dict(self.request)
