"""What the scenes of the benchmark show: land, clouds in patches, and as much noise as makes real data hard to pack."""

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
"""Sizes of what lies on the land, in pixels, from hills to hedges."""

_LAND_FADE = 0.6
"""How much lower each finer size is."""

_NOISE_DN = 30.0
"""Standard deviation of a pixel from its surroundings, in stored units: with it deflate packs a scene to about two
thirds, as it does real ones."""

_OWN_SHARE = 0.1
"""How much of its mask a scene has for itself: two rows of one day see nearly the same clouds."""

_SHADOW_SHARE = 0.2
"""Share of what is not clear that is shadow; neither snow nor water, so that every definition of clear agrees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Land:
    """The ground below all dates, (rows, columns) each.

    Attributes
    ----------
    green : numpy.ndarray of float32
        How green it is, from 0 to 1.
    bright : numpy.ndarray of float32
        Red plus near infrared in stored units.
    """

    green: Field
    bright: Field


@dataclass(frozen=True, kw_only=True, slots=True)
class Weather:
    """The clouds of one date, and from where on they count.

    Attributes
    ----------
    veil : numpy.ndarray of float32
        (rows, columns): cloud where it is above `limit`.
    limit : float
        In units of the veil.
    """

    veil: Field
    limit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """One scene, (rows, columns) each: red and nir int16, -999 outside the swath; mask uint8 of Fmask codes."""

    red: NDArray[np.int16]
    nir: NDArray[np.int16]
    mask: NDArray[np.uint8]


def smooth(shape: tuple[int, int], patch_px: int, rng: Generator) -> Field:
    """Return noise of mean 0 and standard deviation near 1, whose blobs are about `patch_px` wide."""
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
        Decides every pixel.
    """
    return Land(green=np.clip(0.5 + 0.3 * _octaves(shape, rng), 0.0, 1.0), bright=2800 + 500 * _octaves(shape, rng))


def _octaves(shape: tuple[int, int], rng: Generator) -> Field:
    total = np.zeros(shape, np.float32)
    for number, size in enumerate(_LAND_PX):
        total += np.float32(_LAND_FADE**number) * smooth(shape, size, rng)
    return total


def draw_weather(swath: NDArray[np.uint8], clear_share: float, patch_px: int, rng: Generator) -> Weather:
    """Return the clouds of a date, so many that a share of all pixels, those outside the swath included, is clear.

    Parameters
    ----------
    swath : numpy.ndarray of uint8
        (rows, columns), 1 inside the swath.
    clear_share : float
        From 0 to the share that the swath has of the pixels.
    patch_px : int
        Size of a patch of clear or cloudy pixels.
    rng : numpy.random.Generator
        Decides every pixel.
    """
    veil = smooth((swath.shape[0], swath.shape[1]), patch_px, rng)
    inside = veil[swath == 1]
    return Weather(veil=veil, limit=float(np.quantile(inside, min(1.0, clear_share * swath.size / inside.size))))


def expose(
    land: Land, weather: Weather, swath: NDArray[np.uint8], day_of_year: int, patch_px: int, rng: Generator
) -> Pixels:
    """Return what a scene shows.

    Parameters
    ----------
    land, weather, swath
        Of the scene's window, (rows, columns).
    day_of_year : int
        The land greens in spring.
    patch_px : int
        Size of the patches by which this scene's mask differs from that of its neighbour.
    rng : numpy.random.Generator
        Decides noise and mask.
    """
    mask = _mask(weather, swath, patch_px, rng)
    ndvi: Field = np.float32(0.1) + land.green * np.float32(0.6 + 0.15 * cos(2 * pi * (day_of_year - 290) / 365))
    bright: Field = land.bright + np.where(mask == CLOUD, 5000 + 900 * weather.veil, 0).astype(np.float32)
    red, nir = (_stored(bright * share, swath, rng) for share in (0.5 - ndvi / 2, 0.5 + ndvi / 2))
    return Pixels(red=red, nir=nir, mask=mask)


def _mask(weather: Weather, swath: NDArray[np.uint8], patch_px: int, rng: Generator) -> NDArray[np.uint8]:
    own = weather.veil + np.float32(_OWN_SHARE) * smooth((swath.shape[0], swath.shape[1]), patch_px, rng)
    thin = weather.limit + _SHADOW_SHARE * np.ptp(weather.veil) / 2
    mask = np.where(own <= weather.limit, VALID, np.where(own <= thin, SHADOW, CLOUD))
    return np.where(swath == 1, mask, OUTSIDE).astype(np.uint8)


def _stored(reflectance: NDArray[np.floating], swath: NDArray[np.uint8], rng: Generator) -> NDArray[np.int16]:
    noisy = reflectance + np.float32(_NOISE_DN) * rng.standard_normal(reflectance.shape, np.float32)
    return np.where(swath == 1, np.clip(np.rint(noisy), 1, 10000), NODATA).astype(np.int16)
