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
    """A small computation beside a job, ahead of it in the queue of its cluster.

    Nobody waits for it: a season whose preview fails is a season without one.

    Parameters
    ----------
    job : Computation
        That computes it.
    tiles : ResultTiles
        Of that job.
    """

    def __init__(self, job: Computation, tiles: ResultTiles) -> None:
        self._job = job
        self._tiles = tiles

    @classmethod
    async def start(cls, plan: NdviPlan, client: Client, token: str) -> Self | None:
        """Start the preview of a result.

        Parameters
        ----------
        plan : NdviPlan
            Of the result.
        client : distributed.Client
            An asynchronous client of the cluster that computes it.
        token : str
            Identity of the result.

        Returns
        -------
        Preview or None
            None where the result is as coarse itself, or where it cannot be started.
        """
        try:
            coarse = preview_plan(plan)
            if coarse is None:
                return None
            job = await Computation.submit(coarse, client, f"{token}-preview", ahead=True)
        except Exception:  # noqa: BLE001  # whatever it is, the result can do without
            _log.exception("The preview of job %s failed", token[:8])
            return None
        return cls(job, ResultTiles.on_workers(job.stack, client, region=plan.request.region))

    @property
    def seasons(self) -> frozenset[int]:
        """Positions of the seasons that are there."""
        stack = self._job.stack
        return frozenset(n for n, key in enumerate(stack.keys) if stack.graph[key].status == "finished")

    async def under(self, tile: Tile, season: int, address: TileAddress, size: int = TILE_PX) -> Tile:
        """Return a tile of means with the preview's pixels beside it, for those that are not computed yet."""
        return tile.over(await self._tiles.tile("ndvi_mean", season, address, size=size))

    async def release(self) -> None:
        """Stop what runs of it and let the workers forget it."""
        await self._job.cancel()
