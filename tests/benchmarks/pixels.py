"""Synthetic pixels of the benchmark's scenes: land, patches of cloud, and noise that compresses like real data."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from compute.demo.sensor import CLOUD, NODATA, OUTSIDE, SHADOW, VALID

Field = NDArray[np.float32]

_LAND_PX = (512, 128, 32, 8, 2)
"""Sizes of features of the land in pixels, from hills to hedges."""

_LAND_FADE = 0.6
"""Factor of the amplitude from each size to the next smaller one."""

_NOISE_DN = 30.0
"""Standard deviation of the noise in stored units, with which deflate compresses a scene to about two thirds."""

_OWN_SHARE = 0.1
"""Share of a scene's own noise in its mask; two rows of one day see nearly the same clouds."""

_SHADOW_SHARE = 0.2
"""Share of shadow among the pixels that are not clear; without snow or water, all definitions of clear agree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Land:
    """Ground below all dates, (rows, columns) each.

    Attributes
    ----------
    green : numpy.ndarray of float32
        Greenness from 0 to 1.
    bright : numpy.ndarray of float32
        Red plus near infrared in stored units.
    """

    green: Field
    bright: Field


@dataclass(frozen=True, kw_only=True, slots=True)
class Weather:
    """Clouds of one date.

    Attributes
    ----------
    veil : numpy.ndarray of float32
        (rows, columns): cloud where it is above `limit`.
    limit : float
        Limit of clear pixels, in units of the veil.
    """

    veil: Field
    limit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenePixels:
    """Pixels of one scene.

    Attributes
    ----------
    red, nir : numpy.ndarray
        (rows, columns) int16, -999 outside the swath.
    mask : numpy.ndarray
        (rows, columns) uint8, Fmask codes.
    """

    red: NDArray[np.int16]
    nir: NDArray[np.int16]
    mask: NDArray[np.uint8]


def draw_noise(shape: tuple[int, int], patch_px: int, rng: Generator) -> Field:
    """Return noise of mean 0 and standard deviation near 1.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    patch_px : int
        Width of the blobs, in pixels.
    rng : numpy.random.Generator
        Source of random numbers.
    """
    rows, columns = shape
    coarse = rng.standard_normal((rows // patch_px + 2, columns // patch_px + 2), np.float32)
    fine = Image.fromarray(coarse).resize((columns, rows), Image.Resampling.BICUBIC)
    return np.asarray(fine)


def draw_land(shape: tuple[int, int], rng: Generator) -> Land:
    """Return the ground of a place.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    rng : numpy.random.Generator
        Source of random numbers.
    """
    return Land(
        green=np.clip(0.5 + 0.3 * _sum_octaves(shape, rng), 0.0, 1.0), bright=2800 + 500 * _sum_octaves(shape, rng)
    )


def _sum_octaves(shape: tuple[int, int], rng: Generator) -> Field:
    total = np.zeros(shape, np.float32)
    for number, size in enumerate(_LAND_PX):
        total += np.float32(_LAND_FADE**number) * draw_noise(shape, size, rng)
    return total


def draw_weather(swath: NDArray[np.uint8], clear_share: float, patch_px: int, rng: Generator) -> Weather:
    """Return the clouds of a date with a given share of clear pixels.

    Parameters
    ----------
    swath : numpy.ndarray of uint8
        (rows, columns), 1 inside the swath.
    clear_share : float
        Share of clear pixels among all pixels, from 0 to the share of the swath.
    patch_px : int
        Size of a patch of clear or cloudy pixels, in pixels.
    rng : numpy.random.Generator
        Source of random numbers.
    """
    veil = draw_noise((swath.shape[0], swath.shape[1]), patch_px, rng)
    inside = veil[swath == 1]
    return Weather(veil=veil, limit=float(np.quantile(inside, min(1.0, clear_share * swath.size / inside.size))))


def draw_scene(
    land: Land, weather: Weather, swath: NDArray[np.uint8], day_of_year: int, patch_px: int, rng: Generator
) -> ScenePixels:
    """Return the pixels of a scene.

    Parameters
    ----------
    land : Land
        Ground of the scene's window.
    weather : Weather
        Clouds of the scene's window.
    swath : numpy.ndarray of uint8
        (rows, columns), 1 inside the swath.
    day_of_year : int
        Day of the year; the land is greenest in spring.
    patch_px : int
        Size of the patches by which the mask differs from that of the neighbouring scene, in pixels.
    rng : numpy.random.Generator
        Source of random numbers.
    """
    mask = _draw_mask(weather, swath, patch_px, rng)
    ndvi: Field = np.float32(0.1) + land.green * np.float32(0.6 + 0.15 * cos(2 * pi * (day_of_year - 290) / 365))
    bright: Field = land.bright + np.where(mask == CLOUD, 5000 + 900 * weather.veil, 0).astype(np.float32)
    red, nir = (_store_reflectance(bright * share, swath, rng) for share in (0.5 - ndvi / 2, 0.5 + ndvi / 2))
    return ScenePixels(red=red, nir=nir, mask=mask)


def _draw_mask(weather: Weather, swath: NDArray[np.uint8], patch_px: int, rng: Generator) -> NDArray[np.uint8]:
    own = weather.veil + np.float32(_OWN_SHARE) * draw_noise((swath.shape[0], swath.shape[1]), patch_px, rng)
    thin = weather.limit + _SHADOW_SHARE * np.ptp(weather.veil) / 2
    mask = np.where(own <= weather.limit, VALID, np.where(own <= thin, SHADOW, CLOUD))
    return np.where(swath == 1, mask, OUTSIDE).astype(np.uint8)


def _store_reflectance(
    reflectance: NDArray[np.floating], swath: NDArray[np.uint8], rng: Generator
) -> NDArray[np.int16]:
    noisy = reflectance + np.float32(_NOISE_DN) * rng.standard_normal(reflectance.shape, np.float32)
    return np.where(swath == 1, np.clip(np.rint(noisy), 1, 10000), NODATA).astype(np.int16)
