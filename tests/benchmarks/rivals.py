"""Alternatives for viewing a persisted result: hvPlot's rasterised plot, and pixels selected by label."""

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

from compute.tiles.tile_geometry import WEB_MERCATOR
from compute.tiles.web_mercator import TILE_PX
from tests.benchmarks.results import SyntheticResult
from tests.benchmarks.serving import HeldResult
from tests.benchmarks.walks import VIEW_PX, Box


class Alternatives:
    """First season of a result in a client of its own, as in a notebook, with a plot.

    Its methods block, so call them in a thread.

    Parameters
    ----------
    client : distributed.Client
        Synchronous client.
    synthetic : SyntheticResult
        Specification of the result.
    name : str
        Token of its stack on the workers.
    """

    def __init__(self, client: Client, synthetic: SyntheticResult, name: str) -> None:
        self._client = client
        lazy = synthetic.make_stack(name)
        held = replace(lazy, graph={key: Future(key, client) for key in lazy.graph})
        # Persist array chunks, since slices of blocks would be computed again; they share the memory of the blocks.
        self._season: Any = held.dataset()["ndvi_mean"].isel(season=0, drop=True).persist()
        wait(self._client.futures_of(self._season))
        self._to_grid = Transformer.from_crs(WEB_MERCATOR, synthetic.grid.crs, always_xy=True)
        width, height = VIEW_PX
        options = {"x": "x", "y": "y", "width": width, "height": height, "clim": (-0.2, 1.0)}
        plot = self._season.hvplot.image(rasterize=True, **options)
        # Shown once, so that no measured pan includes the first evaluation, in which the workers import Datashader.
        self._shown = hv.renderer("bokeh").get_plot(plot)
        (size,) = (stream for stream in plot.streams if isinstance(stream, hv.streams.PlotSize))
        size.event(width=width, height=height)
        (self._range,) = (stream for stream in plot.streams if isinstance(stream, hv.streams.RangeXY))

    @classmethod
    def open(cls, synthetic: SyntheticResult, holder: HeldResult) -> Self:
        """Connect to the cluster that holds a result."""
        client = Client(holder.scheduler, security=holder.security, set_as_default=True)
        return cls(client, synthetic, holder.name)

    def close(self) -> None:
        """Release the result and close the client."""
        self._shown.cleanup()
        del self._season, self._shown
        self._client.close()

    def measure_pan(self, box: Box) -> float:
        """Return the time to evaluate the plot for a view, in milliseconds."""
        x_range, y_range = self._project_box(box)
        began = time.perf_counter()
        self._range.event(x_range=x_range, y_range=y_range)
        return (time.perf_counter() - began) * 1000

    def measure_tile(self, box: Box) -> float:
        """Return the time to select the pixels of a tile by label, compute and warp them, in milliseconds."""
        left, bottom, right, top = box
        began = time.perf_counter()
        (first_x, last_x), (first_y, last_y) = self._project_box(box)
        part = self._season.sel(x=slice(first_x, last_x), y=slice(last_y, first_y)).compute()
        target = GeoBox.from_bbox((left, bottom, right, top), WEB_MERCATOR, shape=(TILE_PX, TILE_PX))
        part.odc.reproject(target, resampling="nearest")
        return (time.perf_counter() - began) * 1000

    def _project_box(self, box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the envelope of a view in the CRS of the result, along x and along y."""
        left, bottom, right, top = self._to_grid.transform_bounds(*box, densify_pts=9)
        return (left, right), (bottom, top)
