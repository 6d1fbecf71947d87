"""The one pixel lattice that all demo scenes share, and windows on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, floor

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import rasterize
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

CRS = "EPSG:32655"
"""Digital Earth Australia keeps to the northern zones, so northings over Tasmania are negative."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LatticeWindow:
    """A rectangle of the lattice on which pixel (row, column) has its centre at (column, -row) * pixel_m.

    Centres on whole multiples of the pixel size are how Digital Earth Australia aligns Landsat.

    Attributes
    ----------
    pixel_m : int
        Edge of a pixel in metres.
    row, column : int
        Lattice position of the upper left pixel.
    shape : (int, int)
        Rows and columns.
    """

    pixel_m: int
    row: int
    column: int
    shape: tuple[int, int]

    @classmethod
    def around(cls, geometry: BaseGeometry, pixel_m: int) -> LatticeWindow:
        """Return the least window that holds every pixel touched by a geometry in UTM metres."""
        west, south, east, north = geometry.bounds
        column, row = floor(west / pixel_m + 0.5), floor(-north / pixel_m + 0.5)
        shape = ceil(-south / pixel_m + 0.5) - row, ceil(east / pixel_m + 0.5) - column
        return cls(pixel_m=pixel_m, row=row, column=column, shape=shape)

    @property
    def transform(self) -> Affine:
        """Map from (column, row) of the window's corners to UTM metres."""
        size = self.pixel_m
        return Affine(size, 0, (self.column - 0.5) * size, 0, -size, -(self.row - 0.5) * size)

    def burn(self, geometry: BaseGeometry) -> NDArray[np.uint8]:
        """Return 1 where the pixel centre lies in a geometry in UTM metres, else 0; (rows, columns)."""
        burnt: NDArray[np.uint8] = rasterize([geometry], self.shape, transform=self.transform, dtype="uint8")
        return burnt


@cache
def _transformer() -> Transformer:
    return Transformer.from_crs("EPSG:4326", CRS, always_xy=True)


def to_utm(geometry: BaseGeometry) -> BaseGeometry:
    """Return a geometry in degrees (longitude, latitude) as UTM metres, vertex by vertex."""

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(_transformer().transform(points[:, 0], points[:, 1]))

    moved: BaseGeometry = shapely.transform(geometry, project)
    return moved


def region_box(region: tuple[float, float, float, float], pixel_m: int) -> Polygon:
    """Return the UTM rectangle around a region in degrees, its edges on pixel edges of the lattice."""
    west, south, east, north = _transformer().transform_bounds(*region)
    west, south = ((floor(v / pixel_m) - 0.5) * pixel_m for v in (west, south))
    east, north = ((ceil(v / pixel_m) + 0.5) * pixel_m for v in (east, north))
    return shapely.box(west, south, east, north)
