"""Queries of results on workers or in the store, with a limit for each user and in total."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from compute.cluster import Connection
from compute.errors import ClusterError
from compute.jobs import KeptResults, LiveJob, observations_at
from compute.request.region import Region
from compute.statistics import region_statistics
from compute.tiles import PixelValue, ResultTiles, stored_region_statistics
from dashboard.query_limits import Questions

Observations = list[dict[str, Any]]
"""Seasons with every look at a pixel."""

MOST_LOOKING = 5
"""Questions that read scenes or reduce a result at once; others wait their turn."""

MOST_READING = 25
"""Questions for the values of single pixels at once: workers answer each within milliseconds."""


class Answers:
    """Queries of results beside their tiles: values, series, observations, statistics.

    Parameters
    ----------
    own_cluster : callable
        Returns the server's own cluster once it is there.
    kept : KeptResults or None
        Where results outlive their clusters.
    queue : int
        Most questions that wait; see `Questions`.

    Attributes
    ----------
    looking, reading : Questions
        Those that read scenes or reduce a result, and those for single pixels.
    """

    def __init__(
        self, own_cluster: Callable[[], Awaitable[Connection]], kept: KeptResults | None, *, queue: int
    ) -> None:
        self.looking = Questions(at_once=MOST_LOOKING, queue=queue)
        self.reading = Questions(at_once=MOST_READING, queue=queue)
        self._own_cluster = own_cluster
        self._kept = kept

    async def values(self, record: LiveJob, place: tuple[float, float], asker: Hashable) -> list[PixelValue]:
        """Return mean and clear count of the pixel at a place, longitude and latitude, in every season.

        Raises
        ------
        ClusterError
            The computation has not started yet.
        OverloadError
            Too many questions wait; see `Questions`, which `asker` is for.
        """
        async with self.reading.turn(asker):
            return await tiles_of(record).point(*place)

    async def stretch(self, record: LiveJob, layer: str, asker: Hashable) -> tuple[float, float] | None:
        """Return low and high value of what is computed of a layer, None where nothing is; raises as `values` does."""
        async with self.reading.turn(asker):
            return await tiles_of(record).stretch(layer)

    async def observations(
        self, record: LiveJob, pixel: tuple[int, int], season: str | None = None, *, asker: Hashable
    ) -> Observations:
        """Return every look at a pixel; see `compute.jobs.observations_at`.

        Scenes are read anew, so the server's own cluster will do where the one that made the result is gone.

        Raises
        ------
        OverloadError
            Too many questions wait; see `Questions`, which `asker` is for.
        """
        async with self.looking.turn(asker):
            connection = record.connection or await self._own_cluster()
            return await observations_at(record.plan, connection.client, *pixel, season)

    async def statistics(
        self, record: LiveJob, region: Callable[[], Awaitable[Region]] | Region, asker: Hashable
    ) -> dict[str, Any]:
        """Return what a region of a result comes to; see `compute.statistics.region_reduction`.

        Parameters
        ----------
        record : LiveJob
            Of the result.
        region : Region or callable
            Where; a callable returns an awaitable and is called when it is the question's turn.
        asker : hashable
            Who asks; see `Questions`.

        Raises
        ------
        ClusterError
            Nothing of it is there yet, or no more.
        InputError
            The region cannot be read, or does not meet the result.
        OverloadError
            Too many questions wait.
        """
        async with self.looking.turn(asker):
            region = await region() if callable(region) else region
            return {"region": region.geojson, **await self._statistics(record, region)}

    async def _statistics(self, record: LiveJob, region: Region) -> dict[str, Any]:
        if record.stack is not None and record.connection is not None:
            return await region_statistics(record.stack, record.connection.client, region)
        if record.tiles is not None and self._kept is not None:
            return await stored_region_statistics(record.tiles.stack, self._kept.readers, region)
        raise ClusterError(record.message or "The computation has not started yet.")


def tiles_of(record: LiveJob) -> ResultTiles:
    """Return the tiles of a job that has started.

    Raises
    ------
    ClusterError
        It has not, and the sentence says why.
    """
    if record.tiles is None:
        raise ClusterError(record.message or "The computation has not started yet.")
    return record.tiles
