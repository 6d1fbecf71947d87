"""Clouds and their shadows: one field of weather for each fly-over, sampled every few pixels."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, radians, sin, tan

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.demo.hashed_noise import fractal, gradient, uniform
from compute.demo.overpasses import Acquisition
from compute.demo.pixel_lattice import LatticeWindow

STEP = 4
"""Pixels between samples of the field: clouds are smoother than the ground, and nine tenths of the work goes."""

SHARPNESS = 4.0
"""How steeply opacity rises at the edge of a cloud."""

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, kw_only=True, slots=True)
class Sky:
    """The clouds over a window.

    Attributes
    ----------
    veil : numpy.ndarray of float32
        (rows, columns) of samples: 0 or less is clear, 1 or more is opaque.
    margin : int
        Samples that the veil reaches beyond the window's upper left corner.
    phase : (int, int)
        Pixels (rows, columns) from the sample before the window's corner to the corner.
    shadow : (int, int)
        Pixels (rows, columns) from a shadow to the cloud that throws it.
    """

    veil: NDArray[np.float32]
    margin: int
    phase: tuple[int, int]
    shadow: tuple[int, int]


def sky_over(acquisition: Acquisition, seed: int) -> Sky:
    """Return the clouds of an acquisition.

    Rows of one fly-over share one weather, so where they overlap they show the same clouds.

    Parameters
    ----------
    acquisition : Acquisition
        Where and when.
    seed : int
        Number of the whole.

    Returns
    -------
    Sky
        Samples that cover the window and, on all sides, the clouds whose shadows fall into it.
    """
    window = acquisition.footprint.window
    weather = int(uniform(acquisition.flight, 0, seed + 600) * 2**30)
    shadow = _shadow_offset(acquisition, window, weather)
    margin = max(abs(shadow[0]), abs(shadow[1])) // STEP + 2
    row, column = window.row // STEP, window.column // STEP
    shape = (window.shape[0] // STEP + 2 * margin + 2, window.shape[1] // STEP + 2 * margin + 2)
    veil = np.empty(shape, np.float32)
    _fill(veil, row - margin, column - margin, float(STEP * window.pixel_m), _cloudiness(acquisition, seed), weather)
    return Sky(veil=veil, margin=margin, phase=(window.row % STEP, window.column % STEP), shadow=shadow)


def _shadow_offset(acquisition: Acquisition, window: LatticeWindow, weather: int) -> tuple[int, int]:
    """Return pixels (rows, columns) towards the sun: in the morning the north-east, so shadows fall south-west."""
    azimuth, elevation = acquisition.sun
    reach = (1000.0 + 1200.0 * uniform(weather, 1, 0)) / tan(radians(elevation)) / window.pixel_m
    return -round(reach * cos(radians(azimuth))), round(reach * sin(radians(azimuth)))


def _cloudiness(acquisition: Acquisition, seed: int) -> float:
    """Return how cloudy the day is, about -1 to 1.

    Golden-ratio steps from fly-over to fly-over spread clear and dull days evenly, so that no season of a path is
    dull throughout.
    """
    share = (acquisition.cycle * _GOLDEN + acquisition.footprint.path * 0.37 + uniform(seed, 0, 601)) % 1.0
    winter = cos(radians(acquisition.time.timetuple().tm_yday - 200))
    return 1.45 * (share - 0.5) + 0.10 * winter


@njit(cache=True, nogil=True)
def _fill(veil: NDArray[np.float32], row: int, column: int, step_m: float, cloudiness: float, weather: int) -> None:
    for r in range(veil.shape[0]):
        for c in range(veil.shape[1]):
            x, y = (column + c) * step_m, -(row + r) * step_m
            # Fronts come from the west and lie across it.
            front = fractal((x + 0.4 * y) / 70e3, (y - 0.4 * x) / 130e3, 3, weather)
            cells = fractal(x / 9000.0, y / 9000.0, 4, weather + 10)
            west = 1.0 / (1.0 + exp((x - 435e3) / 50e3))
            lumpy = 0.8 + 0.5 * gradient(x / 60e3, y / 60e3, weather + 20)
            veil[r, c] = SHARPNESS * (2.2 * front + lumpy * cells + cloudiness + 0.45 * west - 0.20)
