"""Result store: a Zarr group into which workers write blocks atomically.

::

    seasonal_ndvi.zarr          ndvi_mean, clear_count, ... (season, y, x); coordinates, spatial_ref
    ├── levels/1, levels/2, ... ndvi_mean, clear_share, clear_count (season, y, x), halving the resolution
    └── blocks/0-3-4, ...       completion marks of written blocks, until all are written

A shard is an array of one block or of one of its levels. One task writes it atomically, and readers read inner chunks.
"""

from compute.result.store.block_writing import keep_task, recalled, streamed
from compute.result.store.checkpoint import Checkpoint
from compute.result.store.completion_marks import Index, written_blocks
from compute.result.store.lazy_arrays import open_result
from compute.result.store.manifest import Manifest
from compute.result.store.stored_blocks import DAMAGED, Slot, StoredBlock, reason_of, slots_of
from compute.result.store.zarr_layout import create_store, finish_store

__all__ = [
    "DAMAGED",
    "Checkpoint",
    "Index",
    "Manifest",
    "Slot",
    "StoredBlock",
    "create_store",
    "finish_store",
    "keep_task",
    "open_result",
    "reason_of",
    "recalled",
    "slots_of",
    "streamed",
    "written_blocks",
]
