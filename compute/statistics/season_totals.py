"""Tree reduction of each season: one task for each block on its worker, then one for each batch of blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, TypeVar

from distributed import Client, Future

from compute.engine import HeldBlock
from compute.result.chunk_windows import chunk_window
from compute.result.stack_tasks import block_key
from compute.scenes.pixel_frames import ResultWindow

if TYPE_CHECKING:  # not imported on workers, since it imports dask.array
    from compute.result.stack import SeasonStack

Part = TypeVar("Part")

BATCH_BLOCKS = 128
"""Number of blocks whose tasks are submitted together and whose parts are joined by one task. Submitting a batch blocks
the event loop (possibly of a server) for about 20 ms; submitting all tasks of a large result would block it for
seconds."""

RETRIES = 3
"""Number of retries of a task if its worker dies."""


async def reduce_seasons(
    stack: SeasonStack,
    client: Client,
    of_block: Callable[[HeldBlock, ResultWindow], Part],
    join: Callable[[list[Part]], Part],
) -> list[Part]:
    """Reduce every season on the workers; only the reduced values are transferred.

    Parameters
    ----------
    stack : SeasonStack
        Stack persisted on the cluster of `client`.
    client : distributed.Client
        Asynchronous client of this event loop.
    of_block : callable
        Function that computes a part from a block and its window.
    join : callable
        Associative and commutative function that joins a list of parts to one part.

    Returns
    -------
    list
        One part for each season, in the order of the labels.
    """
    # All futures are referenced until the last is done: the scheduler closes the connection of a client if it cancels a
    # task that no client needs (distributed 2026.8, `Scheduler.stimulus_cancel`).
    submitted = [await _submit_season(stack, season, client, of_block, join) for season in range(len(stack.labels))]
    # Awaited one after another: cancelling `Client.gather` of several futures leaves asyncio tasks that log errors.
    return [await futures[-1] for futures in submitted]


async def _submit_season(
    stack: SeasonStack,
    season: int,
    client: Client,
    of_block: Callable[[HeldBlock, ResultWindow], Part],
    join: Callable[[list[Part]], Part],
) -> list[Future[Part]]:
    """Submit the tasks of a season and return their futures; the last future is the result of the whole season."""
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
