"""Export as a Zarr group in Zarr format 3."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distributed import Client

from compute.result.stack import SeasonStack
from compute.result.store import create_store, finish_store, slots_of

EXPORT_RETRIES = 3
"""Number of times that writing a block is retried after a failure."""


async def write_zarr(stack: SeasonStack, path: Path, client: Client, provenance: Mapping[str, Any]) -> Path:
    """Write a persisted stack as Zarr on the workers, one shard per block.

    Parameters
    ----------
    stack : SeasonStack
        Stack persisted on the cluster of `client`.
    path : pathlib.Path
        Path of the new Zarr group, on storage that this process and the workers share.
    client : distributed.Client
        Asynchronous client.
    provenance : mapping
        JSON-serialisable attributes of the group.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    await asyncio.to_thread(create_store, str(path), stack)
    writing = [
        client.submit(slot.write, stack.graph[key], pure=False, retries=EXPORT_RETRIES)
        for key, slot in slots_of(stack, str(path)).items()
    ]
    await client.gather(writing)
    return await finish_zarr(path, len(writing), provenance)


async def finish_zarr(path: Path, blocks: int, provenance: Mapping[str, Any]) -> Path:
    """Complete a Zarr group after the workers have written all blocks; see `compute.result.store.finish_store`.

    Parameters
    ----------
    path : pathlib.Path
        Path of the Zarr group.
    blocks : int
        Number of written blocks.
    provenance : mapping
        JSON-serialisable attributes of the group.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    await asyncio.to_thread(finish_store, str(path), blocks, provenance)
    return path
