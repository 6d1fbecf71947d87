"""Synthetic land cover as a function of relief, rainfall and settlement, compiled by numba."""

from __future__ import annotations

from math import exp, floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.demo.hashed_noise import fractal_noise, gradient_noise, ridged_noise, uniform_noise

SEA, LAKE, RAINFOREST, DRY_FOREST, MOOR, ALPINE, PASTURE, CEREAL, SPRING_CROP, SUMMER_CROP, TOWN, ROCK = range(12)
COVERS = 12
LAYERS = 6

Floats = NDArray[np.float64]
Point = tuple[float, float, float, float, float]
"""(cover class, mean NDVI, NDVI amplitude, sum of red and near infrared reflectance, elevation in metres)."""


@njit(cache=True, nogil=True)
def survey_land(
    land: NDArray[np.uint8],
    row: int,
    column: int,
    pixel_m: float,
    relief: Floats,
    farms: Floats,
    lakes: Floats,
    towns: Floats,
    seed: int,
    layers: NDArray[np.int16],
) -> None:
    """Fill the land cover layers of a window.

    Parameters
    ----------
    land : numpy.ndarray of uint8
        (rows, columns), 1 on land.
    row, column : int
        Lattice position of the upper left pixel.
    pixel_m : float
        Pixel size in metres.
    relief, farms, lakes, towns : numpy.ndarray of float64
        (features, parameters) tables, as prepared by `compute.demo.landscape`.
    seed : int
        Seed of the scene set.
    layers : numpy.ndarray of int16
        (6, rows, columns) cover, base, swing, delay, bright and elevation of `compute.demo.landscape.Landscape`;
        changed in place.
    """
    for r in range(land.shape[0]):
        for c in range(land.shape[1]):
            if land[r, c]:
                x, y = (column + c) * pixel_m, -(row + r) * pixel_m
                kind, base, swing, bright, elevation = _survey_point(x, y, relief, farms, lakes, towns, seed)
            else:
                kind, base, swing, bright, elevation = SEA, -0.34, 0.0, 0.022, 0.0
            layers[0, r, c] = kind
            layers[1, r, c] = round(base * 1e4)
            layers[2, r, c] = round(swing * 1e4)
            layers[3, r, c] = round(elevation * 0.03)
            layers[4, r, c] = round(bright * 1e4)
            layers[5, r, c] = round(elevation)


@njit(cache=True, nogil=True)
def _survey_point(x: float, y: float, relief: Floats, farms: Floats, lakes: Floats, towns: Floats, seed: int) -> Point:
    wx = x + 3000.0 * fractal_noise(x / 9000.0, y / 9000.0, 2, seed + 10)
    wy = y + 3000.0 * fractal_noise(x / 9000.0, y / 9000.0, 2, seed + 20)
    hill = _hill_height(wx, wy, seed)
    elevation = _elevation(x, y, hill, _sum_gaussians(wx, wy, relief), seed)
    if _in_lake(wx, wy, lakes, elevation, seed):
        return LAKE, -0.22, 0.0, 0.03, elevation
    grain = fractal_noise(x / 1400.0, y / 1400.0, 3, seed + 50)
    if _in_town(x, y, towns, grain):
        return TOWN, 0.36 + 0.18 * grain, 0.05, 0.33 - 0.04 * grain, elevation
    rain = _wetness(x, y, elevation, seed)
    patch = fractal_noise(x / 5200.0, y / 5200.0, 3, seed + 60)
    farm = _sum_gaussians(wx, wy, farms) + 1.5 * (0.40 - hill) - elevation / 1600.0 + 0.3 * patch + 0.2 * grain
    if farm > 0.55:
        return _farmland_cover(x, y, farm, rain, grain, elevation, seed)
    return _natural_cover(x, y, hill, rain, patch, grain, elevation, seed)


@njit(cache=True, nogil=True)
def _hill_height(x: float, y: float, seed: int) -> float:
    """Return the relative height of hills, from 0 on valley lines to 1 on ridges; ranges run north-north-west."""
    across, along = 0.92 * x + 0.38 * y, 0.92 * y - 0.38 * x
    return ridged_noise(across / 9500.0, along / 15000.0, 5, seed + 30)


@njit(cache=True, nogil=True)
def _elevation(x: float, y: float, hill: float, broad: float, seed: int) -> float:
    roughness = 240.0 + 380.0 * gradient_noise(x / 30e3, y / 30e3, seed + 40)
    return max(3.0, 15.0 + broad * (0.62 + 0.62 * hill) + max(60.0, roughness) * (hill - 0.25))


@njit(cache=True, nogil=True)
def _sum_gaussians(x: float, y: float, table: Floats) -> float:
    """Return the sum of Gaussians with rows (x, y, height, 1 / radius squared), each cut off at 2 % of its height."""
    total = 0.0
    for k in range(table.shape[0]):
        distance = ((x - table[k, 0]) ** 2 + (y - table[k, 1]) ** 2) * table[k, 3]
        if distance < 8.0:
            total += table[k, 2] * (exp(-0.5 * distance) - 0.0183)
    return total


@njit(cache=True, nogil=True)
def _in_lake(x: float, y: float, lakes: Floats, elevation: float, seed: int) -> bool:
    for k in range(lakes.shape[0]):
        dx, dy = x - lakes[k, 0], y - lakes[k, 1]
        along, across = dx * lakes[k, 2] + dy * lakes[k, 3], dx * lakes[k, 4] + dy * lakes[k, 5]
        reach = along * along + across * across
        if reach < 1.5:
            return bool(reach < 1.0 + 0.9 * fractal_noise(x / 3000.0, y / 3000.0, 3, seed + 70))
    # Small lakes on the Central Plateau
    return 1020.0 < elevation < 1260.0 and gradient_noise(x / 900.0, y / 900.0, seed + 75) > 0.36


@njit(cache=True, nogil=True)
def _wetness(x: float, y: float, elevation: float, seed: int) -> float:
    """Return the relative rainfall, about 0.2 in the rain shadow of the Midlands and 1 or more on the west coast."""
    edge = (440e3 - x - 0.10 * (y + 4.62e6) + 60e3 * fractal_noise(x / 60e3, y / 60e3, 2, seed + 80)) / 32e3
    return 0.16 + 0.75 / (1.0 + exp(-edge)) + 0.42 * min(elevation, 1100.0) / 1000.0


@njit(cache=True, nogil=True)
def _in_town(x: float, y: float, towns: Floats, grain: float) -> bool:
    for k in range(towns.shape[0]):
        reach = ((x - towns[k, 0]) ** 2 + (y - towns[k, 1]) ** 2) * towns[k, 2]
        if reach < 1.6 and reach < 0.55 + 1.6 * grain:
            return True
    return False


@njit(cache=True, nogil=True)
def _natural_cover(
    x: float, y: float, hill: float, rain: float, patch: float, grain: float, elevation: float, seed: int
) -> Point:
    fine = fractal_noise(x / 420.0, y / 420.0, 2, seed + 110)
    if elevation > 985.0 + 230.0 * patch + 150.0 * grain:
        return _alpine_cover(hill, grain, fine, elevation)
    wet = (rain - 0.25) / 0.4
    if wet > 0.92 + 0.40 * patch + 0.25 * grain:
        return _wet_cover(x, y, hill, patch, grain, fine, elevation, seed)
    gully = max(0.0, 0.30 - hill)
    base = 0.60 + 0.18 * wet + 0.14 * (hill - 0.4) + 0.30 * gully + 0.12 * patch + 0.14 * grain + 0.06 * fine
    base -= 0.45 * max(0.0, elevation - 780.0) / 1000.0
    return DRY_FOREST, base, 0.055 - 0.03 * min(1.0, wet), 0.28 + 0.03 * fine, elevation


@njit(cache=True, nogil=True)
def _wet_cover(
    x: float, y: float, hill: float, patch: float, grain: float, fine: float, elevation: float, seed: int
) -> Point:
    """Return rainforest or buttongrass moor, which is more frequent on plains and in the south."""
    across, along = 0.90 * x + 0.43 * y, 0.90 * y - 0.43 * x
    plain = fractal_noise(across / 11e3, along / 26e3, 3, seed + 120)
    moor = 1.5 * plain + 0.25 * patch + 0.30 * grain + 0.8 * (0.42 - hill) - (y + 4.665e6) / 300e3 - elevation / 2500.0
    moor -= 1.8 * max(0.0, 0.20 - hill)
    open_share = min(1.0, max(0.0, 2.2 * (moor + 0.22)))
    ndvi = 0.85 - 0.33 * open_share + (0.05 + 0.09 * open_share) * grain + 0.05 * patch + 0.04 * fine
    if open_share > 0.5:
        return MOOR, ndvi, 0.045, 0.27, elevation
    return RAINFOREST, ndvi, 0.018, 0.29 + 0.04 * fine, elevation


@njit(cache=True, nogil=True)
def _alpine_cover(hill: float, grain: float, fine: float, elevation: float) -> Point:
    if elevation > 1320.0 + 300.0 * grain:
        return ROCK, 0.28 + 0.1 * fine, 0.05, 0.34, elevation
    return ALPINE, 0.52 + 0.20 * grain + 0.06 * fine - 0.20 * (hill - 0.5), 0.09, 0.31, elevation


@njit(cache=True, nogil=True)
def _farmland_cover(x: float, y: float, farm: float, rain: float, grain: float, elevation: float, seed: int) -> Point:
    fine = gradient_noise(x / 450.0, y / 450.0, seed + 130)
    green = min(1.0, max(0.0, (rain - 0.15) / 0.45))
    if grain + 0.8 * gradient_noise(x / 2600.0, y / 2600.0, seed + 136) > 0.50 + 0.2 * (farm - 0.55):
        return DRY_FOREST, 0.62 + 0.12 * green + 0.08 * fine, 0.05, 0.28, elevation
    field = _field_number(x, y, seed)
    tone, use = uniform_noise(field, 1, seed + 140) - 0.5, uniform_noise(field, 2, seed + 140)
    crops = 0.40 if farm > 0.95 else 0.12
    bright = 0.35 - 0.04 * green + 0.05 * tone
    if use < 0.42 * crops:
        return CEREAL, 0.41 + 0.08 * green + 0.08 * tone, 0.26, bright, elevation
    if use < 0.66 * crops:
        return SPRING_CROP, 0.44 + 0.06 * green + 0.08 * tone, 0.27, bright, elevation
    if use < crops:
        return SUMMER_CROP, 0.52 + 0.06 * green + 0.08 * tone, 0.25, bright - 0.02, elevation
    base = 0.42 + 0.28 * green + 0.10 * tone + 0.12 * grain + 0.05 * fine
    return PASTURE, base, 0.23 - 0.12 * green + 0.05 * tone, bright, elevation


@njit(cache=True, nogil=True)
def _field_number(x: float, y: float, seed: int) -> int:
    """Return a number that identifies the field at a position; fields are blocks of 2.4 km, divided 2 to 5 times."""
    bend = gradient_noise(x / 16e3, y / 16e3, seed + 150), gradient_noise(x / 16e3, y / 16e3, seed + 151)
    u, v = (x + 0.35 * y + 5000.0 * bend[0]) / 2400.0, (y - 0.35 * x + 5000.0 * bend[1]) / 2400.0
    i, j = floor(u), floor(v)
    u, v, number = u - i, v - j, int(uniform_noise(i, j, seed + 152) * 2.0**30)
    for depth in range(5):
        if depth > 1 and uniform_noise(number, depth, seed + 153) < 0.3:
            break
        cut = 0.35 + 0.3 * uniform_noise(number, depth, seed + 154)
        side = u > cut
        u = (u - cut) / (1.0 - cut) if side else u / cut
        u, v = v, u
        number = int(uniform_noise(number, 2 * depth + int(side), seed + 155) * 2.0**30)
    return number
