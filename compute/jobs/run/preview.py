"""Preview of a job: a coarse picture within seconds, until the result is there."""

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
    """A coarse computation beside a job, ahead of it in the queue of its cluster.

    It is optional: where it fails, the seasons have no preview.

    Parameters
    ----------
    computation : Computation
        Computation of the preview.
    tiles : ResultTiles
        Tiles of it.
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
            Asynchronous client of the cluster that computes it.
        token : str
            Identity of the result.

        Returns
        -------
        Preview or None
            None where the result is as coarse itself, or the preview cannot be started.
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
        """Positions of the seasons whose preview is finished."""
        stack = self._computation.stack
        return frozenset(n for n, key in enumerate(stack.keys) if stack.graph[key].status == "finished")

    async def fill_tile(self, tile: Tile, season: int, address: TileAddress, size: int = TILE_PX) -> Tile:
        """Return a tile of means with the pixels of the preview where its own are not computed yet.

        Parameters
        ----------
        tile : Tile
            Tile of the result.
        season : int
            Position of the season.
        address : TileAddress
            Address of the tile.
        size : int
            Pixels along each edge.
        """
        return tile.over(await self._tiles.tile("ndvi_mean", season, address, size=size))

    async def release(self) -> None:
        """Stop the preview, and free the workers of it."""
        await self._computation.cancel()
