"""Sensor model: red, near infrared and Fmask classes of a landscape under clouds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.demo import land_cover
from compute.demo.clouds import STEP, sky_over
from compute.demo.demo_spec import DemoSpec
from compute.demo.hashed_noise import hashed, uniform
from compute.demo.landscape import Landscape
from compute.demo.overpasses import Acquisition
from compute.demo.phenology import ground, season_at

NODATA = -999
OUTSIDE, VALID, CLOUD, SHADOW, SNOW, WATER = range(6)
"""Codes of ``oa_fmask``."""

SNOW_BRIGHT = 14000
"""Sum of red and near infrared reflectance of snow, in units of 1e-4."""

Pair = tuple[int, int]
Layers = tuple[NDArray[np.integer], ...]
Numbers = tuple[NDArray[np.float64], NDArray[np.float64], float]
Veil = tuple[NDArray[np.float32], int, Pair, Pair, float]
Bands = tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One scene; arrays are (rows, columns) of the footprint's window.

    Attributes
    ----------
    red, nir : numpy.ndarray of int16
        Surface reflectance in units of 1e-4, -999 outside the swath.
    mask : numpy.ndarray of uint8
        Fmask code, 0 outside the swath.
    """

    red: NDArray[np.int16]
    nir: NDArray[np.int16]
    mask: NDArray[np.uint8]


def observe(acquisition: Acquisition, land: Landscape, swath: NDArray[np.uint8], spec: DemoSpec) -> Image:
    """Return the scene of an acquisition.

    Parameters
    ----------
    acquisition : Acquisition
        Where and when.
    land : Landscape
        Of the footprint's window.
    swath : numpy.ndarray of uint8
        (rows, columns), 1 inside the footprint.
    spec : DemoSpec
        Seed and quality of the mask.

    Returns
    -------
    Image
        Both bands within 1 to 10000 inside the swath.
    """
    window = acquisition.footprint.window
    image = Image(
        red=np.full(window.shape, NODATA, np.int16),
        nir=np.full(window.shape, NODATA, np.int16),
        mask=np.zeros(window.shape, np.uint8),
    )
    season, sky = season_at(acquisition.time, spec.seed), sky_over(acquisition, spec.seed)
    noise = int(uniform(acquisition.flight, acquisition.footprint.row, spec.seed + 700) * 2**30)
    _expose(
        swath, (window.row, window.column), noise,
        (land.cover, land.base, land.swing, land.delay, land.bright, land.elevation),
        (season.curve, season.drift, season.snow_line),
        (sky.veil, sky.margin, sky.phase, sky.shadow, spec.missed_cloud),
        (image.red, image.nir, image.mask),
    )  # fmt: skip
    return image


@njit(cache=True, nogil=True)
def _expose(
    swath: NDArray[np.uint8], corner: Pair, noise: int, land: Layers, season: Numbers, sky: Veil, image: Bands
) -> None:
    veil, margin, phase, shadow, missed = sky
    red, nir, mask = image
    for r in range(swath.shape[0]):
        for c in range(swath.shape[1]):
            if swath[r, c] == 0:
                continue
            row, column = r + phase[0] + STEP * margin, c + phase[1] + STEP * margin
            cloud = _sample(veil, row, column)
            low, high, code = 0.0, 0.0, CLOUD
            if cloud < 1.0:
                low, high, code = _surface(r, c, hashed(corner[1] + c, corner[0] + r, noise), land, season)
                shade = min(1.0, _sample(veil, row + shadow[0], column + shadow[1]))
                low, high, code = _shaded(low, high, code, shade, missed)
            if cloud > 0.0:
                opacity, top = min(1.0, cloud), _cloud_top(cloud)
                low, high = low + opacity * (top - low), high + opacity * (1.04 * top - high)
                code = CLOUD if cloud > missed else code
            red[r, c], nir[r, c], mask[r, c] = _stored(low), _stored(high), code


@njit(cache=True, nogil=True)
def _shaded(low: float, high: float, code: int, shade: float, missed: float) -> tuple[float, float, int]:
    """Return red, near infrared and class of the ground in the shadow of a cloud; unchanged where there is none."""
    if shade <= 0.0:
        return low, high, code
    return low * (1.0 - 0.62 * shade), high * (1.0 - 0.55 * shade), SHADOW if shade > missed else code


@njit(cache=True, nogil=True)
def _surface(r: int, c: int, noise: int, land: Layers, season: Numbers) -> tuple[float, float, int]:
    """Return red and near infrared of the ground with sensor noise of zero mean, in units of 1e-4, and its class."""
    kinds, bases, swings, delays, brights, elevations = land
    kind = kinds[r, c]
    ndvi, snow = ground(kind, bases[r, c], swings[r, c], delays[r, c], elevations[r, c], *season)
    half = 0.5 * (brights[r, c] * (1.0 - snow) + SNOW_BRIGHT * snow)
    low, high = half * (1.0 - ndvi), half * (1.0 + ndvi)
    if kind <= land_cover.LAKE:
        return low, high, WATER
    # Four bytes of the hash: two triangular errors, about 10 units in red and 22 in near infrared.
    low += 0.10 * ((noise & 0xFF) + ((noise >> 8) & 0xFF) - 255)
    high += 0.22 * (((noise >> 16) & 0xFF) + (noise >> 24) - 255)
    return low, high, SNOW if snow >= 0.5 else VALID


@njit(cache=True, nogil=True)
def _cloud_top(cloud: float) -> float:
    """Return the red reflectance of a cloud in units of 1e-4; in coarse steps, which deflate twice as fast."""
    return 4000.0 + 600.0 * int(2.0 * min(2.5, cloud))


@njit(cache=True, nogil=True)
def _stored(reflectance: float) -> int:
    return min(10000, max(1, int(reflectance + 0.5)))


@njit(cache=True, nogil=True)
def _sample(veil: NDArray[np.float32], row: int, column: int) -> float:
    """Return the veil at a pixel, bilinear between samples: 0 or less is clear, 1 or more opaque."""
    i, j = row // STEP, column // STEP
    v, u = (row - i * STEP) / STEP, (column - j * STEP) / STEP
    top = veil[i, j] + u * (veil[i, j + 1] - veil[i, j])
    bottom = veil[i + 1, j] + u * (veil[i + 1, j + 1] - veil[i + 1, j])
    return float(top + v * (bottom - top))
