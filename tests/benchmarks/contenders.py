"""Contenders of the benchmark `compute`: Greenup, the recipe of the original notebook, and odc-stac."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import xarray as xr
from datacube.utils import masking
from distributed.client import futures_of

from compute.demo.eo3_documents import PRODUCT
from compute.errors import JobError
from compute.jobs import Computation
from compute.plan import NdviPlan
from compute.request import NATIVE
from tests.benchmarks.places import BenchmarkInput, Place
from tests.benchmarks.stac import load_stac

UNTUNED_PX = 2048
"""Edge of the notebook's first chunks, which hold one date."""

TUNED_PX = 2157
"""Edge of the notebook's tuned chunks, which hold two dates; adjusted to the grid so that none is narrow."""


class Contender(Protocol):
    """One way to compute the seasonal mean."""

    name: str

    def prepare(self, bench: BenchmarkInput, place: Place) -> Any:
        """Return the lazy result: scenes found, work planned, nothing started. Not measured."""

    async def run(self, lazy: Any, client: Any) -> Any:
        """Compute the result on the workers, and return it when it is complete. Measured."""

    def select_means(self, result: Any) -> xr.DataArray | None:
        """Return ``ndvi_mean`` (season, y, x), lazy, of a result of `run`, or None if there is none."""


class Greenup:
    """The engine, as `greenup run` uses it.

    Parameters
    ----------
    name : str
        Name of the contender.
    crs : str
        ``"native"`` or ``"EPSG:n"``.
    changes : object
        Further fields of the request.
    """

    def __init__(self, name: str, crs: str, **changes: Any) -> None:
        self.name = name
        self._crs = crs
        self._changes = changes

    def prepare(self, bench: BenchmarkInput, place: Place) -> NdviPlan:
        """Find the scenes and plan."""
        return bench.plan_region(place.region, self._crs, **self._changes)

    async def run(self, lazy: NdviPlan, client: Any) -> Computation:
        """Submit the plan and wait for its last block."""
        job = await Computation.submit(lazy, client)
        await job.result()
        return job

    def select_means(self, result: Computation) -> xr.DataArray:
        """Return the means of a finished computation."""
        means: xr.DataArray = result.stack.dataset()["ndvi_mean"]
        return means


class Notebook:
    """The recipe of the notebook "Go Big or Go Home", with the name of its mask corrected.

    The notebook gives ``resampling={"fmask": "nearest", "*": "average"}`` for a mask called ``oa_fmask``, and so
    averages class codes. With the correct name, the mask is resampled by nearest neighbour.

    Parameters
    ----------
    name : str
        Name of the contender.
    native : bool
        Whether it loads on the scenes' own grid (``like=``), where datacube copies pixels without a warp.
    tuned : bool
        Whether it uses the chunks of the notebook's second half.
    """

    def __init__(self, name: str, *, native: bool = False, tuned: bool = False) -> None:
        self.name = name
        self._native = native
        self._tuned = tuned

    def prepare(self, bench: BenchmarkInput, place: Place) -> xr.DataArray:
        """Load lazily, mask, compute the index, group by season, and take the mean."""
        plan = place.native if self._native else place.albers
        scenes = bench.datacube.load(
            product=PRODUCT,
            time=(str(plan.request.start), str(plan.request.end)),
            measurements=["nbart_red", "nbart_nir", "oa_fmask"],
            like=plan.grid.geobox,
            resampling={"oa_fmask": "nearest", "*": "average"},
            group_by="solar_day",
            dask_chunks=_tuned_chunks(plan.grid.shape) if self._tuned else _untuned_chunks(),
        )
        return compute_seasonal_mean(scenes, masking.make_mask(scenes.oa_fmask, fmask="valid"))

    async def run(self, lazy: xr.DataArray, client: Any) -> xr.DataArray:
        """Persist the result."""
        result: xr.DataArray = await persist_and_wait(lazy, client)
        return result

    def select_means(self, result: xr.DataArray) -> xr.DataArray:
        """Return the means."""
        return result


class OdcStac:
    """The recipe on `odc.stac.load`, on the scenes' own grid, from STAC items of the same scenes."""

    name = "odc_stac"

    def prepare(self, bench: BenchmarkInput, place: Place) -> xr.DataArray:
        """Load lazily, mask, compute the index, group by season, and take the mean."""
        scenes = load_stac(bench.scenes, place.native.grid, {"time": 1, "y": UNTUNED_PX, "x": UNTUNED_PX})
        return compute_seasonal_mean(scenes, scenes.oa_fmask == 1)

    async def run(self, lazy: xr.DataArray, client: Any) -> xr.DataArray:
        """Persist the result."""
        result: xr.DataArray = await persist_and_wait(lazy, client)
        return result

    def select_means(self, result: xr.DataArray) -> xr.DataArray:
        """Return the means."""
        return result


def list_contenders() -> list[Contender]:
    """Return the contenders in the order of their measurement."""
    return [
        Notebook("recipe_untuned"),
        Notebook("recipe_tuned", tuned=True),
        Notebook("recipe_like", native=True),
        OdcStac(),
        Greenup("greenup_native", NATIVE),
        Greenup("greenup_albers", "EPSG:3577"),
        Greenup("greenup_albers_odc", "EPSG:3577", reader="odc"),
    ]


def compute_seasonal_mean(scenes: xr.Dataset, clear: xr.DataArray) -> xr.DataArray:
    """Compute the seasonal mean NDVI of the clear pixels, in the words of the original notebook.

    Parameters
    ----------
    scenes : xarray.Dataset
        ``nbart_red`` and ``nbart_nir`` (time, y, x).
    clear : xarray.DataArray
        (time, y, x), true where a pixel is clear.
    """
    cloud_free = scenes.where(clear)
    band_diff = cloud_free.nbart_nir - cloud_free.nbart_red
    band_sum = cloud_free.nbart_nir + cloud_free.nbart_red
    ndvi: xr.DataArray = band_diff / band_sum
    return ndvi.groupby("time.season").mean("time")


async def persist_and_wait(lazy: Any, client: Any) -> Any:
    """Persist a collection, and return it when it is complete on the workers.

    Parameters
    ----------
    lazy : dask collection
        Collection to compute.
    client : distributed.Client
        Asynchronous client.

    Raises
    ------
    JobError
        A task failed.
    """
    collection = client.persist(lazy)
    await wait_for_futures(futures_of(collection))
    return collection


async def wait_for_futures(futures: list[Any]) -> None:
    """Wait for futures of an asynchronous client.

    Raises
    ------
    JobError
        One of them failed.
    """
    for future in futures:
        error = await future.exception()
        if error is not None:
            raise JobError(f"A task of the benchmark failed with {type(error).__name__}.") from error


def _untuned_chunks() -> Mapping[str, int]:
    return {"time": 1, "y": UNTUNED_PX, "x": UNTUNED_PX}


def _tuned_chunks(shape: tuple[int, int]) -> Mapping[str, int]:
    rows, columns = (-(-edge // max(1, round(edge / TUNED_PX))) for edge in shape)
    return {"time": 2, "y": rows, "x": columns}
