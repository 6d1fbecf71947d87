"""Areas by NDVI, from which mean, percentiles, histogram and classes follow."""

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
"""NDVI of a bar of the histogram; what lies beyond -1 and 1 counts in the first and the last."""

M2_PER_HA = 10_000.0

_SCALE = LAYER_ENCODING["ndvi_mean"].scale


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaDistribution:
    """Areas by NDVI.

    Attributes
    ----------
    total : float
        Sum of area times NDVI, in square metres.
    pixels : float
        Number of level-0 pixels with a mean.
    values : numpy.ndarray
        (n,) int16 NDVI in steps of 1e-4, ascending, each once.
    areas : numpy.ndarray
        (n,) float64 square metres that have it.
    """

    total: float
    pixels: float
    values: NDArray[np.int16]
    areas: NDArray[np.float64]

    @classmethod
    def of(cls, ndvi: NDArray[Any], areas: NDArray[np.float64], pixels: float) -> Self:
        """Return the spread of (n,) float NDVI, none of it NaN, that (n,) square metres have."""
        encoded = kernels.encode_values(np.ascontiguousarray(ndvi, np.float32), 1.0 / _SCALE)
        values, places = np.unique(encoded, return_inverse=True)
        return cls(
            total=float(np.sum(ndvi * areas, dtype=np.float64)),
            pixels=pixels,
            values=values,
            areas=_added(places, areas, values.size),
        )

    @classmethod
    def joined(cls, spreads: Sequence[Self]) -> Self:
        """Return the spread of several together, at least one."""
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
        """All of it, in square metres."""
        return float(self.areas.sum())

    def mean(self) -> float | None:
        """Return the mean NDVI, each square metre weighing 1; None of nothing."""
        return self.total / self.area if self.area else None

    def percentiles(self) -> list[float] | None:
        """Return the NDVI, to 1e-4, that at least so many percent of the area do not exceed; None of nothing."""
        if not self.area:
            return None
        reached = np.cumsum(self.areas)
        wanted = np.array(PERCENTILES) / 100 * reached[-1]
        places = np.searchsorted(reached, wanted * (1 - 1e-12))
        return [round(float(value), 4) for value in self.values[places] * _SCALE]

    def class_areas(self) -> NDArray[np.float64]:
        """Return the square metres of every class of `CLASSES`."""
        return _added(class_of(self.values), self.areas, len(CLASSES))

    def outside(self) -> float:
        """Return the square metres whose mean lies outside -1 to 1, as negative reflectance makes it."""
        return float(self.areas[np.abs(self.values * _SCALE) > 1.0].sum())

    def histogram(self) -> NDArray[np.float64]:
        """Return the square metres of every bar from -1 to 1; a bar has its lower border."""
        bars = round(2 / HISTOGRAM_STEP)
        borders = np.rint((np.arange(1, bars) * HISTOGRAM_STEP - 1) / _SCALE)
        return _added(np.searchsorted(borders, self.values, side="right"), self.areas, bars)


def describe(spread: AreaDistribution) -> dict[str, Any]:
    """Return the numbers of a spread, ready for JSON: NDVI and hectares."""
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
    """Return how far a spread is from a finer one of the same place; None where there is nothing to compare.

    Returns
    -------
    dict
        ``ndvi_mean``, ``percentile`` (the largest of any) and ``class_share`` (the largest of any, of the whole area).
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
    """Return the sum of the areas of each place."""
    return np.bincount(places, areas, minlength=many).astype(np.float64)
