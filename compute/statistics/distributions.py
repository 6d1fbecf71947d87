"""Distributions of area over NDVI, with mean, percentiles, histogram and class areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from compute import kernels
from compute.engine.overview_levels import LAYER_ENCODING
from compute.result.ndvi_classes import CLASSES, class_of

PERCENTILES = (5, 25, 50, 75, 95)

HISTOGRAM_STEP = 0.05
"""Width of a histogram bin in NDVI. Values below -1 and above 1 are counted in the first and the last bin."""

M2_PER_HA = 10_000.0

_SCALE = LAYER_ENCODING["ndvi_mean"].scale


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaDistribution:
    """Area on the ground by NDVI.

    Percentiles are values of the inverse of the weighted empirical distribution function without interpolation, as in
    ``numpy.percentile(..., method="inverted_cdf", weights=areas)``: Hyndman and Fan (1996), Sample quantiles in
    statistical packages, The American Statistician 50(4), definition 1, doi:10.1080/00031305.1996.10473566.

    Attributes
    ----------
    total : float
        Sum of area times NDVI, in square metres.
    pixels : float
        Number of level-0 pixels with a mean.
    values : numpy.ndarray
        (n,) int16 NDVI in units of 1e-4, ascending and unique.
    areas : numpy.ndarray
        (n,) float64 area of each value, in square metres.
    """

    total: float
    pixels: float
    values: NDArray[np.int16]
    areas: NDArray[np.float64]

    @classmethod
    def from_pixels(cls, ndvi: NDArray[Any], areas: NDArray[np.float64], pixels: float) -> Self:
        """Compute the distribution of pixels.

        Parameters
        ----------
        ndvi : numpy.ndarray
            (n,) float NDVI without NaN.
        areas : numpy.ndarray
            (n,) float64 area of each pixel, in square metres.
        pixels : float
            Number of level-0 pixels with a mean.
        """
        encoded = kernels.encode_values(np.ascontiguousarray(ndvi, np.float32), 1.0 / _SCALE)
        values, places = np.unique(encoded, return_inverse=True)
        return cls(
            total=float(np.sum(ndvi * areas, dtype=np.float64)),
            pixels=pixels,
            values=values,
            areas=_added(places, areas, values.size),
        )

    @classmethod
    def merge(cls, spreads: Sequence[Self]) -> Self:
        """Merge one or more distributions into one."""
        values, places = np.unique(np.concatenate([each.values for each in spreads]), return_inverse=True)
        areas = np.concatenate([each.areas for each in spreads])
        return cls(
            total=sum(each.total for each in spreads),
            pixels=sum(each.pixels for each in spreads),
            values=values,
            areas=_added(places, areas, values.size),
        )

    @property
    def area(self) -> float:
        """Total area in square metres."""
        return float(self.areas.sum())

    def mean(self) -> float | None:
        """Return the area-weighted mean NDVI, or None if the area is 0."""
        return self.total / self.area if self.area else None

    def percentiles(self) -> list[float] | None:
        """Return the area-weighted `PERCENTILES` of NDVI, rounded to 1e-4, or None if the area is 0."""
        if not self.area:
            return None
        reached = np.cumsum(self.areas)
        wanted = np.array(PERCENTILES) / 100 * reached[-1]
        places = np.searchsorted(reached, wanted * (1 - 1e-12))
        return [round(float(value), 4) for value in self.values[places] * _SCALE]

    def class_areas(self) -> NDArray[np.float64]:
        """Return the (class,) float64 areas of the `CLASSES`, in square metres."""
        return _added(class_of(self.values), self.areas, len(CLASSES))

    def outside(self) -> float:
        """Return the area with a mean outside -1 to 1, which negative reflectance causes, in square metres."""
        return float(self.areas[np.abs(self.values * _SCALE) > 1.0].sum())

    def histogram(self) -> NDArray[np.float64]:
        """Return the (bin,) float64 areas of bins from -1 to 1, in square metres; lower borders are inclusive."""
        bars = round(2 / HISTOGRAM_STEP)
        borders = np.rint((np.arange(1, bars) * HISTOGRAM_STEP - 1) / _SCALE)
        return _added(np.searchsorted(borders, self.values, side="right"), self.areas, bars)


def describe(spread: AreaDistribution) -> dict[str, Any]:
    """Return a summary of a distribution for JSON; areas are in hectares."""
    percentiles: Sequence[float | None] = spread.percentiles() or [None] * len(PERCENTILES)
    return {
        "ndvi_mean": spread.mean(),
        "clear_pixels": round(spread.pixels),
        "clear_area_ha": spread.area / M2_PER_HA,
        "outside_area_ha": spread.outside() / M2_PER_HA,
        "percentiles": dict(zip(map(str, PERCENTILES), percentiles, strict=True)),
        "classes": [
            {"name": each.name, "from": each.low, "below": each.below, "area_ha": area / M2_PER_HA}
            for each, area in zip(CLASSES, spread.class_areas().tolist(), strict=True)
        ],
        "histogram": {
            "first": -1.0,
            "step": HISTOGRAM_STEP,
            "area_ha": [area / M2_PER_HA for area in spread.histogram().tolist()],
        },
    }


def compare(fine: AreaDistribution, coarse: AreaDistribution) -> dict[str, float] | None:
    """Return the differences between the distributions of one area at two resolutions.

    Parameters
    ----------
    fine, coarse : AreaDistribution
        Distributions from level-0 pixels and from an overview level.

    Returns
    -------
    dict or None
        Absolute differences: ``ndvi_mean``, ``percentile`` (largest difference of all percentiles) and ``class_share``
        (largest difference of all classes, as a share of the whole area). None if a distribution is empty.
    """
    if not (fine.area and coarse.area):
        return None
    means = np.array([each.mean() for each in (fine, coarse)], float)
    percentiles = np.array([each.percentiles() for each in (fine, coarse)], float)
    shares = np.array([each.class_areas() / each.area for each in (fine, coarse)])
    return {
        "ndvi_mean": _largest(np.diff(means)),
        "percentile": _largest(np.diff(percentiles, axis=0)),
        "class_share": _largest(np.diff(shares, axis=0)),
    }


def _largest(differences: NDArray[np.float64]) -> float:
    return float(np.abs(differences).max())


def _added(places: NDArray[np.int64], areas: NDArray[np.float64], many: int) -> NDArray[np.float64]:
    """Return (many,) float64 sums of areas by bin number."""
    return np.bincount(places, areas, minlength=many).astype(np.float64)
