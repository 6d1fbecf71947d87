"""Engine: read the scenes of a block, which is one season of one spatial chunk, and compute mean NDVI and count."""

from compute.engine.block_records import Block, BlockTask, HeldBlock, Sums
from compute.engine.block_task import (
    add_parts,
    compute_block,
    finish_block,
    join_parts,
    polygon_mask,
    sum_part,
    warm_up,
)
from compute.engine.block_totals import Tally
from compute.engine.cancellation import CancelFlags, cancel_on_worker, running_on_worker
from compute.engine.pixel_trace import BandValue, PixelTrace, Trace, trace_pixel

__all__ = [
    "BandValue",
    "Block",
    "BlockTask",
    "CancelFlags",
    "HeldBlock",
    "PixelTrace",
    "Sums",
    "Tally",
    "Trace",
    "add_parts",
    "cancel_on_worker",
    "compute_block",
    "finish_block",
    "join_parts",
    "polygon_mask",
    "running_on_worker",
    "sum_part",
    "trace_pixel",
    "warm_up",
]
