"""Season totals: one task for each block, on its worker, then one for each group of blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product
from typing import TypeVar

from distributed import Client, Future

from compute.engine import HeldBlock
from compute.result.stack import SeasonStack, chunk_window
from compute.result.stack_tasks import block_key
from compute.scenes.pixel_frames import ResultWindow

Part = TypeVar("Part")

BATCH_BLOCKS = 128
"""Blocks whose tasks are handed to the scheduler at once, and whose parts one task joins. The event loop, which may be
a server's, is held by this for some 20 ms; by the thousands of tasks of a large result at once, for seconds."""

RETRIES = 3
"""Times that a task is tried again when its worker dies."""


async def reduce_seasons(
    stack: SeasonStack,
    client: Client,
    of_block: Callable[[HeldBlock, ResultWindow], Part],
    join: Callable[[list[Part]], Part],
) -> list[Part]:
    """Reduce every season to something small, on the workers; nothing else leaves them.

    Parameters
    ----------
    stack : SeasonStack
        Persisted on the cluster of `client`.
    client : distributed.Client
        Asynchronous client, of this event loop.
    of_block : callable
        Makes the part of one block, given the block and its window in the result.
    join : callable
        Makes one part of several, in whatever groups they come.

    Returns
    -------
    list
        One part for each season, in the order of the labels.
    """
    # All futures are held until the last is done: a scheduler that is told to cancel blocks breaks off with its client
    # where it finds a task of theirs that nobody wants (distributed 2026.8, `Scheduler.stimulus_cancel`).
    submitted = [await _submit_season(stack, season, client, of_block, join) for season in range(len(stack.labels))]
    # One after another: whoever is cancelled while Dask gathers several leaves tasks behind, which complain.
    return [await futures[-1] for futures in submitted]


async def _submit_season(
    stack: SeasonStack,
    season: int,
    client: Client,
    of_block: Callable[[HeldBlock, ResultWindow], Part],
    join: Callable[[list[Part]], Part],
) -> list[Future[Part]]:
    """Return the futures of a season, the last one of which is that of the whole."""
    places = list(product(*(range(len(sizes)) for sizes in stack.chunks)))
    joined, all_parts = list[Future[Part]](), list[Future[Part]]()
    for start in range(0, len(places), BATCH_BLOCKS):
        batch = places[start : start + BATCH_BLOCKS]
        blocks = [stack.graph[block_key(stack.token, season, *place)] for place in batch]
        windows = [chunk_window(stack.chunks, *place) for place in batch]
        parts = client.map(of_block, blocks, windows, pure=False, retries=RETRIES)
        all_parts.extend(parts)
        joined.append(client.submit(join, parts, pure=False, retries=RETRIES))
        await asyncio.sleep(0)
    return [*all_parts, *joined, client.submit(join, joined, pure=False, retries=RETRIES)]
