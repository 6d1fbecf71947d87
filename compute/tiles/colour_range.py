"""Colour range of a layer, from percentiles of its values at the coarsest level."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from compute import kernels
from compute.engine.overview_levels import LAYER_ENCODING
from compute.plan import COARSEST_PX, level_count
from compute.tiles.tile_patches import ControlPoints

SHARES = (2.0, 98.0)
"""Percentiles of a layer's values that get the first and the last colour."""

_STEP_PX = 16


def overview_control(shape: tuple[int, int]) -> ControlPoints:
    """Return the control points of a tile whose pixels are the pixels of a result's coarsest level.

    Parameters
    ----------
    shape : (int, int)
        (rows, columns) of the result. Pixels of the level whose centre is outside the result are left out.
    """
    places = np.arange(0, COARSEST_PX + _STEP_PX, _STEP_PX) * float(2 ** level_count(shape))
    return ControlPoints(nodes=np.stack(np.meshgrid(places, places, indexing="ij")), step=_STEP_PX)


def stretched(layer: str, tiles: Iterable[NDArray[np.int16]]) -> tuple[float, float] | None:
    """Return the range between two percentiles of a layer.

    Parameters
    ----------
    layer : str
        ``"ndvi_mean"`` or ``"clear_count"``.
    tiles : iterable of numpy.ndarray
        int16 encoded values or codes, of any shape.

    Returns
    -------
    (float, float) or None
        The percentiles `SHARES`, rounded outwards to one decimal less than values of the layer are shown with, so that
        they are readable and never equal; None if there are no values.
    """
    encoding = LAYER_ENCODING[layer]
    values = np.concatenate([tile[tile >= -kernels.LARGEST] for tile in tiles])
    if not values.size:
        return None
    low, high = np.percentile(values, SHARES) * encoding.scale + encoding.offset
    digits = encoding.digits - 1
    unit = 10.0**-digits
    # Rounded to 6 digits first, so that the division maps exact multiples of the unit to whole numbers.
    first, last = floor(round(low / unit, 6)), ceil(round(high / unit, 6))
    return round(first * unit, digits), round(max(last, first + 1) * unit, digits)
