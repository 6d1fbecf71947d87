"""A result as a Zarr group."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distributed import Client

from compute.stack import SeasonStack


async def write_zarr(stack: SeasonStack, path: Path, client: Client, provenance: Mapping[str, Any]) -> Path:
    """Have the workers write a persisted stack, one chunk of the store for each block.

    Parameters
    ----------
    stack : SeasonStack
        Persisted on the cluster of `client`.
    path : pathlib.Path
        The Zarr group, on storage that this process and the workers share; it appears, or takes the place of one
        that was there, when it is whole.
    client : distributed.Client
        Asynchronous client.
    provenance : mapping
        Attributes of the group; values that JSON can hold.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    dataset = stack.dataset().assign_attrs({"Conventions": "CF-1.8", **provenance})
    for array in dataset.data_vars.values():
        array.encoding["chunks"] = (1, stack.chunks[0][0], stack.chunks[1][0])
    delayed = dataset.to_zarr(unfinished, mode="w", compute=False, consolidated=False)
    await client.compute(delayed)
    await asyncio.to_thread(_replace, unfinished, path)
    return path


def _replace(new: Path, path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
    new.rename(path)
