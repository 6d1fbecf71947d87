"""A result outside of memory: a Zarr group into which workers write block after block, each whole or not at all.

::

    seasonal_ndvi.zarr          ndvi_mean, clear_count, ... (season, y, x); coordinates, spatial_ref
    ├── levels/1, levels/2, ... ndvi_mean, clear_share, clear_count (season, y, x), each half as fine
    └── blocks/0-3-4, ...       a mark for each block that is written, until all are

A shard is a block, or a level of one: written by one task, seen whole or not at all, and read in inner chunks.
"""

from compute.store.blocks import Slot, StoredBlock, slots_of
from compute.store.layout import create_store, finish_store, written_blocks
from compute.store.streaming import streamed

__all__ = ["Slot", "StoredBlock", "create_store", "finish_store", "slots_of", "streamed", "written_blocks"]
