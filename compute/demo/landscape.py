"""Synthetic landscape: land cover, parameters of NDVI, brightness and elevation of each pixel."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPoint
from shapely.geometry.base import BaseGeometry

from compute.demo.land_cover import LAYERS, survey_land
from compute.demo.pixel_lattice import LatticeWindow, to_utm

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Landscape:
    """Properties of the pixels of a window that do not depend on time; arrays are (rows, columns).

    Attributes
    ----------
    cover : numpy.ndarray of uint8
        Cover class of `compute.demo.land_cover`.
    base : numpy.ndarray of int16
        Annual mean NDVI, in units of 1e-4.
    swing : numpy.ndarray of int16
        NDVI amplitude of the annual curve, in units of 1e-4.
    delay : numpy.ndarray of int16
        Delay of the annual curve in days; increases with elevation.
    bright : numpy.ndarray of int16
        Sum of red and near infrared reflectance, in units of 1e-4.
    elevation : numpy.ndarray of int16
        Elevation in metres, on which snow cover depends.
    """

    cover: NDArray[np.uint8]
    base: NDArray[np.int16]
    swing: NDArray[np.int16]
    delay: NDArray[np.int16]
    bright: NDArray[np.int16]
    elevation: NDArray[np.int16]


def survey_window(window: LatticeWindow, seed: int, inside: NDArray[np.uint8] | None = None) -> Landscape:
    """Return the landscape of a window.

    Values depend only on the seed and on the position of the pixel, so they are equal in overlapping windows.

    Parameters
    ----------
    window : LatticeWindow
        Window of the lattice.
    seed : int
        Seed of the scene set.
    inside : numpy.ndarray of uint8, optional
        (rows, columns), 0 for pixels that are not needed and are returned as sea.

    Returns
    -------
    Landscape
        Layers with the shape of the window.
    """
    land = window.rasterise(load_coast())
    if inside is not None:
        land &= inside
    layers = np.zeros((LAYERS, *window.shape), np.int16)
    sketch = _load_sketch()
    survey_land(land, window.row, window.column, float(window.pixel_m), *sketch, seed, layers)
    cover, base, swing, delay, bright, elevation = layers
    return Landscape(
        cover=cover.astype(np.uint8), base=base, swing=swing, delay=delay, bright=bright, elevation=elevation
    )


@cache
def load_coast() -> BaseGeometry:
    """Return the outline of Tasmania and its islands in UTM metres (Natural Earth 1:10m)."""
    document = json.loads(_read_package_text("coast.geojson"))
    return to_utm(shapely.union_all([shapely.geometry.shape(f["geometry"]) for f in document["features"]]))


@cache
def _load_sketch() -> tuple[Floats, Floats, Floats, Floats]:
    """Return the tables of relief, farms, lakes and towns for `survey_land`, with positions in UTM metres."""
    tables: dict[str, Any] = tomllib.loads(_read_package_text("sketch.toml"))
    relief, farms, lakes, towns = (np.array(tables[name]) for name in ("relief", "farms", "lakes", "towns"))
    for table in (relief, farms, lakes, towns):
        table[:, :2] = shapely.get_coordinates(to_utm(MultiPoint(table[:, :2])))
    for hills in (relief, farms):
        hills[:, 3] = 1.0 / (1000.0 * hills[:, 3]) ** 2
    towns[:, 2] = 1.0 / (1000.0 * towns[:, 2]) ** 2
    return relief, farms, _lake_axes(lakes), towns


def _lake_axes(lakes: Floats) -> Floats:
    """Return x, y and the four elements of the matrix that maps the lake to the unit circle, for each lake."""
    length, width, bearing = 1000.0 * lakes[:, 2], 1000.0 * lakes[:, 3], np.radians(lakes[:, 4])
    east, north = np.sin(bearing), np.cos(bearing)
    return np.column_stack([lakes[:, :2], east / length, north / length, north / width, -east / width])


def _read_package_text(name: str) -> str:
    return files("compute.demo").joinpath(name).read_text(encoding="utf-8")
