"""Preview of a job: coarse means within seconds, shown until the result is computed."""

from __future__ import annotations

import logging
from typing import Self

from distributed import Client

from compute.jobs.run.computation import Computation
from compute.plan import NdviPlan, preview_plan
from compute.tiles.tile_service import ResultTiles, Tile
from compute.tiles.web_mercator import TILE_PX, TileAddress

_log = logging.getLogger(__name__)


class Preview:
    """Coarse computation of a job's request, which its cluster computes before the blocks of the job.

    The preview is optional: if it fails, the job runs without it.

    Parameters
    ----------
    computation : Computation
        Computation of the preview.
    tiles : ResultTiles
        Tiles of the preview.
    """

    def __init__(self, computation: Computation, tiles: ResultTiles) -> None:
        self._computation = computation
        self._tiles = tiles

    @classmethod
    async def start(cls, plan: NdviPlan, client: Client, token: str) -> Self | None:
        """Start the preview of a result.

        Parameters
        ----------
        plan : NdviPlan
            Plan of the result.
        client : distributed.Client
            Asynchronous client of the cluster that computes the result.
        token : str
            Token of the result.

        Returns
        -------
        Preview or None
            The running preview; None if the result is as coarse as a preview, or the preview cannot be started.
        """
        try:
            coarse = preview_plan(plan)
            if coarse is None:
                return None
            computation = await Computation.submit(coarse, client, f"{token}-preview", ahead=True)
        except Exception:  # noqa: BLE001  # whatever the error, the result can do without a preview
            _log.exception("The preview of job %s failed", token[:8])
            return None
        return cls(computation, ResultTiles.on_workers(computation.stack, client, region=plan.request.region))

    @property
    def seasons(self) -> frozenset[int]:
        """Positions of the seasons whose preview is computed."""
        stack = self._computation.stack
        return frozenset(n for n, key in enumerate(stack.keys) if stack.graph[key].status == "finished")

    async def fill_tile(self, tile: Tile, season: int, address: TileAddress, size: int = TILE_PX) -> Tile:
        """Add the means of the preview to a tile, for pixels that are not computed yet.

        Parameters
        ----------
        tile : Tile
            Tile of means of the result.
        season : int
            Position of the season.
        address : TileAddress
            Address of the tile.
        size : int
            Edge length of the tile in pixels.

        Returns
        -------
        Tile
            Tile with the same values, and with those of the preview in `preview`.
        """
        return tile.over(await self._tiles.tile("ndvi_mean", season, address, size=size))

    async def release(self) -> None:
        """Stop the preview, and release its blocks on the workers."""
        await self._computation.cancel()
