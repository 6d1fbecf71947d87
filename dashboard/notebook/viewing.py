"""A result as a HoloViews object whose every frame is aggregated on the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import holoviews as hv
import hvplot
import numpy as np
import xarray as xr
from datashader import Canvas
from distributed import Client, Future

from compute.errors import InputError
from compute.result.stack import SeasonStack
from compute.tiles.styles import Style, hex_colours
from dashboard.notebook.computing import refuse_asynchronous

Span = tuple[float, float]

WIDTH_PX, HEIGHT_PX = 720, 560
"""Most pixels of a view along x and y: what a notebook's column shows without scrolling."""


def view(
    stack: SeasonStack,
    client: Client,
    *,
    season: str | None = None,
    layer: str = "ndvi_mean",
    palette: str | None = None,
    span: Span | None = None,
) -> hv.DynamicMap:
    """Return a map of a result that is aggregated on the workers for every pan and zoom, in the result's own CRS.

    Nothing is computed before it is shown. Then Datashader's `Canvas.raster` takes the mean of the pixels with a value
    below each pixel of the screen, and nothing but these means reaches the notebook, so that a result may be as large
    as the workers' memory. It is computed by the client that is given, whichever client is the default.

    Parameters
    ----------
    stack : SeasonStack
        Persisted, from `persist`. While blocks in sight are unfinished, showing waits for them.
    client : distributed.Client
        The synchronous client that persisted it.
    season : str, optional
        Label of the season to show; left out, a widget chooses.
    layer : str
        ``"ndvi_mean"`` (unitless) or ``"clear_count"`` (observations).
    palette : str, optional
        One of `compute.tiles.styles.PALETTES`; left out, the layer's own.
    span : (float, float), optional
        Values at the two ends of the palette, in the layer's units; left out, the layer's own.

    Returns
    -------
    holoviews.DynamicMap
        Of images made by hvPlot, to be overlaid and given options like any other.

    Raises
    ------
    InputError
        There is no such layer, season or palette, the span is not usable, or stack and client do not go together.
    """
    own = Style.for_layer(layer)
    style = replace(own, palette=palette or own.palette, span=span or own.span)
    labels = _labels(stack, season)
    refuse_strangers(stack, client)
    hvplot.extension("bokeh", logo=False)
    frames = _Frames(stack, client, style)
    dimension = hv.Dimension("season", values=labels, default=labels[0])
    streams = [
        hv.streams.RangeXY(x_range=frames.x_range, y_range=frames.y_range),
        hv.streams.PlotSize(width=frames.width, height=frames.height),
    ]
    if season is None:
        return hv.DynamicMap(frames.image, kdims=[dimension], streams=streams)
    return hv.DynamicMap(lambda **window: frames.image(season, **window), streams=streams)


class _Frames:
    """Makes the image of a season for a window and a size of the screen, both as HoloViews' streams tell them."""

    def __init__(self, stack: SeasonStack, client: Client, style: Style) -> None:
        # Datashader keeps the type, and means of whole numbers are not whole.
        self._values = stack.dataset()[style.layer].astype("float32")
        self._client = client
        self._style = style
        self._crs = str(stack.grid.crs)
        left, bottom, right, top = stack.grid.geobox.extent.boundingbox
        self.x_range, self.y_range = (left, right), (bottom, top)
        scale = max((right - left) / WIDTH_PX, (top - bottom) / HEIGHT_PX)
        self.width, self.height = ceil((right - left) / scale), ceil((top - bottom) / scale)

    def image(
        self,
        season: str,
        x_range: Span | None = None,
        y_range: Span | None = None,
        width: int | None = None,
        height: int | None = None,
        **_: float,
    ) -> hv.Image:
        """Return the image of a season; what is not given is the whole result. `PlotSize` tells a scale, too."""
        x_range, y_range = x_range or self.x_range, y_range or self.y_range
        canvas = Canvas(width or self.width, height or self.height, x_range, y_range)
        means = self._aggregate(season, canvas)
        colours = hex_colours(self._style)
        return hvplot.hvPlot(means).image(
            x="x",
            y="y",
            cmap=colours,
            clim=_limits(self._style.ends, len(colours)),
            clabel=_TITLES[self._style.layer],
            title=season,
            xlabel=f"x ({self._crs})",
            ylabel=f"y ({self._crs})",
            frame_width=self.width,
            frame_height=self.height,
        )

    def _aggregate(self, season: str, canvas: Canvas) -> xr.DataArray:
        """Return the means of a canvas' pixels, (y, x) float32, NaN where there is none."""
        name = self._style.layer
        if not (_meet(canvas.x_range, self.x_range) and _meet(canvas.y_range, self.y_range)):
            return _nothing(canvas, name)
        lazy = canvas.raster(self._values.sel(season=season), agg="mean", interpolate="nearest")
        means: xr.DataArray = self._client.compute(lazy.rename(name)).result()
        return means


def _limits(ends: Span, colours: int) -> Span:
    """Return between which values Bokeh gives every colour the same part, as tiles give all but the first and last."""
    half = (ends[1] - ends[0]) / (colours - 1) / 2
    return ends[0] - half, ends[1] + half


_TITLES = {"ndvi_mean": "mean NDVI", "clear_count": "clear observations"}


def _meet(seen: Span, held: Span) -> bool:
    """Return whether a window shows anything; Datashader refuses one that shows less than a part in 10**8."""
    low, high = max(seen[0], held[0]), min(seen[1], held[1])
    return high - low > 1e-6 * (seen[1] - seen[0])


def _nothing(canvas: Canvas, name: str) -> xr.DataArray:
    centres = [low + (np.arange(2) + 0.5) * (high - low) / 2 for low, high in (canvas.y_range, canvas.x_range)]
    return xr.DataArray(np.full((2, 2), np.nan, np.float32), dict(zip("yx", centres, strict=True)), ("y", "x"), name)


def _labels(stack: SeasonStack, season: str | None) -> Sequence[str]:
    if season is None or season in stack.labels:
        return stack.labels
    raise InputError("season", f"The result has no season {season[:40]!r}; it has {', '.join(stack.labels)}.")


def refuse_strangers(stack: SeasonStack, client: Client) -> None:
    """Refuse a lazy stack, which every frame would compute from the start, and one that another client holds."""
    refuse_asynchronous(client)
    blocks = list(stack.graph.values())
    if not all(isinstance(block, Future) for block in blocks):
        raise InputError("stack", "The stack is not persisted; give what dashboard.notebook.persist returns.")
    if any(block.client is not client for block in blocks):
        raise InputError("client", "The stack was persisted by another client; give the one that persisted it.")
