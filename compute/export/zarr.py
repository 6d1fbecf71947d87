"""A result as a Zarr group."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr
from distributed import Client
from zarr.errors import ZarrUserWarning

from compute.stack import SeasonStack

EXPORT_RETRIES = 3
"""Times that a chunk is written again when its worker dies."""


async def write_zarr(stack: SeasonStack, path: Path, client: Client, provenance: Mapping[str, Any]) -> Path:
    """Have the workers write a persisted stack, one chunk of the store for each block.

    Parameters
    ----------
    stack : SeasonStack
        Persisted on the cluster of `client`.
    path : pathlib.Path
        The new Zarr group, on storage that this process and the workers share.
    client : distributed.Client
        Asynchronous client.
    provenance : mapping
        Attributes of the group; values that JSON can hold.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    dataset = stack.dataset().assign_attrs({"Conventions": "CF-1.8", **provenance})
    for array in dataset.data_vars.values():
        array.encoding["chunks"] = (*(1 for _ in array.shape[:-2]), stack.chunks[0][0], stack.chunks[1][0])
    delayed = await asyncio.to_thread(dataset.to_zarr, path, mode="w", compute=False, consolidated=False)
    await client.compute(delayed, retries=EXPORT_RETRIES)
    await asyncio.to_thread(_consolidate, path)
    return path


def _consolidate(path: Path) -> None:
    """Gather the metadata in one place: one request opens the group, and xarray's readers look there first."""
    with warnings.catch_warnings():
        # Zarr 3 reads and writes it, though its specification does not have it yet.
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(path)
