"""Synthetic clouds and cloud shadows from one opacity field per overpass, sampled on a coarse grid."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, radians, sin, tan

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.demo.hashed_noise import fractal_noise, gradient_noise, uniform_noise
from compute.demo.overpasses import Acquisition
from compute.demo.pixel_lattice import LatticeWindow

STEP = 4
"""Distance between opacity samples in pixels; clouds are smooth, and coarse sampling saves nine tenths of the time."""

SHARPNESS = 4.0
"""Factor of the opacity field, and therefore of the gradient of opacity at cloud edges."""

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudField:
    """Clouds over a window.

    Attributes
    ----------
    veil : numpy.ndarray of float32
        (rows, columns) samples of opacity: 0 or less is clear, 1 or more is opaque.
    margin : int
        Number of sample rows above the window, and of sample columns to the left of it.
    phase : (int, int)
        Offset in pixels (rows, columns) from the last sample at or before the upper left pixel of the window to that
        pixel.
    shadow : (int, int)
        Offset in pixels (rows, columns) from a shadow to its cloud.
    """

    veil: NDArray[np.float32]
    margin: int
    phase: tuple[int, int]
    shadow: tuple[int, int]


def sample_clouds(acquisition: Acquisition, seed: int) -> CloudField:
    """Return the clouds of an acquisition.

    All rows of one overpass have the same opacity field, so that clouds are equal in overlaps of their footprints.

    Parameters
    ----------
    acquisition : Acquisition
        Acquisition with footprint and time.
    seed : int
        Seed of the scene set.

    Returns
    -------
    CloudField
        Clouds above the window, and those outside it whose shadows are in the window.
    """
    window = acquisition.footprint.window
    weather = int(uniform_noise(acquisition.flight, 0, seed + 600) * 2**30)
    shadow = _shadow_offset(acquisition, window, weather)
    margin = max(abs(shadow[0]), abs(shadow[1])) // STEP + 2
    row, column = window.row // STEP, window.column // STEP
    shape = (window.shape[0] // STEP + 2 * margin + 2, window.shape[1] // STEP + 2 * margin + 2)
    veil = np.empty(shape, np.float32)
    _fill_opacity(
        veil, row - margin, column - margin, float(STEP * window.pixel_m), _cloudiness(acquisition, seed), weather
    )
    return CloudField(veil=veil, margin=margin, phase=(window.row % STEP, window.column % STEP), shadow=shadow)


def _shadow_offset(acquisition: Acquisition, window: LatticeWindow, weather: int) -> tuple[int, int]:
    """Return the offset in pixels (rows, columns) from a shadow to its cloud, which is towards the sun."""
    azimuth, elevation = acquisition.sun
    reach = (1000.0 + 1200.0 * uniform_noise(weather, 1, 0)) / tan(radians(elevation)) / window.pixel_m
    return -round(reach * cos(radians(azimuth))), round(reach * sin(radians(azimuth)))


def _cloudiness(acquisition: Acquisition, seed: int) -> float:
    """Return the cloudiness of the day, about -0.8 to 0.8.

    Cloudiness is a golden-ratio sequence over the cycles of a path, which distributes clear and cloudy days evenly, so
    that every season of a path has clear days.
    """
    share = (acquisition.cycle * _GOLDEN + acquisition.footprint.path * 0.37 + uniform_noise(seed, 0, 601)) % 1.0
    winter = cos(radians(acquisition.time.timetuple().tm_yday - 200))
    return 1.45 * (share - 0.5) + 0.10 * winter


@njit(cache=True, nogil=True)
def _fill_opacity(
    veil: NDArray[np.float32], row: int, column: int, step_m: float, cloudiness: float, weather: int
) -> None:
    for r in range(veil.shape[0]):
        for c in range(veil.shape[1]):
            x, y = (column + c) * step_m, -(row + r) * step_m
            # Fronts are elongated from north-north-west to south-south-east.
            front = fractal_noise((x + 0.4 * y) / 70e3, (y - 0.4 * x) / 130e3, 3, weather)
            cells = fractal_noise(x / 9000.0, y / 9000.0, 4, weather + 10)
            west = 1.0 / (1.0 + exp((x - 435e3) / 50e3))
            lumpy = 0.8 + 0.5 * gradient_noise(x / 60e3, y / 60e3, weather + 20)
            veil[r, c] = SHARPNESS * (2.2 * front + lumpy * cells + cloudiness + 0.45 * west - 0.20)
