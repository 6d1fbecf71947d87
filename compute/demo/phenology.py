"""Phenology: NDVI of each land cover class by day.

The NDVI of a pixel is ``base + swing * curve(cover, day - delay) + drift(cover, day)``, mixed with the NDVI of snow by
the elevation of the pixel relative to the snow line. The curve is an annual cosine plus its first overtone, which
sharpens the peak and flattens the trough, as in a pasture that dries out; its mean is zero. The drift varies from year
to year.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from math import cos, pi

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.demo import land_cover
from compute.demo.hashed_noise import gradient_noise

SNOW_NDVI = -0.02
MAX_DELAY = 64
_YEAR = 365.25
_DRIFT_YEARS = 2.9
_WETTEST = date(2022, 1, 10).toordinal()

# By cover class: day of the year of the peak, weight of the overtone, NDVI amplitude of the drift
_SHAPES = {
    land_cover.SEA: (0, 0.0, 0.0),
    land_cover.LAKE: (0, 0.0, 0.0),
    land_cover.RAINFOREST: (20, 0.0, 0.004),
    land_cover.DRY_FOREST: (315, 0.15, 0.018),
    land_cover.MOOR: (35, 0.0, 0.008),
    land_cover.ALPINE: (5, 0.0, 0.008),
    land_cover.PASTURE: (280, 0.32, 0.055),
    land_cover.CEREAL: (290, 0.42, 0.030),
    land_cover.SPRING_CROP: (328, 0.45, 0.020),
    land_cover.SUMMER_CROP: (18, 0.40, 0.010),
    land_cover.TOWN: (290, 0.10, 0.015),
    land_cover.ROCK: (15, 0.0, 0.0),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GrowingSeason:
    """Phenology of all cover classes at one time.

    Attributes
    ----------
    curve : numpy.ndarray of float64
        (cover, delay in days) values of the annual curve, about -1 to 1.5.
    drift : numpy.ndarray of float64
        (cover,) NDVI offset that varies from year to year.
    snow_line : float
        Elevation in metres of 50 % snow cover.
    """

    curve: NDArray[np.float64]
    drift: NDArray[np.float64]
    snow_line: float


def season_state(time: datetime, seed: int) -> GrowingSeason:
    """Return the phenology at a time.

    Parameters
    ----------
    time : datetime.datetime
        Time in UTC.
    seed : int
        Seed of the weather, which moves the snow line.
    """
    day = time.toordinal() + time.hour / 24
    peak, overtone, drift = (np.array(column) for column in zip(*_SHAPES.values(), strict=True))
    new_year = date(time.year, 1, 1).toordinal()
    angle = 2 * pi / _YEAR * (day - new_year - peak[:, None] - np.arange(MAX_DELAY))
    swing = cos(2 * pi * (day - _WETTEST) / (_DRIFT_YEARS * _YEAR))
    winter = cos(2 * pi * (day - new_year - 215) / _YEAR)
    return GrowingSeason(
        curve=np.cos(angle) + overtone[:, None] * np.cos(2 * angle),
        drift=drift * swing,
        snow_line=1900.0 - 880.0 * winter + 350.0 * gradient_noise(day / 7.0, 0.5, seed + 500),
    )


@njit(cache=True, nogil=True)
def ground_ndvi(
    kind: int,
    base: int,
    swing: int,
    delay: int,
    elevation: int,
    curve: NDArray[np.float64],
    drift: NDArray[np.float64],
    snow_line: float,
) -> tuple[float, float]:
    """Return the NDVI and snow cover of a pixel under a clear sky.

    Parameters
    ----------
    kind, base, swing, delay, elevation : int
        Values of the pixel in the layers of a `Landscape`.
    curve, drift : numpy.ndarray of float64
        Arrays of a `GrowingSeason`.
    snow_line : float
        Elevation in metres of 50 % snow cover.

    Returns
    -------
    ndvi, snow : float
        True NDVI, and snow-covered share of the pixel from 0 to 1.
    """
    ndvi = base * 1e-4 + swing * 1e-4 * curve[kind, delay] + drift[kind]
    if kind <= land_cover.LAKE:
        return ndvi, 0.0
    snow = min(1.0, max(0.0, (elevation - snow_line) / 240.0 + 0.5))
    return min(0.95, ndvi) * (1.0 - snow) + SNOW_NDVI * snow, snow
