"""View of a result as a HoloViews object, aggregated on the workers for every frame."""

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
from dashboard.notebook.computing import check_client_is_synchronous

Span = tuple[float, float]

WIDTH_PX, HEIGHT_PX = 720, 560
"""Greatest width and height of a view in pixels, which fit the column of a notebook without scrolling."""


def view(
    stack: SeasonStack,
    client: Client,
    *,
    season: str | None = None,
    layer: str = "ndvi_mean",
    palette: str | None = None,
    span: Span | None = None,
) -> hv.DynamicMap:
    """Return a map of a result, which the workers aggregate again at every pan and zoom, in the result's own CRS.

    Nothing is computed before the map is shown. Then Datashader's `Canvas.raster` computes, for each pixel of the
    screen, the mean of the pixels of the result that it covers and that have a value. Only these means are transferred,
    so a result may be as large as the workers' memory. The given client is used, whichever client is the default.

    Parameters
    ----------
    stack : SeasonStack
        Result of `persist`. Showing the map waits for unfinished blocks in its window.
    client : distributed.Client
        Synchronous client that persisted the result.
    season : str, optional
        Label of the season to show; by default a widget selects it.
    layer : str
        ``"ndvi_mean"`` (unitless) or ``"clear_count"`` (observations).
    palette : str, optional
        One of `compute.tiles.styles.PALETTES`; by default the layer's own.
    span : (float, float), optional
        Values at the two ends of the palette, in the layer's units; by default the layer's own.

    Returns
    -------
    holoviews.DynamicMap
        Images made by hvPlot, which can be overlaid and take options.

    Raises
    ------
    InputError
        The layer, season or palette is not known, the span is not valid, or the client did not persist the stack.
    """
    own = Style.for_layer(layer)
    style = replace(own, palette=palette or own.palette, span=span or own.span)
    labels = _select_labels(stack, season)
    check_stack_and_client(stack, client)
    hvplot.extension("bokeh", logo=False)
    frames = _Frames(stack, client, style)
    dimension = hv.Dimension("season", values=labels, default=labels[0])
    streams = [
        hv.streams.RangeXY(x_range=frames.x_range, y_range=frames.y_range),
        hv.streams.PlotSize(width=frames.width, height=frames.height),
    ]
    if season is None:
        return hv.DynamicMap(frames.render_image, kdims=[dimension], streams=streams)
    return hv.DynamicMap(lambda **window: frames.render_image(season, **window), streams=streams)


class _Frames:
    """Renders images of the seasons, for the ranges and the size in pixels from HoloViews' streams."""

    def __init__(self, stack: SeasonStack, client: Client, style: Style) -> None:
        # As float, because Datashader keeps the data type, and means of integers are not integers.
        self._values = stack.dataset()[style.layer].astype("float32")
        self._client = client
        self._style = style
        self._crs = str(stack.grid.crs)
        left, bottom, right, top = stack.grid.geobox.extent.boundingbox
        self.x_range, self.y_range = (left, right), (bottom, top)
        scale = max((right - left) / WIDTH_PX, (top - bottom) / HEIGHT_PX)
        self.width, self.height = ceil((right - left) / scale), ceil((top - bottom) / scale)

    def render_image(
        self,
        season: str,
        x_range: Span | None = None,
        y_range: Span | None = None,
        width: int | None = None,
        height: int | None = None,
        **_: float,
    ) -> hv.Image:
        """Return the image of a season; ranges and size default to the whole result.

        Other values of streams, such as the ``scale`` of `PlotSize`, are ignored.
        """
        x_range, y_range = x_range or self.x_range, y_range or self.y_range
        canvas = Canvas(width or self.width, height or self.height, x_range, y_range)
        means = self._aggregate(season, canvas)
        colours = hex_colours(self._style)
        return hvplot.hvPlot(means).image(
            x="x",
            y="y",
            cmap=colours,
            clim=_compute_colour_limits(self._style.ends, len(colours)),
            clabel=_TITLES[self._style.layer],
            title=season,
            xlabel=f"x ({self._crs})",
            ylabel=f"y ({self._crs})",
            frame_width=self.width,
            frame_height=self.height,
        )

    def _aggregate(self, season: str, canvas: Canvas) -> xr.DataArray:
        """Return the mean of each pixel of a canvas, (y, x) float32; NaN without a value below the pixel."""
        name = self._style.layer
        if not (_has_overlap(canvas.x_range, self.x_range) and _has_overlap(canvas.y_range, self.y_range)):
            return _make_empty_frame(canvas, name)
        lazy = canvas.raster(self._values.sel(season=season), agg="mean", interpolate="nearest")
        means: xr.DataArray = self._client.compute(lazy.rename(name)).result()
        return means


def _compute_colour_limits(ends: Span, colours: int) -> Span:
    """Return the limits at which Bokeh's colour bins match those of tiles.

    Bokeh's bins have equal widths, while the first and the last bin of tiles are half as wide as the others.
    """
    half = (ends[1] - ends[0]) / (colours - 1) / 2
    return ends[0] - half, ends[1] + half


_TITLES = {"ndvi_mean": "mean NDVI", "clear_count": "clear observations"}


def _has_overlap(seen: Span, held: Span) -> bool:
    """Return whether a window overlaps the result; Datashader raises if less than about 1e-8 of the window does."""
    low, high = max(seen[0], held[0]), min(seen[1], held[1])
    return high - low > 1e-6 * (seen[1] - seen[0])


def _make_empty_frame(canvas: Canvas, name: str) -> xr.DataArray:
    centres = [low + (np.arange(2) + 0.5) * (high - low) / 2 for low, high in (canvas.y_range, canvas.x_range)]
    return xr.DataArray(np.full((2, 2), np.nan, np.float32), dict(zip("yx", centres, strict=True)), ("y", "x"), name)


def _select_labels(stack: SeasonStack, season: str | None) -> Sequence[str]:
    if season is None or season in stack.labels:
        return stack.labels
    raise InputError("season", f"The result has no season {season[:40]!r}; it has {', '.join(stack.labels)}.")


def check_stack_and_client(stack: SeasonStack, client: Client) -> None:
    """Refuse a lazy stack, which every frame would compute again, and a stack that another client has persisted.

    Parameters
    ----------
    stack : SeasonStack
        Result of `persist`.
    client : distributed.Client
        Synchronous client that persisted it.

    Raises
    ------
    InputError
        The stack is not persisted, or by another client, or the client is asynchronous.
    """
    check_client_is_synchronous(client)
    blocks = list(stack.graph.values())
    if not all(isinstance(block, Future) for block in blocks):
        raise InputError("stack", "The stack is not persisted; give the result of dashboard.notebook.persist.")
    if any(block.client is not client for block in blocks):
        raise InputError("client", "The stack was persisted by another client; give the one that persisted it.")
