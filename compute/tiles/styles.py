"""Styles: colours of values for PNG tiles, the page, legends and pictures, computed with Datashader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Self

import colorcet
import numpy as np
import xarray as xr
from datashader import colors, transfer_functions
from numpy.typing import NDArray
from PIL import ImageColor

from compute import kernels
from compute.engine.overview_levels import LAYER_ENCODING
from compute.errors import InputError
from compute.result.ndvi_classes import BORDERS, CLASSES, class_of

WATER = "#b9d3e0"
"""Colour of values below 0 (mostly water) in the palette ``land``."""

LAND = ("#f3ecdc", "#e6d8ab", "#c6c977", "#8fb052", "#53903d", "#256a33", "#0b4127")
"""Colours from bare ground to dense canopy. Lightness decreases, so they are readable without colour vision."""


def _as_text(colours: Iterable[Sequence[int]]) -> tuple[str, ...]:
    return tuple("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours)


CLASSED = "classes"
"""Name of the palette with the colours of `compute.result.ndvi_classes.CLASSES`; they are not interpolated."""

PALETTES: Mapping[str, tuple[str, ...]] = {
    "land": LAND,
    CLASSED: tuple(each.colour for each in CLASSES),
    "viridis": _as_text(colors.viridis),
    "inferno": _as_text(colors.inferno),
    "grey": ("#101010", "#f4f4f4"),
    "bgy": tuple(colorcet.bgy),
    "kbc": tuple(colorcet.kbc),
    "cbl2": tuple(colorcet.CET_CBL2),
}
"""Palettes by name: evenly spaced colours from low to high values. Lightness is monotonic in every palette, also for
colour-blind viewers. ``bgy``, ``kbc`` and ``cbl2`` are from colorcet: https://colorcet.holoviz.org"""

NDVI_SPAN, COUNT_SPAN = (-0.1, 0.9), (0.0, 30.0)
"""Default values of the first and the last colour, for NDVI and for counts."""

NEVER_CLEAR_RGBA, OUTSIDE_RGBA, NOT_COMPUTED_RGBA = (168, 175, 179, 120), (0, 0, 0, 0), (110, 120, 128, 120)
"""RGBA colours of pixels without a value. Pixels that are not computed yet are hatched; pixels with too few clear
observations are striped in the colour of never clear."""

_GREY, _NOTHING, _LINE = range(3)
"""Positions of these colours in the palette of a PNG."""

COLOUR_COUNT = 253
"""Number of interpolated colours of a style: the 256 of a PNG palette minus three for pixels without a value."""

_HATCH_PERIOD_PX, _HATCH_PX = 16, 2
_STRIPE_PX = 4


@dataclass(frozen=True, kw_only=True)
class Style:
    """Style of a layer: palette, span and direction of its colours.

    Attributes
    ----------
    layer : str
        ``"ndvi_mean"`` or ``"clear_count"``.
    palette : str
        Name in `PALETTES`; ``classes`` is permitted for NDVI only.
    span : (float, float)
        Values of the first and the last colour, which smaller and larger values get too. Not used for classes.
    reverse : bool
        Whether to reverse the palette, except for the colour of water. Not permitted for classes.
    """

    layer: str = "ndvi_mean"
    palette: str = "land"
    span: tuple[float, float] = NDVI_SPAN
    reverse: bool = False

    def __post_init__(self) -> None:
        if self.layer not in LAYER_ENCODING:
            raise InputError("layer", f"There is no layer {self.layer[:20]!r}; there are {', '.join(LAYER_ENCODING)}.")
        if self.palette not in PALETTES:
            raise InputError("palette", f"There is no palette {self.palette[:20]!r}; there are {', '.join(PALETTES)}.")
        low, high = self.span
        if not (isfinite(low) and isfinite(high) and high - low > LAYER_ENCODING[self.layer].scale):
            raise InputError("span", f"The span {low:g},{high:g} must be two finite numbers, the second larger.")
        if self.palette == CLASSED and (self.layer, self.span, self.reverse) != ("ndvi_mean", NDVI_SPAN, False):
            raise InputError(
                "palette", "Classes are of ndvi_mean and have borders of their own; leave span and reverse out."
            )

    @property
    def ends(self) -> tuple[float, float]:
        """Values of the first and the last colour. Borders of classes lie midway between the values of two colours."""
        return _class_ends() if self.palette == CLASSED else self.span

    @classmethod
    def for_layer(cls, layer: str) -> Self:
        """Return the default style of a layer."""
        return cls(layer=layer, palette="viridis", span=COUNT_SPAN) if layer == "clear_count" else cls(layer=layer)

    @classmethod
    def from_query(cls, query: Mapping[str, str], layer: str) -> Self:
        """Parse a style from the query of a URL; missing keys have the values of the layer's default style.

        Parameters
        ----------
        query : mapping of str to str
            Any of ``palette=NAME``, ``span=LOW,HIGH``, ``reverse=0|1``.
        layer : str
            Name of the layer.

        Raises
        ------
        InputError
            A key is unknown or a value is invalid.
        """
        own = cls.for_layer(layer)
        for key in query:
            if key not in ("palette", "span", "reverse"):
                raise InputError("style", f"A style has no {key[:20]!r}; it has palette, span and reverse.")
        if query.get("reverse", "0") not in ("0", "1"):
            raise InputError("reverse", f"The style's reverse must be 0 or 1, not {query['reverse'][:20]!r}.")
        return cls(
            layer=layer,
            palette=query.get("palette", own.palette),
            span=_parse_span(query["span"]) if "span" in query else own.span,
            reverse=query.get("reverse") == "1",
        )


def _parse_span(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError("span", f"The span {text[:40]!r} is not understood; give LOW,HIGH.") from None
    return low, high


def _class_ends() -> tuple[float, float]:
    """Return the centres of the first and the last class, assuming that they have the width of the others.

    Both are decreased by half a step of the stored values, so that no value lies on a border.
    """
    half, step = (BORDERS[1] - BORDERS[0]) / 2, LAYER_ENCODING["ndvi_mean"].scale
    return BORDERS[0] - half - step / 2, BORDERS[-1] + half - step / 2


def ramp(style: Style) -> list[str]:
    """Return evenly spaced colours between the ends of a style: `COLOUR_COUNT` colours, or one for each class.

    Parameters
    ----------
    style : Style
        Style of a layer. In the palette ``land``, values below 0 have the colour of water, and `LAND` starts at 0.
    """
    stops = PALETTES[style.palette][:: -1 if style.reverse else 1]
    if style.palette == CLASSED:
        return list(stops)
    if style.palette != "land":
        return _between(stops, COLOUR_COUNT)
    dry = int((np.linspace(*style.span, COLOUR_COUNT) >= 0).sum())
    return [WATER] * (COLOUR_COUNT - dry) + _between(stops, dry)


def _between(stops: Sequence[str], count: int) -> list[str]:
    """Return `count` evenly spaced colours as ``#rrggbb``, interpolated between `stops`."""
    channels = np.array([ImageColor.getrgb(stop) for stop in stops], float).T
    at = np.linspace(0, len(stops) - 1, count)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in channels], 1).round().astype(int)
    return list(_as_text(mixed.tolist()))


def shade(values: xr.DataArray, style: Style) -> transfer_functions.Image:
    """Colour decoded values with Datashader; NaN is transparent. All colours of a style are derived from this function.

    Parameters
    ----------
    values : xarray.DataArray
        (y, x) float values with ascending y.
    style : Style
        Style of the layer.
    """
    return transfer_functions.shade(values, cmap=ramp(style), span=style.ends, how="linear")


# Cached, since a server colours many tiles with few styles.
@lru_cache(maxsize=64)
def lookup_table(style: Style) -> NDArray[np.uint8]:
    """Return the palette of a PNG tile.

    Returns
    -------
    numpy.ndarray
        (3 + n, 4) uint8 RGBA: colours of never clear, outside and not computed yet, then the n colours of `ramp`.
    """
    count = len(ramp(style))
    values = xr.DataArray(np.linspace(*style.ends, count)[np.newaxis], dims=("y", "x"))
    coloured = shade(values, style).data.view(np.uint8).reshape(count, 4)
    table = np.concatenate([np.array([NEVER_CLEAR_RGBA, OUTSIDE_RGBA, NOT_COMPUTED_RGBA], np.uint8), coloured])
    table.flags.writeable = False
    return table


def hex_colours(style: Style) -> list[str]:
    """Return the n colours of a style as ``#rrggbb``, from the lower to the upper end of `Style.ends`.

    On PNG tiles and on the page, a value v has the colour floor((v - low) / (high - low) * (n - 1) + 1/2), clipped to
    0 and n - 1.
    """
    return list(_as_text(lookup_table(style)[3:, :3].tolist()))


def colour_index(values: NDArray[np.int16], style: Style) -> NDArray[np.uint8]:
    """Return the position of every value of a tile in `lookup_table`.

    Parameters
    ----------
    values : numpy.ndarray
        (y, x) int16 encoded values or codes.
    style : Style
        Style of the layer.

    Returns
    -------
    numpy.ndarray
        (y, x) uint8 positions. Pixels that are not computed yet are hatched. Pixels with too few clear observations are
        striped in the other diagonal direction. Both are transparent between the lines.
    """
    index = _index_table(style)[values.view(np.uint16)]
    rows, columns = np.ogrid[: values.shape[0], : values.shape[1]]
    pending, few = values == kernels.NOT_COMPUTED, values == kernels.TOO_FEW
    if pending.any():
        index[pending & ((rows + columns) % _HATCH_PERIOD_PX < _HATCH_PX)] = _LINE
    if few.any():
        index[few & ((rows - columns) % (2 * _STRIPE_PX) < _STRIPE_PX)] = _NOTHING
    return index


# Cached, since a lookup takes a tenth of the time of the arithmetic.
@lru_cache(maxsize=64)
def _index_table(style: Style) -> NDArray[np.uint8]:
    """Return the (65536,) uint8 positions of all int16 values in `lookup_table`, indexed by their bits as uint16."""
    values = np.arange(2**16, dtype=np.uint16).view(np.int16)
    index = ((class_of(values) if style.palette == CLASSED else _number(values, style)) + 3).astype(np.uint8)
    index[(values == kernels.NEVER_CLEAR) | (values == kernels.TOO_FEW)] = _GREY
    index[(values == kernels.OUTSIDE) | (values == kernels.NOT_COMPUTED)] = _NOTHING
    return index


def _number(values: NDArray[np.int16], style: Style) -> NDArray[np.float64]:
    encoding, (low, high), last = LAYER_ENCODING[style.layer], style.span, COLOUR_COUNT - 1
    share = (values * encoding.scale + encoding.offset - low) / (high - low)
    number: NDArray[np.float64] = np.floor(np.clip(share, 0.0, 1.0) * last + 0.5)
    return number
