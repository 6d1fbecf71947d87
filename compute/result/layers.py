"""Layers of a result: names, data types, units and attributes of its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

LAYERS: Mapping[str, np.dtype[Any]] = {"ndvi_mean": np.dtype("float32"), "clear_count": np.dtype("uint16")}
"""The arrays of every result: NDVI mean (unitless, NaN where never clear) and number of clear observations."""

ARRAYS: Mapping[str, np.dtype[Any]] = {
    **LAYERS,
    "clear_months": np.dtype("uint8"),
    "ndvi_std": np.dtype("float32"),
    "unclear_count": np.dtype("uint16"),
}
"""With those that are kept on request: number of calendar months with a clear observation, standard deviation, and
number of looks that are no observations, by their reason."""

NAMES: Mapping[str, str] = {
    "ndvi_mean": "NDVI mean",
    "clear_count": "clear count",
    "clear_months": "clear months",
    "ndvi_std": "NDVI standard deviation",
    "unclear_count": "unclear count",
}
"""What each array is called in a list of bands."""

BY_REASON = "unclear_count"
"""The one array that has a number for every reason."""

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
"""Of each array, as the CF conventions have them."""

CONVENTIONS = "CF-1.11"
"""Version that stored results follow. Counts may be unsigned from 1.9 on; from 1.12 on, labels of seasons may not be
called as their axis is."""


def unused_value(dtype: np.dtype[Any]) -> float:
    """Return a value that no pixel has, for readers that take the fill value of a Zarr array for missing data.

    Counts end before the greatest value of their type, and 0 is one of them.
    """
    return float("nan") if dtype.kind == "f" else int(np.iinfo(dtype).max)
