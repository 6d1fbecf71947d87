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
    failed : frozenset of str
        Ids of the scenes that could not be read and are not in the season.
    """

    total: float
    clear: int
    most: int
    failed: frozenset[str]


async def tally_seasons(stack: SeasonStack, client: Client) -> list[Tally]:
    """Return the tally of every season of a persisted stack; see `reduce_seasons`."""
    return await reduce_seasons(stack, client, _tally, _add_up)


def _tally(block: Block, window: Window) -> Tally:  # noqa: ARG001  # all blocks count alike, wherever they lie
    seen = ~np.isnan(block.ndvi_mean)
    total = block.ndvi_mean.sum(where=seen, dtype=np.float64)
    clear, most = int(np.count_nonzero(seen)), int(block.clear_count.max())
    return Tally(total=float(total), clear=clear, most=most, failed=block.failed)


def _add_up(tallies: list[Tally]) -> Tally:
    return Tally(
        total=sum(each.total for each in tallies),
        clear=sum(each.clear for each in tallies),
        most=max(each.most for each in tallies),
        failed=frozenset[str]().union(*(each.failed for each in tallies)),
    )
