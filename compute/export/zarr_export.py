"""Export as a Zarr group."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distributed import Client

from compute.result.stack import SeasonStack
from compute.result.store import create_store, finish_store, slots_of

EXPORT_RETRIES = 3
"""Times that a block is written again when its worker dies."""


async def write_zarr(stack: SeasonStack, path: Path, client: Client, provenance: Mapping[str, Any]) -> Path:
    """Have the workers write a persisted stack, one shard of the store for each block.

    Parameters
    ----------
    stack : SeasonStack
        Persisted on the cluster of `client`, its blocks in memory.
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
    await asyncio.to_thread(create_store, str(path), stack)
    writing = [
        client.submit(slot.write, stack.graph[key], pure=False, retries=EXPORT_RETRIES)
        for key, slot in slots_of(stack, str(path)).items()
    ]
    await client.gather(writing)
    return await finish_zarr(path, len(writing), provenance)


async def finish_zarr(path: Path, blocks: int, provenance: Mapping[str, Any]) -> Path:
    """Finish a store that the workers have filled block by block; see `compute.result.store.finish_store`."""
    await asyncio.to_thread(finish_store, str(path), blocks, provenance)
    return path
