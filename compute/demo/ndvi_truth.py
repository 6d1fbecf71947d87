"""The NDVI that every clear observation shows up to sensor noise: what a result is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.demo.demo_spec import DemoSpec
from compute.demo.landscape import survey
from compute.demo.phenology import ground, season_at
from compute.demo.pixel_lattice import LatticeWindow


def true_ndvi(
    times: Sequence[datetime], x: NDArray[np.floating], y: NDArray[np.floating], spec: DemoSpec | None = None
) -> NDArray[np.float32]:
    """Return the true NDVI of places at moments: of the pixel that holds the place, snow and water included.

    Parameters
    ----------
    times : sequence of datetime.datetime
        UTC.
    x, y : numpy.ndarray of float
        (n,) eastings and northings in EPSG:32655, metres; northings over Tasmania are negative.
    spec : DemoSpec, optional
        The set of scenes; the default set when left out.

    Returns
    -------
    numpy.ndarray of float32
        (times, n), unitless. Model: `compute.demo.phenology`.
    """
    spec = spec or DemoSpec()
    column, row = (np.floor(v / spec.pixel_m + 0.5).astype(np.int64) for v in (x, -y))
    left, top = int(column.min()), int(row.min())
    shape = int(row.max()) - top + 1, int(column.max()) - left + 1
    land = survey(LatticeWindow(pixel_m=spec.pixel_m, row=top, column=left, shape=shape), spec.seed)
    pixels = tuple(
        layer[row - top, column - left] for layer in (land.cover, land.base, land.swing, land.delay, land.elevation)
    )
    truth = np.empty((len(times), len(column)), np.float32)
    for moment, time in zip(truth, times, strict=True):
        season = season_at(time, spec.seed)
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
        ndvi[n] = ground(kinds[n], bases[n], swings[n], delays[n], elevations[n], curve, drift, snow_line)[0]
