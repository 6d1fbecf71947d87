"""True NDVI of the demo scenes, without clouds and sensor noise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.demo.demo_spec import DemoSpec
from compute.demo.landscape import survey_window
from compute.demo.phenology import ground_ndvi, season_state
from compute.demo.pixel_lattice import LatticeWindow


def true_ndvi(
    times: Sequence[datetime], x: NDArray[np.floating], y: NDArray[np.floating], spec: DemoSpec | None = None
) -> NDArray[np.float32]:
    """Return the true NDVI at points, including snow and water.

    Parameters
    ----------
    times : sequence of datetime.datetime
        Times in UTC.
    x, y : numpy.ndarray of float
        (n,) eastings and northings of the points in EPSG:32655 in metres; northings in Tasmania are negative.
    spec : DemoSpec, optional
        Specification of the scene set. Default: `DemoSpec()`.

    Returns
    -------
    numpy.ndarray of float32
        (times, n) NDVI of the pixels that contain the points. See `compute.demo.phenology` for the model.
    """
    spec = spec or DemoSpec()
    column, row = (np.floor(v / spec.pixel_m + 0.5).astype(np.int64) for v in (x, -y))
    left, top = int(column.min()), int(row.min())
    shape = int(row.max()) - top + 1, int(column.max()) - left + 1
    land = survey_window(LatticeWindow(pixel_m=spec.pixel_m, row=top, column=left, shape=shape), spec.seed)
    pixels = tuple(
        layer[row - top, column - left] for layer in (land.cover, land.base, land.swing, land.delay, land.elevation)
    )
    truth = np.empty((len(times), len(column)), np.float32)
    for moment, time in zip(truth, times, strict=True):
        season = season_state(time, spec.seed)
        _fill(moment, pixels, season.curve, season.drift, season.snow_line)
    return truth


@njit(cache=True, nogil=True)
def _fill(
    ndvi: NDArray[np.float32],
    pixels: tuple[NDArray[np.integer], ...],
    curve: NDArray[np.float64],
    drift: NDArray[np.float64],
    snow_line: float,
) -> None:
    kinds, bases, swings, delays, elevations = pixels
    for n in range(ndvi.size):
        ndvi[n] = ground_ndvi(kinds[n], bases[n], swings[n], delays[n], elevations[n], curve, drift, snow_line)[0]
