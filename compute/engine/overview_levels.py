"""Overview levels of a block, each at half the resolution of the previous one, encoded like tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute import kernels


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """Encoding of a layer as int16 in overview levels and tiles.

    Attributes
    ----------
    scale, offset : float
        The quantity is ``stored * scale + offset``. Stored values below ``-compute.kernels.LARGEST`` are codes.
    units : str
        Name or unit of the quantity, for display.
    digits : int
        Number of decimals to display.
    """

    scale: float
    offset: float = 0.0
    units: str
    digits: int

    def decode(self, values: NDArray[np.int16]) -> NDArray[np.float64]:
        """Return stored values as float64 quantities of the same shape, NaN for codes."""
        return np.where(values < -kernels.LARGEST, np.nan, values * self.scale + self.offset)


LAYER_ENCODING: Mapping[str, Encoding] = {
    "ndvi_mean": Encoding(scale=1e-4, units="NDVI", digits=3),
    "clear_count": Encoding(scale=0.1, units="clear observations", digits=1),
}
"""Encoding of each layer. Mean NDVI has steps of 1e-4, a hundredth of a typical difference between seasons, and values
up to 3.276. Clear counts have steps of 0.1, because a count of an overview level is a mean, and values up to 3,276."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """Overview level of a block.

    A pixel of level k covers 2**k by 2**k pixels of the block, or fewer at the last row and column of the block. Pixels
    outside the region's polygon are included, as pixels without observations.

    A level has 5 bytes per pixel. All levels together take 0.28 of the memory of mean and count of the block.

    Attributes
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) int16 average of the level-0 pixels with a mean, each weighing 1; encoded by `LAYER_ENCODING`.
    clear_share : numpy.ndarray
        (y, x) uint8 share of level-0 pixels with a mean, in units of 1/255. 0 and 255 stand only for none and all.
    clear_count : numpy.ndarray
        (y, x) int16 average number of observations over all level-0 pixels; encoded by `LAYER_ENCODING`.
    """

    ndvi_mean: NDArray[np.int16]
    clear_share: NDArray[np.uint8]
    clear_count: NDArray[np.int16]

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        return self.ndvi_mean.nbytes + self.clear_share.nbytes + self.clear_count.nbytes


def build_levels(ndvi_mean: NDArray[np.float32], clear_count: NDArray[np.uint16], levels: int) -> tuple[Level, ...]:
    """Build the overview levels of a block from integer sums, so that rounding does not accumulate between levels.

    Parameters
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) float32 mean NDVI, NaN for pixels without a mean.
    clear_count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    levels : int
        Number of levels, at least 0. The first pixel of the block must be at a multiple of 2**levels in the result.

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
    """Return (n,) int64 numbers of level-0 pixels that the pixels of a level cover along one axis."""
    borders = np.minimum(np.arange(0, length + (1 << level), 1 << level), length)
    return np.diff(borders).astype(np.int64)
