"""What else shows a persisted result: hvPlot's rasterised plot, and pixels taken by label, pulled and warped here."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Self

import holoviews as hv
import hvplot.xarray  # noqa: F401  # adds `hvplot` to xarray's objects
import odc.geo.xr  # noqa: F401  # adds `odc` to xarray's objects
from distributed import Client, Future, wait
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from compute.tiles import TILE_PX
from compute.tiles.tile_geometry import WEB_MERCATOR
from tests.benchmarks.results import Synthetic
from tests.benchmarks.serving import Holder
from tests.benchmarks.walks import VIEW_PX, Box


class Rivals:
    """The first season of a result in a client of its own, as a notebook has it, with a plot of it.

    Its methods wait, so they are to be called in a thread.

    Parameters
    ----------
    client : distributed.Client
        Synchronous.
    synthetic : Synthetic
        The result.
    name : str
        Of its stack on the workers.
    """

    def __init__(self, client: Client, synthetic: Synthetic, name: str) -> None:
        self._client = client
        lazy = synthetic.stack(name)
        held = replace(lazy, graph={key: Future(key, client) for key in lazy.graph})
        # Chunks of an array rather than parts of blocks: the workers hold them twice by name and once in memory.
        self._season: Any = held.dataset()["ndvi_mean"].isel(season=0, drop=True).persist()
        wait(self._client.futures_of(self._season))
        self._to_grid = Transformer.from_crs(WEB_MERCATOR, synthetic.grid.crs, always_xy=True)
        width, height = VIEW_PX
        options = {"x": "x", "y": "y", "width": width, "height": height, "clim": (-0.2, 1.0)}
        plot = self._season.hvplot.image(rasterize=True, **options)
        # It is shown once, so that its first evaluation, for which the workers load Datashader, is none of a pan.
        self._shown = hv.renderer("bokeh").get_plot(plot)
        (size,) = (stream for stream in plot.streams if isinstance(stream, hv.streams.PlotSize))
        size.event(width=width, height=height)
        (self._range,) = (stream for stream in plot.streams if isinstance(stream, hv.streams.RangeXY))

    @classmethod
    def open(cls, synthetic: Synthetic, holder: Holder) -> Self:
        """Connect to the cluster that holds a result."""
        client = Client(holder.scheduler, security=holder.security, set_as_default=True)
        return cls(client, synthetic, holder.name)

    def close(self) -> None:
        """Let go of the result."""
        self._shown.cleanup()
        del self._season, self._shown
        self._client.close()

    def pan_ms(self, box: Box) -> float:
        """Return how long the plot is evaluated for a view, in milliseconds."""
        x_range, y_range = self._ranges(box)
        began = time.perf_counter()
        self._range.event(x_range=x_range, y_range=y_range)
        return (time.perf_counter() - began) * 1000

    def tile_ms(self, box: Box) -> float:
        """Return how long a tile's pixels are sliced by label, computed and warped, in milliseconds."""
        left, bottom, right, top = box
        began = time.perf_counter()
        (first_x, last_x), (first_y, last_y) = self._ranges(box)
        part = self._season.sel(x=slice(first_x, last_x), y=slice(last_y, first_y)).compute()
        target = GeoBox.from_bbox((left, bottom, right, top), WEB_MERCATOR, shape=(TILE_PX, TILE_PX))
        part.odc.reproject(target, resampling="nearest")
        return (time.perf_counter() - began) * 1000

    def _ranges(self, box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the envelope of a view in the CRS of the result, along x and along y."""
        left, bottom, right, top = self._to_grid.transform_bounds(*box, densify_pts=9)
        return (left, right), (bottom, top)
