"""Season stack: the blocks of a result as a Dask collection, convertible to lazy labelled arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import dask.array as da
import numpy as np
import xarray as xr
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.task_spec import Task, TaskRef
from dask.threaded import get as threaded_get
from odc.geo.xr import xr_coords
from pyproj import CRS

from compute import engine
from compute.plan import NdviPlan, level_count
from compute.result.chunk_windows import Chunks
from compute.result.layers import ARRAYS, ATTRIBUTES, BY_REASON, LAYERS
from compute.result.stack_tasks import Key, block_key, build_graph
from compute.scenes import Grid

GRID_MAPPING: Mapping[str, str] = {"grid_mapping": "spatial_ref"}
"""CF attribute of every array on a grid: name of the variable with the CRS."""

_GEOGRAPHIC: Mapping[str, str] = {"y": "latitude", "x": "longitude"}
_PROJECTED: Mapping[str, str] = {"y": "projection_y_coordinate", "x": "projection_x_coordinate"}
"""CF standard names of the coordinates in geographic and in projected CRS."""

_LABELS: Mapping[str, Mapping[str, str]] = {
    "season": {"long_name": "season"},
    "reason": {"long_name": "reason why a look is no observation"},
}


@dataclass(frozen=True, kw_only=True)
class SeasonStack:
    """Seasonal result as a Dask collection of blocks: lazy, or persisted on a cluster.

    `distributed.Client.persist` returns a stack whose blocks are futures. Pixels are transferred from the workers only
    if arrays of `dataset` are computed.

    Attributes
    ----------
    token : str
        Identity of the computation; part of every key.
    labels : tuple of str
        Labels of the seasons.
    grid : Grid
        Pixel grid of the whole result.
    chunks : Chunks
        Sizes of the spatial chunks along y and x, in pixels.
    graph : mapping
        Tasks, futures or finished blocks by key (name, season, row, column), with the other tasks that blocks need.
    layers : tuple of str
        Names of the arrays of the result, a subset of `ARRAYS`.
    reasons : tuple of str
        Exclusion reasons that are counted; empty if none are.
    min_clear : int
        Smallest number of observations for a mean.
    """

    token: str
    labels: tuple[str, ...]
    grid: Grid
    chunks: Chunks
    graph: Mapping[Any, Any]
    layers: tuple[str, ...] = tuple(LAYERS)
    reasons: tuple[str, ...] = ()
    min_clear: int = 1

    @property
    def levels(self) -> int:
        """Number of overview levels of every block."""
        return level_count(self.grid.shape)

    @property
    def keys(self) -> list[Key]:
        """Keys of the blocks in the order (season, row, column)."""
        shape = len(self.labels), len(self.chunks[0]), len(self.chunks[1])
        return [block_key(self.token, *index) for index in np.ndindex(*shape)]

    def dataset(self) -> xr.Dataset:
        """Convert the result to lazy labelled arrays.

        Returns
        -------
        xarray.Dataset
            ``ndvi_mean`` (season, y, x) float32 and ``clear_count`` (season, y, x) uint16; on request also
            ``clear_months`` (season, y, x) uint8, ``ndvi_std`` (season, y, x) float32 and ``unclear_count`` (season,
            reason, y, x) uint16. It has CF metadata and the CRS as ``spatial_ref``.
        """
        coords = grid_coords(self.grid) | {"season": ("season", np.array(self.labels, object), _LABELS["season"])}
        if self.reasons:
            coords["reason"] = ("reason", np.array(self.reasons, object), _LABELS["reason"])
        arrays = {
            name: xr.DataArray(self._array(name), dims=self._dims(name), attrs={**ATTRIBUTES[name], **GRID_MAPPING})
            for name in self.layers
        }
        result = xr.Dataset(arrays, coords=coords)
        for name in self.layers:
            result[name].encoding["coordinates"] = " ".join(self._dims(name)[:-2])
        return result

    def _dims(self, layer: str) -> tuple[str, ...]:
        return ("season", "reason", "y", "x") if layer == BY_REASON else ("season", "y", "x")

    def _array(self, layer: str) -> da.Array:
        name = f"greenup-{layer}-{self.token}"
        source = f"greenup-block-{self.token}"
        between = (0,) if layer == BY_REASON else ()
        targets = [(name, season, *between, row, column) for _, season, row, column in self.keys]
        slabs: dict[Any, Task] = {
            target: Task(target, _season_slab, TaskRef(key), layer)
            for target, key in zip(targets, self.keys, strict=True)
        }
        graph = HighLevelGraph({source: self.graph, name: slabs}, {source: set(), name: {source}})
        chunks = ((1,) * len(self.labels), *((len(self.reasons),) for _ in between), *self.chunks)
        return da.Array(graph, name, chunks=chunks, dtype=ARRAYS[layer])

    # The protocol of Dask collections: https://docs.dask.org/en/stable/custom-collections.html

    __dask_scheduler__ = staticmethod(threaded_get)
    __dask_optimize__ = None

    def __dask_graph__(self) -> HighLevelGraph:
        """Return a graph with a layer for each season, so that seasons are computed in the order of their labels."""
        layers = {name: self._season_layer(season) for season, name in enumerate(self.__dask_layers__())}
        return HighLevelGraph(layers, {name: set() for name in layers})

    def _season_layer(self, season: int) -> MaterializedLayer:
        tasks = {key: task for key, task in self.graph.items() if key[1] == season}
        return MaterializedLayer(tasks, annotations={"priority": -season})

    def __dask_keys__(self) -> list[Key]:
        return self.keys

    def __dask_layers__(self) -> tuple[str, ...]:
        return tuple(f"greenup-season-{self.token}-{season}" for season in range(len(self.labels)))

    def __dask_tokenize__(self) -> tuple[str, str]:
        return type(self).__name__, self.token

    def __dask_postcompute__(self) -> tuple[Callable[..., Self], tuple[()]]:
        return self._with_results, ()

    def __dask_postpersist__(self) -> tuple[Callable[..., Self], tuple[()]]:
        return self._rebuild, ()

    def _with_results(self, results: list[engine.HeldBlock]) -> Self:
        return replace(self, graph=dict(zip(self.keys, results, strict=True)))

    def _rebuild(self, graph: Mapping[Key, Any], *, rename: Mapping[str, str] | None = None) -> Self:
        assert not rename, "a stack is named by its token"
        return replace(self, graph={key: graph[key] for key in self.keys})


def grid_coords(grid: Grid) -> dict[str, Any]:
    """Return the coordinates y and x of a grid and its CRS as ``spatial_ref``, following the CF conventions."""
    coords: dict[str, Any] = {str(name): each for name, each in xr_coords(grid.geobox, dims=("y", "x")).items()}
    names = _GEOGRAPHIC if CRS(grid.crs).is_geographic else _PROJECTED
    for axis, name in names.items():
        units = coords[axis].attrs["units"].replace(" ", "_")  # the spelling of UDUNITS, such as US_survey_foot
        title = f"{name.replace('_', ' ')} of pixel centres"
        coords[axis].attrs |= {"standard_name": name, "long_name": title, "units": units, "axis": axis.upper()}
        coords[axis].encoding["_FillValue"] = None
    return coords


def build_stack(plan: NdviPlan, token: str) -> SeasonStack:
    """Convert a plan to a lazy stack.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    token : str
        Identity of the computation.
    """
    return replace(without_blocks(plan, token), graph=build_graph(plan, token))


def without_blocks(plan: NdviPlan, token: str) -> SeasonStack:
    """Return the stack of a plan with an empty graph.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    token : str
        Identity of the computation.
    """
    asked = {"clear_months": plan.request.months, "ndvi_std": plan.request.std, BY_REASON: plan.request.reasons}
    return SeasonStack(
        token=token,
        labels=plan.labels,
        grid=plan.grid,
        chunks=plan.chunks,
        graph={},
        layers=(*LAYERS, *(name for name, wanted in asked.items() if wanted)),
        reasons=plan.reasons,
        min_clear=plan.request.min_clear,
    )


def _season_slab(block: engine.HeldBlock, layer: str) -> np.ndarray[Any, Any]:
    """Return a layer of a block as (1, y, x) or (1, reason, y, x), the shape of a chunk of the Dask array."""
    values: np.ndarray[Any, Any] = getattr(block, layer)
    return values[np.newaxis]
