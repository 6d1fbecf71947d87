"""Exact seasonal mean of a few pixels on another grid, in plain NumPy: the reference of the warping contenders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as FileWindow

from compute.demo.pixel_lattice import CRS, LatticeWindow
from compute.demo.sensor import NODATA, VALID
from compute.scenes import Grid
from tests.benchmarks.input import BANDS, InputScene
from tests.benchmarks.overlap import Overlap, compute_overlap

SEASONS = ("DJF", "MAM", "JJA", "SON")

_VALID_RANGE = (1, 10000)
"""Valid range of the product in stored units, applied to the averages."""

Means = NDArray[np.float64]
Shape = tuple[int, int]


def compute_exact_means(scenes: Sequence[Sequence[InputScene]], output: Grid) -> Mapping[str, Means]:
    """Compute the seasonal mean NDVI of some pixels.

    Red and nir of a pixel are the area-weighted averages of the valid pixels below it, without rounding. Its mask is
    that of the pixel below its centre. On each date, the first scene in the order of time and id that observes a pixel
    supplies all of its bands. The mean is over observations.

    Parameters
    ----------
    scenes : sequence of sequence of InputScene
        Scenes by date, all on one lattice.
    output : Grid
        Grid of the pixels.

    Returns
    -------
    mapping of str to numpy.ndarray
        (y, x) float64 by season, for seasons with a date; NaN where nothing was observed.
    """
    lattice = scenes[0][0].window
    overlap = compute_overlap(output, _make_grid(lattice))
    totals: dict[str, Means] = {}
    counts: dict[str, NDArray[np.int64]] = {}
    for date_ in scenes:
        ordered = sorted(date_, key=lambda scene: (scene.acquisition.time, scene.id))
        season = SEASONS[ordered[0].acquisition.time.month % 12 // 3]
        ndvi = _observe_date(ordered, lattice, overlap)
        seen = np.isfinite(ndvi)
        totals[season] = totals.get(season, np.zeros(output.shape)) + np.where(seen, ndvi, 0.0)
        counts[season] = counts.get(season, np.zeros(output.shape, np.int64)) + seen
    return {name: _divide(total, counts[name]) for name, total in totals.items()}


def _divide(total: Means, count: NDArray[Any]) -> Means:
    """Return total / count, NaN where the count is 0."""
    quotient: Means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return quotient


def _make_grid(window: LatticeWindow) -> Grid:
    a, b, c, d, e, f = list(window.transform)[:6]
    return Grid(crs=CRS, shape=window.shape, transform=(a, b, c, d, e, f))


def _observe_date(scenes: Sequence[InputScene], lattice: LatticeWindow, overlap: Overlap) -> Means:
    """Return the NDVI of one date, NaN where nothing was observed."""
    ndvi = np.full(overlap.row.shape, np.nan)
    for scene in scenes:
        observed = _observe_scene(scene, lattice, overlap)
        ndvi = np.where(np.isnan(ndvi), observed, ndvi)
    return ndvi


def _observe_scene(scene: InputScene, lattice: LatticeWindow, overlap: Overlap) -> Means:
    """Return the NDVI that one scene observes, NaN elsewhere."""
    shift = scene.window.row - lattice.row, scene.window.column - lattice.column
    cut = _SceneWindow(scene, overlap, shift)
    if cut.empty:
        return np.full(overlap.row.shape, np.nan)
    red, nir, mask = (cut.read_band(band) for band in BANDS)
    clear = cut.select_centres(mask) == VALID
    low, high = cut.average_area(red), cut.average_area(nir)
    least, greatest = _VALID_RANGE
    # Comparisons with NaN, the average of no pixels, are false.
    clear &= (low >= least) & (low <= greatest) & (high >= least) & (high <= greatest)
    ndvi: Means = np.divide(high - low, high + low, out=np.full(low.shape, np.nan), where=clear)
    return ndvi


class _SceneWindow:
    """Part of a scene below the output grid, padded with nodata."""

    def __init__(self, scene: InputScene, overlap: Overlap, shift: tuple[int, int]) -> None:
        self._overlap, self._scene, self._shift = overlap, scene, shift
        rows, columns = overlap.weights.shape[:2]
        top, left = int(overlap.row.min()) - shift[0], int(overlap.column.min()) - shift[1]
        bottom, right = int(overlap.row.max()) + rows - shift[0], int(overlap.column.max()) + columns - shift[1]
        self._corner, self._shape = (top, left), (bottom - top, right - left)
        self.empty = bottom <= 0 or right <= 0 or top >= scene.window.shape[0] or left >= scene.window.shape[1]

    def read_band(self, band: str) -> NDArray[Any]:
        """Return one band of the part."""
        (rows, columns), (top, left) = self._scene.window.shape, self._corner
        first = max(top, 0), max(left, 0)
        last = min(top + self._shape[0], rows), min(left + self._shape[1], columns)
        with rasterio.open(self._scene.files[band]) as file:
            values = np.full(self._shape, file.nodata, file.dtypes[0])
            inner = file.read(1, window=FileWindow(first[1], first[0], last[1] - first[1], last[0] - first[0]))
        values[first[0] - top : last[0] - top, first[1] - left : last[1] - left] = inner
        return values

    def select_centres(self, mask: NDArray[Any]) -> NDArray[Any]:
        """Return the mask at the centres of the output pixels."""
        return self._select_pixels(mask, self._overlap.centre_row, self._overlap.centre_column)

    def average_area(self, band: NDArray[Any]) -> Means:
        """Return the area-weighted averages of the pixels that are not nodata, NaN where all are nodata."""
        total, weight = np.zeros(self._overlap.row.shape), np.zeros(self._overlap.row.shape)
        for row, column in np.ndindex(*self._overlap.weights.shape[:2]):
            values = self._select_pixels(band, self._overlap.row + row, self._overlap.column + column)
            share = np.where(values == NODATA, 0.0, self._overlap.weights[row, column])
            total, weight = total + share * values, weight + share
        return _divide(total, weight)

    def _select_pixels(self, values: NDArray[Any], row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[Any]:
        first = self._shift[0] + self._corner[0], self._shift[1] + self._corner[1]
        taken: NDArray[Any] = values[row - first[0], column - first[1]]
        return taken
