"""Tally of a season's pixels over all of its blocks."""

from __future__ import annotations

from distributed import Client

from compute.engine import HeldBlock, Tally
from compute.result.stack import SeasonStack
from compute.scenes.pixel_frames import ResultWindow
from compute.statistics.season_totals import reduce_seasons


async def tally_seasons(stack: SeasonStack, client: Client) -> list[Tally]:
    """Return the tally of every season of a persisted stack; see `reduce_seasons`."""
    return await reduce_seasons(stack, client, _tally, Tally.joined)


def _tally(block: HeldBlock, window: ResultWindow) -> Tally:  # noqa: ARG001  # all blocks count alike, wherever they lie
    return block.tally
