"""Scale, offset and nodata of a band, merged from the file, the document, the definition and the products file.

The physical value is ``stored * scale + offset``, as in the Open Data Cube (``scale_factor``, ``add_offset``), GDAL and
the STAC raster extension (https://github.com/stac-extensions/raster). The sources are, in order of precedence, the tags
of the file, the document, the product definition and the products file.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose, isnan

import numpy as np
from numpy.typing import DTypeLike

_LARGEST_REFLECTANCE_OFFSET = 1.0
"""Minimum magnitude of an offset in stored units, if no scale is stated with it; offsets of reflectance are smaller."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaling:
    """Scale, offset and nodata of a band, as stated by one source.

    Attributes
    ----------
    scale, offset : float or None
        The physical value is ``stored * scale + offset``; None if not stated.
    nodata : float or None
        Stored value for missing data; None if not stated.
    """

    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None


NO_SCALING = Scaling()


def merge_scaling(nearer: Scaling, farther: Scaling) -> Scaling:
    """Merge the scaling of two sources.

    Parameters
    ----------
    nearer, farther : Scaling
        Scaling of the source with higher precedence, and of the other source. If only `farther` states a scale, an
        offset of `nearer` of magnitude 1 or more is interpreted in stored units, as in ``add_offset: -1000`` without a
        ``scale_factor``.

    Returns
    -------
    Scaling
        Scale, offset and nodata of `nearer`, else of `farther`, else None. The offset of `farther` is not used if the
        scales of the sources differ.
    """
    nodata = farther.nodata if nearer.nodata is None else nearer.nodata
    scale, offset = nearer.scale, nearer.offset
    if scale is None:
        scale = farther.scale
        if offset is None:
            offset = farther.offset
        elif scale is not None and abs(offset) >= _LARGEST_REFLECTANCE_OFFSET:
            offset *= scale
    elif offset is None and (farther.scale is None or isclose(scale, farther.scale, rel_tol=1e-6)):
        offset = farther.offset
    return Scaling(scale=scale, offset=offset, nodata=nodata)


def find_contradictions(nearer: Scaling, farther: Scaling) -> list[tuple[str, float, float]]:
    """Return the values in which the scaling of two sources differs.

    Parameters
    ----------
    nearer, farther : Scaling
        Scaling of the source with higher precedence, and of the other source.

    Returns
    -------
    list of (str, float, float)
        Quantity (``"scale"``, ``"offset"`` or ``"nodata"``), its merged value, and the value of `farther`.
    """
    merged = merge_scaling(nearer, farther)
    pairs = (
        ("scale", merged.scale, farther.scale),
        ("offset", merged.offset, _comparable_offset(nearer, farther)),
        ("nodata", merged.nodata, farther.nodata),
    )
    return [
        (word, near, far)
        for word, near, far in pairs
        if near is not None and far is not None and not _is_close(near, far)
    ]


def _comparable_offset(nearer: Scaling, farther: Scaling) -> float | None:
    """Return the offset of `farther`, converted to scaled units; None unless both sources state an offset."""
    if nearer.offset is None or farther.offset is None:
        return None
    if farther.scale is None and nearer.scale is not None and abs(farther.offset) >= _LARGEST_REFLECTANCE_OFFSET:
        return farther.offset * nearer.scale
    return farther.offset


def _is_close(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=1e-6, abs_tol=1e-12) or (isnan(one) and isnan(other))


def cast_nodata(nodata: float | None, dtype: DTypeLike) -> float | None:
    """Cast a nodata value to a dtype, for example -3.4e38 to the nearest float32 value.

    Parameters
    ----------
    nodata : float or None
        Nodata as stated by a source; None if not stated.
    dtype : dtype
        Dtype of the stored values.

    Returns
    -------
    float or None
        Nodata that stored values can equal; None if there is no such value: for NaN, and for a fraction or an
        out-of-range number with an integer dtype.
    """
    kind = np.dtype(dtype)
    if nodata is None or isnan(nodata):
        return None
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return float(np.array(nodata).astype(kind))
    limits = np.iinfo(kind)
    return nodata if float(nodata).is_integer() and limits.min <= nodata <= limits.max else None
