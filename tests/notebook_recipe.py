"""The recipe of the notebook "Go Big or Go Home" in xarray: the oracle that the engine is held to.

The notebook writes ``resampling={"fmask": "nearest", "*": "average"}``. Its measurement is called ``oa_fmask``, so the
first entry never applies and the class codes themselves are averaged. Here the mask is named as it is called. The
notebook also leaves nodata, invalid values and red + nir = 0 in the mean; `recipe` drops them when asked to. It
searches by the time of acquisition in UTC and lets the first scene of a solar day name its season; here the solar day,
as datacube computes it, decides both.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import xarray as xr
from datacube import Datacube
from datacube.api.query import GroupBy, solar_day
from datacube.model import Dataset

from compute.products import BandRole, MaskRole, Roles
from compute.request import NdviRequest
from compute.scenes import Grid

_BY_SOLAR_DAY: Any = GroupBy(
    dimension="time",
    group_by_func=solar_day,
    units="seconds since 1970-01-01 00:00:00",
    sort_key=lambda dataset: dataset.center_time,
    group_key=lambda datasets: datetime.combine(solar_day(datasets[0]).astype(date), time()),
)
"""As datacube's own ``solar_day``, but a group's time is its solar day, not the time of its first scene."""


def recipe(
    datacube: Datacube,
    request: NdviRequest,
    roles: Mapping[str, Roles],
    grid: Grid,
    chunk_shape: tuple[int, int],
    *,
    only_valid: bool = True,
) -> xr.Dataset:
    """Compute a request as the notebook does: load, mask, index, group, mean; lazily.

    Parameters
    ----------
    datacube : datacube.Datacube
        An open datacube.
    request : NdviRequest
        Products, region, dates, resampling and season mode; the seasons are the standard ones.
    roles : mapping of str to Roles
        By product.
    grid : Grid
        The output grid.
    chunk_shape : (int, int)
        Chunk size (y, x): GDAL's warp depends on it, so equal results need equal chunks.
    only_valid : bool
        Drop nodata, values out of range and red + nir = 0, as the engine does; False leaves them in, as the
        notebook does.

    Returns
    -------
    xarray.Dataset
        ``ndvi_mean`` (season, y, x) and ``clear_count`` (season, y, x), lazy.
    """
    stacks = [
        _ndvi(_load(datacube, product, request, roles[product], grid, chunk_shape), roles[product], only_valid)
        for product in request.products
    ]
    ndvi = xr.concat([stack for stack in stacks if stack.sizes["time"]], "time").sortby("time")
    means, counts = _seasonal(ndvi, request)
    return xr.Dataset({"ndvi_mean": means, "clear_count": counts})


def _load(
    datacube: Datacube, product: str, request: NdviRequest, roles: Roles, grid: Grid, chunk_shape: tuple[int, int]
) -> xr.Dataset:
    return datacube.load(
        datasets=_datasets(datacube, product, request, grid),
        measurements=list(roles.measurements),
        like=grid.geobox,
        resampling={role.measurement: "nearest" for role in _masks(roles)} | {"*": request.resampling},
        group_by=_BY_SOLAR_DAY,
        dask_chunks={"time": 1, "y": chunk_shape[0], "x": chunk_shape[1]},
    )


def _datasets(datacube: Datacube, product: str, request: NdviRequest, grid: Grid) -> list[Dataset]:
    """Return the datasets of the request's solar days, which differ by up to a day from those of UTC."""
    days = str(request.start - timedelta(days=1)), str(request.end + timedelta(days=1))
    found = datacube.find_datasets(product=product, time=days, like=grid.geobox)
    return [each for each in found if request.start <= solar_day(each).astype(date) <= request.end]


def _ndvi(scenes: xr.Dataset, roles: Roles, only_valid: bool) -> xr.DataArray:
    red, nir = scenes[roles.red.measurement], scenes[roles.nir.measurement]
    masks = (_meets(scenes[role.measurement], role) for role in _masks(roles))
    clear = reduce(and_, masks, xr.ones_like(red, dtype=bool))
    if only_valid:
        clear = clear & _valid(red, roles.red) & _valid(nir, roles.nir)
    red, nir = _scaled(red.where(clear), roles.red), _scaled(nir.where(clear), roles.nir)
    total = nir + red
    if only_valid:
        total = total.where(np.abs(total) > 1e-6 * max(roles.red.scale, roles.nir.scale))
    return (nir - red) / total


def _masks(roles: Roles) -> list[MaskRole]:
    return [role for role in (roles.mask, *roles.conditions) if isinstance(role, MaskRole)]


def _meets(codes: xr.DataArray, role: MaskRole) -> xr.DataArray:
    table = role.clear_table()
    met: xr.DataArray = xr.apply_ufunc(lambda each: table[each], codes, dask="parallelized", output_dtypes=[bool])
    return met


def _valid(band: xr.DataArray, role: BandRole) -> xr.DataArray:
    return (band != role.nodata) & (band >= role.valid_min) & (band <= role.valid_max)


def _scaled(band: xr.DataArray, role: BandRole) -> xr.DataArray:
    _, _, _, scale, offset = role.kernel_constants(role.dtype)
    return band.astype("float64") * scale + offset


def _seasonal(ndvi: xr.DataArray, request: NdviRequest) -> tuple[xr.DataArray, xr.DataArray]:
    if request.by == "season":
        groups = ndvi.groupby("time.season")
        return groups.mean("time"), groups.count("time")
    # Labels by hand: with SeasonResampler a season without scenes shifts those that follow into the wrong one.
    year = ndvi.time.dt.year + (ndvi.time.dt.month == 12)
    labels = [f"{each:04d}-{name}" for each, name in zip(year.values, ndvi.time.dt.season.values, strict=True)]
    grouping = xr.DataArray(labels, dims="time", coords={"time": ndvi.time}, name="season")
    groups = ndvi.groupby(grouping)
    return groups.mean("time"), groups.count("time")
