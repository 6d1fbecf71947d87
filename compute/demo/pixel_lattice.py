"""Pixel lattice of all demo scenes, and windows of it."""

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
"""CRS of the scenes. Digital Earth Australia uses northern UTM zones, so northings in Tasmania are negative."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LatticeWindow:
    """Rectangular window of the lattice, in which the centre of pixel (row, column) is at (column, -row) * pixel_m.

    As in Digital Earth Australia, the centres of pixels are at multiples of the pixel size.

    Attributes
    ----------
    pixel_m : int
        Pixel size in metres.
    row, column : int
        Lattice position of the upper left pixel.
    shape : (int, int)
        Number of rows and columns.
    """

    pixel_m: int
    row: int
    column: int
    shape: tuple[int, int]

    @classmethod
    def around_geometry(cls, geometry: BaseGeometry, pixel_m: int) -> LatticeWindow:
        """Return the smallest window that contains a geometry.

        Parameters
        ----------
        geometry : shapely geometry
            Geometry in UTM metres.
        pixel_m : int
            Pixel size in metres.
        """
        west, south, east, north = geometry.bounds
        column, row = floor(west / pixel_m + 0.5), floor(-north / pixel_m + 0.5)
        shape = ceil(-south / pixel_m + 0.5) - row, ceil(east / pixel_m + 0.5) - column
        return cls(pixel_m=pixel_m, row=row, column=column, shape=shape)

    @property
    def transform(self) -> Affine:
        """Affine transform from pixel corners (column, row) to UTM metres."""
        size = self.pixel_m
        return Affine(size, 0, (self.column - 0.5) * size, 0, -size, -(self.row - 0.5) * size)

    def rasterise(self, geometry: BaseGeometry) -> NDArray[np.uint8]:
        """Return a (rows, columns) mask: 1 for pixels whose centre is in a geometry in UTM metres, 0 for others."""
        burnt: NDArray[np.uint8] = rasterize([geometry], self.shape, transform=self.transform, dtype="uint8")
        return burnt


@cache
def _transformer() -> Transformer:
    return Transformer.from_crs("EPSG:4326", CRS, always_xy=True)


def to_utm(geometry: BaseGeometry) -> BaseGeometry:
    """Transform the vertices of a geometry from degrees (longitude, latitude) to UTM metres."""

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(_transformer().transform(points[:, 0], points[:, 1]))

    moved: BaseGeometry = shapely.transform(geometry, project)
    return moved


def region_box(region: tuple[float, float, float, float], pixel_m: int) -> Polygon:
    """Return the bounding box of a region in UTM metres, extended to pixel edges.

    Parameters
    ----------
    region : (float, float, float, float)
        West, south, east, north in degrees.
    pixel_m : int
        Pixel size in metres.
    """
    west, south, east, north = _transformer().transform_bounds(*region)
    west, south = ((floor(v / pixel_m) - 0.5) * pixel_m for v in (west, south))
    east, north = ((ceil(v / pixel_m) + 0.5) * pixel_m for v in (east, north))
    return shapely.box(west, south, east, north)
