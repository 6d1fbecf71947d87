"""NDVI classes, shared by statistics, tiles and legends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.engine.overview_levels import LAYER_ENCODING


@dataclass(frozen=True, kw_only=True, slots=True)
class NdviClass:
    """Class of NDVI.

    Attributes
    ----------
    name : str
        Name that users see.
    low, below : float or None
        Lower border (inclusive) and upper border (exclusive); None if the class is unbounded on that side.
    colour : str
        Colour as ``#rrggbb``.
    """

    name: str
    low: float | None
    below: float | None
    colour: str


CLASSES = (
    NdviClass(name="water, snow", low=None, below=0.0, colour="#bedcee"),
    NdviClass(name="bare", low=0.0, below=0.2, colour="#e8d3a0"),
    NdviClass(name="sparse", low=0.2, below=0.4, colour="#c2b654"),
    NdviClass(name="moderate", low=0.4, below=0.6, colour="#779a44"),
    NdviClass(name="dense", low=0.6, below=0.8, colour="#3a6f31"),
    NdviClass(name="very dense", low=0.8, below=None, colour="#0d4529"),
)
"""NDVI classes, ascending and without gaps. All but the first and the last have the same width, so that each
corresponds to one colour of an even ramp. The colours differ and become darker from class to class, also for
colour-blind viewers."""

BORDERS = tuple(each.low for each in CLASSES if each.low is not None)
"""NDVI at the borders between classes, ascending."""


def class_of(values: NDArray[np.int16]) -> NDArray[np.intp]:
    """Return the positions of encoded NDVI values in `CLASSES`.

    Parameters
    ----------
    values : numpy.ndarray
        int16 values of any shape, encoded by `LAYER_ENCODING`. Codes such as `NEVER_CLEAR` are treated as values.

    Returns
    -------
    numpy.ndarray
        Positions, in the shape of `values`.
    """
    scale = LAYER_ENCODING["ndvi_mean"].scale
    return np.searchsorted(np.rint(np.array(BORDERS) / scale), values, side="right")
