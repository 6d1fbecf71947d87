"""Default values of field cases, which each row of the table varies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.field_cases.records import File, SceneFiles

NIR = np.array([[4200, 3900, 3600, 3300], [3000, 2700, 2400, 2100]])
RED = np.array([[600, 700, 800, 900], [1000, 1100, 1200, 1300]])
CLEAR = np.ones((2, 4), int)
INDEX = (NIR - RED) / (NIR + RED)
"""NDVI of the stored values, from 0.75 to 0.235 in steps of their own."""

TIME = "2019-01-05T23:51:08Z"
"""The morning of 6 January 2019 at 152 degrees east."""

LATER = "2019-01-21T23:51:08Z"
"""The next pass of the same orbit."""

LANDSAT: Mapping[str, Mapping[str, Any]] = {
    "red": {"dtype": "int16", "nodata": -999},
    "nir": {"dtype": "int16", "nodata": -999},
    "qa": {"dtype": "uint8", "nodata": 255},
}

SENTINEL: Mapping[str, Mapping[str, Any]] = {
    "red": {"dtype": "uint16", "nodata": 0},
    "nir": {"dtype": "uint16", "nodata": 0},
    "qa": {"dtype": "uint8", "nodata": 0},
}

PLAIN = """
red = "red"
nir = "nir"
mask = "qa"
clear = [1]
"""


def product(base: Mapping[str, Mapping[str, Any]] = LANDSAT, **changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default product with changed and further measurements; None removes a key."""
    names = (*base, *sorted({*changes} - {*base}))
    entries = {name: {**base.get(name, {}), **changes.get(name, {})} for name in names}
    return {"": {name: {k: v for k, v in entry.items() if v is not None} for name, entry in entries.items()}}


def floats(**entry: Any) -> dict[str, Any]:
    """Return a product whose red and nir are float32, with further keys of both."""
    return product(red={"dtype": "float32", **entry}, nir={"dtype": "float32", **entry})


def scene(
    name: str = "one",
    time: str = TIME,
    *,
    red: ArrayLike | File = RED,
    nir: ArrayLike | File = NIR,
    qa: ArrayLike | File | None = CLEAR,
    bands: Mapping[str, ArrayLike | File] | None = None,
    **fields: Any,
) -> SceneFiles:
    """Return a scene that is clear everywhere by default."""
    given = {"red": red, "nir": nir, **({} if qa is None else {"qa": qa}), **(bands or {})}
    files = {each: value if isinstance(value, File) else File(values=value) for each, value in given.items()}
    return SceneFiles(name=name, time=time, bands=files, **fields)


def put(values: ArrayLike, where: Mapping[tuple[int, int], float]) -> NDArray[Any]:
    """Return an array with different values in some pixels."""
    changed = np.array(values, dtype=float if any(isinstance(v, float) for v in where.values()) else None)
    for at, value in where.items():
        changed[at] = value
    return changed


def seen(
    count: ArrayLike = 1, mean: ArrayLike = INDEX, but: Mapping[tuple[int, int], tuple[int, float] | None] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return counts and means, different in some pixels; None for a pixel that is never observed."""
    means = np.array(mean, float)
    counts = np.broadcast_to(np.asarray(count, np.int64), means.shape).copy()
    for at, pair in (but or {}).items():
        counts[at], means[at] = (0, np.nan) if pair is None else pair
    return counts, np.where(counts > 0, means, np.nan)


def ndvi(red: ArrayLike, nir: ArrayLike) -> Any:
    """Return NDVI in float64."""
    red, nir = np.asarray(red, float), np.asarray(nir, float)
    return (nir - red) / (nir + red)
