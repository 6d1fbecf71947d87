"""What the pixels of a season add up to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from distributed import Client

from compute.blocks import Block
from compute.reductions.seasons import reduce_seasons
from compute.stack import SeasonStack, Window


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What the pixels of a season, or of a part of it, add up to.

    Attributes
    ----------
    total : float
        Sum of the pixels' mean NDVI.
    clear : int
        Number of pixels that have one.
    most : int
        Largest number of clear observations of a pixel.
    looks : tuple of int
        Number of observations, and of looks that are none by each reason; empty where these are not counted.
    failed : frozenset of str
        Ids of the scenes that could not be read and are not in the season.
    """

    total: float
    clear: int
    most: int
    looks: tuple[int, ...]
    failed: frozenset[str]


async def tally_seasons(stack: SeasonStack, client: Client) -> list[Tally]:
    """Return the tally of every season of a persisted stack; see `reduce_seasons`."""
    return await reduce_seasons(stack, client, _tally, _add_up)


def _tally(block: Block, window: Window) -> Tally:  # noqa: ARG001  # all blocks count alike, wherever they lie
    seen = ~np.isnan(block.ndvi_mean)
    total = block.ndvi_mean.sum(where=seen, dtype=np.float64)
    clear, most = int(np.count_nonzero(seen)), int(block.clear_count.max())
    return Tally(total=float(total), clear=clear, most=most, looks=_looks(block), failed=block.failed)


def _looks(block: Block) -> tuple[int, ...]:
    if block.unclear_count is None:
        return ()
    return int(block.clear_count.sum(dtype=np.int64)), *block.unclear_count.sum(axis=(1, 2), dtype=np.int64).tolist()


def _add_up(tallies: list[Tally]) -> Tally:
    return Tally(
        total=sum(each.total for each in tallies),
        clear=sum(each.clear for each in tallies),
        most=max(each.most for each in tallies),
        looks=tuple(sum(numbers) for numbers in zip(*(each.looks for each in tallies), strict=True)),
        failed=frozenset[str]().union(*(each.failed for each in tallies)),
    )
