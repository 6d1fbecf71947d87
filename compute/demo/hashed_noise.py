"""Hashed noise on the plane: what a pixel looks like depends on where it is and on nothing else.

Gradient noise after Perlin (2002, *Improving noise*, SIGGRAPH), with an integer hash in place of a table, so that
it has no period and two scenes that see one place see the same.
"""

from __future__ import annotations

from math import floor

from numba import njit

_MASK = 0xFFFFFFFF


@njit(cache=True, nogil=True)
def hashed(i: int, j: int, seed: int) -> int:
    """Return 32 well-mixed bits for a lattice point.

    Parameters
    ----------
    i, j : int
        Column and row of the lattice, of either sign.
    seed : int
        Number of the field.

    Returns
    -------
    int
        0 to 2**32 - 1 (two rounds of the MurmurHash3 finaliser).
    """
    h = (i * 0x9E3779B1 + j * 0x85EBCA77 + seed * 0xC2B2AE3D) & _MASK
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & _MASK
    h = ((h ^ (h >> 15)) * 0x46A7CA6B) & _MASK
    return h ^ (h >> 16)


@njit(cache=True, nogil=True)
def uniform(i: int, j: int, seed: int) -> float:
    """Return the hash of a lattice point as a number from 0 to 1 (see `hashed`)."""
    return hashed(i, j, seed) / 4294967296.0


@njit(cache=True, nogil=True)
def _corner(i: int, j: int, dx: float, dy: float, seed: int) -> float:
    h = hashed(i, j, seed)
    return ((h & 0xFFFF) / 32768.0 - 1.0) * dx + ((h >> 16) / 32768.0 - 1.0) * dy


@njit(cache=True, nogil=True)
def gradient(x: float, y: float, seed: int) -> float:
    """Return one octave of gradient noise.

    Parameters
    ----------
    x, y : float
        Place, in units of the lattice.
    seed : int
        Number of the field.

    Returns
    -------
    float
        Mean 0, mostly from -0.5 to 0.5, smooth to the second derivative.
    """
    i, j = floor(x), floor(y)
    u, v = x - i, y - j
    top = _corner(i, j, u, v, seed)
    bottom = _corner(i, j + 1, u, v - 1.0, seed)
    fade = u * u * u * (u * (u * 6.0 - 15.0) + 10.0)
    top += fade * (_corner(i + 1, j, u - 1.0, v, seed) - top)
    bottom += fade * (_corner(i + 1, j + 1, u - 1.0, v - 1.0, seed) - bottom)
    return top + v * v * v * (v * (v * 6.0 - 15.0) + 10.0) * (bottom - top)


@njit(cache=True, nogil=True)
def fractal(x: float, y: float, octaves: int, seed: int) -> float:
    """Return the sum of octaves of gradient noise, each of twice the frequency and half the height.

    Parameters
    ----------
    x, y : float
        Place, in units of the coarsest octave.
    octaves : int
        How many.
    seed : int
        Number of the field.

    Returns
    -------
    float
        Mean 0, mostly from -0.7 to 0.7.
    """
    total, height = 0.0, 1.0
    for octave in range(octaves):
        total += height * gradient(x, y, seed + octave)
        x, y, height = 2.0 * x + 17.3, 2.0 * y - 9.1, 0.5 * height
    return total


@njit(cache=True, nogil=True)
def creased(x: float, y: float, octaves: int, seed: int) -> float:
    """Return folded octaves: broad shoulders cut by a branching net of sharp lines, like valleys seen from above.

    Parameters
    ----------
    x, y, octaves, seed
        As in `fractal`.

    Returns
    -------
    float
        0 on the lines to about 1 far from them.
    """
    total, height, share = 0.0, 1.0, 0.0
    for octave in range(octaves):
        total += height * min(1.0, 3.2 * abs(gradient(x, y, seed + octave)))
        share += height
        x, y, height = 1.9 * x + 5.7, 1.9 * y - 3.9, 0.55 * height
    return total / share
