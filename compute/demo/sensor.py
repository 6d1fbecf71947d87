"""Sensor model: red and near infrared reflectance and Fmask codes of a landscape under clouds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.demo import land_cover
from compute.demo.clouds import STEP, sample_clouds
from compute.demo.demo_spec import DemoSpec
from compute.demo.hashed_noise import hash_point, uniform_noise
from compute.demo.landscape import Landscape
from compute.demo.overpasses import Acquisition
from compute.demo.phenology import ground_ndvi, season_state

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
class SensorImage:
    """Simulated scene; arrays have the rows and columns of the footprint's window.

    Attributes
    ----------
    red, nir : numpy.ndarray of int16
        Surface reflectance in units of 1e-4; -999 outside the swath.
    mask : numpy.ndarray of uint8
        Fmask codes; 0 outside the swath.
    """

    red: NDArray[np.int16]
    nir: NDArray[np.int16]
    mask: NDArray[np.uint8]


def simulate_scene(acquisition: Acquisition, land: Landscape, swath: NDArray[np.uint8], spec: DemoSpec) -> SensorImage:
    """Simulate the scene of an acquisition.

    Parameters
    ----------
    acquisition : Acquisition
        Acquisition with footprint and time.
    land : Landscape
        Landscape of the footprint's window.
    swath : numpy.ndarray of uint8
        (rows, columns), 1 inside the footprint.
    spec : DemoSpec
        Specification with the seed and the quality of the mask.

    Returns
    -------
    SensorImage
        Simulated scene, with reflectance from 1 to 10000 inside the swath.
    """
    window = acquisition.footprint.window
    image = SensorImage(
        red=np.full(window.shape, NODATA, np.int16),
        nir=np.full(window.shape, NODATA, np.int16),
        mask=np.zeros(window.shape, np.uint8),
    )
    season, sky = season_state(acquisition.time, spec.seed), sample_clouds(acquisition, spec.seed)
    noise = int(uniform_noise(acquisition.flight, acquisition.footprint.row, spec.seed + 700) * 2**30)
    _simulate_pixels(
        swath, (window.row, window.column), noise,
        (land.cover, land.base, land.swing, land.delay, land.bright, land.elevation),
        (season.curve, season.drift, season.snow_line),
        (sky.veil, sky.margin, sky.phase, sky.shadow, spec.missed_cloud),
        (image.red, image.nir, image.mask),
    )  # fmt: skip
    return image


@njit(cache=True, nogil=True)
def _simulate_pixels(
    swath: NDArray[np.uint8], corner: Pair, noise: int, land: Layers, season: Numbers, sky: Veil, image: Bands
) -> None:
    veil, margin, phase, shadow, missed = sky
    red, nir, mask = image
    for r in range(swath.shape[0]):
        for c in range(swath.shape[1]):
            if swath[r, c] == 0:
                continue
            row, column = r + phase[0] + STEP * margin, c + phase[1] + STEP * margin
            cloud = _sample_opacity(veil, row, column)
            low, high, code = 0.0, 0.0, CLOUD
            if cloud < 1.0:
                low, high, code = _simulate_ground(r, c, hash_point(corner[1] + c, corner[0] + r, noise), land, season)
                shade = min(1.0, _sample_opacity(veil, row + shadow[0], column + shadow[1]))
                low, high, code = _apply_shadow(low, high, code, shade, missed)
            if cloud > 0.0:
                opacity, top = min(1.0, cloud), _cloud_reflectance(cloud)
                low, high = low + opacity * (top - low), high + opacity * (1.04 * top - high)
                code = CLOUD if cloud > missed else code
            red[r, c], nir[r, c], mask[r, c] = _quantise(low), _quantise(high), code


@njit(cache=True, nogil=True)
def _apply_shadow(low: float, high: float, code: int, shade: float, missed: float) -> tuple[float, float, int]:
    """Return red, near infrared and Fmask code of the ground in a cloud shadow; unchanged if `shade` is 0 or less."""
    if shade <= 0.0:
        return low, high, code
    return low * (1.0 - 0.62 * shade), high * (1.0 - 0.55 * shade), SHADOW if shade > missed else code


@njit(cache=True, nogil=True)
def _simulate_ground(r: int, c: int, noise: int, land: Layers, season: Numbers) -> tuple[float, float, int]:
    """Return red and near infrared of the ground in units of 1e-4, with zero-mean noise, and the Fmask code."""
    kinds, bases, swings, delays, brights, elevations = land
    kind = kinds[r, c]
    ndvi, snow = ground_ndvi(kind, bases[r, c], swings[r, c], delays[r, c], elevations[r, c], *season)
    half = 0.5 * (brights[r, c] * (1.0 - snow) + SNOW_BRIGHT * snow)
    low, high = half * (1.0 - ndvi), half * (1.0 + ndvi)
    if kind <= land_cover.LAKE:
        return low, high, WATER
    # Two triangular errors from the four bytes of the hash, with standard deviations of 10 (red) and 23 units.
    low += 0.10 * ((noise & 0xFF) + ((noise >> 8) & 0xFF) - 255)
    high += 0.22 * (((noise >> 16) & 0xFF) + (noise >> 24) - 255)
    return low, high, SNOW if snow >= 0.5 else VALID


@njit(cache=True, nogil=True)
def _cloud_reflectance(cloud: float) -> float:
    """Return the red reflectance of a cloud in units of 1e-4, quantised in coarse steps for better compression."""
    return 4000.0 + 600.0 * int(2.0 * min(2.5, cloud))


@njit(cache=True, nogil=True)
def _quantise(reflectance: float) -> int:
    return min(10000, max(1, int(reflectance + 0.5)))


@njit(cache=True, nogil=True)
def _sample_opacity(veil: NDArray[np.float32], row: int, column: int) -> float:
    """Return the bilinearly interpolated opacity at a pixel: 0 or less is clear, 1 or more is opaque."""
    i, j = row // STEP, column // STEP
    v, u = (row - i * STEP) / STEP, (column - j * STEP) / STEP
    top = veil[i, j] + u * (veil[i, j + 1] - veil[i, j])
    bottom = veil[i + 1, j] + u * (veil[i + 1, j + 1] - veil[i + 1, j])
    return float(top + v * (bottom - top))
