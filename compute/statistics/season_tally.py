"""Totals of each season over all of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import Client

from compute.engine import HeldBlock, Tally
from compute.scenes.pixel_frames import ResultWindow
from compute.statistics.season_totals import reduce_seasons

if TYPE_CHECKING:  # not imported on workers, since it imports dask.array
    from compute.result.stack import SeasonStack


async def tally_seasons(stack: SeasonStack, client: Client) -> list[Tally]:
    """Compute the totals of every season of a persisted stack, in the order of the labels.

    Parameters
    ----------
    stack : SeasonStack
        Stack persisted on the cluster of `client`.
    client : distributed.Client
        Asynchronous client.
    """
    return await reduce_seasons(stack, client, _tally, Tally.merge)


def _tally(block: HeldBlock, window: ResultWindow) -> Tally:  # noqa: ARG001  # the signature of `reduce_seasons`
    return block.tally
