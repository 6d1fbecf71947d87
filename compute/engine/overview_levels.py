"""Overview levels of a block, each half as fine, in the encoding of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute import kernels


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """Encoding of a layer's int16 values, in levels and in tiles of every zoom.

    Attributes
    ----------
    scale, offset : float
        The quantity is stored value * scale + offset; codes below -`compute.kernels.LARGEST` have none.
    units : str
        Of the quantity, in words for people.
    digits : int
        Decimals worth showing.
    """

    scale: float
    offset: float = 0.0
    units: str
    digits: int

    def decode(self, values: NDArray[np.int16]) -> NDArray[np.float64]:
        """Return the quantity, NaN where there is none, in the shape of `values`."""
        return np.where(values < -kernels.LARGEST, np.nan, values * self.scale + self.offset)


LAYER_ENCODING: Mapping[str, Encoding] = {
    "ndvi_mean": Encoding(scale=1e-4, units="NDVI", digits=3),
    "clear_count": Encoding(scale=0.1, units="clear observations", digits=1),
}
"""By layer. Means come to 1e-4, a hundredth of what seasons differ by, and reach to 3.276; clear counts are whole at
level 0 and means above it, so they come to a tenth and reach to 3,276."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One overview of a block: 5 bytes a pixel, so that all levels together take 0.28 of the block's 6.

    A pixel of level k covers 2**k by 2**k pixels of the block; at the end of a ragged edge those of them that lie
    inside the grid. Pixels outside the region's polygon are inside the grid, and never clear.

    Attributes
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) int16 mean of the pixels that have one, each weighing 1, encoded as `LAYER_ENCODING` says.
    clear_share : numpy.ndarray
        (y, x) uint8 share of the pixels that have a mean, in units of 1/255; 0 is none of them and 255 all.
    clear_count : numpy.ndarray
        (y, x) int16 mean number of observations of all pixels, encoded as `LAYER_ENCODING` says.
    """

    ndvi_mean: NDArray[np.int16]
    clear_share: NDArray[np.uint8]
    clear_count: NDArray[np.int16]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.ndvi_mean.nbytes + self.clear_share.nbytes + self.clear_count.nbytes


def build_levels(ndvi_mean: NDArray[np.float32], clear_count: NDArray[np.uint16], levels: int) -> tuple[Level, ...]:
    """Build the levels of a block, each from the whole-number sums of the one before: nothing drifts.

    Parameters
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) float32 NDVI, NaN where there is no mean.
    clear_count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    levels : int
        How many, at least 0. The block begins on a multiple of 2**levels pixels of the grid.

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
    """Return how many pixels along an edge each pixel of a level covers."""
    borders = np.minimum(np.arange(0, length + (1 << level), 1 << level), length)
    return np.diff(borders).astype(np.int64)
