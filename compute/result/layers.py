"""Layers of a result: names, data types, units and CF attributes of its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

LAYERS: Mapping[str, np.dtype[Any]] = {"ndvi_mean": np.dtype("float32"), "clear_count": np.dtype("uint16")}
"""Arrays of every result: mean NDVI (unitless, NaN if there is none) and number of clear observations."""

ARRAYS: Mapping[str, np.dtype[Any]] = {
    **LAYERS,
    "clear_months": np.dtype("uint8"),
    "ndvi_std": np.dtype("float32"),
    "unclear_count": np.dtype("uint16"),
}
"""All arrays. Those on request are the number of calendar months with a clear observation, the standard deviation, and
the number of looks without an observation by reason. A *look* is a pixel of one platform and solar day with data."""

NAMES: Mapping[str, str] = {
    "ndvi_mean": "NDVI mean",
    "clear_count": "clear count",
    "clear_months": "clear months",
    "ndvi_std": "NDVI standard deviation",
    "unclear_count": "unclear count",
}
"""Name of each array in lists of bands."""

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
"""CF attributes of each array; see https://cfconventions.org."""

CONVENTIONS = "CF-1.11"
"""Version of the CF conventions that stored results follow. Unsigned counts require 1.9 or later. Version 1.12 does not
permit a variable of labels with the name of its dimension, such as ``season``."""


def unused_value(dtype: np.dtype[Any]) -> float:
    """Return a fill value that no pixel has, since some readers treat the fill value of a Zarr array as missing data.

    The value is NaN for floats, and the largest value of the data type for counts, because 0 is a valid count.
    """
    return float("nan") if dtype.kind == "f" else int(np.iinfo(dtype).max)
