"""Who computes the seasonal mean: Greenup, the notebook's recipe and odc-stac, each as its users would call it."""

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
from tests.benchmarks.places import Bench, Place
from tests.benchmarks.stac import load_stac

UNTUNED_PX = 2048
"""Edge of the notebook's first chunks; they hold one date."""

TUNED_PX = 2157
"""Edge of its tuned chunks, fitted to the grid so that none is a sliver; they hold two dates."""


class Contender(Protocol):
    """One way to the seasonal mean."""

    name: str

    def prepare(self, bench: Bench, place: Place) -> Any:
        """Return the lazy result: scenes found, work planned, nothing started. Not measured."""

    async def run(self, lazy: Any, client: Any) -> Any:
        """Compute it on the workers and return it once all of it is there. Measured."""

    def means(self, result: Any) -> xr.DataArray | None:
        """Return ``ndvi_mean`` (season, y, x), lazy, of what `run` returned; None where there is none."""


class Greenup:
    """The engine, as `greenup run` uses it.

    Parameters
    ----------
    name : str
        Of the contender.
    crs : str
        ``"native"`` or ``"EPSG:n"``.
    changes : object
        Further fields of the request.
    """

    def __init__(self, name: str, crs: str, **changes: Any) -> None:
        self.name = name
        self._crs = crs
        self._changes = changes

    def prepare(self, bench: Bench, place: Place) -> NdviPlan:
        """Find the scenes and plan."""
        return bench.plan(place.region, self._crs, **self._changes)

    async def run(self, lazy: NdviPlan, client: Any) -> Computation:
        """Submit the plan and wait for its last block."""
        job = await Computation.submit(lazy, client)
        await job.result()
        return job

    def means(self, result: Computation) -> xr.DataArray:
        """Return the means of a finished job."""
        means: xr.DataArray = result.stack.dataset()["ndvi_mean"]
        return means


class Notebook:
    """The recipe of the notebook "Go Big or Go Home", as it is written but for the name of its mask.

    It writes ``resampling={"fmask": "nearest", "*": "average"}`` for a mask that is called ``oa_fmask``, and so
    averages class codes; with its own name the mask is taken from the nearest pixel.

    Parameters
    ----------
    name : str
        Of the contender.
    native : bool
        Whether it loads on the scenes' own grid (``like=``), where datacube pastes and does not warp.
    tuned : bool
        Whether it has the chunks of the notebook's second half.
    """

    def __init__(self, name: str, *, native: bool = False, tuned: bool = False) -> None:
        self.name = name
        self._native = native
        self._tuned = tuned

    def prepare(self, bench: Bench, place: Place) -> xr.DataArray:
        """Load lazily, mask, take the index, group, take the mean."""
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
        return seasonal_mean(scenes, masking.make_mask(scenes.oa_fmask, fmask="valid"))

    async def run(self, lazy: xr.DataArray, client: Any) -> xr.DataArray:
        """Persist it."""
        result: xr.DataArray = await persisted(lazy, client)
        return result

    def means(self, result: xr.DataArray) -> xr.DataArray:
        """Return the means."""
        return result


class OdcStac:
    """The same arithmetic on what `odc.stac.load` reads on the scenes' own grid, from STAC items of the same scenes."""

    name = "odc_stac"

    def prepare(self, bench: Bench, place: Place) -> xr.DataArray:
        """Load lazily, mask, take the index, group, take the mean."""
        scenes = load_stac(bench.scenes, place.native.grid, {"time": 1, "y": UNTUNED_PX, "x": UNTUNED_PX})
        return seasonal_mean(scenes, scenes.oa_fmask == 1)

    async def run(self, lazy: xr.DataArray, client: Any) -> xr.DataArray:
        """Persist it."""
        result: xr.DataArray = await persisted(lazy, client)
        return result

    def means(self, result: xr.DataArray) -> xr.DataArray:
        """Return the means."""
        return result


def contenders() -> list[Contender]:
    """Return those that are measured, in their order."""
    return [
        Notebook("recipe_untuned"),
        Notebook("recipe_tuned", tuned=True),
        Notebook("recipe_like", native=True),
        OdcStac(),
        Greenup("greenup_native", NATIVE),
        Greenup("greenup_albers", "EPSG:3577"),
        Greenup("greenup_albers_odc", "EPSG:3577", reader="odc"),
    ]


def seasonal_mean(scenes: xr.Dataset, clear: xr.DataArray) -> xr.DataArray:
    """Take the seasonal mean NDVI of what is clear, word for word as the notebook does."""
    cloud_free = scenes.where(clear)
    band_diff = cloud_free.nbart_nir - cloud_free.nbart_red
    band_sum = cloud_free.nbart_nir + cloud_free.nbart_red
    ndvi: xr.DataArray = band_diff / band_sum
    return ndvi.groupby("time.season").mean("time")


async def persisted(lazy: Any, client: Any) -> Any:
    """Persist a collection and return it when all of it is on the workers.

    Raises
    ------
    JobError
        A task failed.
    """
    collection = client.persist(lazy)
    await finished(futures_of(collection))
    return collection


async def finished(futures: list[Any]) -> None:
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
