"""Stored results, complete or not, as lazy labelled arrays."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from compute.errors import JobError, ResultGoneError
from compute.plan import NdviPlan
from compute.result.store.checkpoint import Checkpoint
from compute.result.store.stored_blocks import DAMAGED


def open_result(url: str) -> xr.Dataset:
    """Open a stored result from its checkpoint folder.

    Parameters
    ----------
    url : str
        Folder of the checkpoint, or its fsspec URL.

    Returns
    -------
    xarray.Dataset
        Lazy arrays with the variables of `compute.result.stack.SeasonStack.dataset`. If blocks are missing, all
        variables are floating-point, with NaN in missing blocks; counts of computed pixels that were never clear are 0.
        Computing values from a damaged part of the store raises ResultGoneError.

    Raises
    ------
    JobError
        The folder has no result, or the result cannot be read.
    OSError
        The folder cannot be reached.
    """
    checkpoint = Checkpoint.find(url)
    if checkpoint is None:
        raise JobError("There is no result in this folder; give one that has a manifest.json.")
    plan, written = checkpoint.manifest.plan, checkpoint.written()
    result: xr.Dataset = xr.open_zarr(checkpoint.store, decode_coords="all", chunks={})
    for name, layer in result.data_vars.items():
        stored = _Layer(zarr.open_array(checkpoint.store, path=str(name), mode="r"))
        layer.data = da.from_array(stored, chunks=layer.chunks, name=False)
    result.attrs |= {"greenup_token": checkpoint.manifest.token, "greenup_request": plan.request.to_json()}
    if len(written) == len(plan.blocks):
        return result
    there = np.zeros((len(plan.labels), *map(len, plan.chunks)), bool)
    there[tuple(np.array([*written], int).reshape(-1, 3).T)] = True
    masked: xr.Dataset = result.where(xr.DataArray(_pixels(there, plan), dims=("season", "y", "x")))
    return masked


class _Layer:
    """Array of a store for `dask.array.from_array`, which raises ResultGoneError if it cannot be read.

    Parameters
    ----------
    array : zarr.Array
        Array that is open for reading.
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, part: tuple[slice, ...]) -> NDArray[Any]:
        try:
            return np.asarray(self._array[part])
        except Exception as error:
            # zarr and its codecs raise many types of exceptions for damaged data.
            raise ResultGoneError(DAMAGED) from error


def _pixels(there: NDArray[np.bool_], plan: NdviPlan) -> da.Array:
    """Return (season, y, x) bool, True for pixels in written blocks, from (season, row, column) bool of blocks."""
    chunks = ((1,) * len(plan.labels), *plan.chunks)
    pixels: da.Array = da.map_blocks(_filled, da.from_array(there, chunks=1), chunks=chunks, dtype=bool)
    return pixels


def _filled(block: NDArray[np.bool_], block_info: Any = None) -> NDArray[np.bool_]:
    shape = block_info[None]["chunk-shape"] if block_info else block.shape
    return np.full(shape, bool(block.item()))
