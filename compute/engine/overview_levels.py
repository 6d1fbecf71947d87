"""Overview levels of a block, each with half the resolution of the one before, in the encoding of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute import kernels


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """Encoding of a layer as int16, in levels and in tiles.

    Attributes
    ----------
    scale, offset : float
        The quantity is stored value * scale + offset; values below -`compute.kernels.LARGEST` are codes.
    units : str
        Name of the quantity and its unit for people.
    digits : int
        Number of decimals to show.
    """

    scale: float
    offset: float = 0.0
    units: str
    digits: int

    def decode(self, values: NDArray[np.int16]) -> NDArray[np.float64]:
        """Return the quantity as float64 in the shape of `values`, NaN for codes."""
        return np.where(values < -kernels.LARGEST, np.nan, values * self.scale + self.offset)


LAYER_ENCODING: Mapping[str, Encoding] = {
    "ndvi_mean": Encoding(scale=1e-4, units="NDVI", digits=3),
    "clear_count": Encoding(scale=0.1, units="clear observations", digits=1),
}
"""Encoding by layer. Means have steps of 1e-4, a hundredth of typical differences between seasons, and reach 3.276.
Clear counts have steps of 0.1, since they are means above level 0, and reach 3,276."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One overview level of a block, of 5 bytes a pixel: all levels together take 0.28 of the block's 6 bytes a pixel.

    A pixel of level k covers 2**k by 2**k pixels of the block, at the last row and column those inside the grid.
    Pixels outside the region's polygon are inside the grid and never clear.

    Attributes
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) int16 mean of the level-0 pixels with a mean, each weighing 1, encoded by `LAYER_ENCODING`.
    clear_share : numpy.ndarray
        (y, x) uint8 share of level-0 pixels with a mean, in units of 1/255; only 0 is none and only 255 is all.
    clear_count : numpy.ndarray
        (y, x) int16 mean number of observations over all level-0 pixels, encoded by `LAYER_ENCODING`.
    """

    ndvi_mean: NDArray[np.int16]
    clear_share: NDArray[np.uint8]
    clear_count: NDArray[np.int16]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.ndvi_mean.nbytes + self.clear_share.nbytes + self.clear_count.nbytes


def build_levels(ndvi_mean: NDArray[np.float32], clear_count: NDArray[np.uint16], levels: int) -> tuple[Level, ...]:
    """Build the levels of a block, each from the integer sums of the one before, so that rounding does not accumulate.

    Parameters
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) float32 NDVI, NaN where there is no mean.
    clear_count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    levels : int
        Number of levels, at least 0. The block must begin on a multiple of 2**levels pixels of the grid.

    Returns
    -------
    tuple of Level
        Levels 1 to `levels`.
    """
    built: list[Level] = []
    sums: NDArray[np.int64] | None = None
    for level in range(1, levels + 1):
        sums = kernels.sum_pixel_quads(ndvi_mean, clear_count) if sums is None else kernels.sum_level_quads(sums)
        built.append(_divide(sums, level, ndvi_mean.shape))
    return tuple(built)


def _divide(sums: NDArray[np.int64], level: int, shape: tuple[int, ...]) -> Level:
    rows, columns = (_covered(length, level) for length in shape)
    per_unit = (1.0 / LAYER_ENCODING[layer].scale for layer in ("ndvi_mean", "clear_count"))
    mean, share, count = kernels.divide_level_sums(sums, rows, columns, *per_unit)
    return Level(ndvi_mean=mean, clear_share=share, clear_count=count)


def _covered(length: int, level: int) -> NDArray[np.int64]:
    """Return (n,) int64: number of level-0 pixels that each pixel of a level covers along an edge."""
    borders = np.minimum(np.arange(0, length + (1 << level), 1 << level), length)
    return np.diff(borders).astype(np.int64)
