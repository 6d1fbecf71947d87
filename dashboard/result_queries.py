"""Queries of results on the workers or in the store, limited per user and in total."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from compute.cluster import Connection
from compute.errors import ClusterError
from compute.jobs import KeptResults, LiveJob, observations_at
from compute.request.region import Region
from compute.statistics.region_reduction import region_statistics
from compute.tiles.pixel_sources import PixelValue
from compute.tiles.stored_statistics import stored_region_statistics
from compute.tiles.tile_service import ResultTiles
from dashboard.query_limits import QueryLimit

Observations = list[dict[str, Any]]
"""Seasons with the values of their scenes at one pixel; see `compute.jobs.observations_at`."""

MOST_LOOKING = 5
"""Greatest number of concurrent queries that read scenes or reduce a result."""

MOST_READING = 25
"""Greatest number of concurrent queries of single pixels and value ranges, which take milliseconds."""


class Answers:
    """Queries of results other than tiles: values, observations and statistics.

    Parameters
    ----------
    own_cluster : callable
        Returns an awaitable connection to the server's own cluster.
    kept : KeptResults or None
        Store of results.
    queue : int
        Greatest number of waiting queries; see `QueryLimit`.

    Attributes
    ----------
    looking : QueryLimit
        Limit of queries that read scenes or reduce a result.
    reading : QueryLimit
        Limit of queries for single pixels.
    """

    def __init__(
        self, own_cluster: Callable[[], Awaitable[Connection]], kept: KeptResults | None, *, queue: int
    ) -> None:
        self.looking = QueryLimit(at_once=MOST_LOOKING, queue=queue)
        self.reading = QueryLimit(at_once=MOST_READING, queue=queue)
        self._own_cluster = own_cluster
        self._kept = kept

    async def values(self, record: LiveJob, place: tuple[float, float], requester: Hashable) -> list[PixelValue]:
        """Return mean and clear count of one pixel in every season.

        Parameters
        ----------
        record : LiveJob
            Job of the result.
        place : (float, float)
            Longitude and latitude in degrees.
        requester : hashable
            Key of the user; see `QueryLimit`.

        Raises
        ------
        ClusterError
            The computation has not started yet.
        OverloadError
            Too many queries are waiting.
        """
        async with self.reading.wait_for_turn(requester):
            return await tiles_of(record).point(*place)

    async def stretch(self, record: LiveJob, layer: str, requester: Hashable) -> tuple[float, float] | None:
        """Return the range of nearly all values of a layer, for its colours; None if no pixel has a value yet.

        Parameters
        ----------
        record : LiveJob
            Job of the result.
        layer : str
            Layer of the result.
        requester : hashable
            Key of the user; see `QueryLimit`.

        Raises
        ------
        ClusterError
            The computation has not started yet.
        OverloadError
            Too many queries are waiting.
        """
        async with self.reading.wait_for_turn(requester):
            return await tiles_of(record).stretch(layer)

    async def observations(
        self, record: LiveJob, pixel: tuple[int, int], season: str | None = None, *, requester: Hashable
    ) -> Observations:
        """Return the values of all scenes at one pixel; see `compute.jobs.observations_at`.

        The scenes are read again, on the cluster of the result or, if that has ended, on the server's own cluster.

        Parameters
        ----------
        record : LiveJob
            Job of the result.
        pixel : (int, int)
            Row and column in the result.
        season : str, optional
            Label of one season; by default all seasons.
        requester : hashable
            Key of the user; see `QueryLimit`.

        Raises
        ------
        InputError, TooLargeError, ClusterError
            See `compute.jobs.observations_at`.
        OverloadError
            Too many queries are waiting.
        """
        async with self.looking.wait_for_turn(requester):
            connection = record.connection or await self._own_cluster()
            return await observations_at(record.plan, connection.client, *pixel, season)

    async def statistics(
        self, record: LiveJob, region: Callable[[], Awaitable[Region]] | Region, requester: Hashable
    ) -> dict[str, Any]:
        """Return the statistics of a region of a result; see `compute.statistics.region_reduction`.

        Parameters
        ----------
        record : LiveJob
            Job of the result.
        region : Region or callable
            Region, or a function that returns an awaitable region. The function is called when the query may run.
        requester : hashable
            Key of the user; see `QueryLimit`.

        Raises
        ------
        ClusterError
            No pixel of the region is available.
        InputError
            The region cannot be read, or does not overlap the result.
        OverloadError
            Too many queries are waiting.
        """
        async with self.looking.wait_for_turn(requester):
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
        The job has not started; the message has the reason.
    """
    if record.tiles is None:
        raise ClusterError(record.message or "The computation has not started yet.")
    return record.tiles
