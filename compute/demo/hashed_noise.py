"""Gradient noise from an integer hash, as a function of position and seed.

Method: Perlin (2002), *Improving noise*, SIGGRAPH, with an integer hash instead of a permutation table. The noise does
not repeat within a region, and is equal in overlapping scenes.
"""

from __future__ import annotations

from math import floor

from numba import njit

_MASK = 0xFFFFFFFF


@njit(cache=True, nogil=True)
def hash_point(i: int, j: int, seed: int) -> int:
    """Return a 32-bit hash of a lattice point.

    Parameters
    ----------
    i, j : int
        Column and row of the lattice point; may be negative.
    seed : int
        Seed of the noise.

    Returns
    -------
    int
        Hash from 0 to 2**32 - 1. Shifts and multiplications are as in the finaliser of MurmurHash3 (Appleby,
        https://github.com/aappleby/smhasher), with other constants.
    """
    h = (i * 0x9E3779B1 + j * 0x85EBCA77 + seed * 0xC2B2AE3D) & _MASK
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & _MASK
    h = ((h ^ (h >> 15)) * 0x46A7CA6B) & _MASK
    return h ^ (h >> 16)


@njit(cache=True, nogil=True)
def uniform_noise(i: int, j: int, seed: int) -> float:
    """Return the hash of a lattice point, scaled to [0, 1); see `hash_point`."""
    return hash_point(i, j, seed) / 4294967296.0


@njit(cache=True, nogil=True)
def _corner(i: int, j: int, dx: float, dy: float, seed: int) -> float:
    h = hash_point(i, j, seed)
    return ((h & 0xFFFF) / 32768.0 - 1.0) * dx + ((h >> 16) / 32768.0 - 1.0) * dy


@njit(cache=True, nogil=True)
def gradient_noise(x: float, y: float, seed: int) -> float:
    """Return one octave of gradient noise.

    Parameters
    ----------
    x, y : float
        Position in lattice units.
    seed : int
        Seed of the noise.

    Returns
    -------
    float
        Noise with mean 0, mostly from -0.5 to 0.5, and with continuous second derivatives.
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
def fractal_noise(x: float, y: float, octaves: int, seed: int) -> float:
    """Return a sum of octaves of gradient noise, each with twice the frequency and half the amplitude of the previous.

    Parameters
    ----------
    x, y : float
        Position in lattice units of the first octave.
    octaves : int
        Number of octaves.
    seed : int
        Seed of the noise.

    Returns
    -------
    float
        Noise with mean 0, mostly from -0.7 to 0.7.
    """
    total, height = 0.0, 1.0
    for octave in range(octaves):
        total += height * gradient_noise(x, y, seed + octave)
        x, y, height = 2.0 * x + 17.3, 2.0 * y - 9.1, 0.5 * height
    return total


@njit(cache=True, nogil=True)
def ridged_noise(x: float, y: float, octaves: int, seed: int) -> float:
    """Return fractal noise with broad ridges that are separated by a branching network of sharp valley lines.

    Parameters
    ----------
    x, y : float
        Position in lattice units of the first octave.
    octaves : int
        Number of octaves.
    seed : int
        Seed of the noise.

    Returns
    -------
    float
        Height from 0 on valley lines to about 1 far from them.
    """
    total, height, share = 0.0, 1.0, 0.0
    for octave in range(octaves):
        total += height * min(1.0, 3.2 * abs(gradient_noise(x, y, seed + octave)))
        share += height
        x, y, height = 1.9 * x + 5.7, 1.9 * y - 3.9, 0.55 * height
    return total / share
