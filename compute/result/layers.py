"""Layers of a result: names, data types, units and CF attributes of its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

LAYERS: Mapping[str, np.dtype[Any]] = {"ndvi_mean": np.dtype("float32"), "clear_count": np.dtype("uint16")}
"""Arrays of every result: mean NDVI (unitless, NaN where never clear) and number of clear observations."""

ARRAYS: Mapping[str, np.dtype[Any]] = {
    **LAYERS,
    "clear_months": np.dtype("uint8"),
    "ndvi_std": np.dtype("float32"),
    "unclear_count": np.dtype("uint16"),
}
"""All arrays, including those on request: number of calendar months with a clear observation, standard deviation, and
number of excluded looks by reason."""

NAMES: Mapping[str, str] = {
    "ndvi_mean": "NDVI mean",
    "clear_count": "clear count",
    "clear_months": "clear months",
    "ndvi_std": "NDVI standard deviation",
    "unclear_count": "unclear count",
}
"""Name of each array in a list of bands."""

BY_REASON = "unclear_count"
"""Name of the array with an axis of exclusion reasons."""

ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "ndvi_mean": {
        "standard_name": "normalized_difference_vegetation_index",
        "long_name": "seasonal mean NDVI of clear observations",
        "units": "1",
    },
    "clear_count": {"long_name": "number of clear observations", "units": "1"},
    "clear_months": {"long_name": "number of different calendar months with a clear observation", "units": "1"},
    "ndvi_std": {"long_name": "standard deviation of the clear observations' NDVI", "units": "1"},
    "unclear_count": {"long_name": "number of looks that are no observations, by the reason", "units": "1"},
}
"""Attributes of each array by the CF conventions: https://cfconventions.org"""

CONVENTIONS = "CF-1.11"
"""Version of the CF conventions that stored results follow. Unsigned counts need 1.9 or later; 1.12 forbids season
labels with the name of their axis."""


def unused_value(dtype: np.dtype[Any]) -> float:
    """Return a value that no pixel has, for readers that take the fill value of a Zarr array for missing data.

    It is NaN for floats. For counts it is the largest value of the data type, as 0 is a valid count.
    """
    return float("nan") if dtype.kind == "f" else int(np.iinfo(dtype).max)
